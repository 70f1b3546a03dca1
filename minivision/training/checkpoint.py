"""Checkpoints: everything a run needs to resume as if it had never stopped, in one file.

A checkpoint has the weights, the optimizer's state, the running average, the weights of the best
epoch and the progress of the run. It has no random-generator state, because everything random is
keyed by seed, epoch and step. The file is replaced in one step, so a run that is killed at any
moment leaves either the old checkpoint or the new one.

You can skip this file on a first reading.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import numpy as np

from minivision.nn import Module
from minivision.nn.weights import load_weights, save_weights
from minivision.optim import Optimizer, WeightAverage
from minivision.optim.weight_average import UPDATES
from minivision.training.early_stopping import EarlyStopping
from minivision.training.plain_json import parse_object

PARTS = ("model", "optimizer", "average", "best")


class Progress(NamedTuple):
    """The progress of a run: finished epochs, finished steps, and the seed of its keys."""

    epoch: int
    step: int
    seed: int


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    average: WeightAverage | None,
    progress: Progress,
    early_stopping: EarlyStopping | None = None,
) -> None:
    """Write a checkpoint, everything needed to resume a run, to a safetensors file, atomically."""
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    if average is not None:
        parts["average"] = average.state_dict()
    if early_stopping is not None:
        parts["best"] = early_stopping.weights
    arrays = {f"{part}.{name}": a for part, state in parts.items() for name, a in state.items()}
    save_weights(path, arrays, {"progress": json.dumps(progress._asdict())})


def save_model(path: str | os.PathLike[str], model: Module) -> None:
    """Save a model for inference, without the state needed to resume training."""
    save_weights(path, {f"model.{name}": a for name, a in model.state_dict().items()}, {})


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    average: WeightAverage | None,
    seed: int,
    early_stopping: EarlyStopping | None = None,
) -> Progress:
    """Read a checkpoint back into the same objects; returns the progress saved in it.

    Raises ValueError, and changes nothing, if the file is damaged or belongs to a different model,
    if the run was started with a different seed, or if a running average or a best epoch is either
    in the file or among the arguments, but not both.
    """
    parts, metadata = _read(path)
    progress = _progress(path, metadata)
    if progress.seed != seed:
        raise ValueError(f"the seed is {seed}, but {path} was started with {progress.seed}")
    if bool(parts["average"]) != (average is not None):
        has, given = ("a", "none") if parts["average"] else ("no", "one")
        raise ValueError(f"{path} has {has} running average of the weights, but {given} is given")
    if bool(parts["best"]) != (early_stopping is not None):
        has, given = ("the", "no early stopping") if parts["best"] else ("no", "early stopping")
        raise ValueError(f"{path} has {has} weights of a best epoch, but {given} is given")
    before = model.state_dict()
    average_before = average.state_dict() if average is not None else {}
    try:
        if early_stopping is not None:
            model.load_state_dict(parts["best"])  # only to check that they fit
        model.load_state_dict(parts["model"])
        if average is not None:
            average.load_state_dict(parts["average"])
        optimizer.load_state_dict(parts["optimizer"])
    except ValueError as error:
        model.load_state_dict(before)
        if average is not None:
            average.load_state_dict(average_before)
        raise ValueError(f"{path} is a checkpoint of a different model: {error}") from error
    if early_stopping is not None:
        early_stopping.weights = parts["best"]
    return progress


def finished_epochs(path: str | os.PathLike[str]) -> int:
    """How many epochs a run had finished when it wrote this checkpoint; 0 if there is none."""
    return _progress(path, load_weights(path)[1]).epoch if os.path.exists(path) else 0


def load_model(path: str | os.PathLike[str], model: Module) -> None:
    """Load weights for inference: the best epoch's, the running average or the latest ones.

    The checkpoint may contain no best epoch and no average; the first that exists is used. Raises
    ValueError if the file is damaged or belongs to a different model.
    """
    parts, _ = _read(path)
    try:
        model.load_state_dict(_for_use(parts))
    except ValueError as error:
        raise ValueError(f"{path} is a checkpoint of a different model: {error}") from error


def weights_in(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Weights by name: those a checkpoint keeps for inference, or all of a safetensors file."""
    arrays, _ = load_weights(path)
    if all(name.partition(".")[0] in PARTS for name in arrays):
        return _for_use(_read(path)[0])
    return arrays


def _for_use(parts: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    average = {name: array for name, array in parts["average"].items() if name != UPDATES}
    return parts["best"] or average or parts["model"]


def _progress(path: str | os.PathLike[str], metadata: dict[str, str]) -> Progress:
    try:
        progress = Progress(**parse_object("progress", metadata["progress"]))
        if any(type(number) is not int or number < 0 for number in progress):
            raise ValueError(f"{progress} contains values that are not counts")
        return progress
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not record the progress of its run, so the run cannot be resumed"
        ) from error


def _read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    arrays, metadata = load_weights(path)
    parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in PARTS}
    for key, array in arrays.items():
        part, _, name = key.partition(".")
        if part not in parts:
            raise ValueError(f"{path} is not a run's checkpoint: it contains {key!r}")
        parts[part][name] = array
    return parts, metadata
