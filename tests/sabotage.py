"""Wrong gradients, at least one for every function: the mistakes one makes.

Each entry takes the right gradients and spoils them, as `spoil(dy, gradients, inputs, y)` does; all
shapes stay right, so that only a check of the numbers can notice. `spoiled(function, spoil)` has
the value of the function and the wrong rule. tests/test_gradcheck.py shows that all are caught.
"""

import numpy as np

from minivision import Tensor, record


def spoiled(function, spoil):
    """The same value, and a rule whose gradients went through spoil."""

    def sabotaged(*inputs):
        y = function(*inputs)
        right = y.node.rule
        arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]

        def backward(dy):
            gradients = right(dy)[: len(arrays)]
            return tuple(spoil(dy, gradients, arrays, y.data))

        return record(y.data, inputs, backward)

    return sabotaged


def on(position, change):
    """Spoil the gradient of one input only: change(dx, dy, inputs, y)."""

    def spoil(dy, gradients, inputs, y):
        wrong = change(gradients[position], dy, inputs, y)
        return [wrong if i == position else dx for i, dx in enumerate(gradients)]

    return spoil


def last(change):
    """Spoil the gradient of the last input (the bias of a layer, where there is one)."""

    def spoil(dy, gradients, inputs, y):
        return on(len(inputs) - 1, change)(dy, gradients, inputs, y)

    return spoil


def sign(dx, dy, inputs, y):
    return -dx


def zero(dx, dy, inputs, y):
    return 0 * dx


def twice(dx, dy, inputs, y):
    return 2 * dx


def a_thousandth_too_large(dx, dy, inputs, y):
    return 1.001 * dx


def mean_over_the_repeats(dx, dy, inputs, y):
    """A broadcast input whose gradient is averaged where it has to be summed."""
    return dx * (dx.size / dy.size)


def off_by_one_pixel(dx, dy, inputs, y):
    return np.roll(dx, 1, axis=-1)


def turned(dx, dy, inputs, y):
    """The right numbers, in the order of the transposed array."""
    return dx.T.reshape(dx.shape)


def reversed_entries(dx, dy, inputs, y):
    return dx.reshape(-1)[::-1].reshape(dx.shape)


def kernel_flipped(dx, dy, inputs, y):
    return dx[:, :, ::-1, ::-1]


def in_fortran_order(dx, dy, inputs, y):
    return dy.reshape(dx.shape, order="F")


SABOTAGE = {
    "add": {
        "the sign of b": on(1, sign),
        "repeats of b not summed": on(1, mean_over_the_repeats),
        "repeats of a not summed": on(0, mean_over_the_repeats),
    },
    "subtract": {
        "the sign of b forgotten": on(1, sign),
        "repeats of a not summed": on(0, mean_over_the_repeats),
    },
    "multiply": {
        "repeats of b not summed": on(1, mean_over_the_repeats),
        "its own factor": on(0, lambda da, dy, xs, y: da * xs[0] ** 2),
    },
    "divide": {
        "the sign of b": on(1, sign),
        "b not squared": on(1, lambda db, dy, xs, y: db * xs[1]),
        "a multiplied by b": on(0, lambda da, dy, xs, y: da * 2),
    },
    "negative": {"the sign": on(0, sign)},
    "power": {
        "the exponent not lowered": on(0, lambda dx, dy, xs, y: dx * xs[0]),
        "no factor p": on(0, lambda dx, dy, xs, y: dy * y / xs[0]),
    },
    "exp": {"the gradient of the identity": on(0, lambda dx, dy, xs, y: dy)},
    "log": {"multiplied, not divided": on(0, lambda dx, dy, xs, y: dy * xs[0])},
    "sum": {"divided by the number": on(0, lambda dx, dy, xs, y: dx * dy.size / dx.size)},
    "mean": {"not divided by the number": on(0, lambda dx, dy, xs, y: dx * dx.size / dy.size)},
    "max": {
        "to every entry": on(0, lambda dx, dy, xs, y: dx + dy.mean()),
        "to the neighbour": on(0, off_by_one_pixel),
    },
    "reshape": {"in Fortran order": on(0, in_fortran_order)},
    "flatten": {"in Fortran order": on(0, in_fortran_order)},
    "transpose": {"not transposed back": on(0, lambda dx, dy, xs, y: dy.reshape(dx.shape))},
    "getitem": {
        "to the neighbour": on(0, off_by_one_pixel),
        "an entry chosen twice counted once": on(
            0, lambda dx, dy, xs, y: np.where(abs(dx) > 0, np.sign(dx) * abs(dy).min(), 0)
        ),
    },
    "relu": {
        "the mask forgotten": on(0, lambda dx, dy, xs, y: dy),
        "the mask turned over": on(0, lambda dx, dy, xs, y: dy * (y <= 0)),
    },
    "tanh": {
        "not squared": on(0, lambda dx, dy, xs, y: dy * (1 - y)),
        "of x, not of y": on(0, lambda dx, dy, xs, y: dy * (1 - xs[0] ** 2)),
    },
    "matmul": {
        "da transposed": on(0, turned),
        "db transposed": on(1, turned),
        "the sign of db": on(1, sign),
    },
    "linear": {
        "dx of the transposed order": on(0, turned),
        "dW transposed": on(1, turned),
        "bias averaged over the batch": last(lambda db, dy, xs, y: db / max(2, len(dy))),
    },
    "conv2d": {
        "the kernel flipped in dW": on(1, kernel_flipped),
        "dx one pixel off": on(0, off_by_one_pixel),
        "dW of another group": on(1, lambda dw, dy, xs, y: np.roll(dw, 1, axis=0)),
        "the last input averaged": last(lambda db, dy, xs, y: db / dy.size),
        "a thousandth too large": on(0, a_thousandth_too_large),
    },
    "max_pool2d": {
        "the pixel beside the largest": on(0, off_by_one_pixel),
        "shared like an average": on(0, lambda dx, dy, xs, y: np.full_like(dx, dx.mean())),
        "a pixel that wins twice counted once": on(
            0, lambda dx, dy, xs, y: np.where(dx != 0, dy.flat[0], 0)
        ),
    },
    "avg_pool2d": {
        "one pixel off": on(0, off_by_one_pixel),
        "not divided": on(0, twice),
    },
    "dropout": {
        "the mask forgotten": on(0, lambda dx, dy, xs, y: dy),
        "survivors not scaled": on(0, lambda dx, dy, xs, y: dy * (y != 0)),
        "another mask": on(0, reversed_entries),
    },
    "softmax": {
        "without the common part": on(0, lambda dx, dy, xs, y: dy * y),
        "without the temperature": on(0, lambda dx, dy, xs, y: 1.1 * dx),
        "no gradient, which all-ones upstream would not notice": on(0, zero),
    },
    "log_softmax": {
        "without the common part": on(0, lambda dx, dy, xs, y: dy),
        "without the temperature": on(0, lambda dx, dy, xs, y: 1.1 * dx),
    },
    "cross_entropy": {
        "not divided by the batch": on(0, lambda dx, dy, xs, y: dx * (len(dx) + 1)),
        "the sign": on(0, sign),
        "target forgotten": on(0, lambda dx, dy, xs, y: dx + dy / len(dx)),
    },
}  # fmt: skip
