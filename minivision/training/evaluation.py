"""How good is a trained classifier? Its logits for all images, its loss and its accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.autograd import no_grad
from minivision.backend import device_of, to_device, to_host
from minivision.datasets import DataLoader
from minivision.errors import kind
from minivision.fast import one_blas_thread
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training import metrics
from minivision.transforms import ToArray

MOST = 250  # images in a batch, if they are small
PIXELS = 1_000_000  # in a batch; 64 maps of the same size as the images then take 256 MB


def images_at_once(H: int, W: int) -> int:
    """How many images of a given size to put in one batch: many small ones or a few large ones.

    >>> images_at_once(28, 28), images_at_once(224, 224)
    (250, 19)
    """
    return max(1, min(MOST, PIXELS // max(1, H * W)))


def in_order(dataset: Any, transform: Any = None, workers: int = 0) -> DataLoader:
    """Batches of all images of a dataset, for `evaluate`; their size depends on the image size.

    transform: as for a DataLoader; it must not be random. The batch size limits the memory that the
    outputs of the first layers need; it affects the results only through rounding.
    """
    transform = ToArray() if transform is None else transform
    if len(dataset) == 0:
        raise ValueError("in_order: dataset is empty; expected at least one example")
    H, W = transform(dataset[0][0], None).shape[1:]
    return DataLoader(dataset, images_at_once(H, W), transform=transform, workers=workers)


@one_blas_thread()
def predict_logits(model: Module, batches: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The logits (N, K) and labels (N,) of all batches, in evaluation mode, on the host.

    batches: (images, labels, …) as a DataLoader yields them; for a DataLoader, epoch 0 is used.
    """
    where = next((device_of(p.data) for p in model.parameters()), "cpu")
    was_training = model.training
    model.eval()
    logits, labels = [], []
    try:
        with no_grad():
            for images, targets, *_ in batches(0) if callable(batches) else batches:
                answer = model(Tensor(to_device(images, where)))
                if not isinstance(answer, Tensor):
                    raise TypeError(
                        f"predict_logits: the model returned {kind(answer)}; expected "
                        "logits (for a MultiHead, pass one of its tasks: model.task(name))"
                    )
                logits.append(to_host(answer.data))
                labels.append(np.asarray(targets))
    finally:
        model.train(was_training)
    if not logits:
        raise ValueError("predict_logits: batches is empty; expected at least one batch")
    return np.concatenate(logits), np.concatenate(labels)


def evaluate(model: Module, batches: Iterable[Any]) -> dict[str, float]:
    """Loss (cross-entropy, nats) and accuracy (0 to 1) of a classifier over all batches."""
    logits, labels = predict_logits(model, batches)
    return {
        "loss": F.cross_entropy(logits, labels).item(),
        "accuracy": metrics.accuracy(logits, labels),
    }
