"""Write max pooling and its backward pass.

Each window of the image is reduced to its largest number:

    y[n, c, i, j] = max over u, v of x[n, c, i·stride + u, j·stride + v]

u and v run from 0 to kernel - 1. Only windows inside the image count, so y has

    OH = (H - kernel) // stride + 1    rows, and OW likewise.

Only the largest pixel of a window had an effect on y, so it receives the gradient of this window,
and the others receive nothing. If several pixels are equally large, the first of them in reading
order receives all of it. With stride < kernel the windows overlap: a pixel that is the largest of
two windows receives the sum of both gradients.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Mistake, numbers


def max_pool2d(x, kernel, stride):
    """x (N, C, H, W) -> (y, backward), y (N, C, OH, OW); backward(dy) -> dx (N, C, H, W).

    >>> y, backward = max_pool2d(np.array([[[[1.0, 3.0, 2.0], [2.0, 0.0, 1.0]]]]), 2, 1)
    >>> y
    array([[[[3., 3.]]]])
    >>> backward(np.array([[[[10.0, 1.0]]]]))
    array([[[[ 0., 11.,  0.],
             [ 0.,  0.,  0.]]]])
    """
    N, C, H, W = x.shape
    OH, OW = (H - kernel) // stride + 1, (W - kernel) // stride + 1
    y = np.zeros_like(x, shape=(N, C, OH, OW))
    for i in range(OH):
        for j in range(OW):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel, left : left + kernel].reshape(N, C, -1)
            y[:, :, i, j] = window.max(axis=2)

    def backward(dy):
        dx = np.zeros_like(x)
        for n, c, i, j in np.ndindex(dy.shape):
            top, left = i * stride, j * stride
            window = x[n, c, top : top + kernel, left : left + kernel]
            u, v = np.unravel_index(window.argmax(), window.shape)
            dx[n, c, top + u, left + v] += dy[n, c, i, j]
        return dx

    return y, backward


@st.composite
def inputs(draw):
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
    shape += [kernel + draw(st.integers(0, 3)) for _ in range(2)]
    return draw(numbers(tuple(shape), ties=draw(st.booleans()))), kernel, stride


EXERCISE = Exercise(
    max_pool2d,
    lesson=6,
    page="functional/pooling.py",
    inputs=inputs(),
    returns=("y",),
    gradients=("dx",),
    mistakes=(
        Mistake(
            "all pixels that are equally large receive the gradient",
            "            u, v = np.unravel_index(window.argmax(), window.shape)\n"
            "            dx[n, c, top + u, left + v] += dy[n, c, i, j]\n",
            "            dx[n, c, top : top + kernel, left : left + kernel] += (\n"
            "                dy[n, c, i, j] * (window == window.max())\n"
            "            )\n",
            "If two pixels are equally large, which one receives the gradient?",
        ),
        Mistake(
            "the last of several equal pixels receives the gradient",
            "np.unravel_index(window.argmax(), window.shape)",
            "(int(k[-1]) for k in np.nonzero(window == window.max()))",
            "In which order does one read a window?",
        ),
        Mistake(
            "a gradient replaces the one that a pixel already has",
            "+= dy[n, c, i, j]",
            "= dy[n, c, i, j]",
            "What if a pixel is the largest of two windows that overlap?",
        ),
        Mistake(
            "every pixel of the window receives the gradient",
            "dx[n, c, top + u, left + v] += dy[n, c, i, j]",
            "dx[n, c, top : top + kernel, left : left + kernel] += dy[n, c, i, j]",
            "If a pixel that is not the largest changes a little, does y change?",
        ),
        Mistake(
            "the pixels of a window share its gradient equally",
            "dx[n, c, top + u, left + v] += dy[n, c, i, j]",
            "dx[n, c, top : top + kernel, left : left + kernel] += dy[n, c, i, j] / kernel**2",
            "If a pixel that is not the largest changes a little, does y change?",
        ),
        Mistake(
            "the windows lie side by side, whatever the stride",
            "top, left = i * stride, j * stride",
            "top, left = min(i * kernel, H - kernel), min(j * kernel, W - kernel)",
            "How far apart are the first pixels of two neighbouring windows?",
        ),
        Mistake(
            "the mean of each window is taken",
            "window.max(axis=2)",
            "window.mean(axis=2)",
            "Which number describes a window here?",
        ),
    ),
    hints=(
        "Two loops over the output rows i and columns j suffice for y: "
        "x[:, :, i * stride : i * stride + kernel, …] is the same window of all images.",
        "window.argmax() counts the pixels of a window in reading order and finds the first "
        "largest one. np.unravel_index turns the count into a row and a column.",
        "In backward, begin with dx = np.zeros_like(x) and go through all windows; "
        "add (+=) dy[n, c, i, j] to dx at the largest pixel of the window.",
    ),
)
