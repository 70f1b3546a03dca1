"""Write the gradients of a convolution.

The forward pass is

    y[n, f, i, j] = bias[f] + Σ_c,u,v weight[f, c, u, v] · padded[n, c, i·stride + u, j·stride + v]

where padded is x with a border of zeros, `padding` pixels wide on all four sides. dy, of the shape
of y, is the gradient of the loss with respect to y. Compute the gradients with respect to x, weight
and bias.

Each number in x, weight and bias affects many numbers in y, and its gradient is a sum over all of
them. The bias of a filter is added to all numbers in the filter's maps, and a weight is used for
every image and position:

    dbias[f]            =  Σ_n,i,j  dy[n, f, i, j]
    dweight[f, c, u, v] =  Σ_n,i,j  dy[n, f, i, j] · padded[n, c, i·stride + u, j·stride + v]

A pixel is multiplied by weights of every filter, and it may be in several windows:

    dpadded[n, c, r, s] =  Σ dy[n, f, i, j] · weight[f, c, u, v]

where the sum runs over all f, i, j, u and v with i·stride + u = r and j·stride + v = s. The border
is not part of x, so dx is dpadded without it.

If the loss is a mean over N images, dy already contains the factor 1/N. Do not divide by N again.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def conv2d_backward(dy, x, weight, stride, padding):
    """dy (N, F, OH, OW), x (N, C, H, W), weight (F, C, KH, KW) -> (dx, dweight, dbias).

    dx has the shape of x, dweight that of weight; dbias is (F,).

    >>> dy = np.array([[[[10.0, 1.0]]]])
    >>> x, weight = np.array([[[[3.0, 4.0, 5.0]]]]), np.array([[[[1.0, 2.0]]]])
    >>> dx, dweight, dbias = conv2d_backward(dy, x, weight, 1, 0)
    >>> dx
    array([[[[10., 21.,  2.]]]])
    >>> dweight
    array([[[[34., 45.]]]])
    >>> dbias
    array([11.])
    """
    N, C, H, W = x.shape
    F, C, KH, KW = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for n, f, i, j in np.ndindex(dy.shape):
        top, left = i * stride, j * stride
        rows, columns = slice(top, top + KH), slice(left, left + KW)
        dweight[f] += dy[n, f, i, j] * padded[n, :, rows, columns]
        dpadded[n, :, rows, columns] += dy[n, f, i, j] * weight[f]
    dx = dpadded[:, :, padding : padding + H, padding : padding + W]
    dbias = dy.sum(axis=(0, 2, 3))
    return dx, dweight, dbias


@st.composite
def inputs(draw):
    (KH, KW), stride = (draw(st.integers(1, 3)) for _ in range(2)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 2))
    N, C, F = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    H, W = (max(1, size - 2 * padding) + draw(st.integers(0, 3)) for size in (KH, KW))
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    dy, x = draw(numbers((N, F, OH, OW), largest=5)), draw(numbers((N, C, H, W)))
    return dy, x, draw(numbers((F, C, KH, KW), largest=9)), stride, padding


def convolution(x, weight, stride, padding):
    """The convolution without a bias, by its definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    return np.einsum("ncijuv,fcuv->nfij", windows[:, :, ::stride, ::stride], weight)


def dx_is_adjoint(function, inputs):
    dy, x, weight, stride, padding = inputs
    dx, _, _ = function(*inputs)
    return np.isclose((dx * x).sum(), (dy * convolution(x, weight, stride, padding)).sum())


def dweight_is_adjoint(function, inputs):
    dy, x, weight, stride, padding = inputs
    _, dweight, _ = function(*inputs)
    y = convolution(x, weight, stride, padding)
    return np.isclose((dweight * weight).sum(), (dy * y).sum())


def gradients_of_a_batch_add_up(function, inputs):
    dy, x, weight, stride, padding = inputs
    _, dweight, dbias = function(*inputs)
    alone = [function(dy[n : n + 1], x[n : n + 1], weight, stride, padding) for n in range(len(x))]
    return np.allclose(dweight, sum(one[1] for one in alone)) and np.allclose(
        dbias, sum(one[2] for one in alone)
    )


EXERCISE = Exercise(
    conv2d_backward,
    lesson=5,
    page="functional/convolution.py",
    inputs=inputs(),
    returns=("dx", "dweight", "dbias"),
    mistakes=(
        Mistake(
            "dweight is turned by 180 degrees",
            "dx, dweight, dbias",
            "dx, dweight[:, :, ::-1, ::-1], dbias",
            "Which pixels of the image was weight[f, c, 0, 0] multiplied by?",
        ),
        Mistake(
            "the kernel has the wrong orientation in dx, turned by 180 degrees",
            "* weight[f]",
            "* weight[f, :, ::-1, ::-1]",
            "Which weight connects y[n, f, i, j] with the upper left pixel of its window?",
        ),
        Mistake(
            "dweight contains only the last image",
            "dweight[f] +=",
            "dweight[f] += (n == N - 1) *",
            "All images use the same weights. What happens to the gradient from image 0 when "
            "image 1 is next?",
        ),
        Mistake(
            "dweight contains only the last window",
            "dweight[f] +=",
            "dweight[f] =",
            "All windows use the same weights. What happens to the gradient from the first window "
            "when the second is next?",
        ),
        Mistake(
            "the kernel is read column by column in dx",
            "* weight[f]",
            "* weight[f].reshape(C, KW, KH).swapaxes(1, 2)",
            "Which weight connects y[n, f, i, j] with the second pixel in the first row of its "
            "window?",
        ),
        Mistake(
            "in dx, the gradient from one window replaces those from the windows before it",
            "+= dy[n, f, i, j] * weight[f]",
            "= np.tensordot(dy[n, :, i, j], weight, 1)",
            "What if a pixel is in two windows that overlap?",
        ),
        Mistake(
            "in dx, every gradient replaces the ones that a pixel already has",
            "+= dy[n, f, i, j] * weight[f]",
            "= dy[n, f, i, j] * weight[f]",
            "How many numbers of y change if a single pixel changes?",
        ),
        Mistake(
            "dx contains only the last filter",
            "+= dy[n, f, i, j] * weight[f]",
            "+= (f == F - 1) * dy[n, f, i, j] * weight[f]",
            "All filters look at the same pixel. What happens to the gradient from filter 0 when "
            "filter 1 is next?",
        ),
        Mistake(
            "dx still has the border",
            "dpadded[:, :, padding : padding + H, padding : padding + W]",
            "dpadded",
            "Which shape should dx have? What is around the gradient of the image?",
        ),
        Mistake(
            "the border of dx is removed only at the top and on the left",
            "dpadded[:, :, padding : padding + H, padding : padding + W]",
            "dpadded[:, :, padding:, padding:]",
            "How many sides does an image have?",
        ),
        Mistake(
            "dx is cut to the right size, but only at the bottom and on the right",
            "dpadded[:, :, padding : padding + H, padding : padding + W]",
            "dpadded[:, :, :H, :W]",
            "In which row of the padded image is the first row of x?",
        ),
        Mistake(
            "the border is removed with padding:-padding, which leaves nothing if padding is 0",
            "dpadded[:, :, padding : padding + H, padding : padding + W]",
            "dpadded[:, :, padding:-padding, padding:-padding]",
            "What is [1, 2, 3][0:-0]?",
        ),
        Mistake(
            "dweight and dbias are divided by the number of images",
            "dx, dweight, dbias",
            "dx, dweight / N, dbias / N",
            "Where does the factor 1/N come from if the loss is a mean over the images?",
        ),
        Mistake(
            "dbias is a mean, and not a sum",
            "dy.sum(",
            "dy.mean(",
            "If the bias grows by 1, by how much does each number of the maps grow, and how many "
            "are there?",
        ),
        Mistake(
            "in dx, neighbouring windows are one pixel apart, whatever the stride",
            "dpadded[n, :, rows, columns] += ",
            "dpadded[n, :, i : i + KH, j : j + KW] += ",
            "Where does window i begin if windows are `stride` pixels apart?",
        ),
        Mistake(
            "neighbouring windows are one pixel apart, whatever the stride",
            "top, left = i * stride, j * stride",
            "top, left = i, j",
            "Where does window i begin if windows are `stride` pixels apart?",
        ),
    ),
    hints=(
        "Take a single number y[n, f, i, j]. It was computed from one window, of shape "
        "(C, KH, KW), and from one filter of the same shape. Its gradient dy[n, f, i, j] goes back "
        "to both.",
        "A product a·b passes dy·b to a and dy·a to b. So the filter receives dy[n, f, i, j] times "
        "the window, and the window receives dy[n, f, i, j] times the filter.",
        "Begin with zeros of the shapes of weight and of the padded image, and go through all "
        "n, f, i, j. Add (+=) what the filter receives to dweight[f], and what the window receives "
        "to the rows and columns of the window, which begin at i·stride and j·stride.",
        "At the end, cut the border off: rows padding to padding + H, and columns padding to "
        "padding + W, remain. dbias is dy, summed over all axes except that of the filters.",
    ),
    laws=(
        Law(
            "the sum of dx·x is that of dy·y, where y is the convolution of x without the bias",
            dx_is_adjoint,
        ),
        Law(
            "the sum of dweight·weight is that of dy·y, where y is the convolution of x without "
            "the bias",
            dweight_is_adjoint,
        ),
        Law(
            "dweight and dbias of a batch are the sums of those of its images",
            gradients_of_a_batch_add_up,
        ),
    ),
)
