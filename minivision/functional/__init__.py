"""Differentiable functions: the value and its gradient side by side.

Every function here has the same form. It computes its value from arrays, defines an inner
`backward(dy)` that returns one gradient per input, and passes both to `record`. It never modifies
its inputs. In reading order:

    inputs.py           tensors operands sizes pair: the checks that open every function
    checks.py           further checks of arguments
    loss_checks.py      the same for the losses: labels, distributions, temperatures
    arithmetic.py       add subtract multiply divide negative
    activation.py       relu
    linear.py           linear flatten
    convolution.py      conv2d
    pooling.py          max_pool2d
    softmax.py          softmax log_softmax
    losses.py           cross_entropy
    reduction.py        sum mean var max min
    shape.py            reshape transpose getitem
    dropout.py          dropout
    matmul.py           matmul
    elementwise.py      power exp log sqrt absolute
    squashing.py        tanh leaky_relu sigmoid scaled_tanh
    logsumexp.py        logsumexp
    selection.py        maximum minimum where clip
    joining.py          concatenate stack pad broadcast_to
    normalization.py    local_response_norm batch_norm
    stochastic_depth.py drop_path
    average_pooling.py  avg_pool2d adaptive_avg_pool2d
    local.py            unfold fold locally_connected2d
    other_losses.py     nll_loss mse_loss
    distillation.py     kl_divergence distillation_loss entropy
    warp.py             affine_grid grid_sample
"""

import sys

from minivision import tensor
from minivision.functional.activation import relu
from minivision.functional.arithmetic import add, divide, multiply, negative, subtract
from minivision.functional.average_pooling import adaptive_avg_pool2d, avg_pool2d
from minivision.functional.convolution import conv2d
from minivision.functional.distillation import distillation_loss, entropy, kl_divergence
from minivision.functional.dropout import dropout
from minivision.functional.elementwise import absolute, exp, log, power, sqrt
from minivision.functional.joining import broadcast_to, concatenate, pad, stack
from minivision.functional.linear import flatten, linear
from minivision.functional.local import fold, locally_connected2d, unfold
from minivision.functional.logsumexp import logsumexp
from minivision.functional.losses import cross_entropy
from minivision.functional.matmul import matmul
from minivision.functional.normalization import batch_norm, local_response_norm
from minivision.functional.other_losses import mse_loss, nll_loss
from minivision.functional.pooling import max_pool2d
from minivision.functional.reduction import max, mean, min, sum, var
from minivision.functional.selection import clip, maximum, minimum, where
from minivision.functional.shape import getitem, reshape, transpose
from minivision.functional.softmax import log_softmax, softmax
from minivision.functional.squashing import leaky_relu, scaled_tanh, sigmoid, tanh
from minivision.functional.stochastic_depth import drop_path
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

tensor.functional = sys.modules[__name__]  # gives Tensor its operators and methods
