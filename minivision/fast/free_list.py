"""Memory that is used again: blocks whose arrays are gone serve the next array of their size.

Memory fresh from the operating system is slow: its pages are handed out one by one, as they are
first written, and a training step of a small network feels it. A step asks for the same sizes as
the one before, so blocks are kept and given out again.

Nothing has to be given back. Every array made here, and every view of it, holds its block; when
the list's own reference is the only one left, the block is free. CPython counts references, so
this is a look at a number. Where the count is not exact, every block is new.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

SMALLEST = 64 * 2**10  # bytes; below this the allocator's own lists are as fast
ALIGNMENT = 64  # bytes, one cache line and one AVX-512 register


class FreeList(threading.local):
    """The blocks of one thread, by size; `limit` bounds what they hold together, in bytes.

    Set limit to 0 to switch it off; `clear` lets go of all blocks.
    """

    def __init__(self) -> None:
        self.limit = 2**30 if _counts_are_exact() else 0
        self.blocks: dict[int, list[np.ndarray]] = {}
        self.held = 0

    def take(self, size: int) -> np.ndarray:
        """A block of at least `size` bytes that no array uses, the one used last if there is one.

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
        """Let go of every block; the memory returns when the arrays in it are gone."""
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
    """Whether a view raises its block's count by one, and its end lowers it again."""
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
