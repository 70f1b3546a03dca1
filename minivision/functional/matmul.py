"""Matmul: matrix products that follow the rules of NumPy's `@`."""

from __future__ import annotations

from minivision.backend import Array
from minivision.functional.arithmetic import unbroadcast
from minivision.functional.checks import check_product
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def matmul(a: Tensor | Array, b: Tensor | Array) -> Tensor:
    """a @ b by NumPy's rules: the last two axes are matrices, and the axes before them broadcast.

    a (…, R, M), b (…, M, S) -> (…, R, S); a vector a counts as one row, a vector b as one column.

        da = dy @ bᵀ        db = aᵀ @ dy        each summed over the axes that were broadcast
    """
    a, b = tensors("matmul", a=a, b=b)
    u, v = a.data, b.data
    check_product(u.shape, v.shape)
    want_da, want_db = a.requires_grad, b.requires_grad

    def backward(dy):
        # Treat a vector as a matrix with one row or one column, and dy likewise.
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
