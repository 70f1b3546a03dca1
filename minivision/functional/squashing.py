"""Activations other than ReLU: they squash their input into a range, or leak where ReLU blocks."""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def tanh(x: Tensor | Array) -> Tensor:
    """tanh x.  dx = dy·(1 - tanh² x)."""
    (x,) = tensors("tanh", x=x)
    y = array_module(x.data).tanh(x.data)

    def backward(dy):
        return (dy * (1 - y * y),)

    return record(y, (x,), backward)


def leaky_relu(x: Tensor | Array, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else s·x with a small slope s.  dx = dy or s·dy (Maas et al. 2013)."""
    (x,) = tensors("leaky_relu", x=x)
    a, xp = x.data, array_module(x.data)
    slope = xp.where(a > 0, 1, negative_slope).astype(a.dtype)

    def backward(dy):
        return (dy * slope,)

    return record(a * slope, (x,), backward)


def sigmoid(x: Tensor | Array) -> Tensor:
    """1 / (1 + e⁻ˣ).  dx = dy·y·(1 - y).

    For x < 0 it is computed as eˣ / (1 + eˣ), which has the same value. This way exp never
    overflows, and y keeps all its digits when it is close to 0.
    """
    (x,) = tensors("sigmoid", x=x)
    xp = array_module(x.data)
    e = xp.exp(-xp.absolute(x.data))  # at most 1
    y = xp.where(x.data < 0, e, 1) / (1 + e)

    def backward(dy):
        return (dy * y * (1 - y),)

    return record(y, (x,), backward)


def scaled_tanh(x: Tensor | Array) -> Tensor:
    """1.7159·tanh(2x/3), LeNet-5's squashing function.  dx = dy·(2/3)·(1.7159 - y²/1.7159).

    The curve passes close to (1, 1) and (-1, -1) and saturates at ±1.7159 (LeCun et al. 1998,
    §II-B).
    """
    amplitude, slope = 1.7159, 2 / 3
    (x,) = tensors("scaled_tanh", x=x)
    y = amplitude * array_module(x.data).tanh(slope * x.data)

    def backward(dy):
        return (dy * (slope * (amplitude - y * y / amplitude)),)

    return record(y, (x,), backward)
