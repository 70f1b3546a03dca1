"""Softmax: turn scores into probabilities, at a given temperature.

A classifier's scores, one per class and not yet normalized, are called logits.
"""

from __future__ import annotations

from minivision.backend import Array, array_module
from minivision.functional.checks import class_axis
from minivision.functional.inputs import tensors
from minivision.functional.loss_checks import checked_temperature
from minivision.tensor import Tensor, record


def softmax(logits: Tensor | Array, axis: int = -1, temperature: float = 1.0) -> Tensor:
    """Probabilities proportional to exp(logit / T) along an axis.

        q_i = exp(z_i / T) / Σ_j exp(z_j / T)        dz = q·(dy - Σ_j dy_j q_j) / T

    because ∂q_i/∂z_j = q_i·([i = j] - q_j) / T. T > 1 smooths the distribution, T < 1 sharpens it
    (Hinton et al. 2015, §2); T may be between 0.001 and 1000. The largest logit is subtracted
    first: this cancels in the fraction and keeps exp from overflowing.

    >>> softmax(Tensor([2.0, 1.0, 0.0])).numpy().round(4)
    array([0.6652, 0.2447, 0.09  ], dtype=float32)
    """
    (logits,) = tensors("softmax", logits=logits)
    axis = class_axis("softmax", axis, logits)
    T = checked_temperature("softmax: temperature", temperature)
    q = array_module(logits.data).exp(log_probabilities(logits.data, axis, T))

    def backward(dy):
        inner = (dy * q).sum(axis=axis, keepdims=True)
        return (q * (dy - inner) / T,)

    return record(q, (logits,), backward)


def log_softmax(logits: Tensor | Array, axis: int = -1, temperature: float = 1.0) -> Tensor:
    """log softmax, computed directly because probabilities might underflow to 0.

    y_i = z_i / T - log Σ_j exp(z_j / T)        dz = (dy - q·Σ_j dy_j) / T,  q = exp(y)
    """
    (logits,) = tensors("log_softmax", logits=logits)
    axis = class_axis("log_softmax", axis, logits)
    T = checked_temperature("log_softmax: temperature", temperature)
    xp = array_module(logits.data)
    y = log_probabilities(logits.data, axis, T)

    def backward(dy):
        return ((dy - xp.exp(y) * dy.sum(axis=axis, keepdims=True)) / T,)

    return record(y, (logits,), backward)


def log_probabilities(logits: Array, axis: int, temperature: float) -> Array:
    """log softmax of an array: z/T - max - log Σ exp(z/T - max)."""
    xp = array_module(logits)
    scaled = (logits - logits.max(axis=axis, keepdims=True)) / temperature
    return scaled - xp.log(xp.exp(scaled).sum(axis=axis, keepdims=True))
