"""Elementwise work in blocks that stay in the cache, distributed among the workers.

A formula with three steps reads and writes a large array three times. If it is applied block by
block, the array is read from memory only once: the later steps find each block in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision.backend import Array
from minivision.fast import choice, door
from minivision.fast.memory import memory_order
from minivision.fast.workers import part, share


def in_blocks(work: Callable[..., None], *arrays: Array) -> None:
    """Call work(*blocks) for corresponding blocks of arrays that have the same shape.

    work changes some of its blocks in place. Arrays are split into blocks if they have the same
    memory layout, without gaps; otherwise, whole arrays are passed to work in one call.

    >>> x, y = np.arange(4.0), np.empty(4)
    >>> in_blocks(lambda x, y: np.add(x, 1, out=y), x, y)
    >>> y
    array([1., 2., 3., 4.])
    """
    rows = as_rows(*arrays) if door.is_open() else None
    if rows is None or arrays[0].size <= choice.BLOCK:
        work(*(rows or arrays))
        return
    size = arrays[0].size
    starts = list(range(0, size, choice.BLOCK))
    workers = choice.workers(elements=size)

    def work_of(worker: int) -> None:
        for start in part(starts, worker, workers):
            work(*[row[start : start + choice.BLOCK] for row in rows])

    share(work_of, workers)


def as_rows(*arrays: Array) -> list[Array] | None:
    """Each array as one long row, a view; None if their memory layouts differ."""
    if not isinstance(arrays[0], np.ndarray):
        return None
    order = memory_order(arrays[0])
    turned = [array.transpose(order) for array in arrays]
    if all(array.flags.c_contiguous for array in turned):
        return [array.reshape(-1) for array in turned]
    return None
