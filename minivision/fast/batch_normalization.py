"""Batch normalization, a few channels at a time, so that they stay in the cache for all passes.

With the channels outermost in memory, a channel is one long row. Its mean, its variance and the
result need one pass over memory; the code in functional/ needs seven. More threads would not help,
because the calls are too short (see fast/workers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.memory import empty_like
from minivision.fast.stacked_rows import cut
from minivision.fast.workers import one_blas_thread


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    eps: float,
    given: tuple[Array, Array] | None,
    wanted: Sequence[bool],
) -> tuple[Array, Callable, tuple[Array, Array]]:
    """y = γ (x - μ) / √(σ² + ε) + β, its backward function, and the μ (C) and σ² (C) used.

    given: μ and σ²; None: those of the batch. wanted: which of dx, dγ and dβ are needed.
    """
    y = empty_like(x)
    rows, out = channel_rows(x), channel_rows(y)
    C, m = rows.shape
    mean, var = (np.empty(C, x.dtype) for _ in range(2)) if given is None else given
    with one_blas_thread():
        for some in _few_channels(C, m):
            few, y_few = rows[some], out[some]
            if given is None:
                mean[some] = few.mean(axis=1)
            np.subtract(few, mean[some, None], out=y_few)
            if given is None:
                var[some] = np.vecdot(y_few, y_few) / m
            y_few *= (weight[some] / np.sqrt(var[some] + eps))[:, None]
            y_few += bias[some, None]

    def backward(dy: Array) -> tuple[Array | None, ...]:
        found = _gradients(dy, x, weight, eps, (mean, var), of_batch=given is None)
        return tuple([d if want else None for d, want in zip(found, wanted, strict=True)])

    return y, backward, (mean, var)


def _gradients(
    dy: Array,
    x: Array,
    gamma: Array,
    eps: float,
    statistics: tuple[Array, Array],
    of_batch: bool,
) -> tuple[Array, Array, Array]:
    """dx like x, dγ = Σ dy·x̂ (C) and dβ = Σ dy (C), with x̂ recomputed rather than kept.

    of_batch: whether the statistics were computed from x, and therefore depend on x.
    """
    dx = empty_like(x)
    dy_rows, rows, out = (channel_rows(a) for a in (dy, x, dx))
    C, m = rows.shape
    mean, var = statistics
    scale = 1 / np.sqrt(var + eps)
    dgamma, dbeta = np.empty(C, x.dtype), np.empty(C, x.dtype)
    with one_blas_thread():
        for some in _few_channels(C, m):
            dy_few, dx_few = dy_rows[some], out[some]
            np.subtract(rows[some], mean[some, None], out=dx_few)  # x̂ / scale, for now
            dgamma[some] = scale[some] * np.vecdot(dy_few, dx_few)
            dbeta[some] = dy_few.sum(axis=1)
            if of_batch:
                dx_few *= (scale[some] * dgamma[some] / -m)[:, None]
                dx_few += dy_few
                dx_few -= dbeta[some, None] / m
            else:
                dx_few[...] = dy_few
            dx_few *= (gamma[some] * scale[some])[:, None]
    return dx, dgamma, dbeta


def _few_channels(C: int, m: int) -> list[slice]:
    """Slices of the channels; those of a slice, with m values each, fit in the cache together."""
    return [slice(few.start, few.stop) for few in cut(C, choice.BLOCK // m)]


def channel_rows(x: Array) -> Array:
    """x (N, C) or (N, C, H, W) -> (C, values), a view if channels are outermost in memory."""
    return x.transpose(*range(1, x.ndim), 0).reshape(x.shape[1], -1)
