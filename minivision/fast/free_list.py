"""Reused memory: once no array uses a block any more, the next array of the same size gets it.

Fresh memory from the operating system is slow: its pages are assigned one by one when they are
first written, which noticeably slows down a training step of a small network. Each step allocates
the same sizes as the step before, so blocks are kept and reused.

Blocks need not be returned explicitly. Every array made here, and every view of such an array,
holds its block; when the list's own reference is the only one left, the block is free. CPython
counts references, so the test is one comparison. If counts are unreliable, blocks are never reused.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

SMALLEST = 64 * 2**10  # bytes; below this the allocator's own lists are as fast
ALIGNMENT = 64  # bytes, one cache line and one AVX-512 register


class FreeList(threading.local):
    """The blocks of one thread, by size; `limit` bounds their total size in bytes.

    A limit of 0 switches it off; `clear` releases all blocks.
    """

    def __init__(self) -> None:
        self.limit = 2**30 if _counts_are_exact() else 0
        self.blocks: dict[int, list[np.ndarray]] = {}
        self.held = 0

    def take(self, size: int) -> np.ndarray:
        """A block of at least `size` bytes that no array uses: the last one used, or a new one.

        >>> blocks = FreeList()
        >>> block = blocks.take(2**20)
        >>> address = block.ctypes.data
        >>> del block
        >>> blocks.take(2**20).ctypes.data == address
        True
        """
        same_size = self.blocks.setdefault(size, [])
        i = _last_free(same_size)
        if i is not None:
            block = same_size.pop(i)
        else:
            block = np.empty(size + ALIGNMENT, np.uint8)
            if self.held + size > self.limit:
                self._drop_free_blocks()
                if self.held + size > self.limit:
                    return block
            self.held += size
        self.blocks.setdefault(size, []).append(block)
        return block

    def clear(self) -> None:
        """Release every block; its memory is freed once no array uses it."""
        self.blocks, self.held = {}, 0

    def _drop_free_blocks(self) -> None:
        for size, same_size in list(self.blocks.items()):
            while (i := _last_free(same_size)) is not None:
                del same_size[i]
                self.held -= size
            if not same_size:
                del self.blocks[size]


def _last_free(blocks: list[np.ndarray]) -> int | None:
    for i in range(len(blocks) - 1, -1, -1):
        if sys.getrefcount(blocks[i]) == _IDLE:
            return i
    return None


def _counts_are_exact() -> bool:
    """Whether creating a view adds one to its block's count, and deleting it subtracts one."""
    blocks = [np.empty(16, np.uint8)]
    view = blocks[0][4:8].view(np.float32).reshape(1, 1)
    with_view = _last_free(blocks)
    del view
    return with_view is None and _last_free(blocks) == 0


def _count_of_an_idle_block() -> int:
    blocks: list[Any] = [np.empty(16, np.uint8)]
    return sys.getrefcount(blocks[0]) if hasattr(sys, "getrefcount") else -1


_IDLE = _count_of_an_idle_block()
free_list = FreeList()
