"""Find the first value or gradient that is NaN or infinite.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minivision.autograd import mode


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Check every value and gradient, and stop at the first that is not finite.

    The FloatingPointError names the function and the line that called it. The check reads every
    array once more, so use it to find a bug, not to train.
    """
    before, mode.anomaly = mode.anomaly, True
    try:
        yield
    finally:
        mode.anomaly = before
