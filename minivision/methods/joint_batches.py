"""Batches of several datasets at once, one behind the other, so that one step learns from all.

Read next: methods/learning_without_forgetting.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import islice

import numpy as np

from minivision.datasets import DataLoader
from minivision.training.loop import EpochBatches


class JointBatches:
    """batches(epoch) -> (images (N, C, H, W), targets (N, 2)), with images of every loader.

    A target is the number of the loader that an image came from, and its label there.
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

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        walks = [self._walk(loader) for loader in self.loaders]
        for parts in islice(zip(*walks, strict=False), self.steps):
            targets = [
                np.stack([np.full_like(labels, number), labels], axis=1)
                for number, (_, labels) in enumerate(parts)
            ]
            yield np.concatenate([images for images, _ in parts]), np.concatenate(targets)

    def _walk(self, loader: DataLoader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        walks = -(-self.steps // len(loader))  # how often the loader is walked in an epoch
        for walk in range(walks):
            yield from loader(self.epoch * walks + walk)


def rows_of(targets: np.ndarray, number: int) -> tuple[slice, np.ndarray]:
    """Where the images of one loader stand in a batch, and their labels there."""
    (rows,) = np.nonzero(targets[:, 0] == number)
    if not len(rows):
        return slice(0, 0), targets[:0, 1]
    place = slice(int(rows[0]), int(rows[-1]) + 1)
    return place, targets[place, 1]
