"""Batch normalisation and its gradients, as the formulas stand in functional/normalization.py.

Read next: kernels/free_list.py
"""

from __future__ import annotations

from minivision.backend import Array, array_module


def normalize(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    statistics: tuple[Array, Array] | None = None,
) -> tuple[Array, tuple[Array, Array]]:
    """x (N, C) or (N, C, H, W) -> y = γ (x - μ) / √(σ² + ε) + β, and the μ (C) and σ² (C) in it.

    statistics: μ and σ² where they are given; None takes those of the batch.
    """
    axes, wide = _channel_axes(x)
    mean = x.mean(axis=axes) if statistics is None else statistics[0]
    centred = x - mean.reshape(wide)
    var = (centred * centred).mean(axis=axes) if statistics is None else statistics[1]
    scale = gamma / array_module(x).sqrt(var + eps)
    return centred * scale.reshape(wide) + beta.reshape(wide), (mean, var)


def gradients(
    dy: Array,
    x: Array,
    gamma: Array,
    eps: float,
    statistics: tuple[Array, Array],
    of_batch: bool,
) -> tuple[Array, Array, Array]:
    """dx like x, dγ = Σ dy·x̂ (C) and dβ = Σ dy (C), with x̂ computed anew rather than kept.

    of_batch: whether x made the statistics, which then move with it.
    """
    axes, wide = _channel_axes(x)
    mean, var = statistics
    scale = 1 / array_module(x).sqrt(var + eps)
    normed = (x - mean.reshape(wide)) * scale.reshape(wide)
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * normed).sum(axis=axes)
    dx = dy
    if of_batch:
        m = x.size // len(mean)
        dx = dx - (dbeta / m).reshape(wide) - normed * (dgamma / m).reshape(wide)
    return dx * (gamma * scale).reshape(wide), dgamma, dbeta


def _channel_axes(x: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that a channel's statistics go over, and the shape of its number beside its maps."""
    over = tuple(axis for axis in range(x.ndim) if axis != 1)
    return over, (1, x.shape[1], *[1] * (x.ndim - 2))
