"""Noisy student: a network labels images for its successor, which has a harder time learning.

    1. train a teacher on the labelled images, with noise
    2. let it label the unlabelled images: clean ones, itself in evaluation mode
    3. keep what it is sure of, as much of every class              `filter_and_balance`
    4. train an equal or larger student on both, with noise
    5. make the student the teacher, and go back to 2

(Xie, Luong, Hovy & Le 2020, Algorithm 1.) The noise is augmentation, dropout and stochastic depth.
Without it the student can repeat its teacher's answers at no loss, and learns little. Some of a
gain may be the noise's alone: the first row of the result, the teacher, is the baseline for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision import functional as F
from minivision.backend import array_module
from minivision.datasets import DataLoader, Subset
from minivision.methods.checks import check_classes
from minivision.methods.joint_batches import JointBatches, joined
from minivision.methods.responses import hide_labels, looked_up, record_responses
from minivision.methods.transfer import MakeOptimizer
from minivision.nn import Module
from minivision.optim import Adam, cosine
from minivision.random import manual_seed
from minivision.tensor import Tensor
from minivision.training import Run, fit
from minivision.training.loop import Batch, Loss

EVALUATION_BATCH = 250
WEIGHTINGS = ("mean", "labelled")


class Generation(NamedTuple):
    """A network of the chain, and what is known about it and its pseudo-labels."""

    model: Module
    record: dict[str, Any]


def self_train(
    networks: Sequence[Callable[..., Module]],
    labelled: Any,
    unlabelled: Any,
    *,
    clean: Callable,
    noise: Callable | None,
    steps: int,
    epochs: int = 1,
    batch_size: int = 32,
    ratio: int = 3,
    lr: float = 1e-3,
    optimizer: MakeOptimizer = Adam,
    soft: bool = True,
    floor: float = 0.3,
    per_class: int | None = None,
    balance: bool = True,
    weighting: str = "mean",
    measure: Callable[[Module], Mapping[str, Any]] | None = None,
    truth: np.ndarray | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> list[Generation]:
    """Train a teacher and then a student for each further network; returns all generations.

    networks: functions that build a network, the teacher's first, then one per iteration; their
        weights come from `manual_seed(seed, generation)`.
    labelled, unlabelled: datasets; the labels of `unlabelled` are never read.
    clean: the transform of images as they are. noise: the one that augments; None trains without
        any noise, and dropout and stochastic depth are off, too.
    steps, epochs: of each network, half a cosine long; a step has batch_size labelled images and
        `ratio` times as many pseudo-labelled ones.
    soft: learn the teacher's probabilities; False: its decisions.
    floor, per_class, balance: see `filter_and_balance`; balance=False keeps all above the floor.
    weighting: see `self_training_loss`.
    measure(model) -> numbers for the record of each generation. truth: labels (M,) of the
        unlabelled images, only to say how often pseudo-labels are right.
    run: gets a folder for each generation; called again, it goes on where it was stopped.

    A record has generation, parameters, kept_fraction (of the unlabelled images, used at least
    once), pseudo_label_accuracy (with truth), and what `measure` found.
    """
    if not networks:
        raise ValueError("self_train: networks is empty; expected a teacher and students")
    if not 0 <= floor <= 1:
        raise ValueError(f"self_train: floor is {floor}; expected a probability from 0 to 1")
    if len(unlabelled) == 0:
        raise ValueError("self_train: unlabelled is empty; expected images to label")
    if weighting not in WEIGHTINGS:
        raise ValueError(f'self_train: weighting is {weighting!r}; expected "mean", "labelled"')
    transform = clean if noise is None else noise
    seen = DataLoader(labelled, batch_size, shuffle=True, seed=seed, transform=transform)
    generations: list[Generation] = []
    for number, network in enumerate(networks):
        with manual_seed(seed, number):
            model = network()
        check_classes("self_train", model, labelled)
        record: dict[str, Any] = {"generation": number, "parameters": model.parameter_count()}
        loaders, targets = [seen], None
        if number > 0:
            teacher = generations[-1].model
            p = labelled_by(teacher, DataLoader(unlabelled, EVALUATION_BATCH, transform=clean))
            chosen = filter_and_balance(p, floor, per_class, balance, labelled.classes)
            pseudo = DataLoader(
                Subset(unlabelled, chosen), ratio * batch_size,
                shuffle=True, seed=seed, transform=transform,
            )  # fmt: skip
            loaders.append(hide_labels(pseudo))
            targets = p[chosen] if soft else one_hot(p[chosen])
            record["kept_fraction"] = len(np.unique(chosen)) / len(unlabelled)
            if truth is not None:
                right = p[chosen].argmax(axis=1) == truth[chosen]
                record["pseudo_label_accuracy"] = float(right.mean())
        if noise is None:
            for layer in model.modules():
                if layer.random:
                    layer.freeze()
        folder = run and run.stage(f"{number}-{'student' if number else 'teacher'}")
        fit(
            model,
            JointBatches(loaders, steps),
            self_training_loss(targets, weighting),
            optimizer(model.parameters(), lr),
            epochs,
            schedule=cosine(epochs),
            seed=seed,
            run=folder,
            device=device,
        )
        if folder is not None and folder.result_path.exists():
            record = folder.read_result()  # what was measured once stands
        else:
            record |= {} if measure is None else measure(model)
            if folder is not None:
                folder.write_result(record)
        generations.append(Generation(model, record))
    return generations


def labelled_by(teacher: Module, loader: DataLoader) -> np.ndarray:
    """Step 2: the teacher's probabilities (M, K) for every image, clean, in evaluation mode."""
    return F.softmax(record_responses(teacher, loader)).data


def filter_and_balance(
    p: np.ndarray,
    floor: float = 0.3,
    per_class: int | None = None,
    balance: bool = True,
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """Step 3: which images to train on, as positions (n·K,); an image may come several times.

    p (M, K) probabilities. An image belongs to its likeliest class if that has at least `floor`.
    Of each class the per_class surest images are taken; where there are fewer they are repeated,
    the surest first. per_class=None: as many as the classes have on average.
    balance=False: every image above the floor, once.

    (The paper's code walks down thresholds in steps of 0.01 and rounds the number of copies by
    chance; here every class has exactly as many.) Raises ValueError where nothing is above the
    floor, or a class has no image.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    >>> filter_and_balance(p, per_class=2)
    array([0, 1, 3, 3])
    """
    M, K = p.shape
    names = classes or [f"class {k}" for k in range(K)]
    confidence, decided = p.max(axis=1), p.argmax(axis=1)
    accepted = confidence >= floor
    if not accepted.any():
        raise ValueError(
            f"filter_and_balance: all {M} pseudo-labels are below the floor of {floor}; the "
            f"highest probability is {confidence.max():.3f}. A lower floor, or a better teacher"
        )
    if not balance:
        return np.flatnonzero(accepted)
    per_class = max(1, int(accepted.sum()) // K) if per_class is None else per_class
    if per_class < 1:
        raise ValueError(f"filter_and_balance: per_class is {per_class}; expected 1 or more")
    chosen = []
    for k in range(K):
        members = np.flatnonzero(accepted & (decided == k))
        if not len(members):
            raise ValueError(
                f"filter_and_balance: no image above the floor of {floor} is taken for "
                f"{names[k]}; its highest probability is {p[:, k].max():.3f}. "
                "A lower floor, balance=False, or a better teacher"
            )
        surest = members[np.argsort(-confidence[members], kind="stable")]
        chosen.append(np.resize(surest, per_class))  # cut off, or repeated from the front
    return np.concatenate(chosen)


def one_hot(p: np.ndarray) -> np.ndarray:
    """Decisions as distributions: 1 for the likeliest class, 0 for the others, (N, K)."""
    return np.eye(p.shape[1], dtype=p.dtype)[p.argmax(axis=1)]


def self_training_loss(targets: np.ndarray | None, weighting: str = "mean") -> Loss:
    """Cross-entropy of n labelled and m pseudo-labelled images, for `fit` on `JointBatches`.

        mean      (Σ CE(y, f(x)) + Σ CE(p, f(u))) / (n + m)       the paper's text
        labelled  (Σ CE(y, f(x)) + Σ CE(p, f(u))) / n             its code; 1 + m/n times as large

    targets (M, K): the distributions p, by position; None if all images are labelled.
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
