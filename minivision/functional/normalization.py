"""Normalisation: keep activations in a range where learning works.

Local response normalisation lets neighbouring channels inhibit one another, as in AlexNet; batch
normalisation gives every channel mean 0 and variance 1 over the batch, and has replaced it.

Read next: functional/dropout.py
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module
from minivision.functional.checks import sizes, tensors
from minivision.kernels import choice, fast, plain
from minivision.kernels.memory import in_order, memory_order


def local_response_norm(
    x: Tensor | Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_over_size: bool = False,
) -> Tensor:
    """Divide each activation by the energy of its neighbouring channels: lateral inhibition.

    x (N, C, H, W) -> (N, C, H, W)

        s_c  = k + α Σ_{|j-c| ≤ size//2} x_j²          y_c  = x_c s_c^-β
        dx_c = dy_c s_c^-β - 2αβ x_c Σ_{|j-c| ≤ size//2} dy_j y_j / s_j

    Krizhevsky et al. 2012, §3.3, whose α multiplies the sum. PyTorch and Caffe divide it by
    `size` and begin with k = 1: that is `alpha_over_size=True, k=1`. Only odd windows, which have
    a middle; PyTorch's even ones lean to the left.

    >>> import numpy as np
    >>> x = np.arange(1.0, 8.0).reshape(1, 7, 1, 1)
    >>> local_response_norm(x, alpha=1.0).numpy().ravel().round(6)[:3]
    array([0.125   , 0.148651, 0.144616])
    """
    (x,) = tensors("local_response_norm", x=x)
    N, C, H, W = sizes("local_response_norm", "x", x, "N C H W")
    if not isinstance(size, int | np.integer) or size < 1 or size % 2 == 0:
        raise ValueError(
            f"local_response_norm: size is {size!r}; expected an odd number of channels"
        )
    if not k > 0 or alpha < 0:
        raise ValueError(
            f"local_response_norm: k is {k}, alpha {alpha}; expected k > 0, alpha >= 0"
        )
    alpha, beta, k = float(alpha), float(beta), float(k)
    if alpha_over_size:
        alpha = alpha / int(size)
    a, order, size = x.data, memory_order(x.data), int(size)
    kernel = fast.normalization if choice.use_fast(a) else plain.normalization

    def backward(dy):
        dx = kernel.local_response_gradient(dy, a, size, alpha, beta, k)
        return (in_order(dx, order),)

    return record(kernel.local_response(a, size, alpha, beta, k), (x,), backward)


class RunningStatistics(NamedTuple):
    """What batch_norm remembers for evaluation: arrays that it changes in place."""

    mean: Array  # (C,)
    var: Array  # (C,), the unbiased variance
    num_batches_tracked: Array  # (), how many batches have been seen


def batch_norm(
    x: Tensor | Array,
    weight: Tensor | Array | None = None,
    bias: Tensor | Array | None = None,
    running: RunningStatistics | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Give every channel mean 0 and variance 1 over the batch, then a scale and shift of its own.

    x (N, C) or (N, C, H, W), weight (C), bias (C) -> like x. With m values to a channel:

        μ = Σ x / m       σ² = Σ (x - μ)² / m       x̂ = (x - μ) / √(σ² + ε)       y = γ x̂ + β
        dx = γ / √(σ² + ε) · (dy - Σ dy / m - x̂ Σ dy·x̂ / m)       dγ = Σ dy·x̂       dβ = Σ dy

    Ioffe & Szegedy 2015, Algorithm 1. While training, the running statistics move towards the
    batch's by `momentum` (r ← (1 - momentum)·r + momentum·batch, PyTorch's convention), the
    variance as its unbiased estimate, divided by m - 1. In evaluation they take the batch's place
    and are constants: dx = γ / √(r + ε)·dy.

    Raises ValueError where shapes do not fit, where there is one value to a channel only, and in
    evaluation without running statistics.
    """
    x, weight, bias = tensors("batch_norm", ("weight", "bias"), x=x, weight=weight, bias=bias)
    if x.ndim not in (2, 4):
        raise ValueError(f"batch_norm: x has shape {x.shape}; expected (N, C) or (N, C, H, W)")
    C = x.shape[1]
    for name, part in (("weight", weight), ("bias", bias)):
        if part is not None and part.shape != (C,):
            raise ValueError(f"batch_norm: {name} has shape {part.shape}; expected ({C},)")
    if not training and running is None:
        raise ValueError("batch_norm: training is False, which needs running statistics")
    for name in ("mean", "var") if running is not None else ():
        part = getattr(running, name)
        if part.shape != (C,):
            raise ValueError(f"batch_norm: running.{name} is {part.shape}; expected ({C},)")
        if part.dtype != x.dtype:
            raise TypeError(f"batch_norm: x is {x.dtype} but running.{name} is {part.dtype}")
    momentum, eps = float(momentum), float(eps)
    a, xp = x.data, array_module(x.data)
    gamma = xp.ones(C, a.dtype) if weight is None else weight.data
    beta = xp.zeros(C, a.dtype) if bias is None else bias.data
    want_dx = x.requires_grad
    want_dw = weight is not None and weight.requires_grad
    want_db = bias is not None and bias.requires_grad
    fast_here = choice.use_channel_rows(a)
    kernel = fast.batch_normalization if fast_here else plain.batch_normalization

    if training:
        m = a.size // max(C, 1)  # values to a channel
        if m < 2:
            raise ValueError(
                f"batch_norm: x has shape {x.shape}, one value to a channel; it has no variance"
            )
        y, statistics = kernel.normalize(a, gamma, beta, eps)
        if running is not None:
            mean, var = statistics
            _follow(running, mean, var * (m / (m - 1)), momentum)
    else:
        assert running is not None  # checked above
        constants = running.mean.copy(), running.var.copy()  # the running ones may move on
        y, statistics = kernel.normalize(a, gamma, beta, eps, constants)

    def backward(dy):
        dx, dw, db = kernel.gradients(dy, a, gamma, eps, statistics, of_batch=training)
        return dx if want_dx else None, dw if want_dw else None, db if want_db else None

    return record(y, (x, weight, bias), backward)


def _follow(running: RunningStatistics, mean: Array, var: Array, momentum: float) -> None:
    for statistic, seen in ((running.mean, mean), (running.var, var)):
        statistic *= 1 - momentum
        statistic += momentum * seen
    tracked = running.num_batches_tracked
    tracked += 1
