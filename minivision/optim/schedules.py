"""Schedules: how the learning rate changes during training.

A schedule is a function of the time in epochs (2.5 is the middle of the third epoch) that returns
a factor for every group's initial learning rate. It depends only on the time or on the records of
the epochs so far, so a resumed run gets the same learning rate as an uninterrupted one.

You can skip this file on a first reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from minivision.errors import kind

Schedule: TypeAlias = Callable[[float], float]


def step_decay(every: float, factor: float = 0.1) -> Schedule:
    """Multiply the learning rate by `factor` every `every` epochs (PyTorch's StepLR).

    >>> schedule = step_decay(every=30)
    >>> schedule(29.9), schedule(30.0)
    (1.0, 0.1)
    """
    if not every > 0:
        raise ValueError(f"step_decay: every is {every}; expected a number of epochs above 0")
    return lambda epoch: float(factor ** math.floor(epoch / every))


def cosine(epochs: float, lowest: float = 0.0) -> Schedule:
    """Half a cosine wave from 1 down to `lowest` over the epochs (Loshchilov & Hutter 2017).

        factor(t) = lowest + (1 - lowest)·(1 + cos(π·t / epochs)) / 2

    >>> schedule = cosine(epochs=10)
    >>> schedule(0), round(schedule(5), 3), schedule(10)
    (1.0, 0.5, 0.0)
    """
    if not epochs > 0:
        raise ValueError(f"cosine: epochs is {epochs}; expected a number above 0")

    def factor(epoch: float) -> float:
        t = min(epoch / epochs, 1)
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * t)) / 2

    return factor


class FollowsResults:
    """A schedule that depends on how training goes; `fit` passes it the record of every epoch.

    Its state follows from the records alone: `begin` resets the state and reads the records of the
    epochs that a resumed run has already completed.
    """

    def begin(self, records: Sequence[Mapping[str, Any]], validated: bool) -> None:
        """Start, or restart. validated: whether records will include validation results."""
        raise TypeError(f"{type(self).__name__} has no begin()")

    def observe(self, record: Mapping[str, Any]) -> None:
        """Update the state from an epoch's record."""
        raise TypeError(f"{type(self).__name__} has no observe()")

    def __call__(self, epoch: float) -> float:
        raise TypeError(f"{type(self).__name__} has no __call__()")


class DivideWhenStalled(FollowsResults):
    """Multiply the learning rate by `factor` whenever a recorded number stops falling.

    "Divided by 10 when the validation error stopped improving" (Krizhevsky et al. 2012, §5);
    PyTorch's ReduceLROnPlateau.

    watch: the name of the number, which should fall. patience: epochs to wait for a new best.

    >>> schedule = DivideWhenStalled(patience=1)
    >>> schedule.begin([{"validation_loss": loss} for loss in (1.0, 0.9, 0.95, 0.97)], True)
    >>> schedule(4.0)
    0.1
    """

    def __init__(self, watch: str = "validation_loss", patience: int = 3, factor: float = 0.1):
        if patience < 0 or not 0 < factor < 1:
            raise ValueError(
                f"DivideWhenStalled: patience is {patience} and factor {factor}; "
                "expected patience >= 0 and a factor between 0 and 1"
            )
        self.watch, self.patience, self.factor = watch, patience, factor
        self.best, self.waited, self.now = math.inf, 0, 1.0

    def begin(self, records: Sequence[Mapping[str, Any]], validated: bool) -> None:
        if self.watch.startswith("validation_") and not validated:
            raise ValueError(f"DivideWhenStalled: watch is {self.watch!r}, but validate is None")
        self.best, self.waited, self.now = math.inf, 0, 1.0
        for record in records:
            self.observe(record)

    def observe(self, record: Mapping[str, Any]) -> None:
        if self.watch not in record:
            raise ValueError(
                f"DivideWhenStalled: watch is {self.watch!r}; expected one of {', '.join(record)}"
            )
        number = record[self.watch]  # None means NaN or infinity in a record read from a file
        if number is not None and number < self.best:
            self.best, self.waited = number, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.now, self.waited = self.now * self.factor, 0

    def __call__(self, epoch: float) -> float:
        return self.now


def warm_up(epochs: float, then: Schedule | None = None) -> Schedule:
    """Raise the learning rate linearly from 0 over the first epochs, then follow `then`.

    Large steps from random weights can do lasting harm (Goyal et al. 2017, §2.2). The schedule
    `then` counts its time from the end of the warm-up.

    >>> schedule = warm_up(2, then=cosine(8))
    >>> schedule(0.0), schedule(1.0), schedule(2.0)
    (0.0, 0.5, 1.0)
    """
    if not epochs > 0:
        raise ValueError(f"warm_up: epochs is {epochs}; expected a number above 0")
    if isinstance(then, FollowsResults):
        raise TypeError(
            f"warm_up: then is {kind(then)}, which follows the results; "
            "expected a schedule that depends only on the time"
        )

    def factor(epoch: float) -> float:
        if epoch < epochs:
            return epoch / epochs
        return 1.0 if then is None else then(epoch - epochs)

    return factor
