"""Write local response normalization, as in AlexNet.

Each activation is divided by a power of the energy of the channels around it. At every position of
every image, separately,

    s_c = k + α · Σ x_j²        y_c = x_c / s_c^β

The sum is over the channels j from c - size//2 to c + size//2. size is odd, so that c is in the
middle of the window. At the first and the last channels, the window is cut off: channels that do
not exist are left out of the sum.

As in the paper, α multiplies the sum. (PyTorch and Caffe divide it by size first.)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def local_response_norm(x, size, alpha, beta, k):
    """x (N, C, H, W) -> y (N, C, H, W); size, alpha, beta and k are numbers.

    >>> x = np.array([1.0, 2.0, 0.0]).reshape(1, 3, 1, 1)
    >>> local_response_norm(x, 3, 1.0, 1.0, 2.0).ravel().round(4)
    array([0.1429, 0.2857, 0.    ])
    """
    s = np.full_like(x, k)
    C = x.shape[1]
    for c in range(C):
        first, last = max(c - size // 2, 0), c + size // 2
        s[:, c] += alpha * (x[:, first : last + 1] ** 2).sum(axis=1)
    return x / s**beta


@st.composite
def inputs(draw):
    x = draw(shapes(2, 6, 2, 3).flatmap(numbers))
    size = draw(st.sampled_from((1, 3, 5)))
    alpha, beta = draw(st.sampled_from((1.0, 0.5, 2.0))), draw(st.sampled_from((1.0, 0.75, 0.5)))
    return x, size, alpha, beta, draw(st.sampled_from((1.0, 2.0)))


def keeps_to_its_window(function, inputs):
    """Replace all channels that the first channel cannot see."""
    x, size, *settings = inputs
    changed = x.copy()
    changed[:, size // 2 + 1 :] += 1
    first, again = function(x, size, *settings), function(changed, size, *settings)
    return np.allclose(first[:, 0], again[:, 0])


def is_symmetric(function, inputs):
    x, *settings = inputs
    y, again = function(x, *settings), function(x[:, ::-1].copy(), *settings)
    return np.allclose(y, again[:, ::-1])


EXERCISE = Exercise(
    local_response_norm,
    lesson=7,
    page="functional/normalization.py",
    inputs=inputs(),
    returns=("y",),
    mistakes=(
        Mistake(
            "α is divided by size",
            "alpha * (",
            "alpha / size * (",
            "Whose convention does the statement follow, the paper's or PyTorch's?",
        ),
        Mistake(
            "the window reaches size channels to each side",
            "size // 2",
            "size",
            "How many channels are in the window if size is 3?",
        ),
        Mistake(
            "the window ends one channel too early",
            "first : last + 1",
            "first:last",
            "x[:, 1:3] has two channels. Is channel 3 one of them?",
        ),
        Mistake(
            "the window starts again at the other end when it reaches the last channel",
            "x[:, first : last + 1]",
            "x[:, np.arange(c - size // 2, last + 1) % C]",
            "Which channels come before channel 0?",
        ),
        Mistake(
            "all channels are summed",
            "x[:, first : last + 1]",
            "x",
            "How far does a channel look to each side?",
        ),
        Mistake(
            "the channel itself is left out of the sum",
            "(x[:, first : last + 1] ** 2).sum(axis=1)",
            "((x[:, first : last + 1] ** 2).sum(axis=1) - x[:, c] ** 2)",
            "Is j = c one of the channels from c - size//2 to c + size//2?",
        ),
        Mistake(
            "the sum is squared, and not each activation",
            "(x[:, first : last + 1] ** 2).sum(axis=1)",
            "x[:, first : last + 1].sum(axis=1) ** 2",
            "Two neighbours of 1 and -1: how much energy do they have together?",
        ),
        Mistake(
            "k is added after the power",
            "s**beta",
            "(k + (s - k) ** beta)",
            "s contains k. To what is the exponent β applied?",
        ),
        Mistake(
            "x is multiplied by the power of s",
            "x / s**beta",
            "x * s**beta",
            "Strong neighbours inhibit a channel. Should y become larger or smaller?",
        ),
    ),
    hints=(
        "Begin with an array s in which every entry is k: np.full_like(x, k). Add the energy of "
        "the neighbours to it, and divide only at the end.",
        "Loop over the channels c. x[:, first : last + 1] holds the channels from first to last of "
        "all images, and a sum over axis 1 adds them up.",
        "A slice may end behind the last channel, but a negative start counts from the other end. "
        "So first is max(c - size // 2, 0), and last is simply c + size // 2.",
        "For each c, square the channels from first to last, sum them over axis 1, multiply by "
        "alpha and add the result to s[:, c]. After the loop, y is x divided by s to the power of "
        "beta.",
    ),
    laws=(
        Law("a channel only depends on those up to size//2 away from it", keeps_to_its_window),
        Law("if the channels are reversed, y is reversed and otherwise the same", is_symmetric),
    ),
)
