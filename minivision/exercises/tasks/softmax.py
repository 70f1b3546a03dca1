"""Write softmax and its backward pass.

A classifier computes one score per class, called a logit. Softmax turns each row of logits into
probabilities. With a temperature T,

    p[n, i] = exp(z[n, i] / T) / Σ_j exp(z[n, j] / T)

so every row of p sums to 1. A temperature above 1 makes the probabilities of a row more equal.

Logits of ±2000 occur. In floating-point numbers exp(2000) is infinite and exp(-2000) is 0, so the
formula would give ∞/∞ or 0/0. But if you add the same number to all logits of a row, every
exponential is multiplied by the same factor, which cancels in the fraction. Choose a number for
which exp does not overflow, and for which the denominator is not 0.

Every logit affects all probabilities of its row. With [i = j], which is 1 if i = j and 0 otherwise,

    ∂p[n, i] / ∂z[n, j] = p[n, i] · ([i = j] - p[n, j]) / T

dy is the gradient of the loss with respect to p. The chain rule gives the gradient with respect to
z: dz[n, j] is the sum of dy[n, i] · ∂p[n, i] / ∂z[n, j] over all i.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def softmax(z, temperature):
    """z (N, K) -> (p, backward), and backward(dy) -> dz; all of shape (N, K).

    >>> p, backward = softmax(np.array([[0.0, 0.0], [2000.0, -2000.0]]), 1.0)
    >>> p
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> backward(np.array([[4.0, 0.0], [0.0, 4.0]]))
    array([[ 1., -1.],
           [ 0.,  0.]])
    """
    shifted = z - z.max(axis=1, keepdims=True)
    powers = np.exp(shifted / temperature)
    p = powers / powers.sum(axis=1, keepdims=True)

    def backward(dy):
        mean = (dy * p).sum(axis=1, keepdims=True)
        return p * (dy - mean) / temperature

    return p, backward


@st.composite
def inputs(draw):
    N, K = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    z = draw(numbers((N, K)))
    logits = draw(st.sampled_from(("small", "shifted", "large")))
    if logits == "shifted":
        z = z + 1000 * draw(numbers((N, 1), ties=True))
    if logits == "large":
        z = z * 1000
    return z, draw(st.sampled_from((1.0, 2.0, 0.5, 5.0)))


def every_row_sums_to_1(function, inputs):
    p, _ = function(*inputs)
    return np.allclose(p.sum(axis=1), 1)


def a_shift_of_a_row_changes_nothing(function, inputs):
    z, temperature = inputs
    shift = 1000.0 * np.arange(1, len(z) + 1)[:, None]
    return np.allclose(function(z + shift, temperature)[0], function(z, temperature)[0])


def every_row_of_dz_sums_to_0(function, inputs):
    p, backward = function(*inputs)
    dy = np.random.default_rng(0).normal(size=p.shape)
    return np.allclose(backward(dy).sum(axis=1), 0)


EXERCISE = Exercise(
    softmax,
    lesson=4,
    page="functional/softmax.py",
    inputs=inputs(),
    returns=("p",),
    gradients=("dz",),
    mistakes=(
        Mistake(
            "the exponentials are taken of the logits as they are, and overflow",
            "z - z.max(axis=1, keepdims=True)",
            "z",
            "What is exp(2000)? Which number can you add to all logits of a row?",
        ),
        Mistake(
            "the largest logit of the whole batch is subtracted, and not that of each row",
            "z.max(axis=1, keepdims=True)",
            "z.max()",
            "What becomes of a row whose logits are all far below those of another?",
        ),
        Mistake(
            "the sums run down the columns, over the images",
            "axis=1",
            "axis=0",
            "Which numbers should sum to 1: those of one image or those of one class?",
        ),
        Mistake(
            "the temperature is ignored",
            "/ temperature",
            "/ 1",
            "If T is 2, what happens to the differences between the logits?",
        ),
        Mistake(
            "the gradient lacks the factor 1/T",
            "(dy - mean) / temperature",
            "(dy - mean)",
            "p depends on z / T. If z grows by 1, by how much does z / T grow?",
        ),
        Mistake(
            "the logits are multiplied by the temperature instead of divided by it",
            "shifted / temperature",
            "shifted * temperature",
            "Should the probabilities get closer together or further apart if T grows?",
        ),
        Mistake(
            "a probability depends only on its own logit",
            "p * (dy - mean)",
            "p * (1 - p) * dy",
            "If one logit grows, what happens to the other probabilities of its row?",
        ),
        Mistake(
            "the denominator is treated as a constant in the gradient",
            "p * (dy - mean)",
            "p * dy",
            "In the fraction, z[n, j] occurs above the line. Where else?",
        ),
        Mistake(
            "the plain mean of dy is subtracted, and not the mean weighted by p",
            "(dy * p).sum(axis=1, keepdims=True)",
            "dy.mean(axis=1, keepdims=True)",
            "In the sum over i, which factor stands next to dy[n, i]?",
        ),
        Mistake(
            "the sum of dy is subtracted, without the weights p",
            "(dy * p).sum(axis=1, keepdims=True)",
            "dy.sum(axis=1, keepdims=True)",
            "In the sum over i, which factor stands next to dy[n, i]?",
        ),
        Mistake(
            "the sum in the gradient runs over the whole batch",
            "(dy * p).sum(axis=1, keepdims=True)",
            "(dy * p).sum()",
            "Does a logit of one image affect the probabilities of another?",
        ),
        Mistake(
            "the gradient is that of log softmax",
            "p * (dy - mean)",
            "(dy - p * dy.sum(axis=1, keepdims=True))",
            "Is dy the gradient with respect to the probabilities or to their logarithms?",
        ),
    ),
    hints=(
        "exp cannot overflow if no exponent is greater than 0. Which number can you subtract from "
        "each row to make sure of that, without making the denominator 0?",
        "Subtract the largest logit of each row. With axis=1, max and sum work along the rows; "
        "keepdims=True keeps the result in the shape (N, 1), which fits next to (N, K).",
        "For the gradient, split the bracket ([i = j] - p[n, j]). The first part leaves a single "
        "term of the sum over i, namely dy[n, j] · p[n, j]. In the second, the factor p[n, j] "
        "does not depend on i.",
        "So dz[n, j] = p[n, j] · (dy[n, j] - m[n]) / T, where m[n] is the sum of dy · p over row "
        "n: one multiplication and one sum along the rows.",
    ),
    laws=(
        Law(
            "p stays the same if you add 1000 to all logits of a row",
            a_shift_of_a_row_changes_nothing,
        ),
        Law("every row of p sums to 1", every_row_sums_to_1),
        Law("every row of dz sums to 0", every_row_of_dz_sums_to_0),
    ),
)
