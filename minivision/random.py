"""Random numbers: one shared generator, and keyed generators whose draws can be repeated.

Layers draw their weights when they are built, and dropout draws its masks, from one generator.
`manual_seed` sets it. The generator starts from seed 0, so a script prints the same numbers every
time it runs. (PyTorch's generator starts from a different seed each time.)

A run that was stopped and resumed must draw the same numbers as a run that was never stopped. Its
random numbers therefore come from separate generators, `keyed(purpose, …)`, which depend only on
whole numbers: a seed, an epoch, a step, the index of an image.

You can skip this file on a first reading.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np


class Key(IntEnum):
    """The purpose of a keyed generator: the first number of its key. Comments list the others.

    Without the purpose, the keys (seed, epoch) and (seed, epoch, 0) would draw the same numbers,
    because NumPy pads short keys with zeros.
    """

    ORDER = 1  # seed, epoch: the order of the images
    IMAGE = 2  # seed, epoch, index: the augmentation of one image
    LAYER = 3  # seed, step, position, call: a layer's draws, such as dropout's mask
    MIXING = 4  # seed, step: how the images of a batch are mixed
    SHAPE = 5  # seed, index: a synthetic image
    GRID = 6  # seed: the order in which a grid of settings is tried
    SEQUENCE = 7  # seed, number: the settings of one trial


def keyed(purpose: Key, *numbers: int) -> np.random.Generator:
    """The generator for this purpose and these numbers, which always draws the same values.

    >>> float(keyed(Key.LAYER, 0, 3).random()) == float(keyed(Key.LAYER, 0, 3).random())
    True
    """
    return np.random.default_rng((int(purpose), *numbers))


class _Shared:
    generator = np.random.default_rng(0)


def generator() -> np.random.Generator:
    """The generator that layers draw from."""
    return _Shared.generator


class manual_seed:  # noqa: N801  (called like a function, as in PyTorch)
    """Set the generator that layers draw from to `np.random.default_rng(seed)`.

    Further numbers give different generators for the same seed, as in
    `manual_seed(seed, generation)`; generation 0 gives the same generator as the seed alone. As a
    context manager, `manual_seed` restores the previous generator at the end of the block, so that
    other draws are not affected:

    >>> from minivision.nn import Linear
    >>> with manual_seed(3):
    ...     one = Linear(2, 2)
    >>> with manual_seed(3):
    ...     other = Linear(2, 2)
    >>> bool((one.weight == other.weight).all())
    True
    """

    def __init__(self, seed: int, *more: int):
        for number in (seed, *more):
            if not isinstance(number, int | np.integer) or number < 0:
                raise ValueError(f"manual_seed: seed is {number!r}; expected an integer >= 0")
        self.before = _Shared.generator
        _Shared.generator = np.random.default_rng((seed, *more) if more else seed)

    def __enter__(self) -> np.random.Generator:
        return _Shared.generator

    def __exit__(self, *exception: Any) -> None:
        _Shared.generator = self.before


class _Skipping(threading.local):
    on = False


_skipping = _Skipping()


@contextmanager
def skip_init() -> Iterator[None]:
    """Build layers whose weights are 0, to be loaded or drawn later; affects only this thread.

    >>> from minivision.nn import Linear
    >>> with skip_init():
    ...     layer = Linear(2, 3)
    >>> layer.weight.data.max()
    np.float32(0.0)
    """
    before, _skipping.on = _skipping.on, True
    try:
        yield
    finally:
        _skipping.on = before


def skips_init() -> bool:
    """Whether `skip_init` is active, so that new layers draw no weights."""
    return _skipping.on
