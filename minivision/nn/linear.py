"""Linear: the fully connected layer. And Flatten, which makes vectors of maps for it.

Read next: nn/convolution.py
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.nn.initializers import Initializer, draw_weights, he_normal
from minivision.nn.module import Module, Parameter
from minivision.tensor import Tensor


class Linear(Module):
    """y = x Wᵀ + b.  x (N, I) -> (N, O), weight (O, I), bias (O).

    Weights are drawn He-normal from `rng`, biases are 0. (PyTorch draws both from
    U(-1/√I, 1/√I).) With initialize=False all are 0: for counting, or for loading weights.

    >>> Linear(784, 10, rng=np.random.default_rng(0)).parameter_count()
    7850
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        initializer: Initializer = he_normal,
        initialize: bool = True,
    ):
        self.in_features, self.out_features = in_features, out_features
        shape = (out_features, in_features)
        self.weight = Parameter(draw_weights("Linear", shape, initializer, rng, initialize))
        self.bias = Parameter(np.zeros(out_features, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_features}, {self.out_features}{bias}"


class Flatten(Module):
    """One vector for each image: x (N, C, H, W) -> (N, C·H·W)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x)
