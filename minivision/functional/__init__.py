"""Differentiable functions: the value and its gradient side by side.

Every function here has the same form. It computes its value from arrays, defines an inner
`backward(dy)` that returns one gradient for each input, and hands both to `record`. It changes
none of its inputs. In reading order:

    checks.py       the sentences that say what is wrong with an argument
    arithmetic.py   add subtract multiply divide negative power exp log
    reduction.py    sum mean max
    shape.py        reshape flatten transpose getitem
    activation.py   relu tanh
    linear.py       matmul linear
    convolution.py  conv2d
    pooling.py      max_pool2d avg_pool2d
    dropout.py      dropout
    softmax.py      softmax log_softmax
    losses.py       cross_entropy

The table at the end gives Tensor its operators and methods.

Read next: functional/checks.py
"""

from minivision.autograd import Tensor
from minivision.functional.activation import relu, tanh
from minivision.functional.arithmetic import (
    add,
    divide,
    exp,
    log,
    multiply,
    negative,
    power,
    subtract,
)
from minivision.functional.convolution import conv2d
from minivision.functional.dropout import dropout
from minivision.functional.linear import linear, matmul
from minivision.functional.losses import cross_entropy
from minivision.functional.pooling import avg_pool2d, max_pool2d
from minivision.functional.reduction import max, mean, sum
from minivision.functional.shape import flatten, getitem, reshape, transpose
from minivision.functional.softmax import log_softmax, softmax

__all__ = [
    "add", "subtract", "multiply", "divide", "negative", "power", "exp", "log",
    "sum", "mean", "max", "reshape", "flatten", "transpose", "getitem", "relu", "tanh",
    "matmul", "linear", "conv2d", "max_pool2d", "avg_pool2d", "dropout",
    "softmax", "log_softmax", "cross_entropy",
]  # fmt: skip

Tensor.__add__ = add
Tensor.__radd__ = lambda b, a: add(a, b)
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
Tensor.exp = exp
Tensor.log = log
Tensor.sum = sum
Tensor.mean = mean
Tensor.max = max
Tensor.reshape = reshape
Tensor.flatten = flatten
Tensor.transpose = transpose
Tensor.T = property(transpose)
