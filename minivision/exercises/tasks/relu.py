"""Write ReLU and its backward pass.

A unit passes on positive numbers and nothing else:

    y = max(x, 0)        dx = dy where x > 0, else 0

dy is the gradient of the loss with respect to y; dx is the gradient with respect to x. At x = 0
there is no derivative; as everywhere, we use 0.
"""

import numpy as np

from minivision.exercises.exercise import Exercise, Mistake, numbers, shapes


def relu(x):
    """x of any shape -> (y, backward), and backward(dy) -> dx; all of the same shape.

    >>> y, backward = relu(np.array([-1.0, 2.0]))
    >>> y
    array([0., 2.])
    >>> backward(np.array([10.0, 10.0]))
    array([ 0., 10.])
    """
    y = np.maximum(x, 0)

    def backward(dy):
        return dy * (x > 0)

    return y, backward


EXERCISE = Exercise(
    relu,
    lesson=7,
    page="functional/activation.py",
    inputs=shapes(3, 4).flatmap(lambda shape: numbers(shape, ties=True).map(lambda x: (x,))),
    returns=("y",),
    gradients=("dx",),
    mistakes=(
        Mistake(
            "the gradient also passes where x is exactly 0",
            "x > 0",
            "x >= 0",
            "Which slope does the statement choose at the kink?",
        ),
        Mistake(
            "the gradient passes everywhere",
            "dy * (x > 0)",
            "dy + 0",
            "If x is -3 and you change it a little, how much does y change?",
        ),
        Mistake(
            "backward returns the slope itself, without dy",
            "dy * (x > 0)",
            "(x > 0).astype(x.dtype)",
            "The chain rule is a product. Which factor comes from the layers above?",
        ),
        Mistake(
            "the sign of dy decides, and not the sign of x",
            "x > 0",
            "dy > 0",
            "Which number was compared with 0 on the way forward?",
        ),
        Mistake(
            "y is multiplied instead of dy",
            "dy * (x > 0)",
            "dy * y",
            "y is 5 where x is 5. How much does y grow if x grows by 1?",
        ),
        Mistake(
            "the value is |x|",
            "np.maximum(x, 0)",
            "np.abs(x)",
            "What should become of a negative number?",
        ),
    ),
    hints=(
        "np.maximum compares two arrays, or an array and a number, element by element.",
        "x > 0 is an array of True and False. Multiplied by dy, True counts as 1 and False as 0.",
        "backward is defined inside relu, so it can use x. It returns dy where x > 0, and 0 "
        "elsewhere.",
    ),
)
