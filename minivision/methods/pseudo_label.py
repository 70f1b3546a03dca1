"""Pseudo-labels: the network's own predictions serve as labels for unlabelled images.

    L = 1/n Σ CE(y, f(x))  +  α(t) · 1/n' Σ [max p ≥ τ] · CE(argmax p, f(u')),     p = f(u)

x and y are the n labelled images of a step and their labels, u the n' unlabelled images; p is
computed in every step.

    Lee 2013                u' = u, τ = 0, and α(t) rises late, when predictions can be trusted

        batches = pseudo_label_batches(labelled, unlabelled)
        fit(model, batches, pseudo_label_loss(ramp(100, 600)), optimizer, epochs)

    FixMatch (Sohn 2020)    u weakly augmented, u' strongly, τ = 0.95, α = 1

        batches = pseudo_label_batches(labelled, unlabelled, strong)
        fit(model, batches, pseudo_label_loss(threshold=0.95), optimizer, epochs)

The second mean is over *all* unlabelled images, so if only a few are accepted, they have little
weight. Pseudo-labels must be hard, or must come from a different view of the image: if p itself is
the target for p, the gradient p - p is zero. A network that is mostly wrong reinforces its own
errors, so always compare with the supervised baseline, which is pseudo_label_loss(0) on the same
batches.
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
from minivision.errors import require_probability
from minivision.methods.joint_batches import JointBatches, joined
from minivision.methods.responses import hide_labels, looked_up
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training.loop import Batch, Loss

Weight = Callable[[int], float]


def pseudo_label_batches(
    labelled: DataLoader,
    unlabelled: DataLoader,
    strong: Callable | None = None,
    steps: int | None = None,
) -> JointBatches:
    """Batches of x, of u', and of u if it differs from u', for `pseudo_label_loss`.

    labelled, unlabelled: loaders; the labels of `unlabelled` are never read.
    strong: a second transform, for FixMatch's u'; the transform of `unlabelled` makes u.
        None: u' = u.
    steps: batches per epoch; by default, the number of batches in `unlabelled`.
    """
    u = hide_labels(unlabelled)
    if strong is None:
        return JointBatches([labelled, u], steps)
    u_strong = copy(u)
    u_strong.transform = OtherDraw(strong)
    return JointBatches([labelled, u_strong, u], steps)


def pseudo_label_loss(
    weight: float | Weight = 1.0, threshold: float = 0.0, truth: np.ndarray | None = None
) -> Loss:
    """The loss L above, for `fit` on `pseudo_label_batches`.

    weight: α, a number or a function of the step such as `ramp(…)`. While α is 0, the unlabelled
        images are not used: weight=0 gives the supervised baseline, with the same steps.
    threshold: τ, the confidence threshold: predictions with at least this probability are accepted.
    truth: labels (M,) of the unlabelled images, used only to measure how often pseudo-labels are
        right.

    Reports supervised_loss, unlabelled_loss, mask_rate (the share of accepted images), confidence
    (the highest in a batch), train_accuracy and, if truth is given, pseudo_label_accuracy (among
    the accepted images; NaN if none was accepted).
    """
    require_probability("pseudo_label_loss: threshold", threshold)
    alpha = weight if callable(weight) else (lambda step: weight)

    def loss(model: Module, batches: Sequence[Batch]) -> tuple[Tensor, dict[str, Any]]:
        x, u_strong, *u_weak = batches
        a = alpha(x.step)
        images, (of_x, of_u) = joined([x, u_strong])
        z = model(images if a > 0 else x.images)
        xp = array_module(z.data)
        total = F.cross_entropy(z[of_x], x.targets)
        correct = (z.data[of_x].argmax(axis=1) == xp.asarray(x.targets)).mean()
        report: dict[str, Any] = {"supervised_loss": total, "train_accuracy": correct}
        if a <= 0:
            return total, report
        with no_grad():  # pseudo-labels are constants
            p = F.softmax(model(u_weak[0].images) if u_weak else z[of_u]).data
        confidence, labels = p.max(axis=1), p.argmax(axis=1)
        accepted = (confidence >= threshold).astype(p.dtype)
        one_hot = (labels[:, None] == xp.arange(p.shape[1])).astype(p.dtype)
        losses = F.cross_entropy(z[of_u], one_hot, reduction="none")
        unlabelled = (losses * accepted).mean()
        report |= {
            "unlabelled_loss": unlabelled,
            "mask_rate": accepted.mean(),
            "confidence": confidence.max(),
        }
        if truth is not None:
            right = accepted * (labels == looked_up(truth, u_strong.indices, labels))
            report["pseudo_label_accuracy"] = right.sum(), accepted.sum()
        return total + a * unlabelled, report

    return loss


def ramp(first: int, last: int, final: float = 3.0) -> Weight:
    """α(t): 0 before step `first`, `final` from step `last` on, and linear in between.

    t counts weight updates. Lee's values are first=100, last=600 and final=3; implementations
    differ in whether 100 and 600 count updates or epochs.

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
    """A transform whose draws are independent of another transform's for the same image.

    Both transforms receive generators with the same key; this one derives a new generator from its
    own.
    """

    def __init__(self, transform: Callable):
        self.transform, self.random = transform, getattr(transform, "random", True)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        return self.transform(image, rng and np.random.default_rng(rng.integers(2**63, size=2)))
