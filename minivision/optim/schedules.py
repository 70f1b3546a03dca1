"""Schedules: how the learning rate changes while training goes on.

A schedule is a plain function of the time in epochs (2.5 is the middle of the third epoch) that
returns the factor on every group's initial rate. It has no state, so a resumed run finds the
rate it would have had.

Read next: optim/weight_average.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
