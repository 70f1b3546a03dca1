"""Random shapes, windows and values for checking gradients.

Sizes differ from one another, so that swapped axes are noticed; kinks and ties are avoided,
because a gradient is one-sided there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
Case = tuple[Callable[..., Any], list[np.ndarray]]


def shape(rng: Rng, least_axes: int = 1, most_axes: int = 4) -> tuple[int, ...]:
    """Sizes from 2 to 6, all different, so that swapped axes are noticed."""
    axes = int(rng.integers(least_axes, most_axes + 1))
    return tuple(int(n) for n in rng.permutation(np.arange(2, 7))[:axes])


def away_from_zero(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Entries of both signs with absolute values from 0.1 to 2; the first is positive."""
    x = rng.uniform(0.1, 2.0, shape) * rng.choice([-1.0, 1.0], shape)
    x.flat[0] = abs(x.flat[0])  # or relu might return nothing but zeros
    return x


def all_different(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Entries that differ from one another by at least 0.01, so that no two tie for the maximum."""
    size = int(np.prod(shape))
    return 0.01 * (rng.permutation(size) - size / 2).reshape(shape)


def broadcast_pair(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: some axes of one have length 1 or are missing."""
    full = shape(rng, 2, 4)
    small = tuple([1 if rng.random() < 0.4 else n for n in full])[int(rng.integers(0, 2)) :]
    return (full, small) if rng.random() < 0.5 else (small, full)


def some_axes(rng: Rng, ndim: int) -> int | tuple[int, ...] | None:
    """All axes, one (counted from either end), or several."""
    kind = rng.integers(0, 3)
    if kind == 0:
        return None
    if kind == 1:
        return int(rng.integers(-ndim, ndim))
    return tuple(int(i) for i in rng.permutation(ndim)[: rng.integers(1, ndim + 1)])


def window(rng: Rng, most_padding: Callable[[int, int], int]) -> tuple[tuple, tuple, dict]:
    """(H, W), (KH, KW) and {stride, padding, dilation} of a window that overlaps the image.

    most_padding(kernel, dilation) -> the largest padding allowed along an axis.
    """
    images, kernels, strides, paddings, dilations = [], [], [], [], []
    for least in rng.permutation([1, 2]):  # KH and KW differ in most draws
        kernel, dilation = int(rng.integers(least, 4)), int(rng.integers(1, 3))
        padding = int(rng.integers(0, most_padding(kernel, dilation) + 1))
        # Large enough for one window, with at least one tap on a pixel instead of the padding.
        fitting = max(dilation * (kernel - 1) + 1 - 2 * padding, dilation)
        images.append(fitting + int(rng.integers(0, 5)))
        kernels.append(kernel)
        strides.append(int(rng.integers(1, 4)))
        paddings.append(padding)
        dilations.append(dilation)
    if images[0] == images[1]:
        images[1] += 1
    geometry = {"stride": strides, "padding": paddings, "dilation": dilations}
    return tuple(images), tuple(kernels), {k: tuple(v) for k, v in geometry.items()}
