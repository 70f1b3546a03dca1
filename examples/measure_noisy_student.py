"""What a chain of students gains from unlabelled images, with and without noise.

    python examples/measure_noisy_student.py [--data mnist cifar10-jpeg] [--only CHAIN ...]
                                             [--seeds 0 1 2] [--device auto]

DATA lists the data sets, each with its numbers of labelled and unlabelled images; CHAINS lists how
the networks are trained. A chain is a teacher and two wider students, trained with or without
noise, on soft or hard labels. For comparison there are two single networks of the student's size:
one trained on the labelled images alone, with the same noise and as many updates as the whole
chain, and one trained on all of these images with their labels. The noise consists of a shift,
RandAugment(2, 9), dropout and stochastic depth. Each chain uses the learning rate in RATES at which
its last network has the best accuracy on the validation images with the seed CHOOSING (excluding
rates at which the chain stops because a class gets no pseudo-labels). Only the given seeds use the
test images: unchanged, shifted by 3 pixels in both directions, darkened to 0.4 of their brightness,
and rotated by 20 degrees. A seed determines the labelled images, the initial weights and the order
of the images. There is one row per network; finished rows are kept. Writes
docs/results/noisy_student.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from recording import RESULTS, Table

from minivision.backend import resolve_device
from minivision.cli.self_train import CHANGES
from minivision.datasets import (
    DataLoader,
    Subset,
    WithoutLabels,
    load_dataset,
    stratified_split,
)
from minivision.methods import filter_and_balance, self_train, without_noise
from minivision.models.network import Network
from minivision.models.resnet import Block
from minivision.nn import BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam, cosine
from minivision.training import evaluate, fit
from minivision.transforms import Compose, Normalize, RandAugment, RandomTranslate, ToArray

RESULT = RESULTS / "noisy_student.json"
CHOOSING = 100  # the runs that choose a rate never see the test images
RATES = (0.005, 0.015)
STEPS, EPOCHS, BATCH, RATIO, FLOOR = 300, 5, 32, 3, 0.3
NARROW, WIDE = 12, 18  # filters of the teacher's first layer, and of the students'


class Data(NamedTuple):
    """A data set: its numbers of labels and of unlabelled images, and its pixels' statistics."""

    labels: int
    unlabelled: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Chain(NamedTuple):
    """The widths of a chain's networks, how they are trained, and on which labels."""

    widths: tuple[int, ...] = (NARROW, WIDE, WIDE)
    noise: bool = True
    soft: bool = True
    updates: int = 1  # as many times STEPS for each network
    all_labels: bool = False


DATA = {
    "mnist": Data(100, 20_000, (0.1307,), (0.3081,)),
    "cifar10-jpeg": Data(2_000, 10_000, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
CHAINS = {
    "noise": Chain(),
    "no noise": Chain(noise=False),
    "hard labels": Chain(soft=False),
    "noise, labels alone as long": Chain((WIDE,), updates=3),
    "all labels": Chain((WIDE,), all_labels=True),
}


def residual_network(shape, width):
    """A convolution, three residual blocks, dropout and one linear layer on all that is left."""
    C, H, _ = shape
    blocks = [
        Block(width, width, 1, 0.2 / 3),
        Block(width, 2 * width, 2, 0.4 / 3),
        Block(2 * width, 4 * width, 2, 0.2),
    ]
    first = Conv2d(C, width, 3, padding=1, bias=False)
    side = -(-H // 8)  # a pooling and two strides of 2
    return Network(
        Sequential(first, BatchNorm2d(width), ReLU(), MaxPool2d(2), *blocks),
        Sequential(Dropout(0.5), Linear(4 * width * side * side, 10)),
        shape,
    )


def measured(clean, part, choosing, model):
    """The accuracies of one network; test images only once nothing is left to choose."""
    found = {"validation_accuracy": accuracy(model, part.validation, clean)}
    if not choosing:
        for name, changes in CHANGES.items():
            changed = Compose([*changes, *clean.transforms])
            found[f"{name}_accuracy"] = accuracy(model, part.test, changed)
    return found


def accuracy(model, images, transform):
    return evaluate(model, DataLoader(images, 500, transform=transform))["accuracy"]


@cache
def chain(data, name, rate, seed):
    """Train the networks of a chain, one after the other; one row per network."""
    begun, of, way, splits = time.perf_counter(), DATA[data], CHAINS[name], splits_of(data)
    numbers = [ToArray(), Normalize(of.mean, of.deviation)]
    few, many = stratified_split(splits.train, (of.labels, of.unlabelled), seed=seed)
    rest = Subset(splits.train, many.indices)
    everything = Subset(splits.train, np.concatenate([few.indices, many.indices]))
    clean = Compose(numbers)
    H, W, C = splits.train[0][0].shape
    shown, batch = clean, BATCH * (1 + RATIO) if way.all_labels else BATCH
    networks = [partial(residual_network, (C, H, W), width) for width in way.widths]
    if way.noise:
        shown = Compose([RandomTranslate(2), RandAugment(2, 9), *numbers])
    else:
        networks = [lambda build=build: without_noise(build()) for build in networks]
    loader = partial(DataLoader, shuffle=True, seed=seed, transform=shown)
    generations = self_train(
        networks,
        loader(everything if way.all_labels else few, batch),
        loader(WithoutLabels(rest), RATIO * batch),
        clean,
        steps=STEPS * way.updates // EPOCHS,
        soft=way.soft,
        choose=partial(filter_and_balance, floor=FLOOR, classes=splits.train.classes),
    )
    found = []
    for generation in generations:
        model, schedule = generation.model, cosine(EPOCHS)
        rule = Adam(model.parameters(), rate)
        fit(
            model, generation.batches, generation.loss, rule, EPOCHS,
            schedule=schedule, seed=seed, device=device,
        )  # fmt: skip
        record = generation.report(rest.labels) | measured(clean, splits, seed == CHOOSING, model)
        found.append(record | {"labels": of.labels, "unlabelled": of.unlabelled})
    seconds = round((time.perf_counter() - begun) / len(found), 1)
    return [row | {"steps": STEPS * way.updates, "seconds": seconds} for row in found]


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
parser.add_argument("--only", nargs="+", choices=CHAINS, default=list(CHAINS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device, splits_of = resolve_device(arguments.device), cache(load_dataset)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

table = Table(arguments.result)
for data in arguments.data:
    for name in arguments.only:
        last = len(CHAINS[name].widths) - 1

        def rows(rate, seed, data=data, name=name, last=last):
            """The rows of a chain's networks, the last one at the end."""
            of = {"data": data, "chain": name, "lr": rate, "seed": seed}
            return [
                table.row(of | {"generation": g}, lambda g=g: chain(data, name, rate, seed)[g])
                for g in range(last + 1)
            ]

        def validated(rate, rows=rows, name=name, data=data):
            """The criterion for a rate; 0 if the chain stopped for lack of pseudo-labels."""
            try:
                return rows(rate, CHOOSING)[-1]["validation_accuracy"]
            except ValueError as error:
                print(f"{data} {name}, rate {rate:g}: {error}", flush=True)
                return 0.0

        tried = {rate: validated(rate) for rate in RATES}
        best = max(RATES, key=lambda rate: tried[rate])
        found = [[row["test_accuracy"] for row in rows(best, s)] for s in arguments.seeds]
        for g, of_seeds in enumerate(zip(*found, strict=True)):
            spread = f" ± {np.std(of_seeds, ddof=1):.2%}" if len(of_seeds) > 1 else ""
            print(f"{data} {name}, rate {best:g}, network {g}: {np.mean(of_seeds):.2%}{spread}")
print(arguments.result)
