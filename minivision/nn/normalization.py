"""What deeper networks need: normalization, which keeps activations in range, and dropout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from minivision.nn.module import Buffer, Module, Parameter
from minivision.random import Key, keyed
from minivision.tensor import Tensor


class LocalResponseNorm(Module):
    """Lateral inhibition between neighbouring channels, as in AlexNet: x (N, C, H, W) -> same.

    The defaults follow the paper: k = 2, and α multiplies the sum. PyTorch uses k = 1 and α / size.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        *,
        alpha_over_size: bool = False,
    ):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.alpha_over_size = alpha_over_size

    def forward(self, x: Tensor) -> Tensor:
        return F.local_response_norm(
            x, self.size, self.alpha, self.beta, self.k, self.alpha_over_size
        )

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class BatchNorm2d(Module):
    """Mean 0 and variance 1 over the batch for every channel: x (N, C, H, W) -> same.

    weight and bias (C) are trained; running_mean, running_var and num_batches_tracked are buffers
    that training updates and evaluation uses. Names and defaults are PyTorch's.
    """

    axes = 4

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        if num_features < 1 or not eps > 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__}: num_features is {num_features}, eps is {eps} and "
                f"momentum is {momentum}; expected num_features >= 1, eps > 0, 0 <= momentum <= 1"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32))
        self.bias = Parameter(np.zeros(num_features, np.float32))
        self.running_mean = Buffer(np.zeros(num_features, np.float32))
        self.running_var = Buffer(np.ones(num_features, np.float32))
        self.num_batches_tracked = Buffer(np.array(0))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.axes:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}; expected {self.axes} axes"
            )
        running = RunningStatistics(
            self.running_mean.data, self.running_var.data, self.num_batches_tracked.data
        )
        return F.batch_norm(
            x, self.weight, self.bias, running, self.training, self.momentum, self.eps
        )

    def extra_repr(self) -> str:
        return str(self.num_features)


class BatchNorm1d(BatchNorm2d):
    """BatchNorm2d for feature vectors: x (N, C) -> same."""

    axes = 2


class Dropout(Module):
    """Set each unit to 0 with probability p during training; do nothing in evaluation.

    In your own training loop, masks are drawn from the generator that `manual_seed` sets. `fit`
    instead calls `model.seed(seed, step)` before each step. A mask then depends only on the seed,
    the step, the position of the layer and the number of the call within the step, so a run that
    was stopped and resumed draws the same masks.

    >>> from minivision import manual_seed
    >>> with manual_seed(3):
    ...     Dropout(0.5)(Tensor([1.0] * 8))
    Tensor([2., 2., 0., 0., 2., 0., 2., 0.], float32)
    """

    random = True

    def __init__(self, p: float = 0.5):
        if not 0 <= p < 1:
            raise ValueError(f"{type(self).__name__}: p is {p}; expected 0 <= p < 1")
        self.p = p
        self._key: tuple[int, ...] | None = None
        self._calls = 0

    @property  # type: ignore[override]
    def key(self) -> tuple[int, ...] | None:
        """The key that the next masks are drawn from; `Module.seed` sets it."""
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
            return function(x, self.p)
        self._calls += 1
        return function(x, self.p, rng=keyed(Key.LAYER, *self._key, self._calls - 1))

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DropPath(Dropout):
    """Leave out a residual branch for whole images with probability p: stochastic depth."""

    def forward(self, x: Tensor) -> Tensor:
        return self._drawn(F.drop_path, x)
