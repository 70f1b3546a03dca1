"""Dropout and DropPath as layers: they draw by key, not from the state of a generator.

Read next: nn/losses.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision import functional as F
from minivision.nn.module import Module
from minivision.tensor import Tensor


class Dropout(Module):
    """Silence each unit with probability p during training; do nothing in evaluation.

    The mask depends on (seed, step, position of the layer, call within the step) only, so a run
    that was stopped and resumed draws the same masks. `fit` calls `model.seed(seed, step)` before
    every step; in a loop of your own, call it yourself.
    """

    random = True

    def __init__(self, p: float = 0.5):
        if not 0 <= p < 1:
            raise ValueError(
                f"{type(self).__name__}: p is {p}; expected a probability from 0 to below 1"
            )
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
        return self._drawn(F.dropout, x)

    def _drawn(self, function: Callable[..., Tensor], x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self._key is None:
            raise RuntimeError(
                f"{type(self).__name__}: no key to draw from; call model.seed(seed, step) before "
                "each training step (fit does), or model.eval() for evaluation"
            )
        rng = np.random.default_rng((*self._key, self._calls))
        self._calls += 1
        return function(x, self.p, rng=rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DropPath(Dropout):
    """Silence whole examples of a residual branch with probability p: stochastic depth."""

    def forward(self, x: Tensor) -> Tensor:
        return self._drawn(F.drop_path, x)
