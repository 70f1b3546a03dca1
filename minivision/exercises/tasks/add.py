"""Write addition with broadcasting, and its backward pass.

If two arrays have different shapes, NumPy repeats their entries until the shapes are the same. It
aligns the shapes at the right. Axes that one array lacks are added in front, and an array whose
size along an axis is 1 is repeated along it:

    a (2, 3) + b (3,)       ->  y (2, 3)       b is added to every row of a
    a (2, 3) + b (2, 1)     ->  y (2, 3)       b is added to every column of a
    a (3,)   + b (4, 2, 1)  ->  y (4, 2, 3)    both are repeated

Every entry of y is the sum of one entry of a and one of b, so it grows as fast as each of them. An
entry that is repeated is used several times, and its gradients add up:

    da[p] = Σ dy        over all entries of y that use the entry a[p];    db likewise

da has the shape of a, and db has the shape of b.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def add(a, b):
    """a and b, shapes that broadcast -> (y, backward), and backward(dy) -> (da, db).

    da has the shape of a, and db the shape of b.

    >>> y, backward = add(np.array([[1.0, 2.0]]), np.array([[10.0], [20.0]]))
    >>> y
    array([[11., 12.],
           [21., 22.]])
    >>> da, db = backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> da
    array([[4., 6.]])
    >>> db
    array([[3.],
           [7.]])
    """

    def unbroadcast(dy, shape):
        added = tuple(range(dy.ndim - len(shape)))
        dy = dy.sum(axis=added)
        stretched = tuple(i for i, size in enumerate(shape) if size == 1)
        return dy.sum(axis=stretched, keepdims=True)

    def backward(dy):
        return unbroadcast(dy, a.shape), unbroadcast(dy, b.shape)

    return a + b, backward


SHAPES = [
    ((2,), (1,)), ((1,), (3,)), ((3, 2), (2,)), ((2,), (3, 2)), ((2, 3), (2, 1)), ((3, 1), (3, 2)),
    ((1, 3), (2, 3)), ((2, 1), (1,)), ((2, 1), (1, 3)), ((1, 2), (2,)), ((2, 2), (2,)),
    ((3,), (2, 1)), ((2, 1), (4, 2, 3)), ((3, 1, 2), (2, 2)), ((3,), (4, 2, 1)), ((2, 3), (2, 3)),
]  # fmt: skip


def arrays(two_shapes):
    return st.tuples(*[numbers(shape) for shape in two_shapes])


def keeps_the_sum(function, inputs):
    y, backward = function(*inputs)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    return all(np.isclose(gradient.sum(), dy.sum()) for gradient in backward(dy))


EXERCISE = Exercise(
    add,
    lesson=2,
    page="functional/arithmetic.py",
    inputs=st.sampled_from(SHAPES).flatmap(arrays),
    returns=("y",),
    gradients=("da", "db"),
    mistakes=(
        Mistake(
            "dy is returned as it is, even for an array that was broadcast",
            "unbroadcast(dy, a.shape), unbroadcast(dy, b.shape)",
            "dy, dy",
            "How many entries does b have, and how many does dy have?",
        ),
        Mistake(
            "only b is treated as an array that may be broadcast",
            "unbroadcast(dy, a.shape)",
            "dy",
            "Addition is symmetric. What if a is the smaller array?",
        ),
        Mistake(
            "only a is treated as an array that may be broadcast",
            "unbroadcast(dy, b.shape)",
            "dy",
            "Addition is symmetric. What if b is the smaller array?",
        ),
        Mistake(
            "the axes that were added in front are not summed over",
            "dy = dy.sum(axis=added)",
            "dy = dy",
            "If a is (2, 3) and b is (3,), how many entries of y use b[0]?",
        ),
        Mistake(
            "axes of size 1 along which an array was repeated are not summed over",
            "dy.sum(axis=stretched, keepdims=True)",
            "dy",
            "If a is (2, 3) and b is (2, 1), how many entries of y use b[0, 0]?",
        ),
        Mistake(
            "the axes of size 1 are missing from the gradient",
            "keepdims=True",
            "keepdims=False",
            "b (2, 1) has two axes. How many does a sum over one axis leave?",
        ),
        Mistake(
            "the axes that an array lacks are taken to be the last ones",
            "range(dy.ndim - len(shape))",
            "range(len(shape), dy.ndim)",
            "At which end does NumPy align the shapes (2, 3) and (3,)?",
        ),
        Mistake(
            "the gradients of a repeated entry are averaged",
            "dy.sum(",
            "dy.mean(",
            "If b[0] grows by 1 and is used in three entries of y, by how much does the sum of y "
            "grow?",
        ),
        Mistake(
            "only the first copy of a repeated entry passes its gradient back",
            "unbroadcast(dy, a.shape), unbroadcast(dy, b.shape)",
            "tuple(dy[(0,) * (dy.ndim - x.ndim) + tuple(map(slice, x.shape))] for x in (a, b))",
            "Which entries of y change if a repeated entry changes?",
        ),
    ),
    laws=(Law("the entries of da, and those of db, add up to the same sum as dy", keeps_the_sum),),
    hints=(
        "NumPy does the broadcasting in a + b for you. In backward you undo it: where entries were "
        "repeated on the way forward, their gradients are summed. Write one function for this, and "
        "call it for a and for b.",
        "There are two kinds of axes to sum over: those that the array does not have, which come "
        "first in dy, and those along which its size is 1.",
        "dy.sum(axis=(0, 1)) sums over both axes and removes them. With keepdims=True, axes of "
        "size 1 remain in their place. An empty tuple of axes changes nothing.",
        "First sum over the first dy.ndim - a.ndim axes, without keepdims. Then the axes of the "
        "result are those of a: sum, with keepdims=True, over every axis i with a.shape[i] == 1.",
    ),
)
