"""The examples on which functions are tried, drawn and made small by Hypothesis."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

from minivision.exercises.exercise import Exercise

EXAMPLES, STARTS, SHRINKING = 60, 3, 300
SECONDS_OF_SEARCH = 5


class Example(NamedTuple):
    """The arguments of a function, its dtype, and the seed of the upstream gradient dy."""

    inputs: tuple[Any, ...]
    dtype: type
    seed: int

    def arguments(self) -> tuple[Any, ...]:
        """Fresh copies; float arrays have the dtype of the example."""
        return tuple(
            value.astype(self.dtype if value.dtype.kind == "f" else value.dtype)
            if isinstance(value, np.ndarray)
            else deepcopy(value)
            for value in self.inputs
        )

    def upstream(self, shape: tuple[int, ...]) -> np.ndarray:
        rng = np.random.default_rng(1000 + self.seed)  # other numbers than the inputs'
        return np.asarray(rng.integers(-20, 21, shape) / 10, self.dtype)


def strategy(exercise: Exercise) -> SearchStrategy[Example]:
    dtypes = st.sampled_from([np.float64, np.float32])
    return st.builds(Example, exercise.inputs, dtypes, st.integers(0, 99))


def _settings(examples: int) -> settings:
    checks = list(HealthCheck)
    return settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=checks,
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip


@cache
def drawn(exercise: Exercise) -> list[Example]:
    """The same examples on every call."""
    examples: list[Example] = []

    def keep(example: Example) -> bool:
        examples.append(example)
        return False

    # Hypothesis varies what it has drawn before, so we start afresh a few times.
    for seed in range(STARTS):
        with suppress(NoSuchExample):
            find(strategy(exercise), keep, settings=_settings(EXAMPLES // STARTS),
                 random=random.Random(seed))  # fmt: skip
    return examples


def smallest(exercise: Exercise, wrong: Callable[[Example], bool], otherwise: Example) -> Example:
    """A small example with this property; `otherwise` if none is found in time."""
    begun, known = time.perf_counter(), dict[str, bool]()

    def in_time(example: Example) -> bool:
        # Hypothesis expects the same answer whenever it asks about the same example.
        key = repr(example)
        if key not in known:
            known[key] = time.perf_counter() - begun < SECONDS_OF_SEARCH and wrong(example)
        return known[key]

    try:
        return find(
            strategy(exercise), in_time, settings=_settings(SHRINKING), random=random.Random(0)
        )
    except NoSuchExample:
        return otherwise


def in_float64(exercise: Exercise) -> list[Example]:
    """The examples in float64, so that a mistake is recognised even if the dtype is wrong, too."""
    return [example._replace(dtype=np.float64) for example in drawn(exercise)]
