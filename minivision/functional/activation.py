"""Activations: what makes a stack of layers more than one linear map.

Read next: functional/linear.py
"""

from __future__ import annotations

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module
from minivision.functional.checks import tensors


def relu(x: Tensor | Array) -> Tensor:
    """max(x, 0).  dx = dy where x > 0, else 0; at x = 0 the gradient is 0, as in PyTorch.

    Nair & Hinton 2010; in a deep network Krizhevsky et al. 2012, §3.1.

    >>> relu(Tensor([-1.0, 2.0]))
    Tensor([0., 2.], float32)
    """
    (x,) = tensors("relu", x=x)
    y = array_module(x.data).maximum(x.data, 0)

    def backward(dy):
        return (dy * (y > 0),)

    return record(y, (x,), backward)


def tanh(x: Tensor | Array) -> Tensor:
    """tanh x.  dx = dy·(1 - tanh² x)."""
    (x,) = tensors("tanh", x=x)
    y = array_module(x.data).tanh(x.data)

    def backward(dy):
        return (dy * (1 - y * y),)

    return record(y, (x,), backward)
