"""Random examples for dropout, softmax and the losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision import functional as F
from minivision.analysis.gradient_cases.draws import Case, Rng, shape
from minivision.tensor import Tensor


def dropout_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        p, seed = float(rng.uniform(0.1, 0.4)), int(rng.integers(2**32))
        x = rng.normal(size=(12, *shape(rng, 2, 3)))
        return lambda x: function(x, p, rng=np.random.default_rng(seed)), [x]

    return draw


def softmax_case(function: Callable[..., Tensor]) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        x = rng.normal(size=shape(rng, 1, 3))
        axis, T = int(rng.integers(-x.ndim, x.ndim)), float(rng.uniform(0.5, 3.0))
        return lambda x: function(x, axis=axis, temperature=T), [x]

    return draw


def cross_entropy_case(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    hard, soft = rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)
    hard[1:][rng.random(N - 1) < 0.2] = -100  # ignored
    targets = hard if rng.random() < 0.5 else soft
    weight = rng.uniform(0.5, 2.0, K) if rng.random() < 0.5 else None
    smoothing = float(rng.choice([0.0, 0.1, 0.3]))
    reduction = str(rng.choice(["mean", "sum", "none"]))
    return (
        lambda logits: F.cross_entropy(
            logits, targets, weight, reduction=reduction, label_smoothing=smoothing
        ),
        [rng.normal(size=(N, K))],
    )


def nll_case(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    targets, reduction = rng.integers(0, K, N), str(rng.choice(["mean", "sum", "none"]))
    return lambda x: F.nll_loss(x, targets, reduction=reduction), [rng.normal(size=(N, K))]


def mse_case(rng: Rng) -> Case:
    size, reduction = shape(rng), str(rng.choice(["mean", "sum", "none"]))
    x, t = rng.normal(size=(2, *size))
    return lambda x, t: F.mse_loss(x, t, reduction=reduction), [x, t]


def kl_case(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    p, reduction = rng.dirichlet(np.ones(K), N), str(rng.choice(["mean", "sum", "none"]))
    p[0, 0], p[0, 1] = 0.0, p[0, 0] + p[0, 1]
    return (
        lambda log_q: F.kl_divergence(log_q, p.astype(log_q.dtype), reduction=reduction),
        [-rng.uniform(0.1, 3.0, (N, K))],
    )


def distillation_case(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    teacher, T = 2 * rng.normal(size=(N, K)), float(rng.uniform(0.5, 8.0))
    return (
        lambda z: F.distillation_loss(z, teacher.astype(z.dtype), T),
        [rng.normal(size=(N, K))],
    )


def entropy_case(rng: Rng) -> Case:
    N, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
    return F.entropy, [rng.normal(size=(N, K))]
