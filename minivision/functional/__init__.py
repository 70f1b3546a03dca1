"""Differentiable functions: the value and its gradient side by side.

Every function here has the same form. It computes its value from arrays, defines an inner
`backward(dy)` that returns one gradient for each input, and hands both to `record`. It changes
none of its inputs. In reading order:

    inputs.py         what an argument must be, and the error messages
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

Read next: functional/inputs.py
"""

import sys

from minivision import tensor
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

tensor.functional = sys.modules[__name__]  # which gives Tensor its operators and methods
