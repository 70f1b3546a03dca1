"""Matrix products shared by the workers, for the fully connected layers.

Read next: functional/__init__.py
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array
from minivision.kernels import choice
from minivision.kernels.fast.stacked_rows import cut
from minivision.kernels.memory import empty
from minivision.kernels.workers import one_blas_thread, share


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
