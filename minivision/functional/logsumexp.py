"""Log-sum-exp: a maximum without a kink."""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.functional.checks import Axis, entries, normalized_axes
from minivision.functional.inputs import tensors
from minivision.functional.reduction import dropped, repeat
from minivision.tensor import Tensor, record


def logsumexp(x: Tensor | Array, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) over the axes, a smooth maximum.  dx = dy·softmax(x).

    The largest entry is subtracted first so that exp does not overflow, unless that entry is
    infinite: ∞ - ∞ would be NaN.
    """
    (x,) = tensors("logsumexp", x=x)
    axes = normalized_axes("logsumexp", axis, x.ndim)
    entries("logsumexp", x, axes, axis)
    a, xp = x.data, array_module(x.data)
    largest = a.max(axis=axes, keepdims=True)
    largest = xp.where(xp.isinf(largest), 0, largest)
    y = largest + xp.log(xp.exp(a - largest).sum(axis=axes, keepdims=True))

    def backward(dy):
        return (xp.exp(a - y) * repeat(dy, axes, a.shape),)

    return record(dropped(y, axes, keepdims), (x,), backward)
