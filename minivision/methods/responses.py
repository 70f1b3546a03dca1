"""Responses: a network's outputs for every image of a dataset, recorded once.

The outputs of a teacher, of a network for an old task or of a frozen backbone say more about an
image than its label does. If a loader has with_indices=True, its batches include the index of every
image, so a loss can look up the recorded outputs, whatever the order of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import numpy as np

from minivision.backend import Array, device_of, to_device
from minivision.datasets import DataLoader, WithoutLabels
from minivision.nn import Module
from minivision.training import predict_logits


def hide_labels(loader: DataLoader) -> DataLoader:
    """The same batches, with indices; labels are not read but set to -1, which no loss accepts."""
    loader = copy(loader)
    loader.dataset, loader.with_indices = WithoutLabels(loader.dataset), True
    return loader


def record_responses(model: Module, loader: DataLoader) -> np.ndarray:
    """The model's outputs for every image of the loader's dataset, (M, K), on the host.

    The model is in evaluation mode, and the rows are in the dataset's order, whatever the order of
    the loader. Raises ValueError if the loader's transform is random, because only a single draw
    would be recorded.
    """
    if getattr(loader.transform, "random", True):
        raise ValueError(
            "record_responses: the loader's transform is random, so only one draw of each image "
            "would be recorded; use a loader without augmentation"
        )
    loader = hide_labels(loader)
    loader.shuffle = loader.drop_last = False
    return predict_logits(model, loader)[0]


def looked_up(responses: np.ndarray, indices: np.ndarray | None, like: Array) -> Array:
    """The recorded rows for these images, with the dtype and on the device of `like`."""
    if indices is None:
        raise ValueError(
            "looked_up: the batch has no indices; use DataLoader(…, with_indices=True)"
        )
    if indices.max() >= len(responses):
        raise ValueError(
            f"looked_up: responses has {len(responses)} rows, but the batch contains image "
            f"{indices.max()}; expected one row per image of the loader's dataset"
        )
    return to_device(responses[indices].astype(like.dtype, copy=False), device_of(like))


class RecordedBatches:
    """A loader's batches with each image replaced by its recorded outputs, for `fit`.

    batches(epoch) -> (responses float32 (N, D), labels (N,)), in the loader's order.
    """

    def __init__(self, responses: np.ndarray, loader: DataLoader):
        if len(responses) != len(loader.dataset):
            raise ValueError(
                f"RecordedBatches: responses has {len(responses)} rows, but the loader's dataset "
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
