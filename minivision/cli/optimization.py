"""How a run learns: its initial weights, loss, optimizer and schedule.

Each function turns entries in a run's settings into an argument for `fit`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minivision.cli.argument_types import positive
from minivision.cli.setup import build_model
from minivision.datasets.download import sha256_of
from minivision.functional import cross_entropy
from minivision.models import cut
from minivision.nn import Module
from minivision.optim import SGD, Adam, DivideWhenStalled, Optimizer, cosine, decay_groups
from minivision.optim.schedules import Schedule, step_decay
from minivision.training import EarlyStopping, classification_loss
from minivision.training.checkpoint import weights_in
from minivision.training.loop import Loss
from minivision.training.settings import CHOICES, PLATEAU, RunSettings

# Initial learning rates, by prefix of the network's name; the longest match counts. Larger networks
# need smaller steps: Adam's first step changes every weight by the learning rate, so the sum in a
# unit with thousands of inputs may change by thousands of times as much.
LEARNING_RATES = {
    "": {"adam": 2e-3, "sgd": 5e-3},
    "vgg_small": {"adam": 2e-4, "sgd": 1e-3},
    "alexnet": {"adam": 3e-5, "sgd": 3e-4},
    "alexnet_small": {"adam": 2e-3, "sgd": 5e-3},
    "vgg1": {"adam": 1e-4, "sgd": 1e-3},
}
MOMENTUM = 0.9
# In models/, these networks have the initialization of a paper that used a million training images.
# Here they start from He-normal weights instead.
STARTS = dict.fromkeys(("alexnet", "alexnet_caffenet", "alexnet_two_tower"), "he")


def start_of(model: str) -> str:
    """How this network's weights are initialized unless the command line says otherwise."""
    return STARTS.get(model, "paper")


def learning_rate(model: str, optimizer: str) -> float:
    """The initial learning rate for this network unless the command line gives one."""
    family = max(filter(model.startswith, LEARNING_RATES), key=len)
    return LEARNING_RATES[family][optimizer]


def add_learning_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `train` for how the network learns; None means not given."""
    add = parser.add_argument
    add(
        "--lr", type=positive(float),
        help="initial learning rate (default: adam 0.002, sgd 0.005; less for vgg_small, and even "
        "less for the large AlexNets and VGGs: LEARNING_RATES in cli/optimization.py)",
    )  # fmt: skip
    add("--optimizer", choices=["adam", "sgd"], help="(default: adam)")
    add(
        "--momentum", type=positive(float, zero=True),
        help="for sgd: the fraction of the last step added to the next, below 1 (default: 0.9)",
    )  # fmt: skip
    add(
        "--weight-decay", type=positive(float, zero=True),
        help="add this times the weight to its gradient, which pulls weights towards 0; biases and "
        "normalization parameters, which hardly overfit, do not decay (default: none for adam; for "
        "sgd 0.0005, including biases and normalization)",
    )  # fmt: skip
    add(
        "--schedule", choices=CHOICES["schedule"],
        help="for the learning rate: cosine falls to 0 along half a wave; constant never changes; "
        "step divides by 10 after each third of the epochs; plateau divides by 10 whenever the "
        "validation loss has not reached a new minimum for 4 epochs (default: cosine)",
    )  # fmt: skip
    add(
        "--class-weights", choices=["balanced"],
        help="let rare classes count as much as frequent ones: weight each term of cross-entropy "
        "by 1 / the class's frequency in training, scaled to mean 1 (not in validation and test)",
    )  # fmt: skip
    add(
        "--patience", type=positive(int),
        help="stop after N epochs without a better validation loss; the run keeps and tests the "
        "weights of the best epoch (default: train all epochs and keep the last weights)",
    )  # fmt: skip
    add(
        "--weights", type=Path, metavar="FILE",
        help="start from these weights instead of random ones: a run, or a .safetensors file from "
        "convert-weights; the last layer starts fresh if the number of classes differs",
    )  # fmt: skip
    add(
        "--start", choices=["he", "paper"],
        help="initial weights: paper, as in the network's file in models/ (AlexNet: its paper's "
        "N(0, 0.01²); VGG: torchvision's; most others: He's); or he, He-normal in every layer "
        f"(default: he for {', '.join(STARTS)}; else paper)",
    )  # fmt: skip


def begin_from(model: Module, file: str) -> str:
    """Load a network's weights from a file; returns what happened to its last layer, for printing.

    file: a safetensors file from `convert-weights`, or a run's checkpoint. If its number of classes
        differs, the last layer keeps its random initial weights: it is a new head.

    Raises ValueError if the weights belong to a different network, and OSError if they cannot be
    read.
    """
    own, weights = model.state_dict(), weights_in(file)
    try:
        parts = {id(parameter) for parameter in cut(model).head.parameters()}
    except TypeError:  # a network without a backbone and a head
        parts = set()
    head = [name for name, parameter in model.named_parameters() if id(parameter) in parts]
    comparable = all(n in weights and weights[n].shape[1:] == own[n].shape[1:] for n in head)
    renewed = comparable and any(weights[name].shape != own[name].shape for name in head)
    if renewed:
        weights |= {name: own[name] for name in head}
    try:
        model.load_state_dict(weights)
    except ValueError as error:
        raise ValueError(
            f"--weights: {file} has the weights of a different network: {error}"
        ) from error
    return "starts fresh, for different classes" if renewed else "is kept"


def weights_file(path: Path) -> str:
    """The absolute path of the weights given by --weights: a file, or the checkpoint of a run."""
    return str((path / "checkpoint.safetensors" if path.is_dir() else path).resolve())


def sha256(file: str) -> str:
    """The SHA-256 of a file, by which we recognise it later."""
    try:
        return sha256_of(Path(file))
    except OSError as error:
        raise type(error)(f"--weights: cannot read {file}: {error.strerror}") from error


def load_first_weights(model: Module, settings: RunSettings) -> None:
    """Load the weights given by --weights; ValueError if the file has changed."""
    if sha256(str(settings.weights)) != settings.weights_sha256:
        raise ValueError(
            f"--weights: {settings.weights} is not the file that the run was started with; "
            "restore it, or start a new run"
        )
    fate = begin_from(model, str(settings.weights))
    print(f"initial weights: {settings.weights}; the last layer {fate}")


def check_beginning(settings: RunSettings, labels: np.ndarray) -> None:
    """Reject settings that would fail at the start of training, before a folder is created."""
    model = build_model(settings, drawn=False)
    if settings.class_weights and getattr(model, "loss", cross_entropy) is not cross_entropy:
        raise ValueError(
            f"--class-weights is for cross-entropy, but {settings.model} is trained with the loss "
            "in its paper; choose a different --model, or leave the option out"
        )
    make_loss(settings, labels)
    if settings.weights is not None:
        begin_from(model, settings.weights)


def make_loss(settings: RunSettings, labels: np.ndarray) -> Loss:
    """The network's own loss, or cross-entropy that counts rare classes as much as frequent ones.

    labels: the labels of the training images.
    """
    if settings.class_weights is None:
        return classification_loss
    return partial(classification_loss, weight=balanced(labels, settings.classes))


def balanced(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The weights (K,) of the classes: 1 / frequency, scaled to a mean of 1.

    If there are ten times as many cats as dogs, an error on a cat costs a tenth as much as an error
    on a dog.

    >>> balanced(np.array([0, 0, 0, 1]), ("cat", "dog"))
    array([0.5, 1.5])
    """
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.all():
        raise ValueError(
            f"--class-weights: {classes[int(counts.argmin())]} has no training image, so it has "
            "no weight; use more images (--limit), or leave the option out"
        )
    return len(counts) / counts / (1 / counts).sum()


def make_optimizer(settings: RunSettings, model: Module) -> Optimizer:
    """Adam or SGD; with --weight-decay, biases and normalization parameters do not decay."""
    parameters: Any = model.parameters()
    if settings.weight_decay is not None:
        parameters = decay_groups(model, settings.weight_decay)
    if settings.optimizer == "adam":
        return Adam(parameters, settings.lr)
    momentum = MOMENTUM if settings.momentum is None else settings.momentum
    # Without --weight-decay, SGD decays all parameters a little, as in earlier versions.
    return SGD(parameters, settings.lr, momentum, weight_decay=5e-4, nesterov=True)


def make_schedule(settings: RunSettings) -> Schedule | None:
    """The factor on the initial learning rate over the epochs."""
    return {
        "cosine": cosine(settings.epochs),
        "constant": None,
        "step": step_decay(every=settings.epochs / 3),
        "plateau": DivideWhenStalled(patience=PLATEAU),
    }[settings.schedule]


def make_stopping(settings: RunSettings) -> EarlyStopping | None:
    """Early stopping, if the run's settings have a patience."""
    return None if settings.patience is None else EarlyStopping(settings.patience)
