"""The product by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(a, b):
    return differentiated("multiply", a, b)


def with_loops(a, b):
    y = np.empty_like(a)
    for place in np.ndindex(a.shape):
        y[place] = a[place] * b[place]

    def backward(dy):
        da, db = np.empty_like(a), np.empty_like(b)
        for place in np.ndindex(a.shape):
            da[place] = b[place] * dy[place]
            db[place] = a[place] * dy[place]
        return da, db

    return y, backward


def with_einsum(a, b):
    def product(u, v):
        return np.einsum("...,...->...", u, v)

    return product(a, b), lambda dy: [product(dy, b), product(a, dy)]


def with_squares(a, b):
    """4·a·b = (a + b)² - (a - b)², and the chain rule through the two squares."""
    y = ((a + b) ** 2 - (a - b) ** 2) / 4

    def backward(dy):
        through_sum, through_difference = dy * (a + b) / 2, -dy * (a - b) / 2
        return through_sum + through_difference, through_sum - through_difference

    return y, backward
