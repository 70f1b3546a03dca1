"""Pseudo-labels: on images that nobody labelled, the network's own decisions count as labels.

    L = 1/n Σ CE(y, f(x))  +  α(t) · 1/n' Σ [max p ≥ τ] · CE(argmax p, f(u')),     p = f(u)

x, y are the n labelled images of a step, u the n' unlabelled ones, decided anew at every update.

    Lee 2013                u' = u, τ = 0, and α(t) rises late, when decisions can be trusted
    FixMatch (Sohn 2020)    u drawn weakly augmented, u' strongly, τ = 0.95, α = 1

The second mean is over *all* unlabelled images, so few accepted ones weigh little. Decisions have
to be hard, or about another view: with targets p for p itself the gradient q - p is zero. Where a
network is mostly wrong it is taught its errors: always look at the supervised baseline, which is
this function with weight=0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.backend import array_module
from minivision.datasets import DataLoader
from minivision.methods.checks import check_classes
from minivision.methods.joint_batches import JointBatches, joined
from minivision.methods.responses import hide_labels
from minivision.methods.transfer import Validate
from minivision.nn import Module
from minivision.optim import Optimizer, WeightAverage
from minivision.optim.schedules import Schedule
from minivision.tensor import Tensor
from minivision.training import Run, fit
from minivision.training.loop import Batch, History, Loss

Weight = Callable[[int], float]


def train_with_pseudo_labels(
    model: Module,
    labelled: DataLoader,
    unlabelled: DataLoader,
    epochs: int,
    optimizer: Optimizer,
    *,
    weight: float | Weight = 1.0,
    threshold: float = 0.0,
    strong: Callable | None = None,
    truth: np.ndarray | None = None,
    steps: int | None = None,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    average: WeightAverage | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Train on labelled images and on the network's decisions about unlabelled ones.

    labelled, unlabelled: each step has a batch of both; the labels of `unlabelled` are never read.
    weight: α, a number, or a function of the step such as `ramp(…)`. While it is 0 unlabelled
        images are not looked at: weight=0 is the supervised baseline, with the same steps.
    threshold: τ from 0 to 1, the least probability with which a decision is accepted.
    strong: a second transform, for FixMatch's u'; unlabelled's own makes u. None: u' = u.
    truth: labels (M,) of the unlabelled images, only to measure how often decisions are right.
    steps: batches in an epoch; by default those of `unlabelled`.
    average: see `fit`; what is validated, and better used, too.

    Records supervised_loss, unlabelled_loss, mask_rate (the accepted share), confidence (the
    highest in a batch, averaged), train_accuracy and, with truth, pseudo_label_accuracy (of the
    accepted; none accepted is no number).
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"train_with_pseudo_labels: threshold is {threshold}; expected 0 to 1")
    if truth is not None and len(truth) != len(unlabelled.dataset):
        raise ValueError(
            f"train_with_pseudo_labels: truth has {len(truth)} labels, but unlabelled has "
            f"{len(unlabelled.dataset)} images"
        )
    check_classes("train_with_pseudo_labels", model, labelled.dataset)
    decided = hide_labels(unlabelled)  # u
    loaders = [labelled, decided]
    if strong is not None:
        trained = copy(decided)  # u'
        trained.transform = OtherDraw(strong)
        loaders = [labelled, trained, decided]
    loss = pseudo_label_loss(weight, threshold, truth)
    return fit(
        model,
        JointBatches(loaders, steps),
        loss,
        optimizer,
        epochs,
        schedule=schedule,
        validate=validate,
        average=average,
        seed=seed,
        run=run,
        device=device,
    )


def pseudo_label_loss(
    weight: float | Weight = 1.0, threshold: float = 0.0, truth: np.ndarray | None = None
) -> Loss:
    """The loss L above for `fit`, on `JointBatches` of x, of u', and of u if that differs."""
    alpha = weight if callable(weight) else (lambda step: weight)

    def loss(model: Module, batches: Sequence[Batch]) -> tuple[Tensor, dict[str, Any]]:
        x, trained, *decided = batches
        a = alpha(x.step)
        looks = a > 0 and threshold <= 1  # above 1 nothing can be accepted
        images, (of_x, of_trained) = joined([x, trained])
        z = model(images if looks else x.images)
        xp = array_module(z.data)
        total = F.cross_entropy(z[of_x], x.targets)
        right = (z.data[of_x].argmax(axis=1) == xp.asarray(x.targets)).mean()
        scalars: dict[str, Any] = {"supervised_loss": total, "train_accuracy": right}
        if not looks:
            return total, scalars
        with no_grad():  # no gradient goes through a decision
            p = F.softmax(model(decided[0].images) if decided else z[of_trained]).data
        confidence, labels = p.max(axis=1), p.argmax(axis=1)
        accepted = (confidence >= threshold).astype(p.dtype)
        one_hot = (labels[:, None] == xp.arange(p.shape[1])).astype(p.dtype)
        losses = F.cross_entropy(z[of_trained], one_hot, reduction="none")
        unlabelled = (losses * accepted).mean()
        scalars |= {
            "unlabelled_loss": unlabelled,
            "mask_rate": accepted.mean(),
            "confidence": confidence.max(),
        }
        if truth is not None:
            hits = accepted * (labels == xp.asarray(truth[trained.indices]))
            scalars["pseudo_label_accuracy"] = hits.sum(), accepted.sum()
        return total + a * unlabelled, scalars

    return loss


def ramp(first: int, last: int, final: float = 3.0) -> Weight:
    """α(t): 0 before step `first`, `final` from step `last` on, and a straight line between.

    t counts weight updates. Lee's are first=100, last=600, final=3, of which it is not settled
    whether they count updates or epochs.

    >>> alpha = ramp(100, 600)
    >>> alpha(99), alpha(350), alpha(600), alpha(9999)
    (0.0, 1.5, 3.0, 3.0)
    """
    if not 0 <= first <= last or not final >= 0:
        raise ValueError(
            f"ramp: first is {first}, last {last} and final {final}; expected 0 <= first <= last, "
            "in weight updates, and final >= 0"
        )

    def alpha(step: int) -> float:
        if step >= last:
            return float(final)
        return final * max(step - first, 0) / (last - first)

    return alpha


class OtherDraw:
    """A transform whose draws have nothing to do with those of another one for the same image.

    Both are given generators with the same key; this one moves on to a stream of its own.
    """

    def __init__(self, transform: Callable):
        self.transform, self.random = transform, getattr(transform, "random", True)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        return self.transform(image, rng and np.random.default_rng(rng.integers(2**63, size=2)))
