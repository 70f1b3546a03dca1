"""Linear, the fully connected layer, is a matrix product; flatten turns maps into vectors."""

from __future__ import annotations

import math

from minivision import fast
from minivision.backend import Array
from minivision.functional.inputs import sizes, tensors
from minivision.tensor import Tensor, record


def linear(x: Tensor | Array, weight: Tensor | Array, bias: Tensor | Array | None = None) -> Tensor:
    """A fully connected layer: every output depends on every input.

    x (N, I), weight (O, I), bias (O) -> (N, O)

        y  = x Wᵀ + b
        dx = dy W        dW = dyᵀ x        db = Σ_n dy_n

    Entry by entry, W[o,i] multiplies x[n,i] on the way to y[n,o], in every example n. So
    dW[o,i] = Σ_n dy[n,o]·x[n,i], and dx[n,i] = Σ_o dy[n,o]·W[o,i].

    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([5.0]))
    Tensor([[16.]], float32)
    """
    # Convert all arguments to Tensors (the bias may be None) and unpack the sizes of their axes.
    x, weight, bias = tensors("linear", ("bias",), x=x, weight=weight, bias=bias)
    N, I = sizes("linear", "x", x, "N I")
    O, M = sizes("linear", "weight", weight, "O I")
    if I != M:
        raise ValueError(f"linear: x has {I} features but weight expects {M} (weight ({O}, {M}))")
    if bias is not None and bias.shape != (O,):
        raise ValueError(f"linear: bias has shape {bias.shape}; expected ({O},)")
    inputs = x, weight, bias
    wanted = [part is not None and part.requires_grad for part in inputs]
    a, w, b = x.data, weight.data, None if bias is None else bias.data
    # By default a faster version in fast/ runs; the code below runs only inside `with fast.off():`.
    if fast.serves("linear", a):
        y, backward = fast.linear(a, w, b, wanted)
        return record(y, inputs, backward)

    y = a @ w.T  # (N, O)
    if b is not None:
        y += b

    def backward(dy):
        dx = dy @ w if wanted[0] else None
        dw = dy.T @ a if wanted[1] else None
        db = dy.sum(axis=0) if wanted[2] else None
        return dx, dw, db

    return record(y, inputs, backward)


def flatten(x: Tensor | Array, start_axis: int = 1) -> Tensor:
    """One vector per image: x (N, C, H, W) -> (N, C·H·W).  dx = dy in x's shape.

    start_axis=0 makes a single vector. PyTorch's `torch.flatten` starts at axis 0; its
    `nn.Flatten` starts at 1, as here.
    """
    (x,) = tensors("flatten", x=x)
    if not 0 <= start_axis <= x.ndim:
        raise ValueError(
            f"flatten: start_axis is {start_axis}; expected an axis from 0 to {x.ndim}"
        )
    old = x.shape
    y = x.data.reshape(*old[:start_axis], math.prod(old[start_axis:]))

    def backward(dy):
        return (dy.reshape(old),)

    return record(y, (x,), backward)
