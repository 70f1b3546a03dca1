"""Write batch normalization in training, and its backward pass.

Each channel is normalized to mean 0 and variance 1, over all images of the batch and all pixels,
and then scaled by its weight γ and shifted by its bias β. With m = N·H·W values in a channel:

    μ = Σ x / m        σ² = Σ (x - μ)² / m        x̂ = (x - μ) / √(σ² + ε)        y = γ·x̂ + β

σ² is the biased variance: it is divided by m, and not by m - 1. All sums are over the m values of
a channel. dy is the gradient of the loss with respect to y. The bias is added to every value of its
channel, and the weight multiplies x̂, so

    dγ = Σ dy·x̂        dβ = Σ dy

x has an effect on y in three ways: directly, through the mean and through the variance.
Differentiated together, they give

    dx = γ / √(σ² + ε) · (dy - Σ dy / m - x̂ · Σ dy·x̂ / m)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def batch_norm(x, weight, bias, eps):
    """x (N, C, H, W), weight (C,), bias (C,), eps > 0 -> (y, backward).

    y has the shape of x, and backward(dy) -> (dx, dweight, dbias), with the shapes of x, weight
    and bias.

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> y, backward = batch_norm(x, np.array([10.0]), np.array([5.0]), 3.0)
    >>> y.ravel()
    array([ 0., 10.])
    >>> dx, dweight, dbias = backward(np.array([1.0, 0.0]).reshape(2, 1, 1, 1))
    >>> dx.ravel(), dweight, dbias
    (array([ 1.875, -1.875]), array([-0.5]), array([1.]))
    """
    over, gamma, beta = (0, 2, 3), weight[:, None, None], bias[:, None, None]
    mean = x.mean(axis=over, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=over, keepdims=True)
    std = np.sqrt(variance + eps)
    normed = (x - mean) / std
    y = gamma * normed + beta

    def backward(dy):
        dweight = (dy * normed).sum(axis=(0, 2, 3))
        dbias = dy.sum(axis=(0, 2, 3))
        dx = dy - dy.mean(axis=over, keepdims=True)
        dx = dx - normed * (dy * normed).mean(axis=over, keepdims=True)
        return gamma / std * dx, dweight, dbias

    return y, backward


@st.composite
def inputs(draw):
    N, C, H, W = draw(shapes(3, 3, 2, 3))
    if N * H * W == 1:
        N = 2  # a variance needs two values
    x, weight, bias = draw(numbers((N, C, H, W))), draw(numbers((C,))), draw(numbers((C,)))
    x[0, :, 0, 0] += np.ptp(x, axis=(0, 2, 3)) == 0  # no channel is constant
    return x, weight, bias, draw(st.sampled_from((0.1, 0.01, 0.5)))


def ignores_where_pixels_are(function, inputs):
    x, *settings = inputs
    N, C, H, W = x.shape
    order = np.random.default_rng(0).permutation(N * H * W)

    def moved(a):
        a = a.transpose(1, 0, 2, 3).reshape(C, -1)[:, order]
        return a.reshape(C, N, H, W).transpose(1, 0, 2, 3)

    y, again = function(x, *settings)[0], function(moved(x), *settings)[0]
    return np.allclose(again, moved(y))


def dx_sums_to_zero(function, inputs):
    x, *settings = inputs
    _, backward = function(x, *settings)
    dx, _, _ = backward(np.sin(np.arange(x.size)).reshape(x.shape))
    return np.allclose(dx.sum(axis=(0, 2, 3)), 0)


EXERCISE = Exercise(
    batch_norm,
    lesson=7,
    page="functional/normalization.py",
    inputs=inputs(),
    returns=("y",),
    gradients=("dx", "dweight", "dbias"),
    mistakes=(
        Mistake(
            "each image is normalized on its own, over all of its channels",
            "over, gamma, beta = (0, 2, 3),",
            "over, gamma, beta = (1, 2, 3),",
            "How many means does a batch of two images with three channels have?",
        ),
        Mistake(
            "the mean and the variance are treated as constants in the backward pass",
            "        dx = dy - dy.mean(axis=over, keepdims=True)\n"
            "        dx = dx - normed * (dy * normed).mean(axis=over, keepdims=True)\n",
            "        dx = dy\n",
            "If one value of x grows, does the mean of its channel stay the same?",
        ),
        Mistake(
            "the variance is treated as a constant in the backward pass",
            "        dx = dx - normed * (dy * normed).mean(axis=over, keepdims=True)\n",
            "",
            "x̂ is divided by √(σ² + ε). Does σ² depend on x?",
        ),
        Mistake(
            "the mean is treated as a constant in the backward pass",
            "dx = dy - dy.mean(axis=over, keepdims=True)",
            "dx = dy",
            "If 1 is added to all values of a channel, does y change? What must dx sum to?",
        ),
        Mistake(
            "the weight is missing from dx",
            "gamma / std * dx",
            "dx / std",
            "If the weight of a channel doubles, by how much more does y react to x?",
        ),
        Mistake(
            "the variance is divided by m - 1",
            "((x - mean) ** 2).mean(axis=over, keepdims=True)",
            "x.var(axis=over, ddof=1, keepdims=True)",
            "By what does the statement divide the sum of the squares?",
        ),
        Mistake(
            "ε is missing",
            "np.sqrt(variance + eps)",
            "np.sqrt(variance)",
            "What would happen in a channel whose values are all the same?",
        ),
        Mistake(
            "ε is added to the standard deviation, and not to the variance",
            "np.sqrt(variance + eps)",
            "np.sqrt(variance) + eps",
            "Is ε inside or outside the square root?",
        ),
        Mistake(
            "x is divided by the variance, and not by its square root",
            "np.sqrt(variance + eps)",
            "(variance + eps)",
            "If x is measured in metres, what is the unit of σ²? And x̂ should have none.",
        ),
        Mistake(
            "every image has its own mean and variance",
            "over, gamma, beta = (0, 2, 3)",
            "over, gamma, beta = (2, 3)",
            "There is one mean per channel. Which axes does it run over?",
        ),
        Mistake(
            "every pixel has its own mean and variance",
            "over, gamma, beta = (0, 2, 3)",
            "over, gamma, beta = 0",
            "There is one mean per channel. Which axes does it run over?",
        ),
        Mistake(
            "dweight is computed with x, and not with the normalized x̂",
            "(dy * normed).sum",
            "(dy * x).sum",
            "Which array does the weight multiply?",
        ),
        Mistake(
            "dweight and dbias are means, and not sums",
            ".sum(",
            ".mean(",
            "The bias is added at all m places. If it grows by 1, how much does Σ y grow?",
        ),
    ),
    hints=(
        "x.mean(axis=(0, 2, 3), keepdims=True) has shape (1, C, 1, 1), one mean per channel. "
        "keepdims keeps the axes, so that you can subtract it from x.",
        "weight has shape (C,), and NumPy would align it with the last axis of x, the columns. "
        "weight[:, None, None] has shape (C, 1, 1) and is aligned with the channels.",
        "In backward, Σ dy / m is simply the mean of dy over axes 0, 2 and 3, and Σ dy·x̂ / m is "
        "the mean of dy * x̂. dweight and dbias are sums over the same axes, without keepdims.",
        "Forward: the mean, the mean of the squared differences, the square root of that plus eps, "
        "x̂, y. Backward: subtract from dy its mean and x̂ times the mean of dy * x̂, and multiply "
        "the result by γ / √(σ² + ε).",
    ),
    laws=(
        Law("it does not matter where in the batch a value is", ignores_where_pixels_are),
        Law("dx sums to 0 in every channel", dx_sums_to_zero),
    ),
)
