"""Initializers: random weights whose size keeps the signal neither growing nor vanishing.

A unit adds up fan_in inputs. For its output to vary as much as its inputs, the weights' variance
must be about 1 / fan_in; ReLU silences half of it, hence He's factor 2. Every function takes a
shape and an explicit generator: the same generator state gives the same weights.

Read next: nn/sequential.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minivision.backend import to_device
from minivision.nn.module import Module
from minivision.random import generator, skips_init

Initializer: TypeAlias = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of weights (O, I) or (F, C/groups, KH, KW): inputs and outputs of a unit.

    >>> fans((16, 6, 5, 5))
    (150, 400)
    """
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """N(0, 2 / fan_in), for ReLU (He et al. 2015, eq. 10)."""
    return rng.normal(0, math.sqrt(2 / fans(shape)[0]), shape).astype(np.float32)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """U(-a, a) with a = √(6 / (fan_in + fan_out)), for tanh (Glorot & Bengio 2010, eq. 16)."""
    a = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-a, a, shape).astype(np.float32)


def normal(standard_deviation: float) -> Initializer:
    """N(0, σ²) whatever the fans, as the older papers did (Krizhevsky et al. 2012: σ = 0.01)."""

    def draw(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0, standard_deviation, shape).astype(np.float32)

    return draw


def draw_weights(
    layer: str,
    shape: tuple[int, ...],
    initializer: Initializer,
    rng: np.random.Generator | None,
    initialize: bool,
) -> np.ndarray:
    """A layer's weights, from `rng` or else the shared generator; zeros inside `skip_init`."""
    if min(shape) < 1:
        raise ValueError(f"{layer}: its weight would be {shape}; every size must be at least 1")
    if not initialize or skips_init():
        return np.zeros(shape, np.float32)
    rng = generator() if rng is None else rng
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{layer}: rng is {rng!r}; expected np.random.default_rng(seed), or nothing: layers "
            "draw from the generator that minivision.manual_seed(seed) sets"
        )
    return initializer(shape, rng)


def initialize(model: Module, initializer: Initializer) -> None:
    """Draw all weights of a model by one scheme, in their order, and set the biases to 0.

    For networks whose paper has a scheme of its own; build them inside `skip_init`, so that nothing
    is drawn twice. Scales and shifts of a normalization are left as they are.

    >>> from minivision.nn import Linear
    >>> from minivision.random import manual_seed, skip_init
    >>> with manual_seed(0), skip_init():
    ...     layer = Linear(3, 2)
    ...     initialize(layer, normal(0.01))
    >>> bool(0 < abs(layer.weight.data).max() < 0.05)
    True
    """
    for module in model.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is None or weight.ndim < 2:
            continue
        drawn = initializer(weight.shape, generator()).astype(weight.dtype)
        weight.data = to_device(drawn, weight.device)  # which refuses another shape
        if bias is not None:
            bias.data[...] = 0
            bias.mark_changed()
