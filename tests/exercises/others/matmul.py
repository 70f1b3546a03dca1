"""The matrix product by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(a, b):
    return differentiated("matmul", a, b)


def with_loops(a, b):
    (R, M), (_, S) = a.shape, b.shape
    y = np.zeros((R, S), a.dtype)
    for r, m, s in np.ndindex(R, M, S):
        y[r, s] += a[r, m] * b[m, s]

    def backward(dy):
        da, db = np.zeros_like(a), np.zeros_like(b)
        for r, m, s in np.ndindex(R, M, S):
            da[r, m] += dy[r, s] * b[m, s]
            db[m, s] += dy[r, s] * a[r, m]
        return da, db

    return y, backward


def with_einsum(a, b):
    y = np.einsum("rm,ms->rs", a, b)
    return y, lambda dy: (np.einsum("rs,ms->rm", dy, b), np.einsum("rs,rm->ms", dy, a))


def with_all_products(a, b):
    """All R·M·S products in one array, and sums along its axes."""
    y = (a[:, :, None] * b[None, :, :]).sum(axis=1)

    def backward(dy):
        da = (dy[:, None, :] * b[None, :, :]).sum(axis=2)
        db = (a[:, :, None] * dy[:, None, :]).sum(axis=0)
        return da, db

    return y, backward


def with_transposed_products(a, b):
    return np.dot(a, b), lambda dy: (np.dot(b, dy.T).T, np.dot(dy.T, a).T)


def with_sums_of_outer_products(a, b):
    """y is a sum over m, and db a sum over the rows of a batch."""
    y = sum(np.outer(a[:, m], b[m]) for m in range(a.shape[1]))

    def backward(dy):
        da = sum(np.outer(dy[:, s], b[:, s]) for s in range(b.shape[1]))
        db = sum(np.outer(a[r], dy[r]) for r in range(a.shape[0]))
        return da, db

    return y, backward
