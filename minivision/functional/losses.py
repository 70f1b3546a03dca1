"""Losses: how wrong an answer is, as one number. Means over the batch, in nats.

Read next: nn/__init__.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module, is_array
from minivision.functional.checks import sizes, tensors
from minivision.functional.softmax import log_probabilities


def cross_entropy(logits: Tensor | Array, targets: Any) -> Tensor:
    """The mean surprise, -log q(target), of a classifier that gives the classes these logits.

    logits (N, K), targets (N,) integers 0..K-1, or (N, K) probabilities -> a scalar

        L = -1/N Σ_n Σ_k p_nk log q_nk,  q = softmax(logits)        dz = (q - p) / N

    A hard target k stands for the distribution p that is 1 at k. It is computed from log softmax,
    so large logits lose nothing. Targets have no gradient.

    Raises ValueError for labels outside 0..K-1 and for soft targets that are negative or do not
    sum to 1 (values are checked on host arrays), TypeError for labels that are no integers.

    >>> round(cross_entropy(Tensor([[2.0, 1.0, 0.0]]), [0]).item(), 4)
    0.4076
    """
    (logits,) = tensors("cross_entropy", logits=logits)
    N, K = sizes("cross_entropy", "logits", logits, "N K")
    if N == 0:
        raise ValueError("cross_entropy: logits has no rows; there is no mean over an empty batch")
    xp = array_module(logits.data)
    p = _distributions(targets, N, K, logits.data)
    log_q = log_probabilities(logits.data, 1, 1.0)

    def backward(dy):
        return ((xp.exp(log_q) - p) * (dy / N),)

    # Where p is 0 its term is 0, also for a class that is masked out with a logit of -∞.
    y = -(p * xp.where(p != 0, log_q, 0)).sum() / N
    return record(y, (logits,), backward)


def _distributions(targets: Any, N: int, K: int, like: Array) -> Array:
    """Hard (N,) or soft (N, K) targets as an array of distributions p (N, K)."""
    if isinstance(targets, Tensor):
        if targets.requires_grad:
            raise ValueError("cross_entropy: targets require a gradient; pass targets.detach()")
        targets = targets.data
    targets = targets if is_array(targets) else np.asarray(targets)
    xp = array_module(like)
    if targets.ndim == 2:
        if targets.shape != (N, K):
            raise ValueError(f"cross_entropy: targets has shape {targets.shape}; not {(N, K)}")
        if targets.dtype.kind != "f":
            raise TypeError(
                f"cross_entropy: soft targets are {targets.dtype}; expected probabilities as floats"
            )
        if isinstance(targets, np.ndarray):
            _require_probabilities(targets)
        return xp.array(targets, dtype=like.dtype)  # a copy: the caller may reuse the array
    if targets.shape != (N,):
        raise ValueError(f"cross_entropy: targets has shape {targets.shape}; not {(N,)}")
    if not isinstance(targets, np.ndarray):
        raise ValueError("cross_entropy: labels are on a GPU; expected a host array of integers")
    if targets.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: labels are {targets.dtype}; expected integers")
    if targets.min() < 0 or targets.max() >= K:
        wrong = int(np.flatnonzero((targets < 0) | (targets >= K))[0])
        raise ValueError(
            f"cross_entropy: targets[{wrong}] is {targets[wrong]}; expected 0 to {K - 1} "
            f"(logits have {K} classes)"
        )
    one_hot = np.zeros((N, K), like.dtype)
    one_hot[np.arange(N), targets] = 1
    return xp.asarray(one_hot)


def _require_probabilities(p: np.ndarray) -> None:
    totals = p.sum(axis=1, dtype=np.float64)
    off = ~(np.abs(totals - 1) <= 1e-4)  # written so that NaN counts as off
    if off.any():
        n = int(np.flatnonzero(off)[0])
        raise ValueError(f"cross_entropy: targets[{n}] sums to {totals[n]:.6g}; expected 1")
    if p.min() < 0:
        n = int(np.flatnonzero((p < 0).any(axis=1))[0])
        raise ValueError(f"cross_entropy: targets[{n}] has a negative probability")
