"""Dropout as a layer: it draws by key, not from the state of a generator.

Read next: nn/weights.py
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.autograd import Tensor
from minivision.nn.module import Module


class Dropout(Module):
    """Silence each unit with probability p during training; do nothing in evaluation.

    The mask depends on (seed, step, position of the layer, call within the step) only, so a run
    that was stopped and resumed draws the same masks. `fit` calls `model.seed(seed, step)` before
    every step; in a loop of your own, call it yourself.
    """

    random = True

    def __init__(self, p: float = 0.5):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is {p}; expected a probability from 0 to below 1")
        self.p = p
        self._key: tuple[int, ...] | None = None
        self._calls = 0

    @property  # type: ignore[override]
    def key(self) -> tuple[int, ...] | None:
        """What the next masks are drawn from; `Module.seed` sets it."""
        return self._key

    @key.setter
    def key(self, key: tuple[int, ...] | None) -> None:
        self._key, self._calls = key, 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self._key is None:
            raise RuntimeError(
                "Dropout: no key to draw from; call model.seed(seed, step) before each training "
                "step (fit does), or model.eval() for evaluation"
            )
        rng = np.random.default_rng((*self._key, self._calls))
        self._calls += 1
        return F.dropout(x, self.p, rng=rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
