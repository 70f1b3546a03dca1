"""Batches of several datasets at once, so that one step learns from all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import islice
from typing import Any

from minivision import functional as F
from minivision.datasets import DataLoader
from minivision.tensor import Tensor
from minivision.training.loop import Batch, EpochBatches


class JointBatches:
    """batches(epoch) -> tuples with a batch of every loader; a loss gets a tuple of `Batch`.

    steps: batches in an epoch; by default as many as the last loader has. A loader that has fewer
        is walked again, in a new order and with new augmentation, as in a new epoch of its own.
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
        walks = -(-self.steps // len(loader))  # how often the loader is walked in an epoch
        for walk in range(walks):
            yield from loader(self.epoch * walks + walk)


def joined(batches: Sequence[Batch]) -> tuple[Tensor, list[slice]]:
    """All images (ΣN, C, H, W), one batch behind the other, and the rows of each.

    One pass through a network is faster than several, and its batch normalisation sees all.
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
