"""The training loop: forward, backward, update.

Every method in `methods/` is this loop with a different loss, different batches or a different
schedule. Everything random is keyed by (seed, epoch) or (seed, step), so a run that was killed and
resumed ends with the same weights, bit for bit, as an uninterrupted run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import Array, array_module, resolve_device, to_device
from minivision.errors import kind
from minivision.fast import one_blas_thread
from minivision.nn import Module
from minivision.optim import Optimizer, WeightAverage
from minivision.optim.schedules import FollowsResults, Schedule
from minivision.random import Key, keyed
from minivision.tensor import Tensor
from minivision.training import progress
from minivision.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from minivision.training.early_stopping import EarlyStopping
from minivision.training.guard import Guard
from minivision.training.progress import EpochBatches, History
from minivision.training.run import Run


@dataclass(frozen=True)
class Batch:
    """The input of a loss. With several loaders, the input is a tuple of these."""

    images: Tensor  # (N, C, H, W), on the device
    targets: Any  # labels (N,) on the host, or soft labels (N, K) on the device
    indices: np.ndarray | None = None  # (N,): the images' indices in the dataset, if requested
    step: int = 0  # the number of updates so far


# loss(model, batch) -> the loss, or the loss and a report: more numbers to average and record
Loss = Callable[[Module, Any], Tensor | tuple[Tensor, Mapping[str, Any]]]


def train_step(
    model: Module, batch: Any, loss: Loss, optimizer: Optimizer
) -> tuple[Tensor, Mapping[str, Any]]:
    """One step of gradient descent: the loss, its gradients, the update."""
    result = loss(model, batch)
    value, report = result if isinstance(result, tuple) else (result, {})
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value, report


def classification_loss(
    model: Module, batch: Batch, weight: Array | None = None
) -> tuple[Tensor, dict[str, Any]]:
    """The model's own loss on its logits, or cross-entropy; reports train_accuracy.

    weight (K): use cross-entropy with these class weights, whatever the model's own loss is.
    """
    logits = model(batch.images)
    if weight is None:
        loss = getattr(model, "loss", F.cross_entropy)(logits, batch.targets)
    else:
        loss = F.cross_entropy(logits, batch.targets, weight)
    labels = array_module(logits.data).asarray(batch.targets)
    if labels.ndim == 2:  # soft labels: the most likely class counts
        labels = labels.argmax(axis=1)
    return loss, {"train_accuracy": (logits.argmax(axis=1) == labels).mean()}


# Multithreaded BLAS spins between small products and slows down everything else.
@one_blas_thread()
# NumPy's warnings about NaN and infinity would precede the error message that fit raises.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def fit(
    model: Module,
    batches: Callable[[int], EpochBatches],
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    *,
    schedule: Schedule | None = None,
    validate: Callable[[Module], Mapping[str, float]] | None = None,
    batch_transform: Callable | None = None,
    average: WeightAverage | None = None,
    early_stopping: EarlyStopping | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Train a model; returns one record per epoch, which is one pass over all images in batches.

    Without schedule, average, run and error handling, this is

        for epoch in range(epochs):
            for batch in batches(epoch):
                train_step(model, batch, loss, optimizer)

    batches(epoch) -> an iterable of host arrays (images float32 (N, C, H, W), labels int64 (N,))
        with a length, such as a DataLoader. If indices (N,) follow the labels, the loss finds
        them in batch.indices. With several loaders, each item is a tuple of such batches.
    loss(model, batch) -> a scalar Tensor, or (Tensor, {name: scalar}); the named scalars are
        averaged over the epoch and recorded. A scalar that is a mean over something other than the
        images of the batch is given as (sum, count).
    schedule: the factor on the initial learning rates as a function of the time in epochs; or
        DivideWhenStalled, which depends on the results.
    validate(model) -> numbers recorded as validation_…, for example from `evaluate`.
    batch_transform(images, targets, rng) -> (images, targets, …) on the device (CutMix, Mixup).
    average: a WeightAverage of the model; `validate` uses its weights.
    early_stopping: an EarlyStopping; the model ends with the weights that were best in `validate`.
    run: the folder for metrics and checkpoint. If it has a checkpoint, training resumes from it
        (ValueError if metrics and checkpoint do not cover the same epochs).

    Raises FloatingPointError if a loss is not finite, and names the function and the line that
    produced it. Weights, optimizer and buffers are then restored to the state before the step. On a
    GPU the loss is checked only every 50 steps, so earlier steps may already have changed them; the
    message names the earliest step that may be affected. The model's mode, training or evaluation,
    is always restored at the end, even after an error or Ctrl-C.
    """
    if not callable(batches):
        raise TypeError(
            f"fit: batches is {kind(batches)}; expected batches(epoch), such as a DataLoader"
        )
    where = resolve_device(device)
    model.to(where)
    optimizer.load_state_dict(optimizer.state_dict())  # velocities follow the weights to the device
    if early_stopping is not None:
        early_stopping.begin(validated=validate is not None)
    done, history = Progress(0, 0, seed), History()
    if run is not None:
        if run.checkpoint_path.exists():
            done = load_checkpoint(
                run.checkpoint_path, model, optimizer, average, seed, early_stopping
            )
        # An epoch may have been logged but not saved.
        history.extend(progress.numbers_in(run.truncate(done.epoch), run.metrics_path))
    follower = schedule if isinstance(schedule, FollowsResults) else None
    if follower is not None:
        follower.begin(history, validated=validate is not None)
    was_training = model.training
    guard = Guard(loss, model, optimizer, seed, where, done.step)
    try:
        for epoch in range(done.epoch, epochs):
            if early_stopping is not None and early_stopping.stops(history):
                break
            model.train()
            start, means, epoch_batches = time.perf_counter(), progress.Means(), batches(epoch)
            steps = len(epoch_batches)
            if steps == 0:
                raise ValueError("fit: batches is empty; is the dataset smaller than one batch?")
            with progress.bar(epoch, epochs, steps) as bar:
                for i, host_batch in enumerate(epoch_batches):
                    step = done.step + i
                    batch, count = _on_device(host_batch, where, batch_transform, seed, step)
                    model.seed(seed, step)
                    with guard.step(i, steps):
                        if schedule is not None:
                            optimizer.scale_lr(schedule(epoch + i / steps))
                        # guard(model, batch) returns the loss, and raises if it is not finite.
                        value, report = train_step(model, batch, guard, optimizer)
                    if average is not None:
                        average.update()
                    means.add(count, {"train_loss": value.data, **report})
                    del value, report
                    bar.update()
                record = {"epoch": epoch + 1, **means.result()}
                if validate is not None:
                    with nullcontext() if average is None else average.applied():
                        numbers = validate(model)
                    record |= {f"validation_{name}": number for name, number in numbers.items()}
                record["seconds"] = round(time.perf_counter() - start, 3)
                progress.tell(bar, epoch, epochs, record)
            done = Progress(epoch + 1, done.step + steps, seed)
            history.append(record)
            if follower is not None:
                follower.observe(record)
            if early_stopping is not None:
                with nullcontext() if average is None else average.applied():
                    early_stopping.observe(history, model)
            if run is not None:
                run.log(record)
                save_checkpoint(
                    run.checkpoint_path, model, optimizer, average, done, early_stopping
                )
        if early_stopping is not None and history:
            model.load_state_dict(early_stopping.weights)
    finally:
        model.train(was_training)
    return history


def _on_device(
    host: tuple[Any, ...], where: str, transform: Callable | None, seed: int, step: int
) -> tuple[Batch | tuple[Batch, ...], int]:
    """Host arrays as a Batch, or a tuple of Batches, on the device; and the number of images."""
    if isinstance(host[0], tuple):
        if transform is not None:
            raise ValueError("fit: batch_transform needs a single loader, but batches has several")
        parts = [_on_device(part, where, None, seed, step) for part in host]
        return tuple(batch for batch, _ in parts), sum(count for _, count in parts)  # type: ignore[misc]
    images, targets, indices = (*host, None)[:3]
    images = to_device(images, where)
    if transform is not None:
        images, targets = transform(images, targets, keyed(Key.MIXING, seed, step))[:2]
    if targets.dtype.kind == "f":
        targets = to_device(targets, where)
    return Batch(Tensor(images), targets, indices, step), len(images)
