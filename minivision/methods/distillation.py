"""Distillation: a small student learns to answer as a large teacher answers.

A label says "a 3". A teacher says "a 3, perhaps an 8, never a 1", and this ranking of the wrong
classes, the dark knowledge, says more about how images are alike than a label can. A temperature
above 1 makes it visible. (Hinton, Vinyals & Dean 2015.)

    L = α·CE(y, softmax(z)) + (1 - α)·T²·KL(softmax(v/T) ‖ softmax(z/T))

z are the student's logits, v the teacher's. Only the student is trained. Without labels α is 0
and the rest is the same loss, T² and all, so both modes have one rate. With α = 1 it is training
on labels, and the teacher is not asked. Students are used at T = 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.backend import Array, array_module, to_host
from minivision.datasets import DataLoader
from minivision.methods.responses import hide_labels, looked_up, record_responses
from minivision.methods.transfer import Validate
from minivision.nn import Module
from minivision.optim import Optimizer
from minivision.optim.schedules import Schedule
from minivision.tensor import Tensor
from minivision.training import Run, fit
from minivision.training.loop import Batch, History, Loss

USUAL_ALPHA = 0.1  # "a considerably lower weight" on the labels (Hinton et al. 2015, §2)


def distill(
    student: Module,
    teacher: Module | np.ndarray,
    loader: DataLoader,
    epochs: int,
    optimizer: Optimizer,
    *,
    labels: np.ndarray | None = None,
    temperature: float = 4.0,
    alpha: float | None = None,
    cached: bool = False,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Train the student on the loader's images to answer as the teacher does.

    teacher: a network, which is put in evaluation mode and never trained; or its logits (M, K) for
        the M images of the loader's dataset.
    labels: (M,) of the same images; None distils without any, and the dataset's own are not read.
    temperature: T > 0; alpha: the labels' weight from 0 to 1, 0.1 with labels, 0 without.
    cached: ask the teacher once for each image beforehand, as it is without augmentation, by a
        loader that must not draw. Otherwise it sees each batch as the student sees it.

    Records hard_loss, soft_loss, agreement (how often both name the same class) and, with labels,
    train_accuracy.
    """
    if isinstance(teacher, Module):
        teacher.to(device)
    if cached and isinstance(teacher, Module):
        teacher = record_responses(teacher, loader)
    for name, given in (("teacher", teacher), ("labels", labels)):
        if isinstance(given, np.ndarray) and len(given) != len(loader.dataset):
            raise ValueError(
                f"distill: {name} has {len(given)} rows, but the loader's dataset has "
                f"{len(loader.dataset)} images"
            )
    loss = distillation(teacher, labels, temperature=temperature, alpha=alpha)
    return fit(
        student, hide_labels(loader), loss, optimizer, epochs,
        schedule=schedule, validate=validate, seed=seed, run=run, device=device,
    )  # fmt: skip


def distillation(
    teacher: Module | np.ndarray,
    labels: np.ndarray | None = None,
    *,
    temperature: float = 4.0,
    alpha: float | None = None,
) -> Loss:
    """The loss of `distill` for `fit`, on batches with_indices. labels (M,): see `distill`."""
    if alpha is None:
        alpha = 0.0 if labels is None else USUAL_ALPHA
    if not 0 <= alpha <= 1:
        raise ValueError(f"distillation: alpha is {alpha}; expected a weight from 0 to 1")
    if alpha > 0 and labels is None:
        raise ValueError(f"distillation: alpha is {alpha}, but labels is None; expected alpha=0")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"distillation: temperature is {temperature}; expected a number above 0")

    def loss(student: Module, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        z = student(batch.images)
        xp = array_module(z.data)
        decided = z.argmax(axis=1)
        terms: list[Tensor] = []
        scalars: dict[str, Any] = {}
        if labels is not None and alpha > 0:
            y = labels[batch.indices]
            hard = F.cross_entropy(z, y)
            terms.append(alpha * hard)
            scalars |= {"hard_loss": hard, "train_accuracy": (decided == xp.asarray(y)).mean()}
        if alpha < 1:
            v = teachers_logits(teacher, batch, z)
            soft = F.distillation_loss(z, v, temperature)
            terms.append((1 - alpha) * soft)
            scalars |= {"soft_loss": soft, "agreement": (decided == v.argmax(axis=1)).mean()}
        return sum(terms[1:], terms[0]), scalars

    return loss


def teachers_logits(teacher: Module | np.ndarray, batch: Batch, z: Tensor) -> Array:
    """The teacher's logits (N, K) for a batch, as an array: nothing leads back into the teacher.

    Raises ValueError where they are for other classes than the student's logits z.
    """
    if isinstance(teacher, Module):
        teacher.eval()
        with no_grad():
            v = teacher(batch.images).data
    else:
        v = looked_up(teacher, batch.indices, z.data)
    if v.shape != z.shape:
        raise ValueError(
            f"distillation: the teacher answers for {v.shape[1]} classes and the student for "
            f"{z.shape[1]}; give the student as many, and a new head afterwards (with_new_head)"
        )
    return v


def bias_for_share(logits: Array, k: int, share: float) -> float:
    """What to add to class k's logit so that it wins for this share of the images, 0 to 1.

    logits (N, K). A student that has never seen a class is shy of it, though it has learned from
    the teacher what it looks like; the bias of the last layer cures that, without any label. (For
    the digit that Hinton et al. 2015, §3 leave out, 3.5; they chose it on the test set.)

    >>> round(bias_for_share(np.array([[0.0, 3.0], [0.0, 1.0]]), 0, 0.5), 6)
    2.0
    """
    logits = to_host(logits)
    N, K = logits.shape
    if not 0 <= k < K:
        raise ValueError(f"bias_for_share: k is {k}; expected a class from 0 to {K - 1}")
    if not 0 <= share <= 1:
        raise ValueError(f"bias_for_share: share is {share}; expected a number from 0 to 1")
    missing = np.delete(logits, k, axis=1).max(axis=1) - logits[:, k]
    return float(np.quantile(missing, share))
