"""Activations: without them, a stack of layers would be one linear map."""

from __future__ import annotations

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def relu(x: Tensor | Array) -> Tensor:
    """max(x, 0).  dx = 0 where x ≤ 0, else dy; NaN stays NaN and passes dy on.

    Nair & Hinton 2010; used in a deep network by Krizhevsky et al. 2012, §3.1.

    >>> relu(Tensor([-1.0, 2.0]))
    Tensor([0., 2.], float32)
    """
    (x,) = tensors("relu", x=x)  # converts x to a Tensor, or raises
    # By default a faster version in fast/ runs; the code below runs only inside `with fast.off():`.
    if fast.serves("relu", x.data):
        y, backward = fast.relu(x.data)
        return record(y, (x,), backward)

    y = array_module(x.data).maximum(x.data, 0)

    def backward(dy):
        # Not dy * (y > 0): an infinite dy times 0 would be NaN.
        return (array_module(dy).where(y <= 0, 0, dy),)

    return record(y, (x,), backward)
