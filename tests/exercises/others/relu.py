"""ReLU by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(x):
    return differentiated("relu", x)


def with_where(x):
    return np.where(x > 0, x, 0), lambda dy: np.where(x > 0, dy, 0)


def with_loops(x):
    y = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        y[place] = max(x[place], 0)

    def backward(dy):
        dx = dy.copy()
        for place in np.ndindex(x.shape):
            if x[place] <= 0:
                dx[place] = 0
        return dx

    return y, backward


def with_the_mask_kept(x):
    mask = (x > 0).astype(x.dtype)
    return x * mask, lambda dy: mask * dy
