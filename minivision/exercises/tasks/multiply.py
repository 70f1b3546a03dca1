"""Write the product of two arrays, and its backward pass.

a and b have the same shape and are multiplied entry by entry:

    y = a · b

If a grows by a small h, then y grows by h·b; if b grows by a small h, then y grows by h·a. These
are the slopes of y. By the chain rule, the gradient of each factor is dy times the slope:

    da = dy · ∂y/∂a        db = dy · ∂y/∂b

dy is the gradient of the loss with respect to y. Each entry has its own dy, and each entry of y
depends only on the entries of a and b in the same place.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def multiply(a, b):
    """a and b of the same shape -> (y, backward), and backward(dy) -> (da, db); all of this shape.

    >>> y, backward = multiply(np.array([2.0, 5.0]), np.array([3.0, -1.0]))
    >>> y
    array([ 6., -5.])
    >>> da, db = backward(np.array([10.0, 1.0]))
    >>> da
    array([30., -1.])
    >>> db
    array([20.,  5.])
    """
    y = a * b

    def backward(dy):
        return dy * b, dy * a

    return y, backward


def two_arrays(shape):
    return numbers((2, *shape)).map(tuple)


def proportional(function, inputs):
    a, b = inputs
    y, backward = function(a, b)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    da, db = backward(dy)
    return np.allclose(da * a, dy * y) and np.allclose(db * b, dy * y)


EXERCISE = Exercise(
    multiply,
    lesson=2,
    page="functional/arithmetic.py",
    inputs=st.one_of(shapes(5), shapes(2, 3), shapes(3, 1, 2)).flatmap(two_arrays),
    returns=("y",),
    gradients=("da", "db"),
    mistakes=(
        Mistake(
            "each factor is multiplied into its own gradient",
            "dy * b, dy * a",
            "dy * a, dy * b",
            "In 3·b, how fast does the product grow with b? Which of the two numbers tells you?",
        ),
        Mistake(
            "backward returns the slopes themselves, without dy",
            "dy * b, dy * a",
            "b + 0, a + 0",
            "The chain rule is a product. Which factor comes from the functions after this one?",
        ),
        Mistake(
            "dy is passed on unchanged, as in an addition",
            "dy * b, dy * a",
            "dy + 0, dy + 0",
            "If b is 5 and a grows by 1, by how much does y grow?",
        ),
        Mistake(
            "dy is multiplied by y instead of the slope",
            "dy * b, dy * a",
            "dy * y, dy * y",
            "If a is 2 and b is 5, y is 10. If a grows by 1, does y grow by 10?",
        ),
        Mistake(
            "both gradients are the sum of the two terms of the product rule",
            "dy * b, dy * a",
            "dy * (a + b), dy * (a + b)",
            "If only a changes and b stays as it is, which of the two terms is left?",
        ),
        Mistake(
            "db is computed from da instead of a",
            "return dy * b, dy * a",
            "da = dy * b; return da, dy * da",
            "The slope of y with respect to b is a value from the forward pass. Which one?",
        ),
        Mistake(
            "b is treated as a constant",
            "dy * b, dy * a",
            "dy * b, np.zeros_like(b)",
            "If only b changes, does y change?",
        ),
        Mistake(
            "every entry receives the sum of all of dy",
            "dy * b, dy * a",
            "dy.sum() * b, dy.sum() * a",
            "How many entries of y depend on a[0]?",
        ),
    ),
    laws=(Law("da·a and db·b are both equal to dy·y", proportional),),
    hints=(
        "Between NumPy arrays, * multiplies entry by entry. It is all you need, both for y and for "
        "the gradients.",
        "Keep b fixed and think of it as a number, say 5. The slope of y = 5·a is 5, whatever a "
        "is. So what is the slope of y = a·b with respect to a? And with respect to b?",
        "backward is defined inside multiply, so it can use a and b. It returns two arrays: dy "
        "times the other factor, for a first and then for b.",
    ),
)
