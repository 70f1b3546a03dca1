"""Write dropout and its backward pass.

In training, each entry of x is dropped with a given probability, and the others are scaled up, so
that the mean over many draws is still x:

    y = x·m / (1 - probability)        m = 0 for an entry that is dropped, 1 for one that is kept

A function that draws random numbers is hard to test, so here they are drawn for you. uniform has
the shape of x, and its entries are uniformly distributed from 0 (included) to 1 (excluded). An
entry is dropped where uniform < probability.

On the way back, the mask m is the same as on the way forward. dy is the gradient of the loss with
respect to y. To get the gradient dx, note that y is x times a number that does not depend on x.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def dropout(x, probability, uniform):
    """x and uniform of the same shape -> (y, backward), and backward(dy) -> dx, of that shape too.

    0 < probability < 1, and the entries of uniform are in [0, 1).

    >>> y, backward = dropout(np.array([1.0, 2.0, 3.0]), 0.75, np.array([0.8, 0.1, 0.75]))
    >>> y
    array([ 4.,  0., 12.])
    >>> backward(np.array([10.0, 10.0, 1.0]))
    array([40.,  0.,  4.])
    """
    keep = (uniform >= probability).astype(x.dtype)
    scale = 1 / (1 - probability)
    y = x * keep * scale

    def backward(dy):
        return dy * keep * scale

    return y, backward


@st.composite
def inputs(draw):
    shape = draw(shapes(3, 4))
    # Eighths are exact in every floating-point format, so an entry may equal the probability.
    uniform = np.random.default_rng(draw(st.integers(0, 999))).integers(0, 8, shape) / 8
    return draw(numbers(shape, ties=True)), draw(st.integers(1, 7)) / 8, uniform


def mean_is_x(function, inputs):
    """Average y over eight values of uniform; the probability is a multiple of 1/8."""
    x, probability, _ = inputs
    draws = [function(x, probability, np.full(x.shape, (i + 0.5) / 8))[0] for i in range(8)]
    return np.allclose(np.mean(draws, axis=0), x)


def carries_the_same_factors(function, inputs):
    x, probability, uniform = inputs
    x = x + 5  # no zeros
    y, backward = function(x, probability, uniform)
    return np.allclose(backward(np.ones_like(x)) * x, y)


EXERCISE = Exercise(
    dropout,
    lesson=7,
    page="functional/dropout.py",
    inputs=inputs(),
    returns=("y",),
    gradients=("dx",),
    mistakes=(
        Mistake(
            "the entries that are kept are not scaled",
            "1 / (1 - probability)",
            "1",
            "If half of the units are dropped, what happens to the mean of y? What makes up for "
            "it?",
        ),
        Mistake(
            "the entries that are kept are multiplied by 1 - probability, and not divided by it",
            "1 / (1 - probability)",
            "1 - probability",
            "Some of the units are missing. Should the others become larger or smaller?",
        ),
        Mistake(
            "the entries that are kept are divided by the probability of dropping one",
            "1 / (1 - probability)",
            "1 / probability",
            "If a tenth of the units is dropped, by how much must the others grow?",
        ),
        Mistake(
            "probability is used as the probability of keeping an entry",
            "uniform >= probability",
            "uniform < probability",
            "With probability = 0.1, how many entries in a hundred should become 0?",
        ),
        Mistake(
            "an entry is also dropped where uniform equals probability",
            "uniform >= probability",
            "uniform > probability",
            "Compare your condition with the statement's: what happens if both sides are equal?",
        ),
        Mistake(
            "the gradient is not scaled",
            "dy * keep * scale",
            "dy * keep",
            "y is x times a number. Is this number 1 for an entry that is kept?",
        ),
        Mistake(
            "the gradient also passes where the entry was dropped",
            "dy * keep * scale",
            "dy * scale",
            "If x changes a little where it was dropped, does y change?",
        ),
        Mistake(
            "backward takes an entry for dropped if y is 0",
            "dy * keep * scale",
            "dy * (y != 0) * scale",
            "y may be 0 for another reason. What if x was 0?",
        ),
    ),
    hints=(
        "uniform >= probability is an array of True and False, with True for the entries that are "
        "kept. Multiplied by a number, True counts as 1 and False as 0.",
        "True and False divided by a Python number give float64. Convert the mask to the dtype of "
        "x first: mask.astype(x.dtype).",
        "backward is defined inside dropout, so it can use the mask. If y is x times a number, dx "
        "is dy times the same number.",
        "Make the mask of zeros and ones, and the number 1 / (1 - probability). y is x times both, "
        "and backward returns dy times both.",
    ),
    laws=(
        Law("the mean of y over all draws is x", mean_is_x),
        Law("dy is multiplied by the same numbers as x", carries_the_same_factors),
    ),
)
