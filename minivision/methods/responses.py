"""What a network answers to every image of a dataset, asked once and looked up by position.

A teacher, an old task and a frozen body all say something about an image that no label says. The
batches of `numbered` have the position of every image where labels stand, so a loss can look up
what was recorded for it, whatever the order of the batches. Labels are not read on the way.

Read next: methods/transfer.py
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np

from minivision.backend import Array, device_of, to_device
from minivision.datasets import DataLoader
from minivision.nn import Module
from minivision.training import predict_logits


class Numbered:
    """A view of a dataset in which the label of an image is its position. Labels stay unread.

    >>> from minivision.datasets import digits
    >>> Numbered(digits().test)[5][1]
    5
    """

    def __init__(self, dataset: Any):
        self.dataset = dataset
        self.in_memory = getattr(dataset, "in_memory", False)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.dataset[index][0], index

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.dataset.batch(indices)[0], np.asarray(indices, np.int64)


def numbered(loader: DataLoader) -> DataLoader:
    """The same batches of the same images, with positions (N,) in the place of labels."""
    loader = copy(loader)
    loader.dataset = Numbered(loader.dataset)
    return loader


def record_responses(model: Module, loader: DataLoader) -> np.ndarray:
    """What the model returns for every image of the loader's dataset, (M, K), on the host.

    In evaluation mode and in the dataset's order, whatever the order of the loader. Raises
    ValueError where the loader's transform draws: the record would hold one draw for ever.
    """
    if getattr(loader.transform, "random", True):
        raise ValueError(
            "record_responses: the loader's transform draws, so each image would be recorded as "
            "it was drawn once; record with a loader without augmentation"
        )
    loader = numbered(loader)
    loader.shuffle = loader.drop_last = False
    return predict_logits(model, loader)[0]


def looked_up(responses: np.ndarray, positions: np.ndarray, like: Array) -> Array:
    """The rows of a record for these images, in the dtype and on the device of `like`."""
    return to_device(responses[positions].astype(like.dtype, copy=False), device_of(like))


class RecordedBatches:
    """A loader's batches with each image replaced by what was recorded for it; `fit` takes them.

    batches(epoch) -> (responses float32 (N, D), labels (N,)), in the loader's order.
    """

    def __init__(self, responses: np.ndarray, loader: DataLoader):
        if len(responses) != len(loader.dataset):
            raise ValueError(
                f"RecordedBatches: there are {len(responses)} responses, but the loader's dataset "
                f"has {len(loader.dataset)} images"
            )
        self.responses, self.loader, self.epoch = responses, loader, 0

    def __call__(self, epoch: int) -> RecordedBatches:
        batches = copy(self)
        batches.epoch = epoch
        return batches

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        labels = self.loader.dataset.labels
        for positions in self.loader(self.epoch).index_batches():
            yield self.responses[positions], labels[positions]
