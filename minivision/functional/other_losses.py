"""Two more losses: negative log-likelihood, from log probabilities, and mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.backend import Array, array_module, is_array
from minivision.functional.checks import constant
from minivision.functional.inputs import tensors
from minivision.functional.loss_checks import classes_of_rows, target_distributions
from minivision.functional.losses import IGNORED, reduced, spread
from minivision.tensor import Tensor, record


def nll_loss(
    log_probabilities: Tensor | Array,
    targets: Any,
    weight: Array | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    """-log q(target) from given log probabilities: nll_loss(log_softmax(z)) is CE(z).

    log_probabilities (N, K), targets (N,) integers -> a scalar        dlog_q = -p / N
    """
    name = "nll_loss"
    (log_probabilities,) = tensors(name, log_probabilities=log_probabilities)
    N, K = classes_of_rows(name, "log_probabilities", log_probabilities)
    log_q = log_probabilities.data
    targets = constant(name, "targets", targets)
    targets = targets if is_array(targets) else np.asarray(targets)
    if targets.ndim != 1:
        raise ValueError(f"{name}: targets has shape {targets.shape}; expected ({N},)")
    p, divisor = target_distributions(name, targets, N, K, log_q, weight, ignore_index, 0.0)

    xp = array_module(log_q)

    def backward(dy):
        return (-p * xp.where(p != 0, spread(dy, reduction, divisor), 0),)

    losses = -(p * xp.where(p != 0, log_q, 0)).sum(axis=1)  # (N,)
    return record(reduced(name, losses, reduction, divisor), (log_probabilities,), backward)


def mse_loss(
    predictions: Tensor | Array, targets: Tensor | Array, *, reduction: str = "mean"
) -> Tensor:
    """The mean squared difference between two Tensors of the same shape.

    L = Σ (x - t)² / n        dx = 2·(x - t) / n = -dt
    """
    predictions, targets = tensors("mse_loss", predictions=predictions, targets=targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"mse_loss: predictions has shape {predictions.shape} and targets {targets.shape}; "
            "expected equal shapes"
        )
    difference = predictions.data - targets.data
    n = difference.size
    want_dx, want_dt = predictions.requires_grad, targets.requires_grad

    def backward(dy):
        scale = dy / n if reduction == "mean" else dy
        dx = 2 * difference * scale
        return dx if want_dx else None, -dx if want_dt else None

    squares = difference * difference
    return record(reduced("mse_loss", squares, reduction, n), (predictions, targets), backward)
