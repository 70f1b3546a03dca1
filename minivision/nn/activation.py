"""ReLU and Tanh as layers.

Read next: nn/regularization.py
"""

from __future__ import annotations

from minivision import functional as F
from minivision.autograd import Tensor
from minivision.nn.module import Module


class ReLU(Module):
    """max(x, 0), entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class Tanh(Module):
    """tanh x, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)
