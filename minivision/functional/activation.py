"""Activations: what makes a stack of layers more than one linear map."""

from __future__ import annotations

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def relu(x: Tensor | Array) -> Tensor:
    """max(x, 0).  dx = 0 where x ≤ 0, else dy; NaN stays NaN and lets dy through.

    Nair & Hinton 2010; in a deep network Krizhevsky et al. 2012, §3.1.

    >>> relu(Tensor([-1.0, 2.0]))
    Tensor([0., 2.], float32)
    """
    (x,) = tensors("relu", x=x)  # as a Tensor, or an error
    # By default a faster form in fast/ runs; the code below runs inside `with fast.off():` only.
    if fast.serves("relu", x.data):
        y, backward = fast.relu(x.data)
        return record(y, (x,), backward)

    y = array_module(x.data).maximum(x.data, 0)

    def backward(dy):
        # Not dy * (y > 0): an infinite dy times 0 would be NaN.
        return (array_module(dy).where(y <= 0, 0, dy),)

    return record(y, (x,), backward)
