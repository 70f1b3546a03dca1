"""What a network forgets about its old task while it learns a new one, and what prevents that.

    python examples/measure_forgetting.py [--only mnist cifar] [--seeds 0 1 2 3 4]

A network learns one half of the classes. Then it gets a second head and learns the other half, from
images of that half alone. METHODS lists the ways to train it; all of them make the same number of
updates. The images are from MNIST (LeNet-5) or CIFAR-10 (JPEG; the small VGG).

All methods use the same learning rate: the one at which fine-tuning is best on the new task's
validation images, chosen as described in experiment.py. The old task's images are not used for the
choice, because in practice they are no longer available. On MNIST the methods in SWEPT are measured
at all RATES. A seed determines the images, the initial weights and the order of the images. Writes
docs/results/forgetting.json.
"""

import time
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from experiment import CHOOSING, Experiment, momentum_sgd, work_of

from minivision import manual_seed
from minivision.datasets import DataLoader, OnlyClasses, Splits, load_dataset, stratified_split
from minivision.methods import JointBatches, joint_loss, lwf_loss, record_responses, with_new_task
from minivision.models import lenet5, vgg_small
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
FIRST_RATE, OLD_RATE, BATCH_SIZE = 0.01, 0.02, 64


class Method(NamedTuple):
    """A way to learn the new task."""

    weight: float = 1.0  # a factor on the task's weight λ of the old outputs
    warm_up: int = 1  # epochs in which only the new head learns
    backbone_rate: float = 1.0  # a factor on the learning rate
    temperature: float = 2.0
    shuffled: bool = False  # keep the old outputs for other images
    joint: bool = False  # learn the old images, too


METHODS = {
    "fine-tuning": Method(weight=0),
    "fine-tuning, no warm-up": Method(weight=0, warm_up=0),
    "learning without forgetting": Method(),
    "LwF, no warm-up": Method(warm_up=0),
    "joint training": Method(weight=0, warm_up=0, joint=True),
    "feature extraction": Method(weight=0, warm_up=3),
    "fine-tuning, backbone x0.1": Method(weight=0, backbone_rate=0.1),
    "LwF, weight 0.3": Method(weight=0.3),
    "LwF, weight 3": Method(weight=3),
    "LwF, weight 10": Method(weight=10),
    "LwF, T=1": Method(temperature=1),
    "LwF, T=4": Method(temperature=4),
    "LwF, shuffled outputs": Method(shuffled=True),
}
SWEPT = (
    "fine-tuning", "fine-tuning, no warm-up", "learning without forgetting", "LwF, no warm-up"
)  # fmt: skip


class Task(NamedTuple):
    """An old and a new half of a dataset's classes, and how long each is trained."""

    dataset: str
    network: Any
    old_images: int
    old_epochs: int
    new_images: int
    epochs: int  # of the new task, including the warm-up
    old_weight: float  # λ
    methods: tuple[str, ...]


TASKS = {
    "mnist": Task("mnist", lenet5, 25_000, 1, 10_000, 3, 1.0, tuple(METHODS)),
    "cifar": Task(
        "cifar10-jpeg", partial(vgg_small, widths=(16, 32, 64)),
        5_000, 8, 2_500, 4, 2.0, (*SWEPT, "joint training"),
    ),
}  # fmt: skip


def half(splits, classes, images, seed):
    """The images of some classes, and this many of them for training."""
    train, validation, test = (OnlyClasses(part, classes) for part in splits)
    return Splits(stratified_split(train, (images,), seed=seed)[0], validation, test)


class Source:
    """What a seed determines once: the images of both tasks, and the old network."""

    def __init__(self, task, splits, device, seed):
        self.task, self.device, self.seed, self.state = task, device, seed, None
        names = splits.train.classes
        self.old = half(splits, names[:5], task.old_images, seed)
        self.new = half(splits, names[5:], task.new_images, seed)
        pixels = self.old.train.images[:5000] / np.float32(255)
        mean, std = (getattr(pixels, f)(axis=(0, 1, 2), dtype=np.float64) for f in ("mean", "std"))
        self.transform = Compose([ToArray(), Normalize(mean.round(4), std.round(4))])

    def batches(self, images):
        return DataLoader(
            images, BATCH_SIZE, shuffle=True, seed=self.seed, transform=self.transform,
            with_indices=True,
        )  # fmt: skip

    def network(self):
        """The old network. It is trained on first use."""
        with manual_seed(self.seed):
            model = self.task.network(5)
        if self.state is None:
            fit(
                model, self.batches(self.old.train), classification_loss,
                momentum_sgd(model.parameters(), OLD_RATE), self.task.old_epochs,
                seed=self.seed, device=self.device,
            )  # fmt: skip
            self.state = model.state_dict()
        model.load_state_dict(self.state)
        return model.to(self.device)

    def accuracy(self, model, images):
        return evaluate(model, DataLoader(images, 500, transform=self.transform))["accuracy"]


def learn(source, method, rate):
    """The old network after it has learned the new task."""
    task, seed = source.task, source.seed
    with manual_seed(seed, 1):
        model = with_new_task(source.network(), 5)
    model.to(source.device)
    loader = source.batches(source.new.train)

    def train(batches, loss, groups, epochs):
        rule = momentum_sgd(groups, rate)
        fit(model, batches, loss, rule, epochs, seed=seed, device=source.device)

    if method.joint:
        both = JointBatches([source.batches(source.old.train), loader])
        train(both, joint_loss, model.parameters(), task.epochs)
        return model
    outputs = {}
    if method.weight:
        outputs["old"] = record_responses(model.task("old"), loader)
    if method.shuffled:
        outputs["old"] = np.random.default_rng(seed).permutation(outputs["old"])
    loss = lwf_loss(outputs, method.temperature, method.weight * task.old_weight)
    model.freeze()
    model.heads["new"].unfreeze()
    train(loader, loss, model.heads["new"].parameters(), method.warm_up)
    model.unfreeze()
    backbone = list(model.backbone.parameters())
    heads = [p for head in model.heads.values() for p in head.parameters()]
    groups = [{"params": backbone, "lr": rate * method.backbone_rate}, {"params": heads}]
    train(loader, loss, groups, task.epochs - method.warm_up)
    return model


def measure(source, name, rate, seed):
    """A row: the new task learned in one way, and the accuracy on both tasks."""
    source, method = source(seed), METHODS[name]
    task, network = source.task, source.network()
    begun, images = time.perf_counter(), task.epochs * task.new_images * (2 if method.joint else 1)
    row = work_of(network, task.epochs * -(-task.new_images // BATCH_SIZE), images)
    # A frozen backbone has no backward pass. Old outputs take one more forward pass per image.
    passes = (1 if method.weight else 0) - 2 * method.warm_up
    row["work"] += row["multiply_adds"] * passes * task.new_images / 1e12
    row["work"] = round(row["work"], 4)
    try:
        model = learn(source, method, rate)
    except FloatingPointError:
        return row | {"diverged": True, "new_validation_accuracy": 0.0}
    row["train_accuracy"] = source.accuracy(model.task("new"), source.new.train)
    row["new_validation_accuracy"] = source.accuracy(model.task("new"), source.new.validation)
    if seed not in CHOOSING:
        row["old_test_accuracy"] = source.accuracy(model.task("old"), source.old.test)
        row["new_test_accuracy"] = source.accuracy(model.task("new"), source.new.test)
    return row | {"seconds": round(time.perf_counter() - begun, 1)}


def before(source, seed):
    """A row: how good the old network is at its task before it learns the new one."""
    source = source(seed)
    task, model = source.task, source.network()
    updates = task.old_epochs * -(-task.old_images // BATCH_SIZE)
    return work_of(model, updates, task.old_epochs * task.old_images) | {
        "train_accuracy": source.accuracy(model, source.old.train),
        "old_test_accuracy": source.accuracy(model, source.old.test),
    }


if __name__ == "__main__":
    experiment = Experiment(__doc__, "forgetting", TASKS)
    for name in experiment.only:
        task = TASKS[name]
        source = cache(partial(Source, task, load_dataset(task.dataset), experiment.device))
        rate, _ = experiment.compare(
            {"task": name, "method": "fine-tuning"}, partial(measure, source, "fine-tuning"),
            FIRST_RATE, RATES, by="new_validation_accuracy",
        )  # fmt: skip
        for seed in experiment.seeds:
            key = {"task": name, "method": "before", "seed": seed}
            experiment.table.row(key, partial(before, source, seed))
        for method in task.methods:
            key, measured = {"task": name, "method": method}, partial(measure, source, method)
            for value in RATES if name == "mnist" and method in SWEPT else (rate,):
                for seed in experiment.seeds:
                    experiment.row(key, measured, "lr", value, seed)
