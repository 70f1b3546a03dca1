"""Random examples for the functions that work on arrays of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.analysis.gradient_cases.draws import (
    Case,
    Rng,
    all_different,
    away_from_zero,
    broadcast_pair,
    shape,
    some_axes,
)
from minivision.tensor import Tensor


def two_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        a, b = broadcast_pair(rng)
        return function, [away_from_zero(rng, a), rng.uniform(0.5, 2.0, b)]

    return draw


def one_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        return function, [away_from_zero(rng, shape(rng))]

    return draw


def power_case(rng: Rng) -> Case:
    exponent = float(rng.choice([-2.0, -0.5, 0.5, 1.0, 2.0, 3.0]))
    return lambda x: F.power(x, exponent), [rng.uniform(0.5, 2.0, shape(rng))]


def positive_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        return function, [rng.uniform(0.5, 2.0, shape(rng))]

    return draw


def reduction_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        x = all_different(rng, shape(rng, 1, 3))
        axis, keepdims = some_axes(rng, x.ndim), bool(rng.random() < 0.5)
        return lambda x: function(x, axis=axis, keepdims=keepdims), [x]

    return draw


def reshape_case(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    old = x.shape
    new = [(-1,), old[::-1], (old[0], -1), (old[0] * old[1], 1, *old[2:])][rng.integers(0, 4)]
    return lambda x: F.reshape(x, new), [x]


def flatten_case(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    start = int(rng.integers(0, x.ndim))
    return lambda x: F.flatten(x, start_axis=start), [x]


def transpose_case(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 2, 4))
    axes = None if rng.random() < 0.3 else tuple(int(i) for i in rng.permutation(x.ndim))
    return lambda x: F.transpose(x, axes), [x]


def getitem_case(rng: Rng) -> Case:
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


def maximum_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        shapes = broadcast_pair(rng)
        size = sum(math.prod(s) for s in shapes)
        while True:
            values = 0.01 * (rng.permutation(size) - size / 2)  # no two are equal
            a = values[: math.prod(shapes[0])].reshape(shapes[0])
            b = values[math.prod(shapes[0]) :].reshape(shapes[1])
            if (a > b).any() and (a < b).any():  # each is the larger somewhere
                return function, [a, b]

    return draw


def where_case(rng: Rng) -> Case:
    a, b = broadcast_pair(rng)
    condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
    condition.flat[0], condition.flat[-1] = True, False
    return lambda a, b: F.where(condition, a, b), [rng.normal(size=a), rng.normal(size=b)]


def clip_case(rng: Rng) -> Case:
    low, high = [(None, 0.55), (-0.45, None), (-0.45, 0.55)][rng.integers(0, 3)]
    x = all_different(rng, shape(rng, 2, 3))
    return lambda x: F.clip(x, low, high), [4 * (x + 0.0031)]


def var_case(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 1, 3))
    axis, correction = some_axes(rng, x.ndim), int(rng.integers(0, 2))
    keepdims = bool(rng.random() < 0.5)
    return lambda x: F.var(x, axis, keepdims, correction), [x]


def concatenate_case(rng: Rng) -> Case:
    full, count = shape(rng, 1, 3), int(rng.integers(1, 4))
    axis = int(rng.integers(-len(full), len(full)))
    shapes = []
    for n in rng.permutation(np.arange(1, 5))[:count]:
        own = list(full)
        own[axis] = int(n)
        shapes.append(own)
    return lambda *parts: F.concatenate(parts, axis), [rng.normal(size=own) for own in shapes]


def stack_case(rng: Rng) -> Case:
    one, count = shape(rng, 1, 3), int(rng.integers(1, 4))
    axis = int(rng.integers(-len(one) - 1, len(one) + 1))
    return lambda *parts: F.stack(parts, axis), [rng.normal(size=one) for _ in range(count)]


def pad_case(rng: Rng) -> Case:
    x = rng.normal(size=shape(rng, 1, 3))
    widths = [(int(b), int(a)) for b, a in rng.integers(0, 3, (x.ndim, 2))]
    return lambda x: F.pad(x, widths, value=0.7), [x]


def broadcast_to_case(rng: Rng) -> Case:
    full = shape(rng, 2, 4)
    small = tuple([1 if rng.random() < 0.5 else n for n in full])[int(rng.integers(0, 2)) :]
    return lambda x: F.broadcast_to(x, full), [rng.normal(size=small)]
