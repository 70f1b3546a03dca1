"""The door: while it is closed, every number comes from the pages of functional/.

Only then is a `print` or a `breakpoint()` in a page reached, and only then does a mistake in a page
change what a program computes.

    with fast.off():        # closes it for this thread
        model(x)

`MINIVISION_FAST` in the environment sets how a program begins: 1 (open, the default), 0 (closed),
or exact (open, but without algorithms that round differently; none does yet).

Read next: fast/memory.py
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MODES = ("0", "1", "exact")

if "MINIVISION_KERNELS" in os.environ:
    raise ValueError(
        "MINIVISION_KERNELS is now MINIVISION_FAST: 0 computes with the plain pages (was plain), "
        "1 with the fast forms (was fast)"
    )
MODE = os.environ.get("MINIVISION_FAST", "1")
if MODE not in MODES:
    raise ValueError(f"MINIVISION_FAST is {MODE!r}; expected one of {', '.join(MODES)}")


class _Door(threading.local):
    is_open = MODE != "0"


_door = _Door()


def is_open() -> bool:
    """Whether this thread computes with the fast forms."""
    return _door.is_open


@contextmanager
def off() -> Iterator[None]:
    """Close the door: no fast form, no workers, no blocks, no memory that is used again.

    >>> with off():
    ...     is_open()
    False
    """
    before, _door.is_open = _door.is_open, False
    try:
        yield
    finally:
        _door.is_open = before


@contextmanager
def on() -> Iterator[None]:
    """Open the door, whatever the environment says."""
    before, _door.is_open = _door.is_open, True
    try:
        yield
    finally:
        _door.is_open = before
