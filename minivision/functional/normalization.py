"""Normalization: keep activations in a range in which a network learns well.

Local response normalization, used in AlexNet, lets neighbouring channels inhibit one another. Batch
normalization, which has replaced it, gives every channel mean 0 and variance 1 over the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivision import fast
from minivision.backend import Array, array_module
from minivision.functional.inputs import sizes, tensors
from minivision.tensor import Tensor, record


def local_response_norm(
    x: Tensor | Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_over_size: bool = False,
) -> Tensor:
    """Divide each activation by a power of the energy of the channels around it.

    x (N, C, H, W) -> (N, C, H, W)

        s_c  = k + α Σ_{|j-c| ≤ size//2} x_j²          y_c  = x_c s_c^-β
        dx_c = dy_c s_c^-β - 2αβ x_c Σ_{|j-c| ≤ size//2} dy_j y_j / s_j

    Krizhevsky et al. 2012, §3.3; in the paper, α multiplies the sum. PyTorch and Caffe divide α by
    `size` and use k = 1, which is `alpha_over_size=True, k=1` here. size must be odd, so that the
    window has a middle; in PyTorch, an even window reaches one channel further to the left.

    >>> import numpy as np
    >>> x = np.arange(1.0, 8.0).reshape(1, 7, 1, 1)
    >>> local_response_norm(x, alpha=1.0).numpy().ravel().round(6)[:3]
    array([0.125   , 0.148651, 0.144616])
    """
    (x,) = tensors("local_response_norm", x=x)
    N, C, H, W = sizes("local_response_norm", "x", x, "N C H W")
    _check_response_norm(size, alpha, k)
    a, size, beta, k = x.data, int(size), float(beta), float(k)
    alpha = float(alpha) / size if alpha_over_size else float(alpha)
    if fast.serves("local_response_norm", a):
        y, backward = fast.local_response_norm(a, size, alpha, beta, k)
        return record(y, (x,), backward)

    s = k + alpha * channel_window_sum(a * a, size)
    y = a * s**-beta

    def backward(dy):
        # Recomputed: keeping s and s^-β would hold two more arrays as large as x.
        s = k + alpha * channel_window_sum(a * a, size)
        shrink = s**-beta
        shared = channel_window_sum(dy * (a * shrink) / s, size)  # Σ dy·y/s
        return (dy * shrink - 2 * alpha * beta * a * shared,)

    return record(y, (x,), backward)


def channel_window_sum(x: Array, size: int) -> Array:
    """x (N, C, H, W) -> Σ over the `size` (odd) channels around each one, with 0 outside.

    The window is symmetric, so this is its own adjoint.

    >>> import numpy as np
    >>> channel_window_sum(np.ones((1, 4, 1, 1)), 3).ravel()
    array([2., 3., 3., 2.])
    """
    C = x.shape[1]
    y = array_module(x).copy(x)  # in the memory order of x
    for shift in range(1, min(size // 2, C - 1) + 1):
        y[:, shift:] += x[:, :-shift]
        y[:, :-shift] += x[:, shift:]
    return y


def _check_response_norm(size: int, alpha: float, k: float) -> None:
    if not isinstance(size, int | np.integer) or size < 1 or size % 2 == 0:
        raise ValueError(f"local_response_norm: size is {size!r}; expected an odd integer >= 1")
    if not k > 0 or alpha < 0:
        raise ValueError(
            f"local_response_norm: k is {k} and alpha is {alpha}; expected k > 0 and alpha >= 0"
        )


class RunningStatistics(NamedTuple):
    """The statistics that batch_norm keeps for evaluation; it updates the arrays in place."""

    mean: Array  # (C,)
    var: Array  # (C,), the unbiased variance
    num_batches_tracked: Array  # (), the number of batches seen


def batch_norm(
    x: Tensor | Array,
    weight: Tensor | Array | None = None,
    bias: Tensor | Array | None = None,
    running: RunningStatistics | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize every channel to mean 0 and variance 1 over the batch, then scale and shift it.

    x (N, C) or (N, C, H, W), weight (C), bias (C) -> like x. With m values per channel:

        μ = Σ x / m       σ² = Σ (x - μ)² / m       x̂ = (x - μ) / √(σ² + ε)       y = γ x̂ + β
        dx = γ / √(σ² + ε) · (dy - Σ dy / m - x̂ Σ dy·x̂ / m)       dγ = Σ dy·x̂       dβ = Σ dy

    Ioffe & Szegedy 2015, Algorithm 1. During training, the running statistics move towards the
    batch's by `momentum` (r ← (1 - momentum)·r + momentum·batch, PyTorch's convention), using the
    unbiased variance, divided by m - 1. In evaluation they replace the batch's statistics and are
    constants: dx = γ / √(r + ε)·dy.

    Raises ValueError if shapes do not match, if there is only one value per channel in training, or
    if there are no running statistics in evaluation; TypeError if their dtype differs from x's.
    """
    x, weight, bias = tensors("batch_norm", ("weight", "bias"), x=x, weight=weight, bias=bias)
    _check_batch_norm(x, weight, bias, running, training)
    inputs = x, weight, bias
    wanted = [part is not None and part.requires_grad for part in inputs]
    a, xp, C, eps = x.data, array_module(x.data), x.shape[1], float(eps)
    gamma = xp.ones(C, a.dtype) if weight is None else weight.data
    beta = xp.zeros(C, a.dtype) if bias is None else bias.data
    # In evaluation the running statistics are constants. Copy them, because training may update
    # the originals before backward runs.
    given = None if training or running is None else (running.mean.copy(), running.var.copy())

    if fast.serves("batch_norm", a):
        y, backward, (mean, var) = fast.batch_norm(a, gamma, beta, eps, given, wanted)
    else:
        axes = (0,) if a.ndim == 2 else (0, 2, 3)  # all but the channels
        wide = (1, C) if a.ndim == 2 else (1, C, 1, 1)  # broadcasts with x: one per channel
        m = a.size // max(C, 1)  # values per channel
        mean = a.mean(axis=axes) if given is None else given[0]
        centred = a - mean.reshape(wide)
        var = (centred * centred).mean(axis=axes) if given is None else given[1]
        scale = 1 / xp.sqrt(var + eps)  # (C,)
        y = centred * (gamma * scale).reshape(wide) + beta.reshape(wide)

        def backward(dy):
            normed = (a - mean.reshape(wide)) * scale.reshape(wide)  # x̂, recomputed
            dbeta, dgamma = dy.sum(axis=axes), (dy * normed).sum(axis=axes)
            dx = dy
            if given is None:  # the statistics are the batch's, so they depend on x
                dx = dx - (dbeta / m).reshape(wide) - normed * (dgamma / m).reshape(wide)
            dx = dx * (gamma * scale).reshape(wide)
            found = dx, dgamma, dbeta
            return tuple([d if want else None for d, want in zip(found, wanted, strict=True)])

    if training and running is not None:
        _update(running, mean, var, a.size // C, float(momentum))
    return record(y, inputs, backward)


def _update(running: RunningStatistics, mean: Array, var: Array, m: int, momentum: float) -> None:
    """r ← (1 - momentum)·r + momentum·batch, with the unbiased variance of m values.

    The arrays are updated in place, so that the layer that owns them sees the change.
    """
    for statistic, seen in ((running.mean, mean), (running.var, var * (m / (m - 1)))):
        statistic *= 1 - momentum
        statistic += momentum * seen
    tracked = running.num_batches_tracked
    tracked += 1


def _check_batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running: RunningStatistics | None,
    training: bool,
) -> None:
    if x.ndim not in (2, 4):
        raise ValueError(f"batch_norm: x has shape {x.shape}; expected (N, C) or (N, C, H, W)")
    C = x.shape[1]
    for name, part in (("weight", weight), ("bias", bias)):
        if part is not None and part.shape != (C,):
            raise ValueError(f"batch_norm: {name} has shape {part.shape}; expected ({C},)")
    if not training and running is None:
        raise ValueError(
            "batch_norm: running is None; expected running statistics, because training is False"
        )
    for name in ("mean", "var") if running is not None else ():
        part = getattr(running, name)
        if part.shape != (C,):
            raise ValueError(f"batch_norm: running.{name} has shape {part.shape}; expected ({C},)")
        if part.dtype != x.dtype:
            raise TypeError(f"batch_norm: x is {x.dtype} but running.{name} is {part.dtype}")
    if training and x.size < 2 * max(C, 1):
        raise ValueError(
            f"batch_norm: x has shape {x.shape}, one value per channel; a variance needs at least "
            "two (DataLoader(…, drop_last=True) drops a last batch of one image)"
        )
