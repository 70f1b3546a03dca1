"""Addition with broadcasting by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(a, b):
    return differentiated("add", a, b)


def with_loops(a, b):
    y = np.zeros(np.broadcast_shapes(a.shape, b.shape), a.dtype)
    for place in np.ndindex(y.shape):
        y[place] = a[_source(place, a.shape)] + b[_source(place, b.shape)]

    def backward(dy):
        da, db = np.zeros_like(a), np.zeros_like(b)
        for place in np.ndindex(dy.shape):
            da[_source(place, a.shape)] += dy[place]
            db[_source(place, b.shape)] += dy[place]
        return da, db

    return y, backward


def _source(place, shape):
    """The entry of an array of this shape that is used at a place of the result."""
    own = place[len(place) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(own, shape, strict=True))


def with_one_axis_at_a_time(a, b):
    def like(x, dy):
        while dy.ndim > x.ndim:
            dy = dy.sum(axis=0)
        for axis in range(x.ndim):
            if x.shape[axis] < dy.shape[axis]:
                dy = dy.sum(axis=axis, keepdims=True)
        return dy

    return np.add(a, b), lambda dy: [like(a, dy), like(b, dy)]


def with_numbered_entries(a, b):
    """Broadcast the positions of the entries, and let bincount add up their gradients."""
    y = a + b

    def gradient(x, dy):
        entries = np.broadcast_to(np.arange(x.size).reshape(x.shape), y.shape)
        sums = np.bincount(entries.ravel(), dy.ravel(), minlength=x.size)
        return sums.reshape(x.shape).astype(x.dtype)

    return y, lambda dy: (gradient(a, dy), gradient(b, dy))


def with_padded_shapes(a, b):
    """Give both arrays all axes first; then one sum and one reshape are enough."""
    y = a + b

    def gradient(x, dy):
        padded = (1,) * (y.ndim - x.ndim) + x.shape
        axes = tuple(i for i in range(y.ndim) if padded[i] != y.shape[i])
        return dy.sum(axis=axes, keepdims=True).reshape(x.shape)

    return y, lambda dy: (gradient(a, dy), gradient(b, dy))
