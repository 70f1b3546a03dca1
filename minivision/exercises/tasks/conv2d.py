"""Write the convolution of a batch of images.

A filter looks for the same small pattern everywhere in the image. It has one weight for every pixel
and channel of a window, KH pixels high and KW wide. Each image is first given a border of zeros,
`padding` pixels wide on all four sides. Then the window moves over it, `stride` pixels at a time,
and at each position (i, j) the pixels are multiplied by the weights of filter f, and the products
are summed:

    y[n, f, i, j] = bias[f] + Σ_c,u,v weight[f, c, u, v] · padded[n, c, i·stride + u, j·stride + v]

The sum runs over all channels c, over u from 0 to KH - 1 and v from 0 to KW - 1. As in every
deep-learning library, the kernel is not turned: weight[f, c, 0, 0] belongs to the upper left pixel
of the window. Only windows that fit into the padded image count, so y has

    OH = (H + 2·padding - KH) // stride + 1    rows, and
    OW = (W + 2·padding - KW) // stride + 1    columns.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def conv2d(x, weight, bias, stride, padding):
    """x (N, C, H, W), weight (F, C, KH, KW), bias (F,) -> y (N, F, OH, OW).

    >>> image = np.array([[[[0.0, 0.0, 1.0, 1.0]]]])
    >>> edge = np.array([[[[-1.0, 1.0]]]])
    >>> conv2d(image, edge, np.array([0.0]), 1, 0)
    array([[[[0., 1., 0.]]]])
    """
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    N, C, H, W = padded.shape
    F, C, KH, KW = weight.shape
    OH, OW = (H - KH) // stride + 1, (W - KW) // stride + 1
    y = np.empty_like(x, shape=(N, F, OH, OW))
    for i in range(OH):
        for j in range(OW):
            top, left = i * stride, j * stride
            window = padded[:, :, top : top + KH, left : left + KW]
            y[:, :, i, j] = window.reshape(N, -1) @ weight.reshape(F, -1).T + bias
    return y


@st.composite
def inputs(draw):
    (KH, KW), stride = (draw(st.integers(1, 3)) for _ in range(2)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 2))
    N, C, F = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    H, W = KH + draw(st.integers(0, 3)), KW + draw(st.integers(0, 3))
    x, weight = draw(numbers((N, C, H, W))), draw(numbers((F, C, KH, KW), largest=9))
    return x, weight, draw(numbers((F,), largest=5)), stride, padding


def y_moves_with_the_image(function, inputs):
    x, weight, bias, stride, padding = inputs
    moved = np.pad(x, ((0, 0), (0, 0), (stride, 0), (0, 0)))
    return np.allclose(
        function(moved, weight, bias, stride, padding)[:, :, 1:],
        function(x, weight, bias, stride, padding),
    )


def linear_in_x_up_to_the_bias(function, inputs):
    x, weight, bias, stride, padding = inputs
    y, doubled = (function(image, weight, bias, stride, padding) for image in (x, 2 * x))
    return np.allclose(doubled - bias[:, None, None], 2 * (y - bias[:, None, None]))


def first_tap_copies_the_first_pixel(function, inputs):
    x, weight, bias, stride, padding = inputs
    tap = np.zeros_like(weight)
    tap[:, 0, 0, 0] = 1
    y = function(x, tap, np.zeros_like(bias), stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    pixels = padded[:, :1, ::stride, ::stride][:, :, : y.shape[2], : y.shape[3]]
    return np.allclose(y, pixels)


EXERCISE = Exercise(
    conv2d,
    lesson=5,
    page="functional/convolution.py",
    inputs=inputs(),
    returns=("y",),
    mistakes=(
        Mistake(
            "the kernel is turned by 180 degrees, as in a mathematical convolution",
            "weight.reshape",
            "weight[:, :, ::-1, ::-1].reshape",
            "Which pixel of the window is multiplied by weight[f, c, 0, 0]?",
        ),
        Mistake(
            "the window is read column by column, but the kernel row by row",
            "window.reshape",
            "window.swapaxes(2, 3).reshape",
            "Which pixel of the window is multiplied by weight[f, c, 0, 1]?",
        ),
        Mistake(
            "the window is read with the channels last, but the kernel with the channels first",
            "window.reshape",
            "window.transpose(0, 2, 3, 1).reshape",
            "In which order do the axes of the window and of the weights follow each other?",
        ),
        Mistake(
            "only the last channel counts",
            "window.reshape(N, -1) @ weight.reshape(F, -1).T",
            "window[:, -1].reshape(N, -1) @ weight[:, -1].reshape(F, -1).T",
            "What happens to the result for channel 0 when channel 1 is next?",
        ),
        Mistake(
            "only the first channel counts",
            "window.reshape(N, -1) @ weight.reshape(F, -1).T",
            "window[:, 0].reshape(N, -1) @ weight[:, 0].reshape(F, -1).T",
            "Over which three indices does the sum run?",
        ),
        Mistake(
            "the bias is forgotten",
            " + bias",
            "",
            "What should y be if the image is black, that is, if x is 0 everywhere?",
        ),
        Mistake(
            "the bias is added once for every channel",
            "+ bias",
            "+ C * bias",
            "What should y be if x is 0 everywhere? Does it depend on the number of channels?",
        ),
        Mistake(
            "the bias is added to every product",
            "+ bias",
            "+ C * KH * KW * bias",
            "Is the bias inside the sum or in front of it?",
        ),
        Mistake(
            "y has the right size, but neighbouring windows are one pixel apart",
            "top, left = i * stride, j * stride",
            "top, left = i, j",
            "Where does window i begin if windows are `stride` pixels apart?",
        ),
        Mistake(
            "the stride is ignored",
            "    padded =",
            "    stride = 1\n    padded =",
            "How many windows fit into a row if they are `stride` pixels apart?",
        ),
        Mistake(
            "the last row and column of y are missing",
            "// stride + 1",
            "// stride",
            "How many windows fit if the kernel is exactly as large as the image?",
        ),
        Mistake(
            "there is no border around the image",
            "np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))",
            "x",
            "What does a window see if it reaches beyond the image?",
        ),
        Mistake(
            "the border is only at the top and on the left",
            "(padding, padding), (padding, padding)",
            "(padding, 0), (padding, 0)",
            "How many sides does an image have?",
        ),
        Mistake(
            "the border is only at the bottom and on the right",
            "(padding, padding), (padding, padding)",
            "(0, padding), (0, padding)",
            "How many sides does an image have?",
        ),
        Mistake(
            "the border repeats the outermost pixels",
            "(padding, padding)))",
            '(padding, padding)), mode="edge")',
            "Which number does the border consist of?",
        ),
    ),
    hints=(
        "np.pad adds zeros. It takes a pair (before, after) for every axis; the axes of the images "
        "and channels get (0, 0).",
        "Loop over the positions i and j. The same window of all images is one slice of the padded "
        "array, of shape (N, C, KH, KW), which begins at row i·stride and column j·stride.",
        "For one image and one filter, window and weights have the same shape (C, KH, KW): "
        "multiply them, sum the products and add bias[f]. Four loops, over n, f, i and j, are "
        "enough.",
        "To save the loops over n and f, flatten the window to (N, C·KH·KW) and the weights to "
        "(F, C·KH·KW). The matrix product of the first and the transpose of the second is (N, F): "
        "that is y at position (i, j), without the bias.",
    ),
    laws=(
        Law(
            "y moves down by one row and is otherwise unchanged if `stride` rows of zeros are "
            "added above the image",
            y_moves_with_the_image,
        ),
        Law("y - bias doubles if x doubles", linear_in_x_up_to_the_bias),
        Law(
            "a kernel that is 1 at [0, 0] in channel 0, and 0 elsewhere, copies the upper left "
            "pixel of every window",
            first_tap_copies_the_first_pixel,
        ),
    ),
)
