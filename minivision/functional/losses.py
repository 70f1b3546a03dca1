"""Losses measure how wrong a prediction is, as one number: a mean over the batch, in nats.

The surprise at an event is -log of the probability that was assigned to it. With the natural
logarithm, its unit is the nat (1 nat = 1.44 bits).
"""

from __future__ import annotations

from typing import Any

from minivision.backend import Array, array_module
from minivision.functional.inputs import tensors
from minivision.functional.loss_checks import classes_of_rows, target_distributions
from minivision.functional.softmax import log_probabilities
from minivision.tensor import Tensor, record

IGNORED = -100  # PyTorch's label for an example that should not count


def cross_entropy(
    logits: Tensor | Array,
    targets: Any,
    weight: Array | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The mean surprise, -log q(target), of a classifier with these logits.

    logits (N, K), targets (N,) integers 0..K-1, or (N, K) probabilities -> a scalar

        L = -1/N Σ_n Σ_k p_nk log q_nk,  q = softmax(z)        dz = (q - p) / N,  z the logits

    A hard target k stands for the distribution p that is 1 at k. To derive dz: with a hard target,
    the loss for one row is -z_k + log Σ_j exp(z_j), and its derivative with respect to z_j is q_j,
    minus 1 if j = k; the mean divides by N. The loss is computed from log softmax, so large logits
    lose no precision. Targets receive no gradient.

    The settings work as in PyTorch:

    weight (K): multiplies each class's term; the mean over hard targets is then a weighted mean,
        divided by Σ_n weight[target]. ignore_index: rows with this label do not count.
    label_smoothing: ε; p becomes (1 - ε)·p + ε/K (Szegedy et al. 2016, §7).
    reduction: "mean", "sum", or "none" for the losses (N) of all rows.

    Raises ValueError for labels outside 0..K-1, for soft targets that are negative or do not sum
    to 1 (values are checked on host arrays) and for a mean over zero rows (NaN in PyTorch);
    TypeError for labels that are not integers.

    >>> round(cross_entropy(Tensor([[2.0, 1.0, 0.0]]), [0]).item(), 4)
    0.4076
    """
    (logits,) = tensors("cross_entropy", logits=logits)
    N, K = classes_of_rows("cross_entropy", "logits", logits)
    xp = array_module(logits.data)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing is {label_smoothing}; expected a number from 0 to 1"
        )
    p, divisor = target_distributions(
        "cross_entropy", targets, N, K, logits.data, weight, ignore_index, float(label_smoothing)
    )
    log_q = log_probabilities(logits.data, 1, 1.0)

    def backward(dy):
        # q - p if the row of p sums to 1. An ignored row sums to 0; with class weights, a row sums
        # to the weight of its class.
        total = p.sum(axis=1, keepdims=True)
        dlosses = xp.where(total != 0, spread(dy, reduction, divisor), 0)
        return ((xp.exp(log_q) * total - p) * dlosses,)

    # Where p is 0, the term is 0, even for a class that is masked with a logit of -∞.
    losses = -(p * xp.where(p != 0, log_q, 0)).sum(axis=1)  # (N,)
    return record(reduced("cross_entropy", losses, reduction, divisor), (logits,), backward)


def reduced(function: str, losses: Array, reduction: str, divisor: Any) -> Array:
    """The losses themselves, their sum, or their sum divided by the divisor."""
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(
            f'{function}: reduction is {reduction!r}; expected "mean", "sum" or "none"'
        )
    if reduction == "mean" and isinstance(divisor, int) and divisor == 0:
        why = "every target is ignore_index" if losses.size else "the batch is empty"
        raise ValueError(f"{function}: {why}, so the mean is undefined")
    return losses.sum() if reduction == "sum" else losses.sum() / divisor


def spread(dy: Array, reduction: str, divisor: Any) -> Array:
    """The gradient of each row's loss: (N, 1), or one number for all rows."""
    if reduction == "none":
        return dy[:, None]
    return dy / divisor if reduction == "mean" else dy
