"""What a trained network is worth for a new task, depending on how many labels the task has.

    python examples/measure_transfer.py [--only PART ...] [--seeds 0 1 2 3 4] [--device auto]

The parts:

    digits    MNIST 0 to 4 -> 5 to 9, 2 to 50 labels per class. A small network with batch
              normalisation, cut after its convolutions, and LeNet-5 without its last layer
    head      the same with 10 labels per class: one linear layer against adaptation layers (Oquab
              et al.), and fine-tuning with learning rates that fall from layer to layer
    photos    CIFAR-10 (JPEG), seven classes -> the other three
    features  the small AlexNet (7 epochs) against the small VGG (3 epochs) as sources of frozen
              features for the other three classes; both are trained on 5,000 images of the seven
              classes, with the same number of multiply-adds
    labels    LeNet-5 on 5,000 digits, some of them with a wrong label

All approaches make the same number of updates, and each uses the learning rate in RATES with its
best accuracy on the validation images with the seed CHOOSING. Only the runs with the given seeds
use the test images, once each. A seed determines the weights of the source network, the images and
their order. A frozen backbone sees each image only once, because its features are cached. Finished
rows are kept. Writes docs/results/transfer.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from recording import RESULTS, Table

from minivision import manual_seed
from minivision.analysis.summary import summary
from minivision.backend import resolve_device
from minivision.datasets import (
    ArrayDataset,
    DataLoader,
    OnlyClasses,
    Subset,
    load_dataset,
    stratified_split,
)
from minivision.methods import RecordedBatches, rate_groups, record_responses
from minivision.models import alexnet_small, lenet5, vgg_small, with_new_head
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

RESULT = RESULTS / "transfer.json"
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
RATES = (0.001, 0.004)  # "features", and some rows of "digits", were run with 0.016, too
APPROACHES = {
    "scratch": {"backbone_rate": 1.0},
    "frozen": {},
    "fine-tuned, body x0.1": {"backbone_rate": 0.1},
    "fine-tuned, one rate": {"backbone_rate": 1.0},
    "frozen, random body": {},
}


def small_network(classes, in_channels=1, size=28):
    """Convolution, batch normalisation, ReLU, pooling, three times; then one linear layer."""
    parts = []
    for filters in (16, 32, 64):
        parts += [Conv2d(in_channels, filters, 3, padding=1), BatchNorm2d(filters)]
        parts += [ReLU(), MaxPool2d(2)]
        in_channels = filters
    head = Linear(in_channels * (size // 8) ** 2, classes)
    return Network(Sequential(*parts), Sequential(head), (parts[0].in_channels, size, size))


class Source:
    """An old task, its network, and the new task: all that a seed determines once."""

    def __init__(self, dataset, network, old, new, images, epochs, rate, seed):
        self.network, self.seed, self.classes = network, seed, (len(old), len(new))
        splits = datasets(dataset)
        self.old, self.new = (
            [OnlyClasses(part, classes) for part in splits] for classes in (old, new)
        )
        if images is not None:
            self.old[0] = stratified_split(self.old[0], (images,), seed=seed)[0]
        pixels = self.old[0].images[:5000] / np.float32(255)
        mean, std = (getattr(pixels, f)(axis=(0, 1, 2), dtype=np.float64) for f in ("mean", "std"))
        self.transform = Compose([ToArray(), Normalize(mean.round(4), std.round(4))])
        self.epochs, self.rate, self.state = epochs, rate, None

    def batches(self, dataset, size, shuffle=True):
        transform = self.transform
        return DataLoader(dataset, size, shuffle=shuffle, seed=self.seed, transform=transform)

    def fresh(self):
        with manual_seed(self.seed):
            return self.network(self.classes[0])

    def trained(self):
        """The old network. It is trained on first use."""
        model = self.fresh()
        if self.state is None:
            rule, loader = Adam(model.parameters(), self.rate), self.batches(self.old[0], 64)
            fit(
                model, loader, classification_loss, rule, self.epochs,
                schedule=cosine(self.epochs), seed=self.seed, device=device,
            )  # fmt: skip
            self.state = model.state_dict()
        model.load_state_dict(self.state)
        return model.to(device)

    def score(self, model, part, task):
        data = (self.old, self.new)[task][{"validation": 1, "test": 2}[part]]
        return evaluate(model, self.batches(data, 500, shuffle=False))["accuracy"]

    def few(self, labels):
        """This many images of each new class."""
        data, rng = self.new[0], np.random.default_rng((self.seed, labels))
        mine = [np.flatnonzero(data.labels == k) for k in range(len(data.classes))]
        return Subset(data, np.concatenate([rng.choice(m, labels, replace=False) for m in mine]))


def measure(source, approach, labels, rate, steps, layers=1, hidden=(), **settings):
    begun = time.perf_counter()
    fresh = approach in ("scratch", "frozen, random body")
    network = source.fresh() if fresh else source.trained()
    with manual_seed(source.seed, 1):
        model = with_new_head(network, source.classes[1], layers=layers, hidden=hidden)
    few = source.few(labels)
    loader = source.batches(few, min(50, len(few)))
    epochs = -(-steps // len(loader))
    options = {"schedule": cosine(epochs), "seed": source.seed, "device": device}
    if approach.startswith("frozen"):
        model.to(device)
        features = RecordedBatches(record_responses(model.backbone, loader), loader)
        rule = Adam(model.head.parameters(), rate)
        fit(model.head, features, classification_loss, rule, epochs, **options)
    else:
        rule = Adam(rate_groups(model, rate, **APPROACHES.get(approach, {}), **settings), rate)
        fit(model, loader, classification_loss, rule, epochs, **options)
    row = {"validation_accuracy": source.score(model, "validation", 1)}
    if source.seed != CHOOSING:
        row["test_accuracy"] = source.score(model, "test", 1)
    return row | {
        "steps": epochs * len(loader),
        "layers_taken_away": layers,
        "hidden": hidden,
        "parameters": model.parameter_count(),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def compare(part, sources, approach, labels, steps=100, **settings):
    """The rows of an approach at the rate that is best with the choosing seed."""
    key = {"part": part, "approach": approach, "labels": labels}

    def row(seed, rate):
        asked = partial(measure, sources[seed], settings.get("like", approach), labels, rate, steps)
        rest = {name: value for name, value in settings.items() if name != "like"}
        return table.row(key | {"lr": rate, "seed": seed}, partial(asked, **rest))

    tried = {rate: row(CHOOSING, rate) for rate in RATES}
    rate = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
    return [row(seed, rate) for seed in arguments.seeds]


def sources_of(*settings):
    return {seed: Source(*settings, seed) for seed in (CHOOSING, *arguments.seeds)}


def source_row(part, source):
    """How good the old network is at its own task."""

    def asked():
        begun = time.perf_counter()
        model = source.trained()
        row = {"validation_accuracy": source.score(model, "validation", 0), "epochs": source.epochs}
        if source.seed != CHOOSING:
            row["test_accuracy"] = source.score(model, "test", 0)
        return row | {
            "parameters": model.parameter_count(),
            "multiply_adds": summary(source.fresh()).multiply_adds,
            "seconds": round(time.perf_counter() - begun, 1),
        }

    return table.row({"part": part, "approach": "source", "seed": source.seed}, asked)


def wrong_labels(share, seed):
    """LeNet-5 on 5,000 digits, some of them with a random wrong label."""
    begun, splits = time.perf_counter(), datasets("mnist")
    (train,) = stratified_split(splits.train, (5_000,), seed=seed)
    rng = np.random.default_rng((seed, 2))
    wrong = rng.random(len(train)) < share
    labels = np.where(wrong, (train.labels + rng.integers(1, 10, len(train))) % 10, train.labels)
    noisy = ArrayDataset(train.images, labels, train.classes)
    transform = Compose([ToArray(), Normalize((0.1307,), (0.3081,))])
    with manual_seed(seed):
        model = lenet5()
    fit(
        model, DataLoader(noisy, 64, shuffle=True, seed=seed, transform=transform),
        classification_loss, Adam(model.parameters(), 0.002), 8,
        schedule=cosine(8), seed=seed, device=device,
    )  # fmt: skip
    found = evaluate(model, DataLoader(splits.test, 500, transform=transform))
    seconds = round(time.perf_counter() - begun, 1)
    return {"test_accuracy": found["accuracy"], "images": 5_000, "epochs": 8, "seconds": seconds}


PARTS = ("digits", "head", "photos", "features", "labels")
LOW, HIGH = "01234", "56789"
SEVEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog")
THREE = ("horse", "ship", "truck")
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

table, kept = Table(arguments.result), {}


def datasets(name):
    if name not in kept:
        kept[name] = load_dataset(name)
    return kept[name]


if {"digits", "head"} & set(arguments.only):
    digits = sources_of("mnist", small_network, LOW, HIGH, 20_000, 2, 0.003)
if "digits" in arguments.only:
    for source in digits.values():
        source_row("digits", source)
    for labels in (2, 5, 10, 50):
        for approach in APPROACHES:
            compare("digits", digits, approach, labels)
    literal = sources_of("mnist", lenet5, LOW, HIGH, 20_000, 2, 0.002)
    for labels in (2, 10, 50):
        for approach in ("scratch", "frozen", "fine-tuned, body x0.1"):
            compare("digits, LeNet-5 without its last layer", literal, approach, labels)
if "head" in arguments.only:
    compare("head", digits, "linear", 10, like="frozen")
    compare("head", digits, "adaptation layers", 10, like="frozen", hidden=(128,))
    tuned = "fine-tuned, body x0.1"
    compare("head", digits, "fine-tuned", 10, like=tuned)
    compare("head", digits, "fine-tuned, decay 0.5", 10, like=tuned, layer_decay=0.5)
if "photos" in arguments.only:
    network = partial(small_network, in_channels=3, size=32)
    photos = sources_of("cifar10-jpeg", network, SEVEN, THREE, 17_500, 4, 0.003)
    for source in photos.values():
        source_row("photos", source)
    for labels in (10, 50):
        for approach in APPROACHES:
            compare("photos", photos, approach, labels)
if "features" in arguments.only:
    networks = {
        "AlexNet": (7, partial(alexnet_small, normalization="batch_norm", dropout=0.0)),
        "VGG": (3, partial(vgg_small, widths=(24, 48, 96), batch_norm=True)),
    }
    for name, (epochs, network) in networks.items():
        part = f"features, {name}"
        sources = sources_of("cifar10-jpeg", network, SEVEN, THREE, 5_000, epochs, 0.002)
        for source in sources.values():
            source_row(part, source)
        for layers in (1, 2):
            for approach in ("frozen", "frozen, random body"):
                called = f"{approach}, {layers} layers away"
                compare(part, sources, called, 50, like=approach, layers=layers)
if "labels" in arguments.only:
    for share in (0.0, 0.2, 0.4):
        for seed in arguments.seeds:
            key = {"part": "labels", "wrong_labels": share, "seed": seed}
            table.row(key, partial(wrong_labels, share, seed))
print(arguments.result)
