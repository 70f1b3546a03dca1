"""What a network forgets about its old task while it learns a new one, and what prevents that.

    python examples/measure_forgetting.py [--only mnist cifar] [--seeds 0 1 2] [--device auto]
    python examples/measure_forgetting.py --only mnist --every-rate     SWEPT at all rates

A network learns one half of the classes. Then it gets a second head and learns the other half, from
images of that half alone. METHODS lists the ways to train it. All methods make the same number of
updates, and on each data set all use the same learning rate: the one at which plain fine-tuning is
best on the new task's validation images (seed CHOOSING). The old task's validation images are not
used for the choice, because in practice they are no longer available. Only the runs with the given
seeds use the test images of both tasks, once each. A seed determines the images, the initial
weights and the order of the images. Finished rows are kept. Writes docs/results/forgetting.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from recording import RESULTS, Table

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, OnlyClasses, load_dataset, stratified_split
from minivision.fast import worker_count
from minivision.methods import JointBatches, joint_loss, lwf_loss, record_responses, with_new_task
from minivision.models import lenet5, vgg_small
from minivision.nn import skip_init
from minivision.optim import SGD
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

RESULT = RESULTS / "forgetting.json"
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
RATES = (0.005, 0.01, 0.02, 0.05)
BATCH_SIZE = 64
OPTIMIZER = partial(SGD, momentum=0.9)

small_vgg = partial(vgg_small, widths=(16, 32, 64))


class Task(NamedTuple):
    """An old and a new half of a dataset's classes, and how long each is trained."""

    dataset: str
    network: object
    old_images: int
    old_epochs: int
    old_rate: float
    new_images: int
    epochs: int  # of the new task, without the warm-up epoch
    old_weight: float
    methods: tuple[str, ...]


# How each method differs. One epoch of warm-up counts as one of training.
METHODS = {
    "fine-tuning": {"old_weight": 0},
    "fine-tuning, no warm-up": {"old_weight": 0, "warm_up": 0},
    "fine-tuning, body x0.1": {"old_weight": 0, "body_rate": 0.1},
    "feature extraction": {"old_weight": 0, "epochs": 0},
    "learning without forgetting": {},
    "LwF, no warm-up": {"warm_up": 0},
    "LwF, weight 0.3": {"old_weight": 0.3},
    "LwF, weight 3": {"old_weight": 3},
    "LwF, weight 10": {"old_weight": 10},
    "LwF, T=1": {"temperature": 1},
    "LwF, T=4": {"temperature": 4},
    "LwF, shuffled answers": {"shuffled": True},
    "joint training": {"joint": True},
}
SWEPT = (
    "fine-tuning", "fine-tuning, no warm-up", "learning without forgetting", "LwF, no warm-up"
)  # fmt: skip
FOUR = ("fine-tuning", "feature extraction", "learning without forgetting", "joint training")
TASKS = {
    "mnist": Task("mnist", lenet5, 25_000, 1, 0.02, 10_000, 2, 1, tuple(METHODS)),
    "cifar": Task("cifar10-jpeg", small_vgg, 10_000, 4, 0.02, 5_000, 3, 2, FOUR),
    "cifar, batch norm": Task(
        "cifar10-jpeg", partial(small_vgg, batch_norm=True), 10_000, 4, 0.05, 5_000, 3, 2, FOUR
    ),
}


class Half(NamedTuple):
    """One of the two tasks."""

    train: object
    validation: object
    test: object


def halves(task, seed):
    """The old and the new task, each with its share of training images."""
    splits = load_dataset(task.dataset)
    names = splits.train.classes
    for classes, images in ((names[:5], task.old_images), (names[5:], task.new_images)):
        train, validation, test = (OnlyClasses(part, classes) for part in splits)
        yield Half(stratified_split(train, (images,), seed=seed)[0], validation, test)


def numbers_of(images):
    """The standardising steps, from the old task's images."""
    pixels = images[:5000] / np.float32(255)
    mean, std = (getattr(pixels, f)(axis=(0, 1, 2), dtype=np.float64) for f in ("mean", "std"))
    return Compose([ToArray(), Normalize(mean.round(4), std.round(4))])


class Old:
    """A seed's images and the weights of its old network, trained when first needed."""

    def __init__(self, task, seed):
        self.task, self.seed = task, seed
        self.old, self.new = halves(task, seed)
        self.transform = numbers_of(self.old.train.images)
        self.state = None

    def batches(self, dataset, shuffle=True):
        return DataLoader(
            dataset, BATCH_SIZE if shuffle else 500,
            shuffle=shuffle, seed=self.seed, transform=self.transform, with_indices=True,
        )  # fmt: skip

    def network(self):
        channels = self.old.train.images.shape[3]
        build = partial(self.task.network, 5, in_channels=channels)
        if self.state is None:
            with manual_seed(self.seed):
                model = build()
            rule = OPTIMIZER(model.parameters(), self.task.old_rate)
            loader, epochs = self.batches(self.old.train), self.task.old_epochs
            fit(model, loader, classification_loss, rule, epochs, seed=self.seed, device=device)
            self.state = model.state_dict()
        with skip_init():
            model = build()
        model.load_state_dict(self.state)
        return model.to(device)


def measure(source, method, rate):
    """Learn the new task in one way, and evaluate both."""
    task, seed = source.task, source.seed
    network = source.network()
    begun = time.perf_counter()
    asked = {"old_weight": task.old_weight, "warm_up": 1, "epochs": task.epochs} | METHODS[method]
    if asked["warm_up"] == 0:
        asked["epochs"] += 1
    if asked["epochs"] == 0:
        asked["warm_up"] += task.epochs
    with manual_seed(seed, 1):
        model = with_new_task(network, 5)
    model.to(device)
    loader = source.batches(source.new.train)
    shuffled, joint = asked.pop("shuffled", False), asked.pop("joint", False)

    def train(batches, loss, groups, epochs):
        fit(model, batches, loss, OPTIMIZER(groups, rate), epochs, seed=seed, device=device)

    if joint:
        both = JointBatches([source.batches(source.old.train), loader])
        train(both, joint_loss, model.parameters(), task.epochs + 1)
    else:
        outputs = record_responses(model.task("old"), loader)
        if shuffled:
            outputs = np.random.default_rng(seed).permutation(outputs)
        temperature = asked.get("temperature", 2.0)
        loss = lwf_loss({"old": outputs}, temperature, asked["old_weight"])
        model.freeze()
        model.heads["new"].unfreeze()
        train(loader, loss, model.heads["new"].parameters(), asked["warm_up"])
        model.unfreeze()
        body = {
            "params": list(model.backbone.parameters()),
            "lr": rate * asked.get("body_rate", 1.0),
        }
        heads = [p for head in model.heads.values() for p in head.parameters()]
        train(loader, loss, [body, {"params": heads, "lr": rate}], asked["epochs"])
    row = {}
    parts = ("validation",) if seed == CHOOSING else ("validation", "test")
    for part in parts:
        for name, half in (("old", source.old), ("new", source.new)):
            batches = source.batches(getattr(half, part), shuffle=False)
            row[f"{name}_{part}_accuracy"] = evaluate(model.task(name), batches)["accuracy"]
    return row | {
        "old_images": task.old_images,
        "new_images": task.new_images,
        "parameters": model.parameter_count(),
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
        "settings": asked | {"old_epochs": task.old_epochs, "old_rate": task.old_rate},
    }


def before(source):
    """The accuracy of the old network before it learns the new task."""
    found = evaluate(source.network(), source.batches(source.old.test, shuffle=False))
    return {"old_test_accuracy": found["accuracy"]}


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--every-rate", action="store_true", help="measure SWEPT at every rate")
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

table = Table(arguments.result)
for name in arguments.only:
    task = TASKS[name]
    choosing = Old(task, CHOOSING)

    def row(source, method, rate, name=name):
        key = {"task": name, "method": method, "lr": rate, "seed": source.seed}
        return table.row(key, partial(measure, source, method, rate))

    tried = {rate: row(choosing, "fine-tuning", rate) for rate in RATES}
    rate = max(RATES, key=lambda rate: tried[rate]["new_validation_accuracy"])
    for seed in arguments.seeds:
        source = Old(task, seed)
        table.row({"task": name, "method": "before", "seed": seed}, partial(before, source))
        for method in task.methods:
            row(source, method, rate)
        for method in SWEPT if arguments.every_rate else ():
            for other in RATES:
                row(source, method, other)
    for method in task.methods:
        found = [r for r in table.rows if (r["task"], r["method"]) == (name, method)]
        found = [r for r in found if r["lr"] == rate and "old_test_accuracy" in r]
        old, new = (np.array([r[f"{n}_test_accuracy"] for r in found]) for n in ("old", "new"))
        spread = [f"{a.mean():.2%} ± {a.std(ddof=1):.2%}" for a in (old, new) if len(a) > 1]
        print(f"{name:<20}{method:<30} rate {rate:g}  old, new: {', '.join(spread)}")
print(arguments.result)
