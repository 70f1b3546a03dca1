"""Dropout by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


class _Drawn(np.random.Generator):
    """A generator whose 16-bit numbers are already drawn; uniform is a multiple of 1/65536."""

    def __init__(self, uniform):
        super().__init__(np.random.PCG64(0))
        self.drawn = (uniform * 2**16).astype("<u2").tobytes()

    def bytes(self, length):
        assert length == len(self.drawn)
        return self.drawn


def engine(x, probability, uniform):
    return differentiated("dropout", x, p=probability, rng=_Drawn(uniform))


def with_where(x, probability, uniform):
    dropped = uniform < probability

    def backward(dy):
        return np.where(dropped, 0, dy / (1 - probability))

    return np.where(dropped, 0, x / (1 - probability)), backward


def with_assignment(x, probability, uniform):
    def thinned(values):
        values = values / (1 - probability)
        values[uniform < probability] = 0
        return values

    return thinned(x), thinned


def with_loops(x, probability, uniform):
    factor = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        if uniform[place] >= probability:
            factor[place] = 1 / (1 - probability)
    return factor * x, lambda dy: factor * dy
