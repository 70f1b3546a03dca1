"""Distillation: a small student learns to reproduce the outputs of a large teacher.

A hard label says "a 3". A teacher's soft label says "a 3, perhaps an 8, never a 1". This ranking of
the wrong classes, the "dark knowledge", says more about how images resemble each other than a hard
label can; a temperature above 1 brings it out. (Hinton, Vinyals & Dean 2015.)

    L = α·CE(y, softmax(z)) + (1 - α)·T²·KL(softmax(v/T) ‖ softmax(z/T))

Here z are the student's logits and v the teacher's. Only the student is trained, and after training
it is used at T = 1:

    fit(student, loader, distillation(teacher, temperature=4, alpha=0.1), optimizer, epochs)

With α = 0 the labels are not read, so unlabelled images will do (`hide_labels(loader)`). The soft
term still has its factor T², so the same learning rate works. With α = 1 the teacher is not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.backend import Array, array_module, to_host
from minivision.errors import require_probability
from minivision.functional.loss_checks import checked_temperature
from minivision.methods.responses import looked_up
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training.loop import Batch, Loss


def distillation(
    teacher: Module | np.ndarray, temperature: float = 4.0, alpha: float = 0.1
) -> Loss:
    """The loss L above, for `fit`.

    teacher: a network on the student's device, which is put in evaluation mode and sees the same
        batches as the student; or its logits (M, K) for the M images of the loader's dataset, from
        `record_responses`. The second form needs a loader with with_indices=True.
    temperature: T, from 0.001 to 1000.
    alpha: the weight of the labels, from 0 to 1; the paper advises "a considerably lower weight"
        for them (§2).

    Reports hard_loss and train_accuracy if alpha > 0; soft_loss and agreement (how often student
    and teacher choose the same class) if alpha < 1.
    """
    require_probability("distillation: alpha", alpha)
    checked_temperature("distillation: temperature", temperature)

    def loss(student: Module, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        z = student(batch.images)
        chosen = z.argmax(axis=1)
        terms: list[Tensor] = []
        report: dict[str, Any] = {}
        if alpha > 0:
            y = batch.targets
            hard = F.cross_entropy(z, y)
            terms.append(alpha * hard)
            correct = chosen == array_module(chosen).asarray(y)
            report |= {"hard_loss": hard, "train_accuracy": correct.mean()}
        if alpha < 1:
            v = teachers_logits(teacher, batch, z)
            soft = F.distillation_loss(z, v, temperature)  # T²·KL
            terms.append((1 - alpha) * soft)
            report |= {"soft_loss": soft, "agreement": (chosen == v.argmax(axis=1)).mean()}
        return sum(terms[1:], terms[0]), report

    return loss


def teachers_logits(teacher: Module | np.ndarray, batch: Batch, z: Tensor) -> Array:
    """The teacher's logits (N, K) for a batch, as an array, so no gradient reaches the teacher.

    Raises ValueError if their number of classes differs from that of the student's logits z.
    """
    if isinstance(teacher, Module):
        teacher.eval()
        with no_grad():
            v = teacher(batch.images).data
    else:
        v = looked_up(teacher, batch.indices, z.data)
    if v.shape != z.shape:
        raise ValueError(
            f"distillation: the teacher has {v.shape[1]} classes, but the student has "
            f"{z.shape[1]}; give both the same number and replace the head later (with_new_head)"
        )
    return v


def bias_for_share(logits: Array, k: int, share: float) -> float:
    """The bias that makes class k's logit the largest for this share of the images, 0 to 1.

    logits (N, K). A student that never saw a class has low recall for it, even though it has
    learned from the teacher what the class looks like. A bias in the last layer corrects this
    without any labels. (Hinton et al. 2015, §3, used a bias of 3.5 for the digit that they left
    out; they chose it on the test set.)

    >>> round(bias_for_share(np.array([[0.0, 3.0], [0.0, 1.0]]), 0, 0.5), 6)
    2.0
    """
    logits = to_host(logits)
    N, K = logits.shape
    if not 0 <= k < K:
        raise ValueError(f"bias_for_share: k is {k}; expected a class from 0 to {K - 1}")
    require_probability("bias_for_share: share", share)
    missing = np.delete(logits, k, axis=1).max(axis=1) - logits[:, k]
    return float(np.quantile(missing, share))
