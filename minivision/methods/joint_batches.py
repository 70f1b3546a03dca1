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
            images = of_one_size([images for images, _ in parts])
            targets = [
                np.stack([np.full_like(labels, number), labels], axis=1)
                for number, (_, labels) in enumerate(parts)
            ]
            yield np.concatenate(images), np.concatenate(targets)

    def _walk(self, loader: DataLoader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        walks = -(-self.steps // len(loader))  # how often the loader is walked in an epoch
        for walk in range(walks):
            yield from loader(self.epoch * walks + walk)


def of_one_size(parts: list[np.ndarray]) -> list[np.ndarray]:
    """The parts of a batch; ValueError where their images cannot stand together."""
    for number, part in enumerate(parts):
        if part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"JointBatches: loader {number} has images (C, H, W) = {part.shape[1:]}, but "
                f"loader 0 has {parts[0].shape[1:]}; put Resize((H, W)) in front of its transform"
            )
    return parts


def rows_of(targets: np.ndarray, number: int) -> tuple[slice, np.ndarray]:
    """Where the images of one loader stand in a batch, and their labels there."""
    (rows,) = np.nonzero(targets[:, 0] == number)
    if not len(rows):
        return slice(0, 0), targets[:0, 1]
    place = slice(int(rows[0]), int(rows[-1]) + 1)
    return place, targets[place, 1]
