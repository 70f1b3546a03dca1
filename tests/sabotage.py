"""Wrong gradients, at least one for every function: mistakes that people make.

An entry of SABOTAGE takes the right gradients and spoils them, as `spoil(dy, gradients, inputs, y)`
does. An entry of MISTAKES is another function, whose gradient passes for that of the right one: a
window that is one channel wider, a forgotten temperature. All shapes stay right, so only a check
of the numbers can notice. tests/test_gradcheck.py shows that all are caught.
"""

import numpy as np

from minivision import Tensor, record
from minivision.functional import (
    affine_grid,
    batch_norm,
    cross_entropy,
    distillation_loss,
    fold,
    grid_sample,
    kl_divergence,
    local_response_norm,
    log_softmax,
    nll_loss,
    softmax,
    unfold,
    var,
    where,
)
from minivision.functional.arithmetic import unbroadcast


def spoiled(function, spoil):
    """The same value, with gradients that went through spoil."""

    def sabotaged(*inputs):
        y = function(*inputs)
        right, parents = y.node.backward, y.node.parents

        def backward(dy):
            gradient_of = dict(zip(parents, right(dy), strict=True))
            gradients = [gradient_of[x.node] for x in inputs]
            return tuple(spoil(dy, gradients, [x.data for x in inputs], y.data))

        return record(y.data, inputs, backward)

    return sabotaged


def mistaken(right, wrong):
    """The value of one function, with the gradients of another that is called in the same way."""

    def sabotaged(*arguments, **settings):
        y = right(*arguments, **settings)
        inputs = [x for x in arguments if isinstance(x, Tensor)]

        def backward(dy):
            leaves = [Tensor(x.data, requires_grad=True) for x in inputs]
            waiting = iter(leaves)
            again = [next(waiting) if isinstance(x, Tensor) else x for x in arguments]
            wrong(*again, **settings).backward(dy)
            return tuple([leaf.grad for leaf in leaves])

        return record(y.data, inputs, backward)

    return sabotaged


def on(position, change):
    """Spoil the gradient of one input only, if it has one: change(dx, dy, inputs, y)."""

    def spoil(dy, gradients, inputs, y):
        return [
            change(dx, dy, inputs, y) if i == position else dx for i, dx in enumerate(gradients)
        ]

    return spoil


def last(change):
    """Spoil the gradient of the last input (the bias of a layer, if there is one)."""

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
    """A broadcast input whose gradient is averaged instead of summed."""
    return dx * (dx.size / dy.size)


def off_by_one_pixel(dx, dy, inputs, y):
    return np.roll(dx, 1, axis=-1)


def turned(dx, dy, inputs, y):
    """The right numbers, in the order of the transposed array."""
    return dx.T.reshape(dx.shape)


def reversed_entries(dx, dy, inputs, y):
    return dx.reshape(-1)[::-1].reshape(dx.shape)


def to_the_other(da, dy, inputs, y):
    """The operand that was not chosen gets the gradient."""
    return unbroadcast(dy * (y != inputs[0]), da.shape)


def exchanged(dy, gradients, inputs, y):
    """The first input gets the gradient of the last."""
    return gradients[::-1]


def to_the_first_only(dy, gradients, inputs, y):
    return [gradients[0], *[0 * dx for dx in gradients[1:]]]


def shared_between_the_places(dw, dy, inputs, y):
    """Every position gets the mean over all, as if the filters were shared."""
    return np.broadcast_to(dw.mean(axis=(0, 1), keepdims=True), dw.shape).copy()


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
        "the pixel next to the largest": on(0, off_by_one_pixel),
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
        "target forgotten": on(0, lambda dx, dy, xs, y: abs(dx)),
    },
    "sqrt": {
        "not halved": on(0, twice),
        "of x, not of y": on(0, lambda dx, dy, xs, y: dy / (2 * xs[0])),
    },
    "absolute": {"the sign forgotten": on(0, lambda dx, dy, xs, y: dy)},
    "maximum": {
        "to the smaller": on(0, to_the_other),
        "repeats of b not summed": on(1, mean_over_the_repeats),
    },
    "minimum": {
        "to the larger": on(0, to_the_other),
        "repeats of a not summed": on(0, mean_over_the_repeats),
    },
    "where": {
        "repeats of a not summed": on(0, mean_over_the_repeats),
        "the sign of b": on(1, sign),
    },
    "clip": {"the bounds forgotten": on(0, lambda dx, dy, xs, y: dy)},
    "var": {
        "not doubled": on(0, lambda dx, dy, xs, y: dx / 2),
        "the mean forgotten": on(0, lambda dx, dy, xs, y: dx * xs[0]),
    },
    "min": {
        "to every entry": on(0, lambda dx, dy, xs, y: dx + dy.mean()),
        "to the neighbour": on(0, off_by_one_pixel),
    },
    "logsumexp": {
        "not divided by the sum": on(0, lambda dx, dy, xs, y: dx * np.exp(y.mean())),
        "to the largest only": on(0, lambda dx, dy, xs, y: dx * (xs[0] == xs[0].max())),
    },
    "concatenate": {
        "to the first part only": to_the_first_only,
        "entries in reverse": on(0, reversed_entries),
    },
    "stack": {
        "the parts exchanged": exchanged,
        "to the first part only": to_the_first_only,
    },
    "pad": {"one place off": on(0, off_by_one_pixel), "the sign": on(0, sign)},
    "broadcast_to": {"repeats not summed": on(0, mean_over_the_repeats)},
    "leaky_relu": {
        "no gradient below zero": on(0, lambda dx, dy, xs, y: dy * (y > 0)),
        "the slope everywhere": on(0, lambda dx, dy, xs, y: dy * 0.01),
    },
    "sigmoid": {
        "the slope of tanh": on(0, lambda dx, dy, xs, y: dy * (1 - y * y)),
        "one factor forgotten": on(0, lambda dx, dy, xs, y: dy * y),
    },
    "scaled_tanh": {
        "the inner slope forgotten": on(0, lambda dx, dy, xs, y: dx * 1.5),
        "the slope of tanh": on(0, lambda dx, dy, xs, y: dy * (1 - y * y)),
    },
    "unfold": {"one pixel off": on(0, off_by_one_pixel)},
    "fold": {"one place off": on(0, off_by_one_pixel)},
    "locally_connected2d": {
        "dW shared between the places": on(1, shared_between_the_places),
        "the places in reverse": on(1, reversed_entries),
        "the last input averaged over the batch": last(lambda db, dy, xs, y: db / (len(dy) + 1)),
        "dx one pixel off": on(0, off_by_one_pixel),
    },
    "adaptive_avg_pool2d": {
        "one pixel off": on(0, off_by_one_pixel),
        "as if all windows were alike": on(
            0, lambda dx, dy, xs, y: np.full_like(dx, dy.sum() / dx.size)
        ),
    },
    "local_response_norm": {"the sign": on(0, sign)},
    "batch_norm": {
        "weight and bias exchanged": lambda dy, gradients, inputs, y: [
            gradients[0], *gradients[:0:-1]
        ],
        "the last input averaged over the batch": last(lambda db, dy, xs, y: db / len(dy)),
    },
    "drop_path": {
        "the mask forgotten": on(0, lambda dx, dy, xs, y: dy),
        "survivors not scaled": on(0, lambda dx, dy, xs, y: dy * (y != 0)),
        "the mask of the next example": on(
            0, lambda dx, dy, xs, y: dy * np.roll(y / xs[0], 1, axis=0)
        ),
    },
    "nll_loss": {
        "the sign": on(0, sign),
        "one class further": on(0, off_by_one_pixel),
    },
    "mse_loss": {
        "not doubled": on(0, lambda dx, dy, xs, y: dx / 2),
        "the sign of the targets": on(1, sign),
    },
    "kl_divergence": {"the sign": on(0, sign)},
    "distillation_loss": {
        "the student's logits on both sides": on(0, zero),
        "the teacher less the student": on(0, sign),
    },
    "entropy": {"the sign": on(0, sign)},
    "affine_grid": {
        "x and y exchanged": on(0, lambda dx, dy, xs, y: dx[:, ::-1]),
        "no gradient for the shift": on(0, lambda dx, dy, xs, y: dx * [1, 1, 0]),
    },
    "grid_sample": {
        "dx one pixel off": on(0, off_by_one_pixel),
        "x and y exchanged in the grid": on(1, lambda dx, dy, xs, y: dx[..., ::-1]),
        "in pixels, not in -1..1": on(1, lambda dx, dy, xs, y: dx * 2 / xs[0].shape[:1:-1]),
    },
}  # fmt: skip


# ── the gradient of another function ─────────────────────────────────────────────────────────────


def windows_of_a_pixel(shape, kernel_size, **geometry):
    """How many windows contain each pixel; 1 if none does."""
    ones = np.ones(shape)
    counts = fold(unfold(ones, kernel_size, **geometry), shape[2:], kernel_size, **geometry)
    return np.maximum(counts.data, 1)


def each_pixel_once(x, kernel_size, **geometry):
    return unfold(x / windows_of_a_pixel(x.shape, kernel_size, **geometry), kernel_size, **geometry)


def fold_to_the_mean(columns, output_size, kernel_size, **geometry):
    y = fold(columns, output_size, kernel_size, **geometry)
    return y / windows_of_a_pixel(y.shape, kernel_size, **geometry)


def norm_with_a_constant_scale(x, *settings):
    """As if the energy of the neighbours did not depend on x."""
    return x * (local_response_norm(x.data, *settings).data / x.data)


def norm_with_a_window_of(other):
    return lambda x, size, *settings: local_response_norm(x, max(1, size + other), *settings)


def batch_norm_with_constant(forgotten):
    """As if the batch's mean, or its variance, did not depend on x."""

    def function(x, weight=None, bias=None, running=None, training=True):
        if not training:
            return batch_norm(x, weight, bias, running, training)
        axes = (0, *range(2, x.ndim))
        wide = (1, -1, *[1] * (x.ndim - 2))
        mean = x.mean(axes, keepdims=True)
        variance = var(x, axes, keepdims=True, correction=0)
        if forgotten == "mean":
            mean = mean.detach()
        else:
            variance = variance.detach()
        y = (x - mean) / (variance + 1e-5).sqrt()
        return y if weight is None else y * weight.reshape(wide) + bias.reshape(wide)

    return function


def from_student_to_teacher(student, teacher, T):
    """T²·KL(q‖p), the divergence in the wrong direction."""
    log_q, log_p = log_softmax(student, temperature=T), log_softmax(teacher, temperature=T).data
    return (log_q.exp() * (log_q - log_p)).sum() * (T * T / len(teacher))


def entropy_with_constant_probabilities(logits):
    """(With log q constant instead, the gradient would be right, since Σ dq = 0.)"""
    return (softmax(logits).data * log_softmax(logits)).sum() * (-1 / len(logits.data))


def ignored_counts_as_class_0(logits, targets, *arguments, **settings):
    return cross_entropy(logits, np.where(targets == -100, 0, targets), *arguments, **settings)


def summed_not_averaged(function):
    def wrong(*arguments, reduction, **settings):
        reduction = "sum" if reduction == "mean" else reduction
        return function(*arguments, reduction=reduction, **settings)

    return wrong


def uniform_weight(log_q, p, reduction):
    return kl_divergence(log_q, np.full_like(p, 1 / p.shape[1]), reduction=reduction)


def mean_over_classes_too(log_q, p, reduction):
    loss = kl_divergence(log_q, p, reduction=reduction)
    return loss / p.shape[1] if reduction == "mean" else loss


MISTAKES = {
    "where": {"the condition turned over": lambda condition, a, b: where(~condition, a, b)},
    "var": {"the other correction": lambda x, axis, keep, c: var(x, axis, keep, 1 - c)},
    "unfold": {"a pixel in several windows counted once": each_pixel_once},
    "fold": {"averaged where windows overlap": fold_to_the_mean},
    "local_response_norm": {
        "a window one channel wider": norm_with_a_window_of(+2),
        "a window one channel narrower": norm_with_a_window_of(-2),
        "the energy for a constant": norm_with_a_constant_scale,
        "alpha over the size, or not over it": lambda x, size, alpha, beta, k, over: (
            local_response_norm(x, size, alpha, beta, k, not over)
        ),
    },
    "batch_norm": {
        "the mean for a constant": batch_norm_with_constant("mean"),
        "the variance for a constant": batch_norm_with_constant("variance"),
        "evaluation for training": lambda x, w, b, running, training: batch_norm(
            x, w, b, running, not training
        ),
    },
    "cross_entropy": {
        "smoothing forgotten": lambda z, t, w, *, reduction, label_smoothing: cross_entropy(
            z, t, w, reduction=reduction
        ),
        "class weights forgotten": lambda z, t, w, **settings: cross_entropy(z, t, **settings),
        "ignored rows counted": ignored_counts_as_class_0,
        "summed, not averaged": summed_not_averaged(cross_entropy),
    },
    "nll_loss": {"summed, not averaged": summed_not_averaged(nll_loss)},
    "kl_divergence": {
        "averaged over the classes too": mean_over_classes_too,
        "p forgotten": uniform_weight,
    },
    "distillation_loss": {
        "without the square of T": lambda z, v, T: distillation_loss(z, v, T) / T**2,
        "with T for its square": lambda z, v, T: distillation_loss(z, v, T) / T,
        "at temperature 1": lambda z, v, T: distillation_loss(z, v, 1.0),
        "student and teacher exchanged": from_student_to_teacher,
    },
    "entropy": {"the probabilities for constants": entropy_with_constant_probabilities},
    "affine_grid": {
        "the other corners": lambda theta, size, corners: affine_grid(theta, size, not corners)
    },
    "grid_sample": {
        "the other corners": lambda x, grid, corners: grid_sample(x, grid, not corners),
        "looking at (y, x)": lambda x, grid, corners: grid_sample(x, grid[..., ::-1], corners),
    },
}
