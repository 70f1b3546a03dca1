"""Matrix products: `matmul` as NumPy's @, and `linear`, the fully connected layer.

Read next: functional/convolution.py
"""

from __future__ import annotations

import operator

from minivision.autograd import Tensor, record
from minivision.backend import Array
from minivision.functional.checks import sizes, tensors
from minivision.kernels import choice, fast
from minivision.kernels.broadcasting import broadcasts, unbroadcast
from minivision.kernels.memory import in_order, memory_order


def matmul(a: Tensor | Array, b: Tensor | Array) -> Tensor:
    """a @ b, with NumPy's rules: the last two axes are matrices, the ones before broadcast.

    a (…, R, M), b (…, M, S) -> (…, R, S); a vector a is one row, a vector b one column.

        da = dy @ bᵀ        db = aᵀ @ dy
    """
    a, b = tensors("matmul", a=a, b=b)
    u, v = a.data, b.data
    if u.ndim == 0 or v.ndim == 0 or u.shape[-1] != v.shape[-2 if v.ndim > 1 else 0]:
        raise ValueError(f"matmul: a has shape {a.shape} and b {b.shape}; expected (…, M) @ (M, …)")
    if u.ndim > 2 and not broadcasts(u.shape[:-2], v.shape[:-2]):
        raise ValueError(
            f"matmul: a has shape {a.shape} and b {b.shape}; "
            "the axes before the last two do not broadcast"
        )
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        # A vector is seen as a matrix of one row or one column, and dy likewise.
        rows = u[None, :] if u.ndim == 1 else u
        columns = v[:, None] if v.ndim == 1 else v
        if v.ndim == 1:
            dy = dy[..., None]
        if u.ndim == 1:
            dy = dy[..., None, :]
        da = unbroadcast(dy @ columns.mT, u.shape) if want_da else None
        db = unbroadcast(rows.mT @ dy, columns.shape) if want_db else None
        if v.ndim == 1 and db is not None:
            db = db[:, 0]
        return da, db

    return record(u @ v, (a, b), backward)


def linear(x: Tensor | Array, weight: Tensor | Array, bias: Tensor | Array | None = None) -> Tensor:
    """A fully connected layer: every output sees every input.

    x (N, I), weight (O, I), bias (O) -> (N, O)

        y  = x Wᵀ + b
        dx = dy W        dW = dyᵀ x        db = Σ_n dy_n

    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([5.0]))
    Tensor([[16.]], float32)
    """
    x, weight, bias = tensors("linear", ("bias",), x=x, weight=weight, bias=bias)
    N, I = sizes("linear", "x", x, "N I")
    O, M = sizes("linear", "weight", weight, "O I")
    if I != M:
        raise ValueError(f"linear: x has {I} features but weight expects {M} (weight ({O}, {M}))")
    if bias is not None and bias.shape != (O,):
        raise ValueError(f"linear: bias has shape {bias.shape}; expected ({O},)")
    a, w = x.data, weight.data
    want_dx, want_dw = x.requires_grad, weight.requires_grad
    want_db = bias is not None and bias.requires_grad

    multiply = fast.products.multiply if choice.use_fast(a) else operator.matmul

    # (w aᵀ)ᵀ is a wᵀ with the batch innermost in memory, as it is in the images before.
    y = multiply(w, a.T).T  # (N, O)
    if bias is not None:
        y += bias.data

    def backward(dy):
        dx = in_order(multiply(w.T, dy.T).T, memory_order(a)) if want_dx else None
        dw = multiply(dy.T, a) if want_dw else None
        db = dy.sum(axis=0) if want_db else None
        return dx, dw, db

    return record(y, (x, weight, bias), backward)
