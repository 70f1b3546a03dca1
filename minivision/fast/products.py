"""Matrix products shared by the workers, for the fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import empty, in_order, memory_order
from minivision.fast.stacked_rows import cut
from minivision.fast.workers import one_blas_thread, share


def linear(
    x: Array, weight: Array, bias: Array | None, wanted: Sequence[bool]
) -> tuple[Array, Callable]:
    """The value of `functional.linear`, and its backward function: dx, dW and db if wanted."""
    # (W xᵀ)ᵀ is x Wᵀ with the batch innermost in memory, as it is in the feature maps.
    y = multiply(weight, x.T).T
    if bias is not None:
        y += bias

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dx = in_order(multiply(weight.T, dy.T).T, memory_order(x)) if wanted[0] else None
        dw = multiply(dy.T, x) if wanted[1] else None
        db = dy.sum(axis=0) if wanted[2] else None
        return dx, dw, db

    return y, backward


def multiply(a: Array, b: Array) -> Array:
    """a (R, M) @ b (M, S) -> (R, S); each worker computes some rows, or columns, of the result."""
    (R, M), S = a.shape, b.shape[1]
    multiply_adds = R * M * S
    workers = choice.workers(multiply_adds=multiply_adds)
    if workers == 1:
        with one_blas_thread(multiply_adds):
            return np.matmul(a, b, out=empty((R, S), a))
    y = empty((R, S), a)
    by_rows = R >= S
    shares = cut(R if by_rows else S, -(-max(R, S, 1) // workers))

    def work(worker: int) -> None:
        if worker < len(shares):
            mine = slice(shares[worker].start, shares[worker].stop)
            if by_rows:
                np.matmul(a[mine], b, out=y[mine])
            else:
                np.matmul(a, b[:, mine], out=y[:, mine])

    share(work, workers)
    return y
