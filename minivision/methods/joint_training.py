"""Joint training: several tasks at once, with the images of each. The bound on forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minivision import functional as F
from minivision.datasets import DataLoader
from minivision.methods.checks import check_classes
from minivision.methods.joint_batches import JointBatches, joined
from minivision.methods.transfer import MakeOptimizer, Validate
from minivision.models import MultiHead
from minivision.nn import Module
from minivision.optim.schedules import Schedule
from minivision.tensor import Tensor
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
        epoch has as many steps as the last loader has batches (see `JointBatches`). The loss is
        the sum of the tasks' cross-entropies.
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


def joint_loss(model: Module, batches: Sequence[Batch]) -> Tensor:
    """Σ over the tasks of the mean cross-entropy of its images, answered by its own head."""
    images, rows = joined(batches)
    answers = model(images).values()
    losses = [
        F.cross_entropy(logits[of_task], batch.targets)
        for logits, of_task, batch in zip(answers, rows, batches, strict=True)
    ]
    return sum(losses[1:], losses[0])
