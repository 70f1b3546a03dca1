"""Write the product of two matrices, and its backward pass.

a has R rows of M numbers, and b has M rows of S numbers. Row r of a and column s of b are
multiplied number by number, and the products are summed:

    y[r, s] = Σ a[r, m] · b[m, s]        over m

The entry a[r, m] is used in all entries y[r, s] of row r, each time with the slope b[m, s]. The
entry b[m, s] is used in all entries y[r, s] of column s, each time with the slope a[r, m]. The
gradients of all uses add up:

    da[r, m] = Σ dy[r, s] · b[m, s]      over s
    db[m, s] = Σ dy[r, s] · a[r, m]      over r

Each of these sums is a matrix product, too, once its factors are in the right order and transposed
where necessary.
"""

import numpy as np

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def matmul(a, b):
    """a (R, M), b (M, S) -> (y, backward), y (R, S); backward(dy) -> (da (R, M), db (M, S)).

    >>> y, backward = matmul(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
    >>> y
    array([[13., 16.]])
    >>> da, db = backward(np.array([[1.0, 10.0]]))
    >>> da
    array([[43., 65.]])
    >>> db
    array([[ 1., 10.],
           [ 2., 20.]])
    """

    def backward(dy):
        da = dy @ b.T
        db = a.T @ dy
        return da, db

    return a @ b, backward


def matrices(sizes):
    R, M, S = sizes
    return numbers((R, M)).flatmap(lambda a: numbers((M, S)).map(lambda b: (a, b)))


def is_adjoint(function, inputs):
    a, b = inputs
    y, backward = function(a, b)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    da, db = backward(dy)
    return np.allclose([(da * a).sum(), (db * b).sum()], (dy * y).sum())


EXERCISE = Exercise(
    matmul,
    lesson=4,
    page="functional/matmul.py",
    inputs=shapes(3, 4, 2).flatmap(matrices),
    returns=("y",),
    gradients=("da", "db"),
    mistakes=(
        Mistake(
            "da is transposed",
            "dy @ b.T",
            "b @ dy.T",
            "Which shape must da have, and which of its sizes comes first?",
        ),
        Mistake(
            "db is transposed",
            "a.T @ dy",
            "dy.T @ a",
            "Which shape must db have, and which of its sizes comes first?",
        ),
        Mistake(
            "da and db are returned in the wrong order",
            "return da, db",
            "return db, da",
            "In which order does the signature name a and b?",
        ),
        Mistake(
            "b is reshaped to (S, M) instead of transposed",
            "b.T",
            "b.reshape(b.shape[::-1])",
            "In b.T, row s is column s of b. What is in row s after the reshape?",
        ),
        Mistake(
            "a is reshaped to (M, R) instead of transposed",
            "a.T",
            "a.reshape(a.shape[::-1])",
            "In a.T, row m is column m of a. What is in row m after the reshape?",
        ),
        Mistake(
            "a and b are reshaped to the right shapes instead of transposed",
            "        da = dy @ b.T\n        db = a.T @ dy\n",
            "        da = dy @ b.reshape(b.shape[::-1])\n"
            "        db = a.reshape(a.shape[::-1]) @ dy\n",
            "In b.T, row s is column s of b. What is in row s after a reshape to the same shape?",
        ),
        Mistake(
            "dy is taken to be 1 everywhere",
            "    def backward(dy):\n",
            "    def backward(dy):\n        dy = np.ones_like(dy)\n",
            "Why is backward given dy? What if y is not the last step of the computation?",
        ),
        Mistake(
            "db is divided by the number of rows",
            "a.T @ dy",
            "a.T @ dy / len(a)",
            "If the loss is a mean, it is the loss that divides by the number of rows. Is this "
            "division not in dy already?",
        ),
        Mistake(
            "the factors are summed first and multiplied afterwards",
            "        da = dy @ b.T\n        db = a.T @ dy\n",
            "        da = np.outer(dy.sum(axis=1), b.sum(axis=1))\n"
            "        db = np.outer(a.sum(axis=0), dy.sum(axis=0))\n",
            "Is 1·2 + 3·4 the same as (1 + 3)·(2 + 4)?",
        ),
    ),
    laws=(
        Law("the entries of da·a, those of db·b and those of dy·y have the same sum", is_adjoint),
    ),
    hints=(
        "In NumPy, a @ b is the matrix product, and b.T is the transposed matrix: rows and columns "
        "change places, b.T[s, m] = b[m, s].",
        "In a matrix product the sum runs over the last index of the left factor and the first "
        "index of the right factor. Rewrite Σ dy[r, s] · b[m, s] so that s is in these two places.",
        "The shapes help. da must be (R, M); dy is (R, S) and b is (M, S). For db, which must be "
        "(M, S), you have a (R, M) and dy (R, S).",
        "da is dy times the transpose of b, with dy on the left. db is the transpose of a times "
        "dy, with dy on the right.",
    ),
)
