"""Comparing distributions: Kullback-Leibler divergence, the distillation loss, entropy.

A trained network outputs a whole distribution, and its ranking of the wrong classes is knowledge
too. These losses let one network learn from another's distributions. They are means over the batch,
in nats.
"""

from __future__ import annotations

from typing import Any

from minivision.backend import Array, array_module
from minivision.functional.checks import constant
from minivision.functional.inputs import sizes, tensors
from minivision.functional.loss_checks import (
    check_log_probabilities,
    check_probabilities,
    checked_temperature,
)
from minivision.functional.losses import reduced, spread
from minivision.functional.softmax import log_probabilities
from minivision.tensor import Tensor, record


def kl_divergence(log_q: Tensor | Array, p: Any, *, reduction: str = "mean") -> Tensor:
    """KL(p‖q): the extra surprise of an observer who expects q when p is true.

    log_q (N, K) log probabilities, p (N, K) probabilities -> a scalar

        KL = 1/N Σ_n Σ_k p_nk (log p_nk - log q_nk)        dlog_q = -p / N

    p receives no gradient. Where an entry of p is 0, its term is 0. The mean is over the batch, as
    in PyTorch's `kl_div(log_q, p, reduction="batchmean")`; PyTorch's default, "mean", divides by
    N·K and so does not give the divergence. Since KL(p‖q) = CE(p, q) - H(p), KL and cross-entropy
    have the same gradient.

    Raises ValueError if the shapes differ, if a row of p is not a distribution, or if log_q is
    above 0 (perhaps a probability was passed instead of its logarithm).

    >>> import numpy as np
    >>> kl_divergence(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])).item().__round__(4)
    0.6931
    """
    (log_q,) = tensors("kl_divergence", log_q=log_q)
    N, K = sizes("kl_divergence", "log_q", log_q, "N K")
    p = _distribution("kl_divergence", p, log_q)
    check_log_probabilities("kl_divergence", "log_q", log_q.data)
    xp = array_module(p)
    log_p = xp.log(xp.where(p > 0, p, 1))

    def backward(dy):
        return (-p * spread(dy, reduction, N),)

    # Where p is 0, the term is 0, even if q is 0 too and its logarithm is -∞.
    losses = (p * (log_p - xp.where(p > 0, log_q.data, 0))).sum(axis=1)  # (N,)
    return record(reduced("kl_divergence", losses, reduction, N), (log_q,), backward)


def distillation_loss(
    student_logits: Tensor | Array, teacher_logits: Any, temperature: float = 4.0
) -> Tensor:
    """T²·KL(teacher‖student) at temperature T, averaged over the batch.

    student_logits z, teacher_logits v, both (N, K) -> a scalar

        L = T²/N Σ_n KL(p‖q),  q = softmax(z/T),  p = softmax(v/T)        dz = T·(q - p) / N

    Hinton et al. 2015, §2: the gradient of KL shrinks as 1/T², and the factor T² compensates for
    this, so that a mixture with another loss stays balanced. For large T, dz tends to
    (z - v) / (K·N) with centred logits: the student learns to match the teacher's logits. The
    teacher receives no gradient, and no labels are needed.

    Raises ValueError if the shapes differ or if T is not between 0.001 and 1000.
    """
    (student_logits,) = tensors("distillation_loss", student_logits=student_logits)
    N, K = sizes("distillation_loss", "student_logits", student_logits, "N K")
    teacher = constant("distillation_loss", "teacher_logits", teacher_logits)
    (teacher,) = tensors("distillation_loss", teacher_logits=teacher)
    if teacher.shape != (N, K) or N == 0:
        raise ValueError(
            f"distillation_loss: student_logits has shape {(N, K)} and teacher_logits "
            f"{teacher.shape}; expected equal shapes with at least one row"
        )
    tensors("distillation_loss", student_logits=student_logits, teacher_logits=teacher)
    T = checked_temperature("distillation_loss: temperature", temperature)
    xp = array_module(student_logits.data)
    log_q = log_probabilities(student_logits.data, 1, T)
    log_p = log_probabilities(teacher.data, 1, T)
    p = xp.exp(log_p)

    def backward(dy):
        return ((xp.exp(log_q) - p) * (dy * (T / N)),)

    # Where p is 0, the term is 0, even for a class that both networks mask with a logit of -∞.
    divergence = (p * (xp.where(p > 0, log_p, 0) - xp.where(p > 0, log_q, 0))).sum() / N
    return record(divergence * T**2, (student_logits,), backward)


def entropy(logits: Tensor | Array) -> Tensor:
    """How uncertain the predictions are: the mean of H(q) = -Σ_k q_k log q_k, q = softmax(logits).

    logits (N, K) -> a scalar from 0 (certain) to log K (uniform)

        dz_i = -q_i (log q_i + H) / N

    As a term of a loss, it favours confident outputs on unlabelled images (Grandvalet & Bengio
    2004).
    """
    (logits,) = tensors("entropy", logits=logits)
    N, K = sizes("entropy", "logits", logits, "N K")
    xp = array_module(logits.data)
    log_q = log_probabilities(logits.data, 1, 1.0)
    q = xp.exp(log_q)
    log_q = xp.where(q > 0, log_q, 0)  # 0·log 0 is 0
    H = -(q * log_q).sum(axis=1)  # (N,)

    def backward(dy):
        return (-q * (log_q + H[:, None]) * (dy / N),)

    return record(reduced("entropy", H, "mean", N), (logits,), backward)


def _distribution(function: str, p: Any, like: Tensor) -> Array:
    p = constant(function, "p", p)
    (p,) = tensors(function, p=p)
    if p.shape != like.shape:
        raise ValueError(f"{function}: p has shape {p.shape}; expected {like.shape}")
    tensors(function, log_q=like, p=p)
    check_probabilities(function, "p", p.data)
    return p.data
