"""A random example for every differentiable function, to check its gradient on.

`CASES` has one `draw(rng)` for each name in `minivision.functional`: it draws a geometry (never
square, strides that do not divide, groups, padding) and returns a call and its float64 inputs. The
inputs keep away from kinks and ties, where a gradient is one-sided. `minivision gradcheck` and the
tests read the same table, so a new function without a case is noticed.

Read next: analysis/graph.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from minivision import functional as F
from minivision.autograd import Tensor
from minivision.gradcheck import GradientError, gradcheck

Rng = np.random.Generator
Case = tuple[Callable[..., Tensor], list[np.ndarray]]


class Row(NamedTuple):
    """What `check_all` found for one function."""

    name: str
    worst_error: float
    geometries: int
    seconds: float


def check_all(
    geometries: int = 10, seed: int = 0, names: Iterable[str] | None = None
) -> Iterator[Row]:
    """Check functions of CASES (all, or those named) on so many random geometries, a row for each.

    The draws of a function depend on the seed and on the function's name only. Raises
    GradientError, naming the function and the geometry's number, at the first wrong gradient.
    """
    for name in CASES if names is None else names:
        draw = CASES[name]
        rng = np.random.default_rng([seed, *name.encode()])
        start, worst = perf_counter(), 0.0
        for number in range(geometries):
            function, inputs = draw(rng)
            try:
                report = gradcheck(function, inputs, rng=rng)
            except GradientError as error:
                raise GradientError(f"{name}, geometry {number} of seed {seed}: {error}") from error
            worst = max(worst, report.worst_error)
        yield Row(name, worst, geometries, perf_counter() - start)


# ── what is drawn ────────────────────────────────────────────────────────────────────────────


def shape(rng: Rng, least_axes: int = 1, most_axes: int = 4) -> tuple[int, ...]:
    """Sizes from 2 to 6, all different, so that exchanged axes are noticed."""
    axes = int(rng.integers(least_axes, most_axes + 1))
    return tuple(int(n) for n in rng.permutation(np.arange(2, 7))[:axes])


def away_from_zero(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Entries of both signs with absolute values from 0.1 to 2; the first is positive."""
    x = rng.uniform(0.1, 2.0, shape) * rng.choice([-1.0, 1.0], shape)
    x.flat[0] = abs(x.flat[0])  # or relu may be given nothing but zeros to pass on
    return x


def all_different(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Entries that differ by at least 0.01 from one another, so that no two tie for the maximum."""
    size = int(np.prod(shape))
    return 0.01 * (rng.permutation(size) - size / 2).reshape(shape)


def broadcast_pair(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: axes of one stretch along the other, or are missing in it."""
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
    """(H, W), (KH, KW) and {stride, padding, dilation} of a window that meets the image.

    most_padding(kernel, dilation) -> the largest padding allowed along an axis.
    """
    images, kernels, strides, paddings, dilations = [], [], [], [], []
    for least in rng.permutation([1, 2]):  # KH and KW differ in most draws
        kernel, dilation = int(rng.integers(least, 4)), int(rng.integers(1, 3))
        padding = int(rng.integers(0, most_padding(kernel, dilation) + 1))
        # Large enough for one window, and for a tap of it to meet a pixel and not only the border.
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


# ── one draw for each function ───────────────────────────────────────────────────────────────


def _two(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        a, b = broadcast_pair(rng)
        return function, [away_from_zero(rng, a), rng.uniform(0.5, 2.0, b)]

    return draw


def _one(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        return function, [away_from_zero(rng, shape(rng))]

    return draw


def _power(rng: Rng) -> Case:
    exponent = float(rng.choice([-2.0, -0.5, 0.5, 1.0, 2.0, 3.0]))
    return lambda x: F.power(x, exponent), [rng.uniform(0.5, 2.0, shape(rng))]


def _log(rng: Rng) -> Case:
    return F.log, [rng.uniform(0.5, 2.0, shape(rng))]


def _reduction(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        x = all_different(rng, shape(rng, 1, 3))
        axis, keepdims = some_axes(rng, x.ndim), bool(rng.random() < 0.5)
        return lambda x: function(x, axis=axis, keepdims=keepdims), [x]

    return draw


def _reshape(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    old = x.shape
    new = [(-1,), old[::-1], (old[0], -1), (old[0] * old[1], 1, *old[2:])][rng.integers(0, 4)]
    return lambda x: F.reshape(x, new), [x]


def _flatten(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    start = int(rng.integers(0, x.ndim))
    return lambda x: F.flatten(x, start_axis=start), [x]


def _transpose(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    axes = None if rng.random() < 0.3 else tuple(int(i) for i in rng.permutation(x.ndim))
    return lambda x: F.transpose(x, axes), [x]


def _getitem(rng: Rng) -> Case:
    x = rng.normal(size=(4, 5, 3))
    rows = rng.integers(-4, 4, 6)  # some are chosen twice
    mask = rng.random((4, 5)) < 0.5
    mask[0, 0] = True
    indices: list[Any] = [
        1, -1, slice(None, None, -2), (slice(1, 4), 2), (..., 0), (None, 2), (2, slice(0, 3), 1),
        rows, (rows, slice(1, 3)), (slice(None), rng.integers(0, 5, (2, 3))), mask,
        (rows, rng.integers(0, 5, 6), 1),
    ]  # fmt: skip
    index = indices[rng.integers(0, len(indices))]
    return lambda x: F.getitem(x, index), [x]


def _matmul(rng: Rng) -> Case:
    R, M, S, B, D = (int(n) for n in rng.permutation(np.arange(2, 7)))
    pairs = [
        ((R, M), (M, S)), ((M,), (M, S)), ((R, M), (M,)), ((M,), (M,)), ((B, R, M), (M, S)),
        ((R, M), (B, M, S)), ((B, R, M), (B, M, S)), ((M,), (B, M, S)), ((B, R, M), (M,)),
        ((B, 1, R, M), (D, M, S)),
    ]  # fmt: skip
    a, b = pairs[rng.integers(0, len(pairs))]
    return F.matmul, [rng.normal(size=a), rng.normal(size=b)]


def _linear(rng: Rng) -> Case:
    N, I, O = (int(n) for n in rng.permutation(np.arange(1, 7))[:3])
    inputs = [rng.normal(size=(N, I)), rng.normal(size=(O, I)), rng.normal(size=O)]
    return F.linear, inputs[: rng.integers(2, 4)]


def _conv2d(rng: Rng) -> Case:
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


def _pooling(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        size, kernel, geometry = window(rng, lambda kernel, dilation: kernel // 2)
        # Pooling has no dilation; an image that is large enough with it is so without.
        stride, padding = geometry["stride"], geometry["padding"]
        x = all_different(rng, (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *size))
        return lambda x: function(x, kernel, stride, padding), [x]

    return draw


def _dropout(rng: Rng) -> Case:
    p, seed = float(rng.uniform(0.1, 0.6)), int(rng.integers(2**32))
    x = rng.normal(size=(5, *shape(rng, 2, 3)))
    return lambda x: F.dropout(x, p, rng=np.random.default_rng(seed)), [x]


def _softmax(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        x = rng.normal(size=shape(rng, 1, 3))
        axis, T = int(rng.integers(-x.ndim, x.ndim)), float(rng.uniform(0.5, 3.0))
        return lambda x: function(x, axis=axis, temperature=T), [x]

    return draw


def _cross_entropy(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    hard, soft = rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)
    targets = hard if rng.random() < 0.5 else soft
    return lambda logits: F.cross_entropy(logits, targets), [rng.normal(size=(N, K))]


CASES: dict[str, Callable[[Rng], Case]] = {
    "add": _two(F.add),
    "subtract": _two(F.subtract),
    "multiply": _two(F.multiply),
    "divide": _two(F.divide),
    "negative": _one(F.negative),
    "power": _power,
    "exp": _one(F.exp),
    "log": _log,
    "sum": _reduction(F.sum),
    "mean": _reduction(F.mean),
    "max": _reduction(F.max),
    "reshape": _reshape,
    "flatten": _flatten,
    "transpose": _transpose,
    "getitem": _getitem,
    "relu": _one(F.relu),
    "tanh": _one(F.tanh),
    "matmul": _matmul,
    "linear": _linear,
    "conv2d": _conv2d,
    "max_pool2d": _pooling(F.max_pool2d),
    "avg_pool2d": _pooling(F.avg_pool2d),
    "dropout": _dropout,
    "softmax": _softmax(F.softmax),
    "log_softmax": _softmax(F.log_softmax),
    "cross_entropy": _cross_entropy,
}
