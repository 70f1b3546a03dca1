"""Batch normalization by the engine, and written in other ways."""

import numpy as np

from tests.exercises.by_the_engine import differentiated


def engine(x, weight, bias, eps):
    return differentiated("batch_norm", x, weight, bias, eps=eps)


def with_a_matrix_per_channel(x, weight, bias, eps):
    """All values of a channel in one row."""
    N, C, H, W = x.shape

    def rows(a):
        return a.transpose(1, 0, 2, 3).reshape(C, -1)

    def images(a):
        return a.reshape(C, N, H, W).transpose(1, 0, 2, 3)

    values, m = rows(x), N * H * W
    centred = values - values.mean(axis=1, keepdims=True)
    invstd = 1 / np.sqrt(values.var(axis=1, keepdims=True) + eps)
    normed = centred * invstd

    def backward(dy):
        dnormed = rows(dy) * weight[:, None]
        dweight, dbias = np.einsum("cm,cm->c", rows(dy), normed), rows(dy).sum(axis=1)
        along = (dnormed * normed).sum(axis=1, keepdims=True)
        dx = (m * dnormed - dnormed.sum(axis=1, keepdims=True) - normed * along) * invstd / m
        return images(dx), dweight, dbias

    return images(normed * weight[:, None] + bias[:, None]), backward


def by_the_chain_rule(x, weight, bias, eps):
    """Algorithm 1 of the paper, one step at a time, and backward in reverse order."""
    axes, wide = (0, 2, 3), (1, -1, 1, 1)
    m = x[:, 0].size
    centred = x - x.sum(axis=axes, keepdims=True) / m
    var = (centred**2).sum(axis=axes, keepdims=True) / m
    normed = centred * (var + eps) ** -0.5

    def backward(dy):
        dnormed = dy * weight.reshape(wide)
        dvar = (dnormed * centred).sum(axis=axes, keepdims=True) * -0.5 * (var + eps) ** -1.5
        dcentred = dnormed * (var + eps) ** -0.5 + dvar * 2 * centred / m
        dx = dcentred - dcentred.sum(axis=axes, keepdims=True) / m
        return dx, (dy * normed).sum(axis=axes), dy.sum(axis=axes)

    return normed * weight.reshape(wide) + bias.reshape(wide), backward


def with_a_loop_over_the_channels(x, weight, bias, eps):
    y, normed, std = np.empty_like(x), np.empty_like(x), []
    for c in range(len(weight)):
        std.append(np.sqrt(x[:, c].var() + x.dtype.type(eps)))
        normed[:, c] = (x[:, c] - x[:, c].mean()) / std[c]
        y[:, c] = weight[c] * normed[:, c] + bias[c]

    def backward(dy):
        dx, dweight, dbias = np.empty_like(x), np.empty_like(weight), np.empty_like(bias)
        for c in range(len(weight)):
            g, z = dy[:, c], normed[:, c]
            dweight[c], dbias[c] = (g * z).sum(), g.sum()
            dx[:, c] = weight[c] / std[c] * (g - g.mean() - z * (g * z).mean())
        return dx, dweight, dbias

    return y, backward
