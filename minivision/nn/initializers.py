"""Initializers: random weights scaled so that the signal neither grows nor vanishes.

A unit adds up fan_in inputs, and the variances of independent terms add up, so Var(Σ w·x) is
fan_in·Var(w)·Var(x). For the output to vary as much as the inputs, the weights' variance must be
about 1 / fan_in. ReLU sets about half of the inputs to 0, hence He's factor of 2. Every initializer
takes a shape and a generator; the same generator state gives the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minivision.backend import to_device
from minivision.nn.module import Module, Parameter
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
    """N(0, σ²) regardless of the fans, as in older papers (Krizhevsky et al. 2012: σ = 0.01)."""

    def draw(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0, standard_deviation, shape).astype(np.float32)

    return draw


class Weighted(Module):
    """Base class of layers with weights, which are drawn He-normal; biases start at 0.

    A subclass supplies the shapes; the bias shape is None for a layer without biases.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        bias_shape: tuple[int, ...] | None,
        initializer: Initializer = he_normal,
    ):
        if min(weight_shape) < 1:
            raise ValueError(
                f"{type(self).__name__}: its weight would have shape {weight_shape}; "
                "expected at least 1 along every axis"
            )
        self.weight = Parameter(np.zeros(weight_shape, np.float32))
        self.bias = None if bias_shape is None else Parameter(np.zeros(bias_shape, np.float32))
        if not skips_init():
            self.draw(initializer)

    def draw(self, initializer: Initializer) -> None:
        """Draw new weights from the generator that `manual_seed` sets; set the biases to 0."""
        drawn = initializer(self.weight.shape, generator()).astype(self.weight.dtype, copy=False)
        self.weight.data = to_device(drawn, self.weight.device)
        if self.bias is not None:
            self.bias.data[...] = 0
            self.bias.mark_changed()


def initialize(model: Module, initializer: Initializer) -> None:
    """Draw all weights of a model, in order, with one initializer, and set the biases to 0.

    This is for networks whose paper has its own scheme. Build the network inside `skip_init`, so
    that nothing is drawn twice, and call this function outside; inside `skip_init` it does nothing.
    The scales and shifts of normalization layers are not changed.

    >>> from minivision.nn import Linear
    >>> from minivision.random import skip_init
    >>> with skip_init():
    ...     layer = Linear(3, 2)
    >>> initialize(layer, normal(0.01))
    >>> bool(0 < abs(layer.weight.data).max() < 0.05)
    True
    """
    if skips_init():
        return
    for module in model.modules():
        if isinstance(module, Weighted):
            module.draw(initializer)
