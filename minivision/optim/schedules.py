"""Schedules: how the learning rate changes while training goes on.

A schedule is a plain function of the time in epochs (2.5 is the middle of the third epoch) that
returns the factor on every group's initial rate. It has no state, so a resumed run finds the
rate it would have had.

Read next: optim/weight_average.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

Schedule: TypeAlias = Callable[[float], float]


def step_decay(every: float, factor: float = 0.1) -> Schedule:
    """Multiply the rate by `factor` after every `every` epochs (PyTorch's StepLR).

    >>> schedule = step_decay(every=30)
    >>> schedule(29.9), schedule(30.0)
    (1.0, 0.1)
    """
    if not every > 0:
        raise ValueError(f"step_decay: every is {every}; expected a number of epochs above 0")
    return lambda epoch: float(factor ** math.floor(epoch / every))


def cosine(epochs: float, lowest: float = 0.0) -> Schedule:
    """Half a cosine from 1 down to `lowest` over the given epochs (Loshchilov & Hutter 2017).

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


def warm_up(epochs: float, then: Schedule | None = None) -> Schedule:
    """Raise the rate in a straight line from 0 over the first epochs, then follow `then`.

    Large steps from random weights can do lasting harm (Goyal et al. 2017, §2.2). The time that
    `then` sees begins when the warm-up ends.

    >>> schedule = warm_up(2, then=cosine(8))
    >>> schedule(0.0), schedule(1.0), schedule(2.0)
    (0.0, 0.5, 1.0)
    """
    if not epochs > 0:
        raise ValueError(f"warm_up: epochs is {epochs}; expected a number above 0")

    def factor(epoch: float) -> float:
        if epoch < epochs:
            return epoch / epochs
        return 1.0 if then is None else then(epoch - epochs)

    return factor


class DivideWhenStalled:
    """Multiply the rate by `factor` whenever a recorded number has stopped falling.

    "Divided by 10 when the validation error stopped improving" (Krizhevsky et al. 2012, §5).
    `fit` shows it every epoch's record. What it knows follows from the records alone, so a
    resumed run shows it the old ones again. PyTorch's ReduceLROnPlateau.

    watch: the number's name, which has to fall. patience: epochs without a new best to wait for.

    >>> schedule = DivideWhenStalled(patience=1)
    >>> for loss in (1.0, 0.9, 0.95, 0.97):
    ...     schedule.observe({"validation_loss": loss})
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

    def observe(self, record: Mapping[str, float]) -> None:
        """Take note of an epoch's record; ValueError where the watched number is not in it."""
        if self.watch not in record:
            raise ValueError(
                f"DivideWhenStalled: no {self.watch!r} is recorded, only {', '.join(record)}"
            )
        if record[self.watch] < self.best:
            self.best, self.waited = record[self.watch], 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.now, self.waited = self.now * self.factor, 0

    def __call__(self, epoch: float) -> float:
        return self.now
