"""Local response and batch normalisation as layers.

Read next: nn/regularization.py
"""

from __future__ import annotations

import numpy as np

from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from minivision.nn.module import Buffer, Module, Parameter
from minivision.tensor import Tensor


class LocalResponseNorm(Module):
    """Lateral inhibition between neighbouring channels, as in AlexNet: x (N, C, H, W) -> same.

    The defaults are the paper's (k = 2, α on the sum); PyTorch's are k = 1 and α / size.
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
    that training moves and evaluation uses. Names and defaults are PyTorch's.
    """

    axes = 4

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        if num_features < 1 or not eps > 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__}: num_features is {num_features}, eps {eps}, momentum "
                f"{momentum}; expected at least 1 channel, eps > 0 and momentum from 0 to 1"
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
    """BatchNorm2d for features: x (N, C) -> same."""

    axes = 2
