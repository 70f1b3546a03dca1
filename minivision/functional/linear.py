"""Matrix products: `matmul`, which follows NumPy's `@`, and `linear`, the fully connected layer.

Read next: windows.py
"""

from __future__ import annotations

from minivision import fast
from minivision.backend import Array
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.inputs import broadcasts, sizes, tensors
from minivision.tensor import Tensor, record


def matmul(a: Tensor | Array, b: Tensor | Array) -> Tensor:
    """a @ b, with NumPy's rules: the last two axes are matrices, the ones before broadcast.

    a (…, R, M), b (…, M, S) -> (…, R, S); a vector a is one row, a vector b one column.

        da = dy @ bᵀ        db = aᵀ @ dy        each summed over the axes that were broadcast
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
    """A fully connected layer: every output depends on every input.

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
    inputs = x, weight, bias
    wanted = [part is not None and part.requires_grad for part in inputs]
    a, w, b = x.data, weight.data, None if bias is None else bias.data
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
