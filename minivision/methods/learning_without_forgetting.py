"""Learning without forgetting: teach a network a new task without the images of its old task.

Training on new images pulls the shared weights away from what the old task needs. So the old
network's outputs for the *new* images are recorded before training, and the old head is trained to
keep reproducing these outputs. (Li & Hoiem 2018, Figure 3.)

    θ_s shared backbone, θ_o old head, θ_n new head; X_n, Y_n the new task's images and labels

    1. Y_o ← outputs of the old network for X_n

        old_outputs = {"old": record_responses(old_network, loader)}

    2. θ_n ← random

        model = with_new_task(old_network, classes)

    3. warm-up: freeze θ_s and θ_o, train θ_n

        model.freeze()
        model.heads["new"].unfreeze()
        fit(model, loader, lwf_loss(old_outputs), SGD(model.heads["new"].parameters(), lr), warm_up)

    4. train θ_s, θ_o and θ_n on  λ_o·L_old(Y_o, Ŷ_o) + L_new(Y_n, Ŷ_n)

        model.unfreeze()
        fit(model, loader, lwf_loss(old_outputs), SGD(model.parameters(), lr), epochs)

The baselines are variants of this method: lwf_loss({}) gives fine-tuning, which does not change the
old head; leaving out step 4 gives feature extraction; and `joint_loss` gives joint training, which
needs the old images. The method assumes that the task of each image is known, since each task has
its own head. (Whatever the loss, the running statistics of batch normalization follow the new
images.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import array_module
from minivision.errors import refuses_rng
from minivision.functional.loss_checks import checked_temperature
from minivision.methods.responses import looked_up
from minivision.models import MultiHead, cut, new_head
from minivision.models.heads import features_into
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training.loop import Batch, Loss

TEMPERATURE = 2.0  # "set by grid search on held-out data" in the paper


def lwf_loss(
    old_outputs: Mapping[str, np.ndarray],
    temperature: float = TEMPERATURE,
    old_weight: float = 1.0,
) -> Loss:
    """λ_o·L_old(Y_o, Ŷ_o) + L_new(Y_n, Ŷ_n) for `fit`; the model's last task is the new one.

        L_old = -1/N Σ_n Σ_k y'_nk log ŷ'_nk,   y' = softmax(v/T),  ŷ' = softmax(z/T)

    Here v are the recorded logits, z the current ones. (The paper has y' = y^(1/T) / Σ y^(1/T) with
    the probabilities y = softmax(v), which is equivalent.)      dz = λ_o·(ŷ' - y') / (T·N)
    Unlike the loss of distillation, this loss has no factor T².

    old_outputs: {task: logits (M, K)} for the M images of the loader's dataset, recorded by
        `record_responses` without augmentation. The loader needs with_indices=True.
    old_weight: λ_o; a larger value favours the old tasks. The losses for several old tasks are
        added.
    """
    if not 0 <= old_weight < float("inf"):
        raise ValueError(f"lwf_loss: old_weight is {old_weight}; expected at least 0")
    checked_temperature("lwf_loss: temperature", temperature)
    kept = old_outputs if old_weight > 0 else {}

    def loss(model: Module, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        outputs = model(batch.images)
        *old, new = outputs
        if kept and sorted(kept) != sorted(old):
            raise ValueError(
                f"lwf_loss: old_outputs has the tasks {', '.join(kept)}; expected those of the "
                f"model: {', '.join(old) or 'none, because it has only one task'}"
            )
        z, y = outputs[new], batch.targets
        total = F.cross_entropy(z, y)
        correct = (z.argmax(axis=1) == array_module(z.data).asarray(y)).mean()
        report: dict[str, Any] = {"new_loss": total, "train_accuracy": correct}
        for name, recorded in kept.items():
            v = looked_up(recorded, batch.indices, z.data)
            y_old = F.softmax(v, temperature=temperature).data
            old_loss = F.cross_entropy(outputs[name] / temperature, y_old)
            report[f"{name}_loss"] = old_loss
            total = total + old_weight * old_loss
        return total, report

    return loss


@refuses_rng
def with_new_task(
    model: Module, classes: int, *, old: str = "old", new: str = "new", layers: int = 1
) -> MultiHead:
    """The model (shared, not copied) with a second head for the classes of a new task.

    layers: how many fully connected layers form a head; both tasks share the layers below. If the
    model is a MultiHead, it gets one more head, and `old` and `layers` are ignored.
    """
    if isinstance(model, MultiHead):
        heads, backbone = dict(model.heads), model.backbone
        features = features_into(next(iter(heads.values())))
    else:
        backbone, head, features = cut(model, layers)
        heads = {old: head}
    if new in heads:
        raise ValueError(
            f"with_new_task: the model already has a task {new!r}; choose another name"
        )
    heads[new] = new_head(features, classes)
    return MultiHead(backbone, heads)
