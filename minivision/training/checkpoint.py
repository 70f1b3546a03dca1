"""Checkpoints: everything a run needs to go on as if nothing had happened, in one file.

The weights, what the optimizer carries along, the running average and how far the run has come.
No state of a random generator is among them: all that is random is keyed by seed, epoch and step.
The file is replaced in one step, so a run killed at any moment finds the old one or the new one.

A first reading may skip this file.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import numpy as np

from minivision.nn import Module
from minivision.nn.weights import load_weights, save_weights
from minivision.optim import Optimizer, WeightAverage
from minivision.training.plain_json import parse_object


class Progress(NamedTuple):
    """How far a run has come: finished epochs, finished steps, and the seed of its keys."""

    epoch: int
    step: int
    seed: int


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    average: WeightAverage | None,
    progress: Progress,
) -> None:
    """Write model, optimizer, average and progress to a safetensors file, atomically."""
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    if average is not None:
        parts["average"] = average.state_dict()
    arrays = {f"{part}.{name}": a for part, state in parts.items() for name, a in state.items()}
    save_weights(path, arrays, {"progress": json.dumps(progress._asdict())})


def save_model(path: str | os.PathLike[str], model: Module) -> None:
    """Write a model for use, without what going on with its training would need."""
    save_weights(path, {f"model.{name}": a for name, a in model.state_dict().items()}, {})


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    average: WeightAverage | None,
    seed: int,
) -> Progress:
    """Read a checkpoint back into the same objects; returns the progress it was written at.

    Raises ValueError, and changes nothing, where the file is damaged, belongs to another model or
    was begun with another seed, or where one side has a running average and the other has none.
    """
    parts, metadata = _read(path)
    progress = _progress(path, metadata)
    if progress.seed != seed:
        raise ValueError(f"the seed is {seed}, but {path} was begun with {progress.seed}")
    if bool(parts["average"]) != (average is not None):
        has, given = ("a", "none") if parts["average"] else ("no", "one")
        raise ValueError(f"{path} has {has} running average of the weights, but {given} is given")
    before = model.state_dict()
    average_before = average.state_dict() if average is not None else {}
    try:
        model.load_state_dict(parts["model"])
        if average is not None:
            average.load_state_dict(parts["average"])
        optimizer.load_state_dict(parts["optimizer"])
    except ValueError as error:
        model.load_state_dict(before)
        if average is not None:
            average.load_state_dict(average_before)
        raise ValueError(f"{path} is a checkpoint of another model: {error}") from error
    return progress


def finished_epochs(path: str | os.PathLike[str]) -> int:
    """How many epochs a run had finished when it wrote this checkpoint; 0 if there is none."""
    return _progress(path, load_weights(path)[1]).epoch if os.path.exists(path) else 0


def load_model(path: str | os.PathLike[str], model: Module) -> None:
    """Load a checkpoint's weights for use: the running average where there is one.

    Raises ValueError where the file is damaged or belongs to another model.
    """
    parts, _ = _read(path)
    try:
        model.load_state_dict(parts["average"] or parts["model"])
    except ValueError as error:
        raise ValueError(f"{path} is a checkpoint of another model: {error}") from error


def _progress(path: str | os.PathLike[str], metadata: dict[str, str]) -> Progress:
    try:
        progress = Progress(**parse_object("progress", metadata["progress"]))
        if any(type(number) is not int or number < 0 for number in progress):
            raise ValueError(f"{progress} has other numbers than counts")
        return progress
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not say how far the run had come; it cannot go on"
        ) from error


def _read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    arrays, metadata = load_weights(path)
    parts: dict[str, dict[str, np.ndarray]] = {"model": {}, "optimizer": {}, "average": {}}
    for key, array in arrays.items():
        part, _, name = key.partition(".")
        if part not in parts:
            raise ValueError(f"{path} is not a run's checkpoint: it holds {key!r}")
        parts[part][name] = array
    return parts, metadata
