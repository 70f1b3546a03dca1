"""Joint training: several tasks at once, with the images of each. The bound on forgetting.

Read next: methods/augmentation_search.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from itertools import cycle, islice

import numpy as np

from minivision import functional as F
from minivision.autograd import Tensor
from minivision.datasets import DataLoader
from minivision.methods.checks import check_classes
from minivision.methods.transfer import MakeOptimizer, Validate
from minivision.models import MultiHead
from minivision.nn import Module
from minivision.optim.schedules import Schedule
from minivision.training import Run, fit
from minivision.training.loop import Batch, History


def train_jointly(
    model: MultiHead,
    loaders: Mapping[str, DataLoader],
    epochs: int,
    *,
    lr: float,
    optimizer: MakeOptimizer,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Train the body and all heads, each head on images and labels of its own task.

    loaders: one for each head, in the heads' order. Every step has a batch of each task, and an
        epoch has as many steps as the last loader has batches; the others begin anew where they
        end earlier. The loss is the sum of the tasks' cross-entropies.
    """
    if list(loaders) != list(model.heads):
        raise ValueError(
            f"train_jointly: loaders are for {', '.join(loaders)}; "
            f"expected one for each head: {', '.join(model.heads)}"
        )
    for name, loader in loaders.items():
        check_classes("train_jointly", model.heads[name], loader.dataset)
    return fit(
        model, JointBatches(list(loaders.values())), joint_loss,
        optimizer(model.parameters(), lr), epochs,
        schedule=schedule, validate=validate, seed=seed, run=run, device=device,
    )  # fmt: skip


class JointBatches:
    """Batches of several tasks, one behind the other: (images (N, C, H, W), targets (N, 2)).

    A target is the number of the task, and the label within it.
    """

    def __init__(self, loaders: list[DataLoader]):
        self.loaders, self.epoch = loaders, 0

    def __call__(self, epoch: int) -> JointBatches:
        batches = copy(self)
        batches.epoch = epoch
        return batches

    def __len__(self) -> int:
        return len(self.loaders[-1])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        endless = [self._again(loader) for loader in self.loaders]
        for parts in islice(zip(*endless, strict=True), len(self)):
            targets = [
                np.stack([np.full_like(labels, task), labels], axis=1)
                for task, (_, labels) in enumerate(parts)
            ]
            yield np.concatenate([images for images, _ in parts]), np.concatenate(targets)

    def _again(self, loader: DataLoader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of this epoch, over and over, for a set that has fewer than are needed."""
        for _ in cycle([None]):
            yield from loader(self.epoch)


def joint_loss(model: Module, batch: Batch, step: int) -> Tensor:
    """Σ over the tasks of the mean cross-entropy of its images, answered by its own head."""
    answers = model(batch.images)
    losses = []
    for task, logits in enumerate(answers.values()):
        (rows,) = np.nonzero(batch.targets[:, 0] == task)
        first, last = rows[0], rows[-1] + 1  # the images of a task stand together
        losses.append(F.cross_entropy(logits[first:last], batch.targets[first:last, 1]))
    return sum(losses[1:], losses[0])
