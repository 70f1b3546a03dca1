"""Write im2col, which copies every window of the images into a column of a matrix.

Each image is first given a border of zeros, `padding` pixels wide on all four sides. Then a window
of kernel x kernel pixels moves over it, `stride` pixels at a time. It has

    OH = (H + 2·padding - kernel) // stride + 1    positions from top to bottom,

and OW from left to right likewise; windows that would reach beyond the border do not count. With u
and v from 0 to kernel - 1, the window at position (i, j) of image n contains the pixels

    padded[n, c, i·stride + u, j·stride + v]

of all channels c. It becomes one column of the matrix:

* A column contains all pixels of channel 0, then those of channel 1, and so on, each channel in
  reading order: row by row, from left to right. The pixel above is in row
  (c·kernel + u)·kernel + v.
* The first columns are all windows of image 0, then follow those of image 1, and so on, again in
  reading order. The window above is column (n·OH + i)·OW + j.

If the windows are the columns of a matrix, a convolution is one matrix product.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def im2col(x, kernel, stride, padding):
    """x (N, C, H, W) -> columns (C·kernel·kernel, N·OH·OW).

    >>> x = np.array([[[[1, 2, 3], [4, 5, 6]]]])
    >>> im2col(x, 2, 1, 0)
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    N, C, H, W = padded.shape
    OH, OW = (H - kernel) // stride + 1, (W - kernel) // stride + 1
    columns = np.empty_like(x, shape=(C * kernel * kernel, N, OH, OW))
    for n, i, j in np.ndindex(N, OH, OW):
        top, left = i * stride, j * stride
        window = padded[n, :, top : top + kernel, left : left + kernel]
        columns[:, n, i, j] = window.reshape(-1)
    return columns.reshape(C * kernel * kernel, N * OH * OW)


@st.composite
def inputs(draw):
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 2))
    shape = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
    shape += [kernel + draw(st.integers(0, 3)) for _ in range(2)]
    return draw(numbers(tuple(shape))), kernel, stride, padding


def bordered(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def first_column_is_the_first_window(function, inputs):
    x, kernel, stride, padding = inputs
    window = bordered(x, padding)[0, :, :kernel, :kernel]
    return np.allclose(function(*inputs)[:, 0].reshape(window.shape), window)


def first_row_is_the_corner_of_every_window(function, inputs):
    x, kernel, stride, padding = inputs
    H, W = x.shape[2] + 2 * padding, x.shape[3] + 2 * padding
    corners = bordered(x, padding)[:, 0, : H - kernel + 1 : stride, : W - kernel + 1 : stride]
    return np.allclose(function(*inputs)[0], corners.reshape(-1))


EXERCISE = Exercise(
    im2col,
    lesson=5,
    page="functional/convolution.py",
    inputs=inputs(),
    returns=("columns",),
    mistakes=(
        Mistake(
            "every window is read column by column",
            "window.reshape(-1)",
            "window.swapaxes(1, 2).reshape(-1)",
            "Which pixel comes second in reading order, the one on the right or the one below?",
        ),
        Mistake(
            "the channels alternate from pixel to pixel",
            "window.reshape(-1)",
            "window.transpose(1, 2, 0).reshape(-1)",
            "What comes first in a column: all pixels of channel 0, or one pixel in all channels?",
        ),
        Mistake(
            "the images alternate from column to column",
            "return columns.reshape",
            "return columns.transpose(0, 2, 3, 1).reshape",
            "What do the first OH·OW columns have in common?",
        ),
        Mistake(
            "the windows are taken from top to bottom first, and then from left to right",
            "return columns.reshape",
            "return columns.swapaxes(2, 3).reshape",
            "Is the second window to the right of the first or below it?",
        ),
        Mistake(
            "the windows are rows of the matrix, and not columns",
            "N * OH * OW)",
            "N * OH * OW).T",
            "Which shape does the statement give, and which of its sizes belongs to the windows?",
        ),
        Mistake(
            "neighbouring windows are one pixel apart, whatever the stride",
            "top, left = i * stride, j * stride",
            "top, left = i, j",
            "Where does window i begin if windows are `stride` pixels apart?",
        ),
        Mistake(
            "the last window of every row and column of windows is missing",
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
            "the border is only at the top and on the left, or counts only once in OH and OW",
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
            "images and channels are padded as well",
            "((0, 0), (0, 0), (padding, padding), (padding, padding))",
            "padding",
            "How many images does your padded array contain?",
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
        "Loop over the images and over the positions i and j. A window begins at row i·stride and "
        "column j·stride of the padded image; all its channels are a single slice, of shape "
        "(C, kernel, kernel).",
        "window.reshape(-1) flattens an array with the last axis fastest: channel by channel, row "
        "by row. That is the order of a column.",
        "Create an empty array of shape (C·kernel·kernel, N, OH, OW), fill it window by window, "
        "and reshape it at the end. The last three axes then merge into columns in the right "
        "order, because the last axis is again the fastest.",
    ),
    laws=(
        Law(
            "the first column, reshaped to (C, kernel, kernel), is the upper left window of the "
            "first image with its border",
            first_column_is_the_first_window,
        ),
        Law(
            "the first row contains the upper left pixel of every window, in channel 0",
            first_row_is_the_corner_of_every_window,
        ),
    ),
)
