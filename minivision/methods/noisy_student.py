"""Noisy student training: a teacher labels images, and a student learns from them with added noise.

    1. train a teacher on the labelled images, with noise
    2. let the teacher, in evaluation mode, label the unlabelled images, without noise
       (keep the confident labels, the same number for each class)    `filter_and_balance`
    3. train a student at least as large as the teacher on all of these images, with noise
    4. make the student the new teacher, and return to step 2

(Xie, Luong, Hovy & Le 2020, Algorithm 1; filtering and balancing are in §2.) The noise is
augmentation, dropout and stochastic depth. Without noise, the student could reproduce the teacher's
labels perfectly and learn little. Part of the improvement may come from the noise alone, so compare
each student with the first teacher, which is trained with noise too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minivision import functional as F
from minivision.backend import array_module
from minivision.datasets import DataLoader, Subset
from minivision.errors import require_one_of, require_probability
from minivision.methods.checks import check_classes
from minivision.methods.joint_batches import JointBatches, joined
from minivision.methods.responses import hide_labels, looked_up, record_responses
from minivision.nn import Module
from minivision.random import manual_seed
from minivision.tensor import Tensor
from minivision.training.evaluation import in_order
from minivision.training.loop import Batch, Loss

WEIGHTINGS = ("mean", "labelled")


class Generation(NamedTuple):
    """A network to be trained, with its batches, its loss and its pseudo-labels."""

    number: int  # 0 for the first teacher
    model: Module
    batches: JointBatches
    loss: Loss
    targets: np.ndarray | None = None  # (M, K): the teacher's soft or hard labels
    chosen: np.ndarray | None = None  # indices of the unlabelled images used, perhaps repeated

    def report(self, truth: np.ndarray | None = None) -> dict[str, Any]:
        """Numbers to record, such as the share of the unlabelled images that are used.

        truth (M,): the true labels of the unlabelled images, if known; they add the share of
        pseudo-labels that are correct.
        """
        report: dict[str, Any] = {
            "generation": self.number,
            "parameters": self.model.parameter_count(),
        }
        if self.targets is not None and self.chosen is not None:
            report["kept_fraction"] = len(np.unique(self.chosen)) / len(self.targets)
            if truth is not None:
                right = self.targets[self.chosen].argmax(axis=1) == truth[self.chosen]
                report["pseudo_label_accuracy"] = float(right.mean())
        return report


def self_train(
    networks: Sequence[Callable[[], Module]],
    labelled: DataLoader,
    unlabelled: DataLoader,
    clean: Callable,
    *,
    steps: int | None = None,
    soft: bool = True,
    choose: Callable[[np.ndarray], np.ndarray] | None = None,
    weighting: str = "mean",
) -> Iterator[Generation]:
    """Yield a teacher, and then one student for each further network; the caller trains each:

        for generation in self_train([teacher, student, student], labelled, unlabelled, clean):
            model = generation.model
            fit(model, generation.batches, generation.loss, Adam(model.parameters(), lr), epochs)

    networks: functions that build a network, the teacher's first; the weights of network i are
        drawn from `manual_seed(labelled.seed, i)`.
    labelled, unlabelled: loaders; every step uses a batch from each. Their transforms, which may
        differ, add the noise to the images. The labels of `unlabelled` are never read.
    clean: the transform for the images that a teacher labels; it must not be random.
    steps: batches per epoch for every network; by default, the number of batches in `unlabelled`.
    soft: True for soft labels, which are the teacher's probabilities; False for hard labels.
    choose(p) -> the indices of the images to train on; by default `filter_and_balance`.
    weighting: see `self_training_loss`.
    """
    if not networks:
        raise ValueError("self_train: networks is empty; expected a teacher and its students")
    require_one_of("self_train: weighting", weighting, WEIGHTINGS)
    steps = len(unlabelled) if steps is None else steps
    images = in_order(unlabelled.dataset, clean)
    names, teacher = labelled.dataset.classes, None
    choose = choose or partial(filter_and_balance, classes=names)
    for number, network in enumerate(networks):
        with manual_seed(labelled.seed, number):
            model = network()
        check_classes("self_train", model, labelled.dataset)
        if teacher is None:  # step 1
            batches, loss = JointBatches([labelled], steps), self_training_loss(None, weighting)
            generation = Generation(number, model, batches, loss)
        else:
            p = labelled_by(teacher, images)  # step 2
            chosen = choose(p)  # §2
            targets = p if soft else one_hot(p)
            pseudo = hide_labels(unlabelled)
            pseudo.dataset = Subset(pseudo.dataset, chosen)
            batches = JointBatches([labelled, pseudo], steps)
            loss = self_training_loss(targets[chosen], weighting)
            generation = Generation(number, model, batches, loss, targets, chosen)
        yield generation  # steps 1 and 3: the caller trains it
        teacher = model  # step 4


def without_noise(model: Module) -> Module:
    """Switch dropout and stochastic depth off permanently, as in the paper's ablation study."""
    for layer in model.modules():
        if layer.random:
            layer.freeze()
    return model


def labelled_by(teacher: Module, loader: DataLoader) -> np.ndarray:
    """Step 2: the teacher's probabilities (M, K) for all images, in evaluation mode."""
    return F.softmax(record_responses(teacher, loader)).data


def filter_and_balance(
    p: np.ndarray,
    floor: float = 0.3,
    per_class: int | None = None,
    balance: bool = True,
    allow_missing: bool = False,
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """Choose the images to train on (§2). Returns indices (n·K,), perhaps with repetitions.

    p (M, K): probabilities. An image is assigned to its most likely class if the probability of
        that class is at least `floor`, the confidence threshold, from 0 to 1.
    per_class: how many images to take from each class, the most confident first. If a class has
        fewer, its images are repeated, the most confident first. None: the average number per
        class.
    balance: False takes every image above the floor once.
    allow_missing: whether to continue if a class has no image above the floor; otherwise a
        ValueError names the class. It is always an error if no image at all is above the floor.
    classes: the names of the classes, for error messages.

    (The paper's code lowers the threshold in steps of 0.01 and rounds the number of copies at
    random; here every class gets exactly per_class images.)

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    >>> filter_and_balance(p, per_class=2)
    array([0, 1, 3, 3])
    """
    require_probability("filter_and_balance: floor", floor)
    M, K = p.shape
    names = classes or [f"class {k}" for k in range(K)]
    confidence, decided = p.max(axis=1), p.argmax(axis=1)
    accepted = confidence >= floor
    if not accepted.any():
        raise ValueError(
            f"filter_and_balance: all {M} pseudo-labels are below the floor of {floor}; the "
            f"highest probability is {confidence.max():.3f}. Lower the floor, or use a better "
            "teacher"
        )
    if not balance:
        return np.flatnonzero(accepted)
    per_class = max(1, int(accepted.sum()) // K) if per_class is None else per_class
    if per_class < 1:
        raise ValueError(f"filter_and_balance: per_class is {per_class}; expected at least 1")
    chosen = []
    for k in range(K):
        members = np.flatnonzero(accepted & (decided == k))
        if not len(members):
            if allow_missing:
                continue
            raise ValueError(
                f"filter_and_balance: no image is labelled {names[k]} above the floor of {floor}; "
                f"its highest probability is {p[:, k].max():.3f}. Lower the floor, use a better "
                "teacher, or pass balance=False or allow_missing=True (--no-balance, "
                "--allow-missing)"
            )
        surest = members[np.argsort(-confidence[members], kind="stable")]
        chosen.append(np.resize(surest, per_class))  # truncated, or repeated from the front
    return np.concatenate(chosen)


def one_hot(p: np.ndarray) -> np.ndarray:
    """Hard labels as distributions (N, K): 1 for the most likely class, 0 for the others."""
    return np.eye(p.shape[1], dtype=p.dtype)[p.argmax(axis=1)]


def self_training_loss(targets: np.ndarray | None, weighting: str = "mean") -> Loss:
    """Cross-entropy over n labelled and m pseudo-labelled images, for `fit` on `JointBatches`.

        mean      (Σ CE(y, f(x)) + Σ CE(p, f(u))) / (n + m)       the paper's text
        labelled  (Σ CE(y, f(x)) + Σ CE(p, f(u))) / n             its code; 1 + m/n times as large

    targets (M, K): the distribution p for each image of the second loader; None for a teacher that
    is trained only on labelled images.
    """

    def loss(model: Module, batches: Sequence[Batch]) -> tuple[Tensor, dict[str, Any]]:
        images, (labelled, *pseudo) = joined(batches)
        z, y = model(images), batches[0].targets
        right = (z.data[labelled].argmax(axis=1) == array_module(z.data).asarray(y)).mean()
        supervised = F.cross_entropy(z[labelled], y)
        if targets is None:
            return supervised, {"train_accuracy": right}
        p = looked_up(targets, batches[1].indices, z.data)
        unlabelled = F.cross_entropy(z[pseudo[0]], p)
        n, m = len(y), len(p)
        scale = n if weighting == "labelled" else n + m
        total = (n / scale) * supervised + (m / scale) * unlabelled
        return total, {
            "train_accuracy": right,
            "supervised_loss": supervised,
            "unlabelled_loss": unlabelled,
        }

    return loss
