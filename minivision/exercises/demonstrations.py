"""What a learner's function does where training one classifier cannot show it.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minivision import functional as F
from minivision import manual_seed
from minivision.autograd import no_grad
from minivision.datasets import DataLoader, OnlyClasses, stratified_split
from minivision.exercises.exercise import Function
from minivision.exercises.plans import scalar
from minivision.exercises.training import BATCH_SIZE, accuracy_on, compared, digits, learn
from minivision.methods import (
    distillation,
    lwf_loss,
    pseudo_label_batches,
    pseudo_label_loss,
    record_responses,
    with_new_task,
)
from minivision.models import lenet5, softmax_regression
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training import classification_loss
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate


def distil(mine: Function) -> None:
    splits, prepare = digits()
    loader = DataLoader(splits.train, BATCH_SIZE, shuffle=True, transform=prepare)
    with manual_seed(0):
        teacher = learn(lenet5(), loader, classification_loss)

    def yours(model: Module, batch: Batch) -> Tensor:
        z = model(batch.images)
        with no_grad():
            v = teacher(batch.images).data
        value, dz = mine(z.data, v, 4.0)
        return scalar(value, (z,), (dz,))

    def run(loss: Callable[..., Any]) -> str:
        with manual_seed(0):
            student = learn(softmax_regression(), loader, loss)
        return f"student's test accuracy {accuracy_on(student, splits.test):.1%}"

    teacher.eval()
    compared(
        "a single layer learns from the outputs of LeNet-5, without labels",
        partial(run, yours), partial(run, distillation(teacher, temperature=4.0, alpha=0.0)),
    )  # fmt: skip


def learn_without_forgetting(mine: Function) -> None:
    splits, prepare = digits()
    old, new = ([OnlyClasses(part, names) for part in splits] for names in ("01234", "56789"))
    loaders = [
        DataLoader(part[0], BATCH_SIZE, shuffle=True, transform=prepare, with_indices=True)
        for part in (old, new)
    ]

    def run(make_loss: Callable[..., Any]) -> str:
        with manual_seed(0):
            model = with_new_task(learn(lenet5(5), loaders[0], classification_loss), 5)
        outputs = record_responses(model.task("old"), loaders[1])
        learn(model, loaders[1], make_loss(outputs))
        accuracies = (
            accuracy_on(model.task(name), part[2]) for name, part in (("old", old), ("new", new))
        )
        return "old task {:.1%}, new task {:.1%}".format(*accuracies)

    def yours(recorded: np.ndarray) -> Callable[..., Tensor]:
        def loss(model: Module, batch: Batch) -> Tensor:
            z = model(batch.images)
            value, dnew, dold = mine(
                z["new"].data, batch.targets, z["old"].data, recorded[batch.indices], 2.0, 1.0
            )
            return scalar(value, (z["new"], z["old"]), (dnew, dold))

        return loss

    compared(
        "LeNet-5 knows 0 to 4 and learns 5 to 9",
        partial(run, yours), partial(run, lambda outputs: lwf_loss({"old": outputs})),
    )  # fmt: skip


def pseudo_labels(mine: Function) -> None:
    splits, prepare = digits()
    few, rest = stratified_split(splits.train, (100, 1_000), seed=0)
    shifted = Compose([RandomTranslate(2), prepare])
    batches = pseudo_label_batches(
        DataLoader(few, BATCH_SIZE, shuffle=True, transform=prepare),
        DataLoader(rest, 64, shuffle=True, transform=prepare), shifted, steps=60,
    )  # fmt: skip

    def yours(model: Module, parts: Any) -> Tensor:
        labelled, strong, weak = parts
        with no_grad():
            confident = model(weak.images).data
        z = model(strong.images)
        value, dz = mine(confident, z.data, 0.9)
        return F.cross_entropy(model(labelled.images), labelled.targets) + scalar(
            value, (z,), (dz,)
        )

    def run(loss: Callable[..., Any]) -> str:
        with manual_seed(0):
            model = learn(lenet5(), batches, loss)
        return f"test accuracy {accuracy_on(model, splits.test):.1%}"

    print(f"labels alone: {run(pseudo_label_loss(0))}")
    compared(
        "100 labelled digits, and 1,000 without labels",
        partial(run, yours), partial(run, pseudo_label_loss(1.0, 0.9)),
    )  # fmt: skip


def receptive_field(mine: Function) -> None:
    vgg = ([(3, 1)] * 2 + [(2, 2)]) * 2 + ([(3, 1)] * 3 + [(2, 2)]) * 3
    print("a unit of VGG-16 sees, after each layer (size, and pixels between neighbours):")
    for depth in range(1, len(vgg) + 1):
        size, jump = mine(vgg[:depth])
        name = "convolution" if vgg[depth - 1][0] == 3 else "pooling"
        print(f"  {depth:>2} {name:<12} {size:>4} {jump:>4}")


def backward(mine: Function) -> None:
    """Fit y = a·x + b to four points, with a graph of scalars for each step."""
    points, a, b = [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 7.0)], 0.0, 0.0
    print("a line a·x + b learns to go through (0, 1), (1, 3), (2, 5), (3, 7)")
    for step in range(201):
        da = db = loss = 0.0
        for x, y in points:
            # nodes: 0 a, 1 b, 2 a·x, 3 a·x + b - y, 4 the square of it
            error = a * x + b - y
            gradients = mine([[], [], [0], [2, 1], [3, 3]], [[], [], [x], [1, 1], [error, error]])
            da, db, loss = da + gradients[0], db + gradients[1], loss + error**2
        if step % 50 == 0:
            print(f"  step {step:>3}  loss {loss:8.4f}  a {a:6.3f}  b {b:6.3f}")
        a, b = a - 0.02 * da, b - 0.02 * db


DEMONSTRATIONS: dict[str, Callable[[Function], None]] = {
    "distillation_loss": distil, "lwf_loss": learn_without_forgetting,
    "pseudo_label_loss": pseudo_labels, "receptive_field": receptive_field, "backward": backward,
}  # fmt: skip
