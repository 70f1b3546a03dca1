"""Learning without forgetting: a new task for an old network, without the old task's images.

Training on new images pulls the shared weights away from what the old task needs. So the old
network's answers to the *new* images are written down before anything changes, and the old head
has to go on giving them. (Li & Hoiem 2018, Figure 3.)

    θ_s shared body, θ_o old head, θ_n new head; X_n, Y_n the new task's images and labels

    1. Y_o ← old network's answers to X_n                             record_responses
    2. θ_n ← random
    3. warm-up: θ_s, θ_o frozen, train θ_n                            `warm_up` epochs
    4. train θ_s, θ_o, θ_n on  λ_o·L_old(Y_o, Ŷ_o) + L_new(Y_n, Ŷ_n)   `epochs` epochs

L_old is cross-entropy at temperature 2, *without* distillation's factor T². It is for tasks that
are told apart: each is asked through its own head. (Batch normalisation's running statistics follow
the new images, whatever the losses say.)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import array_module
from minivision.datasets import DataLoader
from minivision.errors import refuses_rng
from minivision.methods.checks import check_classes
from minivision.methods.responses import hide_labels, looked_up, record_responses
from minivision.methods.transfer import MakeOptimizer, Validate
from minivision.models import MultiHead, cut, new_head
from minivision.models.heads import features_into
from minivision.nn import Module
from minivision.optim import SGD
from minivision.optim.schedules import Schedule
from minivision.tensor import Tensor
from minivision.training import Run, fit
from minivision.training.loop import Batch, History, Loss

TEMPERATURE = 2.0  # "set by grid search on held-out data" in the paper
PAPERS_OPTIMIZER = partial(SGD, momentum=0.9, weight_decay=5e-4)
NEW = "new"


def learn_without_forgetting(
    model: MultiHead,
    loader: DataLoader,
    epochs: int,
    *,
    warm_up: int = 1,
    old_weight: float = 1.0,
    temperature: float = TEMPERATURE,
    lr: float = 0.01,
    body_rate: float = 1.0,
    optimizer: MakeOptimizer = PAPERS_OPTIMIZER,
    responses: Mapping[str, np.ndarray] | None = None,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Teach the model its last task from the loader's images, and keep the others in mind.

    model: from `with_new_task`; its last head is the new one, the others are old.
    warm_up, epochs: of step 3 and of step 4; the returned records are those of the last one done.
    old_weight: λ_o; larger ones favour the old tasks. With several, their losses are added.
    responses: of each old task, (M, K), where the loader draws augmentations; by default they are
        recorded here, by the loader, which then must not draw.
    body_rate: the body's rate in step 4 is lr·body_rate. schedule: of step 4.
    run: gets a folder for each of the two stages, and goes on from their checkpoints. The model has
        to come with the old network's weights then, too: from them the responses are recorded.

    The baselines are this function with a part taken away: old_weight=0 is fine-tuning (the old
    heads stay as they are), epochs=0 is feature extraction. `train_jointly` needs the old images.
    """
    *old, new = model.heads
    if not old:
        raise ValueError("learn_without_forgetting: model has one head; expected an old one, too")
    if not 0 <= old_weight < float("inf"):
        raise ValueError(f"learn_without_forgetting: old_weight is {old_weight}; expected >= 0")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"learn_without_forgetting: temperature is {temperature}; expected > 0")
    check_classes("learn_without_forgetting", model.heads[new], loader.dataset)
    if responses is not None and old_weight > 0:
        check_responses(responses, old, len(loader.dataset))
    model.to(device)
    if old_weight == 0:
        responses = {}
    elif responses is None:  # step 1
        responses = {name: record_responses(model.task(name), loader) for name in old}
    labels = loader.dataset.labels
    stage = model, hide_labels(loader), two_losses(new, labels, responses, temperature, old_weight)
    shared: dict[str, Any] = {"validate": validate, "seed": seed, "device": device}
    records = History()
    if warm_up:  # step 3
        for part in (model.body, *(model.heads[name] for name in old)):
            part.freeze()
        rule = optimizer(model.heads[new].parameters(), lr)
        folder = run and run.stage("warm-up")
        try:
            records = fit(*stage, rule, warm_up, run=folder, **shared)
        finally:
            model.thaw()
    if epochs:  # step 4
        groups = [
            {"params": list(model.body.parameters()), "lr": lr * body_rate},
            {"params": [p for head in model.heads.values() for p in head.parameters()], "lr": lr},
        ]
        groups = [group for group in groups if group["params"]]
        folder = run and run.stage("training")
        records = fit(
            *stage, optimizer(groups, lr), epochs, schedule=schedule, run=folder, **shared
        )
    return records


def check_responses(responses: Mapping[str, np.ndarray], old: list[str], images: int) -> None:
    """Raise ValueError where a record is of no old task, is missing or is of other images."""
    if sorted(responses) != sorted(old):
        raise ValueError(
            f"learn_without_forgetting: responses are of {', '.join(responses) or 'no task'}; "
            f"expected one record for each old task: {', '.join(old)}"
        )
    for name, recorded in responses.items():
        if len(recorded) != images:
            raise ValueError(
                f"learn_without_forgetting: responses of {name!r} have {len(recorded)} rows, but "
                f"the loader's dataset has {images} images"
            )


@refuses_rng
def with_new_task(
    model: Module,
    classes: int,
    *,
    old: str = "old",
    new: str = NEW,
    layers: int = 1,
) -> MultiHead:
    """The model, which it shares, with a second head for the classes of a new task.

    layers: the fully connected layers that belong to a head; both tasks share what is below. A
    MultiHead gets one more head, and `old` and `layers` are its own.
    """
    if isinstance(model, MultiHead):
        heads, body = dict(model.heads), model.body
        features = features_into(next(iter(heads.values())))
    else:
        body, head, features = cut(model, layers)
        heads = {old: head}
    if new in heads:
        raise ValueError(f"with_new_task: there is a task {new!r} already; choose another name")
    heads[new] = new_head(features, classes)
    return MultiHead(body, heads)


def two_losses(
    new: str,
    labels: np.ndarray,
    responses: Mapping[str, np.ndarray],
    temperature: float = TEMPERATURE,
    old_weight: float = 1.0,
) -> Loss:
    """λ_o·L_old(Y_o, Ŷ_o) + L_new(Y_n, Ŷ_n) for `fit`, on batches with_indices.

        L_old = -1/N Σ_n Σ_k y'_nk log ŷ'_nk,   y' = softmax(v/T),  ŷ' = softmax(z/T)

    v are the recorded logits, z today's. (The paper writes y' = y^(1/T) / Σ y^(1/T) of the
    probabilities y = softmax(v), which is the same.)        dz = λ_o·(ŷ' - y') / (T·N)
    """

    def loss(model: Module, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        answers = model(batch.images)
        z, y = answers[new], labels[batch.indices]
        total = F.cross_entropy(z, y)
        right = (z.argmax(axis=1) == array_module(z.data).asarray(y)).mean()
        scalars: dict[str, Any] = {"new_loss": total, "train_accuracy": right}
        for name, recorded in responses.items():
            v = looked_up(recorded, batch.indices, z.data)
            expected = F.softmax(v, temperature=temperature).data
            old_loss = F.cross_entropy(answers[name] / temperature, expected)
            scalars[f"{name}_loss"] = old_loss
            total = total + old_weight * old_loss
        return total, scalars

    return loss
