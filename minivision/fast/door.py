"""The door: the switch for the fast forms. While it is closed, only the code in functional/ runs.

While the door is open, a function that has a fast form skips its page, the code in functional/: a
`print` or a `breakpoint()` there is not reached, and a mistake there has no effect.

    with fast.off():        # closes it for this thread
        model(x)

The environment variable `MINIVISION_FAST` sets the state at startup: 1 (open, the default) or 0
(closed). `exact` excludes algorithms with larger rounding errors; there are none yet, so it has the
same effect as 1. The results of fast forms may differ from those of the pages in the last digits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MODES = ("0", "1", "exact")

if "MINIVISION_KERNELS" in os.environ:
    raise ValueError(
        "MINIVISION_KERNELS has been renamed to MINIVISION_FAST; set it to 0 for the plain pages "
        "(formerly plain) or to 1 for the fast forms (formerly fast)"
    )
MODE = os.environ.get("MINIVISION_FAST", "1")
if MODE not in MODES:
    raise ValueError(f"MINIVISION_FAST is {MODE!r}; expected one of {', '.join(MODES)}")


class _Door(threading.local):
    is_open = MODE != "0"


_door = _Door()


def is_open() -> bool:
    """Whether this thread uses the fast forms."""
    return _door.is_open


@contextmanager
def off() -> Iterator[None]:
    """Close the door: no fast forms, no workers, no blocks, no reused memory.

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
    """Open the door, regardless of the environment."""
    before, _door.is_open = _door.is_open, True
    try:
        yield
    finally:
        _door.is_open = before
