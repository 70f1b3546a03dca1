"""What unlabelled images add to a few labelled ones, on MNIST: pseudo-labels and FixMatch.

    python examples/measure_pseudo_labels.py [--only WAY ...] [--labels 100 600 1000]
                                             [--seeds 0 1 2] [--device auto]

WAYS lists the methods: training on the labels alone, with no, weak or strong augmentation; with
pseudo-labels for all unlabelled images (Lee 2013), using LeNet-5 or one hidden layer of 1,000 units
with dropout; and with confident pseudo-labels for strongly augmented images (FixMatch). Weak
augmentation is a shift by up to two pixels; strong augmentation is the same shift and then
RandAugment(2, 9). All methods make STEPS updates, each with 32 labelled images and, if the method
uses them, 64 of the 20,000 unlabelled images. Each method uses the learning rate in RATES with its
best accuracy on the validation images with the seed CHOOSING and 600 labels. Only the runs with
that rate and the given seeds use the test images, once each. A seed determines the labelled images,
the initial weights and the order of the images. Finished rows are kept. Writes
docs/results/pseudo_labels.json.
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
from minivision.datasets import DataLoader, Subset, WithoutLabels, load_dataset, stratified_split
from minivision.methods import pseudo_label_batches, pseudo_label_loss, ramp
from minivision.models import lenet5
from minivision.models.network import Network
from minivision.nn import Dropout, Linear, ReLU, Sequential
from minivision.optim import Adam, cosine
from minivision.training import evaluate, fit
from minivision.transforms import Compose, Normalize, RandAugment, RandomTranslate, ToArray

RESULT = RESULTS / "pseudo_labels.json"
CHOOSING, CHOOSING_LABELS = 100, 600  # the runs that choose a rate never see the test images
RATES = (0.001, 0.003)
STEPS, EPOCHS, UNLABELLED = 600, 6, 20_000
NUMBERS = [ToArray(), Normalize((0.1307,), (0.3081,))]
PLAIN = Compose(NUMBERS)
WEAK = Compose([RandomTranslate(2), *NUMBERS])
STRONG = Compose([RandomTranslate(2), RandAugment(2, 9), *NUMBERS])


def hidden_layer():
    """One hidden layer of 1,000 units, with dropout of a half."""
    layers = Linear(28 * 28, 1000), ReLU(), Dropout(0.5), Linear(1000, 10)
    return Network(Sequential(), Sequential(*layers), (1, 28, 28))


class Way(NamedTuple):
    """A network, how labelled and unlabelled images are shown, and the weight of the latter."""

    network: object
    labelled: object
    unlabelled: object = PLAIN
    weight: object = 0.0
    threshold: float = 0.0
    strong: object = None


RAMP = ramp(STEPS // 6, STEPS, 3.0)  # Lee's 100 to 600, in updates
WAYS = {
    "hidden layer, labels": Way(hidden_layer, PLAIN),
    "hidden layer, pseudo-labels": Way(hidden_layer, PLAIN, weight=RAMP),
    "LeNet-5, labels": Way(lenet5, PLAIN),
    "LeNet-5, labels, weak": Way(lenet5, WEAK),
    "LeNet-5, labels, strong": Way(lenet5, STRONG),
    "LeNet-5, pseudo-labels": Way(lenet5, PLAIN, weight=RAMP),
    "LeNet-5, pseudo-labels, weak": Way(lenet5, WEAK, WEAK, weight=RAMP),
    "LeNet-5, FixMatch": Way(lenet5, WEAK, WEAK, 1.0, 0.95, STRONG),
}


def measure(name, labels, rate, seed):
    begun, way = time.perf_counter(), WAYS[name]
    few, many = stratified_split(splits.train, (labels, UNLABELLED), seed=seed)
    rest = Subset(splits.train, many.indices)
    with manual_seed(seed):
        model = way.network()
    batches = pseudo_label_batches(
        DataLoader(few, 32, shuffle=True, seed=seed, transform=way.labelled),
        DataLoader(WithoutLabels(rest), 64, shuffle=True, seed=seed, transform=way.unlabelled),
        way.strong,
        STEPS // EPOCHS,
    )
    loss = pseudo_label_loss(way.weight, way.threshold, rest.labels)
    rule, schedule = Adam(model.parameters(), rate), cosine(EPOCHS)
    records = fit(
        model, batches, loss, rule, EPOCHS, schedule=schedule, seed=seed, device=device
    )  # fmt: skip
    row = {}
    for part in ("validation",) if seed == CHOOSING else ("validation", "test"):
        batches = DataLoader(getattr(splits, part), 500, transform=PLAIN)
        row[f"{part}_accuracy"] = evaluate(model, batches)["accuracy"]
    for column in ("mask_rate", "pseudo_label_accuracy"):
        if column in records[-1]:
            row[column] = [record.get(column) for record in records]
    return row | {
        "steps": STEPS,
        "unlabelled": UNLABELLED,
        "threshold": way.threshold,
        "parameters": model.parameter_count(),
        "seconds": round(time.perf_counter() - begun, 1),
    }


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
parser.add_argument("--labels", type=int, nargs="+", default=[100, 600, 1000])
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

table = Table(arguments.result)
splits = load_dataset("mnist")
for name in arguments.only:

    def row(labels, rate, seed, name=name):
        key = {"way": name, "labels": labels, "lr": rate, "seed": seed}
        return table.row(key, partial(measure, name, labels, rate, seed))

    tried = {rate: row(CHOOSING_LABELS, rate, CHOOSING) for rate in RATES}
    rate = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
    for labels in arguments.labels:
        found = [row(labels, rate, seed)["test_accuracy"] for seed in arguments.seeds]
        spread = f" ± {np.std(found, ddof=1):.2%}" if len(found) > 1 else ""
        print(f"{name:<30}{labels:>5} labels, rate {rate:g}: {np.mean(found):.2%}{spread}")
print(arguments.result)
