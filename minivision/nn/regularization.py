"""Dropout and DropPath as layers: each training step draws another mask.

Read next: nn/losses.py
"""

from __future__ import annotations

from collections.abc import Callable

from minivision import functional as F
from minivision.nn.module import Module
from minivision.random import Key, generator, keyed
from minivision.tensor import Tensor


class Dropout(Module):
    """Silence each unit with probability p during training; do nothing in evaluation.

    In a loop of your own the masks come from the generator that `manual_seed` sets. `fit` calls
    `model.seed(seed, step)` before each step instead: then a mask depends only on the seed, the
    step, the position of the layer and the call within the step, so a run that was stopped and
    resumed draws the same masks.

    >>> from minivision import manual_seed
    >>> with manual_seed(3):
    ...     Dropout(0.5)(Tensor([1.0] * 8))
    Tensor([2., 2., 0., 0., 2., 0., 2., 0.], float32)
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
            return function(x, self.p, rng=generator())
        self._calls += 1
        return function(x, self.p, rng=keyed(Key.LAYER, *self._key, self._calls - 1))

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DropPath(Dropout):
    """Silence whole examples of a residual branch with probability p: stochastic depth."""

    def forward(self, x: Tensor) -> Tensor:
        return self._drawn(F.drop_path, x)
