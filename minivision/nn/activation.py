"""Activations as layers.

Read next: nn/normalization.py
"""

from __future__ import annotations

from minivision import functional as F
from minivision.nn.module import Module
from minivision.tensor import Tensor


class ReLU(Module):
    """max(x, 0), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class Tanh(Module):
    """tanh x, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)


class ScaledTanh(Module):
    """1.7159·tanh(2x/3), entry by entry: LeNet-5's squashing function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_tanh(x)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope·x."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return str(self.negative_slope)
