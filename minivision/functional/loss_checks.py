"""Argument checks for the losses: logits, labels, distributions and temperatures.

You can skip this file on a first reading.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.backend import Array, array_module, is_array
from minivision.functional.checks import constant
from minivision.functional.inputs import sizes
from minivision.tensor import Tensor

TEMPERATURES = 0.001, 1000


def checked_temperature(what: str, temperature: Any) -> float:
    """The value of `what`, an argument or option, if it is a number within TEMPERATURES.

    At T = 1000, softmax is uniform to within 0.1 % per unit of the logits. Distillation depends on
    differences of this size. In float32 they vanish at T = 10⁸, and the gradient vanishes with
    them.
    """
    low, high = TEMPERATURES
    number = isinstance(temperature, int | float | np.integer | np.floating)
    if not number or not low <= temperature <= high:
        raise ValueError(f"{what} is {temperature!r}; expected a number from {low} to {high}")
    return float(temperature)


def classes_of_rows(function: str, name: str, x: Tensor) -> tuple[int, int]:
    """The sizes of x (N, K); the error for (N, K, H, W) says how to reshape x into rows."""
    if x.ndim > 2:
        back = (0, *range(2, x.ndim), 1)
        raise ValueError(
            f"{function}: {name} has shape {x.shape}; expected (N, K); for one label per pixel, "
            f"write {name}.transpose({back}).reshape(-1, {x.shape[1]}) and targets.reshape(-1)"
        )
    N, K = sizes(function, name, x, "N K")
    return N, K


def check_probabilities(function: str, name: str, p: Array) -> None:
    """Raise if a row of p (N, K) is not a distribution; values are checked on the host only."""
    if p.dtype.kind != "f":
        raise TypeError(f"{function}: {name} is {p.dtype}; expected floating-point probabilities")
    if not isinstance(p, np.ndarray) or not p.size:
        return
    totals = p.sum(axis=1, dtype=np.float64)
    off = ~(np.abs(totals - 1) <= 1e-4)  # written so that NaN fails too
    if off.any():
        n = int(np.flatnonzero(off)[0])
        raise ValueError(f"{function}: {name}[{n}] sums to {totals[n]:.6g}; expected 1")
    if p.min() < 0:
        n = int(np.flatnonzero((p < 0).any(axis=1))[0])
        raise ValueError(
            f"{function}: {name}[{n}] has the entry {p[n].min():.6g}; expected probabilities >= 0"
        )


def check_log_probabilities(function: str, name: str, log_q: Array) -> None:
    """Raise if an entry is above 0 by more than rounding; values are checked on the host only."""
    if isinstance(log_q, np.ndarray) and log_q.size and log_q.max() > 1e-4:
        raise ValueError(
            f"{function}: {name} has the entry {log_q.max():.6g}; expected log probabilities, "
            "at most 0, such as those of log_softmax"
        )


def target_distributions(
    function: str,
    targets: Any,
    N: int,
    K: int,
    like: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Any]:
    """The targets as weighted distributions p (N, K), and the divisor for the mean."""
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
        labels, counted = check_labels(function, targets, N, K, ignore_index)
        one_hot = np.zeros((N, K), like.dtype)
        one_hot[np.arange(N)[counted], labels[counted]] = 1
        p = xp.asarray(one_hot)
        no_weights = weight is None or not counted.any()
        divisor = int(counted.sum()) if no_weights else (p * weight).sum()
    if label_smoothing:
        rows = p.sum(axis=1, keepdims=True)  # 0 for an ignored row
        p = (1 - label_smoothing) * p + rows * (label_smoothing / K)
    return p if weight is None else p * weight, divisor


def check_labels(
    function: str, targets: Any, N: int, K: int, ignore_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Checked labels (N,) on the host, and a mask of those that count."""
    if targets.shape != (N,):
        raise ValueError(f"{function}: targets has shape {targets.shape}; expected {(N,)}")
    if not isinstance(targets, np.ndarray):
        raise ValueError(f"{function}: targets is on a GPU; expected integer labels on the host")
    if N and targets.dtype.kind not in "iu":
        raise TypeError(f"{function}: targets is {targets.dtype}; expected integer labels")
    counted = targets != ignore_index
    wrong = np.flatnonzero(counted & ((targets < 0) | (targets >= K)))
    if wrong.size:
        raise ValueError(
            f"{function}: targets[{wrong[0]}] is {targets[wrong[0]]}; expected 0 to {K - 1} "
            f"(there are {K} classes)"
        )
    return targets, counted
