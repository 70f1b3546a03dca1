"""Differentiable functions: the value and its gradient side by side.

Every function here has the same form. It computes its value from arrays, defines an inner
`backward(dy)` that returns one gradient for each input, and hands both to `record`. It changes
none of its inputs. In reading order:

    checks.py         the sentences that say what is wrong with an argument
    arithmetic.py     add subtract multiply divide negative power exp log sqrt absolute
    selection.py      maximum minimum where clip
    reduction.py      sum mean var max min logsumexp
    shape.py          reshape flatten transpose getitem concatenate stack pad broadcast_to
    activation.py     relu leaky_relu tanh scaled_tanh sigmoid
    linear.py         matmul linear
    convolution.py    conv2d
    local.py          unfold fold locally_connected2d
    pooling.py        max_pool2d avg_pool2d adaptive_avg_pool2d
    normalization.py  local_response_norm batch_norm
    dropout.py        dropout drop_path
    softmax.py        softmax log_softmax
    losses.py         cross_entropy nll_loss mse_loss
    distillation.py   kl_divergence distillation_loss entropy
    warp.py           affine_grid grid_sample

The table at the end gives Tensor its operators and methods.

Read next: functional/checks.py
"""

from minivision.autograd import Tensor
from minivision.functional.activation import leaky_relu, relu, scaled_tanh, sigmoid, tanh
from minivision.functional.arithmetic import (
    absolute,
    add,
    divide,
    exp,
    log,
    multiply,
    negative,
    power,
    sqrt,
    subtract,
)
from minivision.functional.convolution import conv2d
from minivision.functional.distillation import distillation_loss, entropy, kl_divergence
from minivision.functional.dropout import drop_path, dropout
from minivision.functional.linear import linear, matmul
from minivision.functional.local import fold, locally_connected2d, unfold
from minivision.functional.losses import cross_entropy, mse_loss, nll_loss
from minivision.functional.normalization import batch_norm, local_response_norm
from minivision.functional.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from minivision.functional.reduction import logsumexp, max, mean, min, sum, var
from minivision.functional.selection import clip, maximum, minimum, where
from minivision.functional.shape import (
    broadcast_to,
    concatenate,
    flatten,
    getitem,
    pad,
    reshape,
    stack,
    transpose,
)
from minivision.functional.softmax import log_softmax, softmax
from minivision.functional.warp import affine_grid, grid_sample

__all__ = [
    "add", "subtract", "multiply", "divide", "negative", "power", "exp", "log", "sqrt",
    "absolute", "maximum", "minimum", "where", "clip", "sum", "mean", "var", "max", "min",
    "logsumexp", "reshape", "flatten", "transpose", "getitem", "concatenate", "stack", "pad",
    "broadcast_to", "relu", "leaky_relu", "tanh", "scaled_tanh", "sigmoid", "matmul", "linear",
    "conv2d", "unfold", "fold", "locally_connected2d", "max_pool2d", "avg_pool2d",
    "adaptive_avg_pool2d", "local_response_norm", "batch_norm", "dropout", "drop_path", "softmax",
    "log_softmax", "cross_entropy", "nll_loss", "mse_loss", "kl_divergence", "distillation_loss",
    "entropy", "affine_grid", "grid_sample",
]  # fmt: skip

Tensor.__add__ = add
Tensor.__radd__ = lambda b, a: add(a, b)  # Python calls b.__radd__(a) for a + b
Tensor.__sub__ = subtract
Tensor.__rsub__ = lambda b, a: subtract(a, b)
Tensor.__mul__ = multiply
Tensor.__rmul__ = lambda b, a: multiply(a, b)
Tensor.__truediv__ = divide
Tensor.__rtruediv__ = lambda b, a: divide(a, b)
Tensor.__neg__ = negative
Tensor.__pow__ = power
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda b, a: matmul(a, b)
Tensor.__getitem__ = getitem
Tensor.__abs__ = absolute
Tensor.exp = exp
Tensor.log = log
Tensor.sqrt = sqrt
Tensor.sum = sum
Tensor.mean = mean
Tensor.var = var
Tensor.max = max
Tensor.min = min
Tensor.reshape = reshape
Tensor.flatten = flatten
Tensor.transpose = transpose
Tensor.T = property(transpose)
