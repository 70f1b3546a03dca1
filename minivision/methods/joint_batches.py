"""Batches from several datasets at once, so that one step learns from all of them.

The simplest use is joint training on several tasks. Pseudo-labels and noisy student training need a
batch of labelled and a batch of unlabelled images in every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import islice
from typing import Any

from minivision import functional as F
from minivision.datasets import DataLoader
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training.loop import Batch, EpochBatches


class JointBatches:
    """batches(epoch) -> tuples with a batch from each loader; the loss receives a tuple of `Batch`.

    steps: tuples per epoch; by default, the number of batches in the last loader. A loader with
        fewer batches starts again, with a new order and new augmentation, as in an epoch of its
        own.
    """

    def __init__(self, loaders: Sequence[DataLoader], steps: int | None = None):
        self.loaders, self.epoch = list(loaders), 0
        self.steps = len(self.loaders[-1]) if steps is None else steps

    def __call__(self, epoch: int) -> EpochBatches:
        batches = copy(self)
        batches.epoch = epoch
        return batches

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        walks = [self._walk(loader) for loader in self.loaders]
        return islice(zip(*walks, strict=False), self.steps)

    def _walk(self, loader: DataLoader) -> Iterator[tuple[Any, ...]]:
        walks = -(-self.steps // len(loader))  # passes over the loader in an epoch
        for walk in range(walks):
            yield from loader(self.epoch * walks + walk)


def joined(batches: Sequence[Batch]) -> tuple[Tensor, list[slice]]:
    """All images (ΣN, C, H, W), one batch after the other, and the rows of each batch.

    One pass through a network is faster than several, and batch normalization sees all images.
    """
    for number, batch in enumerate(batches):
        if batch.images.shape[1:] != batches[0].images.shape[1:]:
            raise ValueError(
                f"joined: loader {number} has images (C, H, W) = {batch.images.shape[1:]}, but "
                f"loader 0 has {batches[0].images.shape[1:]}; put Resize((H, W)) in front of its "
                "transform"
            )
    rows, start = [], 0
    for batch in batches:
        rows.append(slice(start, start + len(batch.images)))
        start += len(batch.images)
    return F.concatenate([batch.images for batch in batches]), rows


def joint_loss(model: Module, batches: Sequence[Batch]) -> Tensor:
    """Joint training on several tasks: the sum over tasks of the mean cross-entropy of its images.

    model: a MultiHead, with one loader for each head, in the order of the heads. The loss for a
    task uses only the images and the head of that task:

        fit(model, JointBatches([old_loader, new_loader]), joint_loss, optimizer, epochs)

    Joint training needs the images of every task. It serves as an upper bound for methods that have
    only the images of the new task (Li & Hoiem 2018).
    """
    images, rows = joined(batches)
    outputs = model(images)
    if len(outputs) != len(batches):
        raise ValueError(
            f"joint_loss: the model has the heads {', '.join(outputs)}, but batches come from "
            f"{len(batches)} loaders; expected one loader per head"
        )
    losses = [
        F.cross_entropy(logits[of_task], batch.targets)
        for logits, of_task, batch in zip(outputs.values(), rows, batches, strict=True)
    ]
    return sum(losses[1:], losses[0])
