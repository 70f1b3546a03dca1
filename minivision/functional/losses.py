"""Losses: how wrong an answer is, as one number. Means over the batch, in nats.

Surprise is -log of the probability that was given to what happened; with the natural logarithm its
unit is the nat (1 nat = 1.44 bits).

Read next: functional/distillation.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.backend import Array, array_module, is_array
from minivision.functional.inputs import sizes, tensors
from minivision.functional.softmax import log_probabilities
from minivision.tensor import Tensor, record

IGNORED = -100  # PyTorch's label for "do not count this one"


def cross_entropy(
    logits: Tensor | Array,
    targets: Any,
    weight: Array | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The mean surprise, -log q(target), of a classifier that gives the classes these logits.

    logits (N, K), targets (N,) integers 0..K-1, or (N, K) probabilities -> a scalar

        L = -1/N Σ_n Σ_k p_nk log q_nk,  q = softmax(logits)        dz = (q - p) / N

    A hard target k stands for the distribution p that is 1 at k. It is computed from log softmax,
    so large logits lose nothing. Targets have no gradient.

    weight (K): multiplies each class's term; the mean over hard targets is then the weighted one,
        divided by Σ_n weight[target]. ignore_index: rows with this label do not count.
    label_smoothing: ε; p becomes (1 - ε)·p + ε/K (Szegedy et al. 2016, §7).
    reduction: "mean", "sum", or "none" for the losses (N) of all rows. All as in PyTorch.

    Raises ValueError for labels outside 0..K-1 and for soft targets that are negative or do not
    sum to 1 (values are checked on host arrays), TypeError for labels that are no integers.

    >>> round(cross_entropy(Tensor([[2.0, 1.0, 0.0]]), [0]).item(), 4)
    0.4076
    """
    (logits,) = tensors("cross_entropy", logits=logits)
    N, K = sizes("cross_entropy", "logits", logits, "N K")
    xp = array_module(logits.data)
    label_smoothing = float(label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}; expected 0 to 1")
    p, divisor = _distributions(
        "cross_entropy", targets, N, K, logits.data, weight, ignore_index, float(label_smoothing)
    )
    log_q = log_probabilities(logits.data, 1, 1.0)

    def backward(dy):
        dlogits = xp.exp(log_q) * p.sum(axis=1, keepdims=True) - p
        return (dlogits * spread(dy, reduction, divisor),)

    # Where p is 0 its term is 0, also for a class that is masked out with a logit of -∞.
    losses = -(p * xp.where(p != 0, log_q, 0)).sum(axis=1)  # (N,)
    return record(reduce("cross_entropy", losses, reduction, divisor), (logits,), backward)


def nll_loss(
    log_probabilities: Tensor | Array,
    targets: Any,
    weight: Array | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    """-log q(target) for log probabilities that are given: nll_loss(log_softmax(z)) is CE(z).

    log_probabilities (N, K), targets (N,) integers -> a scalar        dlog_q = -p / N
    """
    name = "nll_loss"
    (log_probabilities,) = tensors(name, log_probabilities=log_probabilities)
    N, K = sizes(name, "log_probabilities", log_probabilities, "N K")
    log_q = log_probabilities.data
    targets = constant(name, "targets", targets)
    targets = targets if is_array(targets) else np.asarray(targets)
    if targets.ndim != 1:
        raise ValueError(f"{name}: targets has shape {targets.shape}; expected ({N},)")
    p, divisor = _distributions(name, targets, N, K, log_q, weight, ignore_index, 0.0)

    def backward(dy):
        return (-p * spread(dy, reduction, divisor),)

    losses = -(p * array_module(log_q).where(p != 0, log_q, 0)).sum(axis=1)  # (N,)
    return record(reduce(name, losses, reduction, divisor), (log_probabilities,), backward)


def mse_loss(
    predictions: Tensor | Array, targets: Tensor | Array, *, reduction: str = "mean"
) -> Tensor:
    """The mean squared difference of two Tensors of one shape.

    L = Σ (x - t)² / n        dx = 2·(x - t) / n = -dt
    """
    predictions, targets = tensors("mse_loss", predictions=predictions, targets=targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"mse_loss: predictions has shape {predictions.shape} and targets {targets.shape}; "
            "expected the same"
        )
    difference = predictions.data - targets.data
    n = difference.size
    want_dx, want_dt = predictions.requires_grad, targets.requires_grad

    def backward(dy):
        scale = dy / n if reduction == "mean" else dy
        dx = 2 * difference * scale
        return dx if want_dx else None, -dx if want_dt else None

    squares = difference * difference
    return record(reduce("mse_loss", squares, reduction, n), (predictions, targets), backward)


def reduce(function: str, losses: Array, reduction: str, divisor: Any) -> Array:
    """The losses themselves, their sum, or their sum over the divisor."""
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f'{function}: reduction is {reduction!r}; not "mean", "sum" or "none"')
    if reduction == "mean" and losses.size == 0:
        raise ValueError(f"{function}: the batch is empty; there is no mean over it")
    return losses.sum() if reduction == "sum" else losses.sum() / divisor


def spread(dy: Array, reduction: str, divisor: Any) -> Array:
    """What arrives at each row (N, 1), or at all of them alike, for dy of the reduced loss."""
    if reduction == "none":
        return dy[:, None]
    return dy / divisor if reduction == "mean" else dy


def constant(function: str, name: str, value: Any) -> Any:
    """The array of an argument that has no gradient; ValueError where it asks for one."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(f"{function}: {name} requires a gradient; pass {name}.detach()")
        return value.data
    return value


def check_probabilities(function: str, name: str, p: Array) -> None:
    """Raise where a row of p (N, K) is no distribution; values are looked at on the host only."""
    if p.dtype.kind != "f":
        raise TypeError(f"{function}: {name} is {p.dtype}; expected probabilities as floats")
    if not isinstance(p, np.ndarray) or not p.size:
        return
    totals = p.sum(axis=1, dtype=np.float64)
    off = ~(np.abs(totals - 1) <= 1e-4)  # written so that NaN counts as off
    if off.any():
        n = int(np.flatnonzero(off)[0])
        raise ValueError(f"{function}: {name}[{n}] sums to {totals[n]:.6g}; expected 1")
    if p.min() < 0:
        n = int(np.flatnonzero((p < 0).any(axis=1))[0])
        raise ValueError(f"{function}: {name}[{n}] has a negative probability")


def _distributions(
    function: str,
    targets: Any,
    N: int,
    K: int,
    like: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Any]:
    """Targets as weighted distributions p (N, K), and what the sum is divided by in the mean."""
    targets = constant(function, "targets", targets)
    targets = targets if is_array(targets) else np.asarray(targets)
    xp = array_module(like)
    if weight is not None:
        weight = xp.asarray(constant(function, "weight", weight), dtype=like.dtype)
        if weight.shape != (K,):
            raise ValueError(f"{function}: weight has shape {weight.shape}; expected ({K},)")
    if targets.ndim == 2:
        if targets.shape != (N, K):
            raise ValueError(f"{function}: targets has shape {targets.shape}; expected {(N, K)}")
        check_probabilities(function, "targets", targets)
        p, divisor = xp.array(targets, dtype=like.dtype), N  # a copy: the caller may reuse it
    else:
        labels, counted = _labels(function, targets, N, K, ignore_index)
        one_hot = np.zeros((N, K), like.dtype)
        one_hot[np.arange(N)[counted], labels[counted]] = 1
        p = xp.asarray(one_hot)
        divisor = int(counted.sum()) if weight is None else (p * weight).sum()
    if label_smoothing:
        rows = p.sum(axis=1, keepdims=True)  # 0 for a row that is ignored
        p = (1 - label_smoothing) * p + rows * (label_smoothing / K)
    return p if weight is None else p * weight, divisor


def _labels(
    function: str, targets: Any, N: int, K: int, ignore_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Checked labels (N,) on the host, and which of them count."""
    if targets.shape != (N,):
        raise ValueError(f"{function}: targets has shape {targets.shape}; expected {(N,)}")
    if not isinstance(targets, np.ndarray):
        raise ValueError(f"{function}: labels are on a GPU; expected a host array of integers")
    if N and targets.dtype.kind not in "iu":
        raise TypeError(f"{function}: labels are {targets.dtype}; expected integers")
    counted = targets != ignore_index
    wrong = np.flatnonzero(counted & ((targets < 0) | (targets >= K)))
    if wrong.size:
        raise ValueError(
            f"{function}: targets[{wrong[0]}] is {targets[wrong[0]]}; expected 0 to {K - 1} "
            f"(there are {K} classes)"
        )
    if N and not counted.any():
        raise ValueError(f"{function}: every target is ignore_index ({ignore_index})")
    return targets, counted
