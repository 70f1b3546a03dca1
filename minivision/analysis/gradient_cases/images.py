"""Random examples for the functions that work on images, (N, C, H, W), and on features, (N, I)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision import functional as F
from minivision.analysis.gradient_cases.draws import Case, Rng, all_different, window
from minivision.functional.normalization import RunningStatistics
from minivision.tensor import Tensor


def matmul_case(rng: Rng) -> Case:
    R, M, S, B, D = (int(n) for n in rng.permutation(np.arange(2, 7)))
    pairs = [
        ((R, M), (M, S)), ((M,), (M, S)), ((R, M), (M,)), ((M,), (M,)), ((B, R, M), (M, S)),
        ((R, M), (B, M, S)), ((B, R, M), (B, M, S)), ((M,), (B, M, S)), ((B, R, M), (M,)),
        ((B, 1, R, M), (D, M, S)),
    ]  # fmt: skip
    a, b = pairs[rng.integers(0, len(pairs))]
    return F.matmul, [rng.normal(size=a), rng.normal(size=b)]


def linear_case(rng: Rng) -> Case:
    N, I, O = (int(n) for n in rng.permutation(np.arange(1, 7))[:3])
    inputs = [rng.normal(size=(N, I)), rng.normal(size=(O, I)), rng.normal(size=O)]
    return F.linear, inputs[: rng.integers(2, 4)]


def conv2d_case(rng: Rng) -> Case:
    size, kernel, geometry = window(rng, lambda kernel, dilation: dilation * (kernel - 1))
    N, groups, channels, filters = (int(n) for n in rng.integers(1, 4, 4))
    C, F_ = groups * channels, groups * filters
    inputs = [
        rng.normal(size=(N, C, *size)),
        rng.normal(size=(F_, channels, *kernel)),
        rng.normal(size=F_),
    ]
    return (
        lambda x, weight, bias=None: F.conv2d(x, weight, bias, groups=groups, **geometry),
        inputs[: rng.integers(2, 4)],
    )


def pooling_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        size, kernel, geometry = window(rng, lambda kernel, dilation: kernel // 2)
        # Pooling has no dilation; an image that is large enough with it is large enough without.
        stride, padding = geometry["stride"], geometry["padding"]
        x = all_different(rng, (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *size))
        return lambda x: function(x, kernel, stride, padding), [x]

    return draw


def avg_pooling_case(rng: Rng) -> Case:
    border = bool(rng.random() < 0.5)
    return pooling_case(lambda *window: F.avg_pool2d(*window, count_include_pad=border))(rng)


def adaptive_case(rng: Rng) -> Case:
    N, C, H, W, OH, OW = (int(n) for n in rng.integers(1, 7, 6))
    return lambda x: F.adaptive_avg_pool2d(x, (OH, OW)), [rng.normal(size=(N, C, H, W))]


def unfold_case(rng: Rng) -> Case:
    size, kernel, geometry = window(rng, lambda kernel, dilation: dilation * (kernel - 1))
    N, C = (int(n) for n in rng.integers(1, 4, 2))
    return lambda x: F.unfold(x, kernel, **geometry), [rng.normal(size=(N, C, *size))]


def fold_case(rng: Rng) -> Case:
    size, kernel, geometry = window(rng, lambda kernel, dilation: dilation * (kernel - 1))
    N, C = (int(n) for n in rng.integers(1, 4, 2))
    columns = F.unfold(np.zeros((N, C, *size)), kernel, **geometry)
    return lambda x: F.fold(x, size, kernel, **geometry), [rng.normal(size=columns.shape)]


def locally_connected_case(rng: Rng) -> Case:
    size, kernel, geometry = window(rng, lambda kernel, dilation: kernel - 1)
    stride, padding = geometry["stride"], geometry["padding"]
    N, C, filters = (int(n) for n in rng.integers(1, 4, 3))
    like = F.unfold(np.zeros((1, C, *size)), kernel, 1, padding, stride)
    OH = (size[0] + 2 * padding[0] - kernel[0]) // stride[0] + 1
    OW = like.shape[2] // OH
    inputs = [
        rng.normal(size=(N, C, *size)),
        rng.normal(size=(OH, OW, filters, C, *kernel)),
        rng.normal(size=(filters, OH, OW)),
    ]
    return (
        lambda x, weight, bias=None: F.locally_connected2d(x, weight, bias, stride, padding),
        inputs[: rng.integers(2, 4)],
    )


def local_response_norm_case(rng: Rng) -> Case:
    """With α near 1: at the paper's 1e-4, a window that is off by one would hardly be noticed."""
    size, alpha = int(rng.choice([1, 3, 5, 7])), float(rng.uniform(0.5, 1.5))
    beta, k = float(rng.uniform(0.5, 1.5)), float(rng.uniform(1.0, 2.0))
    over = bool(rng.random() < 0.5)
    N, C, H, W = (int(n) for n in rng.integers(1, 8, 4))
    return (
        lambda x: F.local_response_norm(x, size, alpha, beta, k, over),
        [rng.normal(size=(N, C, H, W))],
    )


def batch_norm_case(rng: Rng) -> Case:
    C = int(rng.integers(1, 5))
    N = int(rng.integers(3, 6))
    size = (N, C) if rng.random() < 0.3 else (N, C, *(int(n) for n in rng.integers(1, 5, 2)))
    training = bool(rng.random() < 0.6)
    mean, var = rng.normal(size=C), rng.uniform(0.5, 2.0, C)

    def function(x, weight=None, bias=None):
        running = RunningStatistics(mean.astype(x.dtype), var.astype(x.dtype), np.array(0))
        return F.batch_norm(x, weight, bias, running, training)

    x = rng.normal(size=size)
    # If a channel's values are nearly equal, the function is too curved for gradcheck's step size.
    x[0] += x.var(axis=(0, *range(2, x.ndim)), keepdims=True)[0] < 0.001
    inputs = [x, rng.uniform(0.5, 2.0, C), rng.normal(size=C)]
    return function, inputs if rng.random() < 0.8 else inputs[:1]


def affine_grid_case(rng: Rng) -> Case:
    N, C, H, W = (int(n) for n in rng.integers(1, 5, 4))
    corners = bool(rng.random() < 0.5)
    return lambda theta: F.affine_grid(theta, (N, C, H, W), corners), [rng.normal(size=(N, 2, 3))]


def grid_sample_case(rng: Rng) -> Case:
    """Points in the middle half of a cell, some of them outside the image."""
    N, C = (int(n) for n in rng.integers(1, 4, 2))
    H, W, OH, OW = (int(n) for n in rng.integers(2, 6, 4))
    corners = bool(rng.random() < 0.5)
    pixels = rng.integers(-2, [W + 1, H + 1], (N, OH, OW, 2)) + rng.uniform(0.25, 0.75, 2)
    pixels[0, 0, 0] = [0.5, 0.5]  # at least one is inside
    span, shift = ([W - 1, H - 1], 0.0) if corners else ([W, H], 0.5)
    grid = (pixels + shift) * 2 / np.array(span) - 1
    return lambda x, grid: F.grid_sample(x, grid, corners), [rng.normal(size=(N, C, H, W)), grid]
