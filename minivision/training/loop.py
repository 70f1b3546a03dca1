"""The one training loop: batches go in, gradients come back, the weights move.

Every method of the course is this loop with another loss, other batches or another schedule.
Everything random is keyed by (seed, epoch) or (seed, step), so a run that was killed and resumed
ends with the same weights, to the bit, as one that was not.

Read next: training/ten_crops.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm.auto import tqdm

from minivision import functional as F
from minivision.autograd import detect_anomaly, no_grad
from minivision.backend import array_module, device_of, resolve_device, to_device, to_host
from minivision.fast import one_blas_thread
from minivision.nn import Module
from minivision.optim import Optimizer, WeightAverage
from minivision.optim.schedules import FollowsResults, Schedule
from minivision.random import Key, keyed
from minivision.tensor import Tensor
from minivision.training import metrics
from minivision.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from minivision.training.run import Run

RESERVED = ("epoch", "train_loss", "seconds")  # names in a record that are ours
STEPS_BETWEEN_LOOKS = {"cpu": 1, "gpu": 50}  # reading the loss makes the host wait for a GPU


class Batch(NamedTuple):
    """What a loss function is given: images (N, C, H, W) on the device, and their targets."""

    images: Tensor
    targets: Any  # labels (N,) on the host, or soft targets (N, K) on the device


class EpochBatches(Protocol):
    """The batches of one epoch: they can be walked, and their number is known beforehand."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Any, Any]]: ...


class History(list):
    """One record (a dict of numbers) for every epoch; `history["train_loss"]` is a column."""

    def __getitem__(self, key: Any) -> Any:
        return [record.get(key) for record in self] if isinstance(key, str) else list(self)[key]


Loss = Callable[[Module, Batch, int], Tensor | tuple[Tensor, Mapping[str, Any]]]


def classification_loss(model: Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Any]]:
    """The model's own loss on its logits, or cross-entropy; reports train_accuracy."""
    logits = model(batch.images)
    loss = getattr(model, "loss", F.cross_entropy)(logits, batch.targets)
    xp = array_module(logits.data)
    labels = xp.asarray(batch.targets)
    if labels.ndim == 2:  # soft targets: the likeliest class counts
        labels = labels.argmax(axis=1)
    return loss, {"train_accuracy": (logits.data.argmax(axis=1) == labels).mean()}


# BLAS in several threads spins between small products and disturbs whatever runs beside it.
@one_blas_thread()
# NumPy's warnings about NaN and infinity would come before the sentence that fit has for them.
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
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Train a model, and return one record for every epoch.

    batches(epoch) -> an iterable of (images float32 (N, C, H, W), labels int64 (N,)) host arrays
        that knows its length; a DataLoader is one.
    loss(model, batch, step) -> a scalar Tensor, or (Tensor, {name: scalar}); the named scalars
        are averaged over the epoch and recorded. A scalar that is a mean over something else than
        the batch's images is given as (sum, count).
    schedule: the factor on the initial rates as a function of the time in epochs; or
        DivideWhenStalled, which follows the results.
    validate(model) -> numbers recorded as validation_…, for example from `evaluate`.
    batch_transform(images, targets, rng) -> (images, targets, …) on the device (CutMix, Mixup).
    average: a WeightAverage of the model; it is what `validate` sees.
    run: the folder for metrics and checkpoint. If it has a checkpoint, training goes on from it.

    Stops with FloatingPointError on a loss that is not finite, and names the function and the line
    where it arose. Weights, optimizer and buffers are then what they were before the step. On a
    GPU the loss is read every 50 steps only; the message says since which step it may have
    changed them.
    """
    if not callable(batches):
        came = type(batches).__name__
        raise TypeError(f"fit: batches is a {came}; expected batches(epoch), such as a DataLoader")
    where = resolve_device(device)
    model.to(where)
    optimizer.load_state_dict(optimizer.state_dict())  # what it carries follows the weights
    progress, history = Progress(0, 0, seed), History()
    if run is not None:
        if run.checkpoint_path.exists():
            progress = load_checkpoint(run.checkpoint_path, model, optimizer, average, seed)
        run.truncate(progress.epoch)  # an epoch may have been logged, but not saved
        history.extend(run.history())
    follower = schedule if isinstance(schedule, FollowsResults) else None
    if follower is not None:
        follower.begin(history, validated=validate is not None)
    was_training = model.training
    # Batch normalisation moves its statistics in the forward pass, before the loss is known.
    buffers = [buffer for _, buffer in model.named_buffers()]
    unread = progress.step  # the first step whose loss has not been looked at
    for epoch in range(progress.epoch, epochs):
        model.train()
        start = time.perf_counter()
        epoch_batches = batches(epoch)
        if len(epoch_batches) == 0:
            raise ValueError("fit: batches has no batch; is the dataset smaller than one batch?")
        with _bar(epoch, epochs, len(epoch_batches)) as bar:
            means = _Means()
            for i, host_batch in enumerate(epoch_batches):
                step = progress.step + i
                batch = _prepare(host_batch, batch_transform, where, (seed, step))
                before = [buffer.data.copy() for buffer in buffers]
                try:
                    value, scalars = _forward(model, loss, batch, seed, step)
                    if _looks(where, i, len(epoch_batches)):
                        _refuse_non_finite(value, model, loss, batch, seed, step, unread)
                        unread = step + 1
                    optimizer.zero_grad()
                    value.backward()
                except BaseException:
                    for buffer, data in zip(buffers, before, strict=True):
                        buffer.data = data
                    raise
                if schedule is not None:
                    optimizer.scale_lr(schedule(epoch + i / len(epoch_batches)))
                optimizer.step()
                if average is not None:
                    average.update()
                means.add(len(batch.images), {"train_loss": value.data, **scalars})
                del value, scalars
                bar.update()
            record = {"epoch": epoch + 1, **means.result()}
            if validate is not None:
                record |= _validate(model, validate, average)
            record["seconds"] = round(time.perf_counter() - start, 3)
            _tell(bar, epoch, epochs, record)
        progress = Progress(epoch + 1, progress.step + len(epoch_batches), seed)
        history.append(record)
        if follower is not None:
            follower.observe(record)
        if run is not None:
            run.log(record)
            save_checkpoint(run.checkpoint_path, model, optimizer, average, progress)
    model.train(was_training)
    return history


@one_blas_thread()
def predict_logits(model: Module, batches: Iterable) -> tuple[np.ndarray, np.ndarray]:
    """The logits (N, K) and labels (N,) of all batches, in evaluation mode, on the host."""
    where = device_of(next(iter(model.parameters())).data)
    was_training = model.training
    model.eval()
    logits, labels = [], []
    try:
        with no_grad():
            for images, targets in batches(0) if callable(batches) else batches:
                answer = model(Tensor(to_device(images, where)))
                if not isinstance(answer, Tensor):
                    raise TypeError(
                        f"predict_logits: the model returned a {type(answer).__name__}; expected "
                        "logits (of a MultiHead ask for one task: model.task(name))"
                    )
                logits.append(to_host(answer.data))
                labels.append(np.asarray(targets))
    finally:
        model.train(was_training)
    if not logits:
        raise ValueError("predict_logits: batches is empty; there is nothing to predict")
    return np.concatenate(logits), np.concatenate(labels)


def evaluate(model: Module, batches: Iterable) -> dict[str, float]:
    """Loss (cross-entropy, nats) and accuracy (0 to 1) of a classifier over all batches."""
    logits, labels = predict_logits(model, batches)
    return {
        "loss": F.cross_entropy(logits, labels).item(),
        "accuracy": metrics.accuracy(logits, labels),
    }


def _prepare(host_batch: Any, transform: Callable | None, where: str, key: tuple) -> Batch:
    images, targets = host_batch
    images = to_device(images, where)
    if transform is not None:
        rng = keyed(Key.MIXING, *key)
        images, targets = transform(images, targets, rng)[:2]
    if targets.dtype.kind == "f":
        targets = to_device(targets, where)
    return Batch(Tensor(images), targets)


def _forward(
    model: Module, loss: Loss, batch: Batch, seed: int, step: int
) -> tuple[Tensor, Mapping[str, Any]]:
    model.seed(seed, step)
    result = loss(model, batch, step)
    value, scalars = result if isinstance(result, tuple) else (result, {})
    if not isinstance(value, Tensor) or value.size != 1:
        came = f"of shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"fit: loss returned a {came}; expected a Tensor with one number")
    for name in scalars:
        if name in RESERVED or name.startswith("validation_"):
            raise ValueError(f"fit: loss reports {name!r}, a name that fit gives; choose another")
    return value, scalars


def _looks(where: str, i: int, batches: int) -> bool:
    return i % STEPS_BETWEEN_LOOKS[where[:3]] == 0 or i == batches - 1


def _refuse_non_finite(
    value: Tensor, model: Module, loss: Loss, batch: Batch, seed: int, step: int, unread: int
) -> None:
    """Raise if the loss is NaN or infinite; computing it again finds the function to blame."""
    number = value.item()
    if np.isfinite(number):
        return
    story = f"fit: the loss is {number} at step {step}; "
    spoilt = [
        name
        for name, parameter in model.named_parameters()
        if not array_module(parameter.data).isfinite(parameter.data).all()
    ]
    if unread < step:
        story += f"weights, optimizer and running statistics may be wrong since step {unread}"
    elif spoilt:
        story += (
            f"an earlier update had made {spoilt[0]} infinite or NaN; this step changed nothing"
        )
    else:
        story += "no weight was updated"
    try:
        with detect_anomaly():
            _forward(model, loss, batch, seed, step)
    except FloatingPointError as error:
        raise FloatingPointError(f"{story}. {error}. A lower learning rate often helps") from error
    raise FloatingPointError(f"{story}, though no function of the engine made it so")


def _validate(
    model: Module, validate: Callable[[Module], Mapping[str, float]], average: WeightAverage | None
) -> dict[str, float]:
    if average is None:
        numbers = validate(model)
    else:
        with average.applied():
            numbers = validate(model)
    return {f"validation_{name}": number for name, number in numbers.items()}


class _Means:
    """Means over an epoch, weighted by batch size, added up where the numbers are."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.totals: dict[str, Any] = {}

    def add(self, n: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            array = value.data if isinstance(value, Tensor) else value
            total, count = array if isinstance(array, tuple) else (_double(array) * n, n)
            self.totals[name] = self.totals.get(name, 0.0) + _double(total)
            self.counts[name] = self.counts.get(name, 0.0) + _double(count)

    def result(self) -> dict[str, float]:
        """The means; a mean over nothing at all is NaN."""
        return {
            name: float(total / self.counts[name]) if self.counts[name] else float("nan")
            for name, total in self.totals.items()
        }


def _double(number: Any) -> Any:
    return array_module(number).asarray(number, dtype=np.float64)


def _bar(epoch: int, epochs: int, batches: int) -> Any:
    """A progress bar on a terminal or in a notebook; silent where the output goes to a file."""
    return tqdm(total=batches, desc=f"epoch {epoch + 1}/{epochs}", unit="batch", disable=None)


def _tell(bar: Any, epoch: int, epochs: int, record: Mapping[str, float]) -> None:
    names = {"train_loss": "loss", "train_accuracy": "accuracy", "validation_accuracy": "held out"}
    told = [
        f"{name} {record[key]:.2%}" if "accuracy" in key else f"{name} {record[key]:.4f}"
        for key, name in names.items()
        if key in record
    ]
    if bar.disable:
        print(f"epoch {epoch + 1}/{epochs}  " + "  ".join(told), file=sys.stderr)
    else:
        bar.set_postfix_str("  ".join(told))
