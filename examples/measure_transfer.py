"""How much a trained network helps with a new task, depending on how many labels the task has.

    python examples/measure_transfer.py [--only PART ...] [--seeds 0 1 2 3 4]

    digits    MNIST 0 to 4 -> 5 to 9, 2, 10 or 50 labels per class. A small network with batch
              normalization, cut after its convolutions
    last      the same with LeNet-5, of which only the last layer is removed
    head      the first again with 10 labels per class: adaptation layers (Oquab et al.)
    photos    CIFAR-10 (JPEG), seven classes -> the other three
    features  the small AlexNet and the small VGG of measure_network_choices.py as sources of frozen
              features for the other three classes; both are trained on 4,000 of the seven
    labels    LeNet-5 on 5,000 digits, some of them with a wrong label

All approaches of a part make the same number of updates. The learning rate of each is chosen as
described in experiment.py, with three seeds for every number of labels; in the part labels it is
fixed. A seed determines the weights of the source network, the images and their order. A frozen
backbone sees each image only once, because its features are cached. Writes
docs/results/transfer.json.
"""

import time
from functools import cache, partial

import numpy as np
from experiment import CHOOSING, Experiment, work_of
from measure_network_choices import batch_normalized, small_vgg

from minivision import manual_seed
from minivision.datasets import (
    ArrayDataset,
    DataLoader,
    OnlyClasses,
    Subset,
    load_dataset,
    stratified_split,
)
from minivision.methods import RecordedBatches, rate_groups, record_responses
from minivision.models import lenet5, with_new_head
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

APPROACHES = {
    "scratch": {"backbone_rate": 1.0},
    "frozen": {},
    "fine-tuned, backbone x0.1": {"backbone_rate": 0.1},
    "fine-tuned, one rate": {"backbone_rate": 1.0},
    "frozen, random backbone": {},
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
        splits = load(dataset)
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
                schedule=cosine(self.epochs), seed=self.seed, device=experiment.device,
            )  # fmt: skip
            self.state = model.state_dict()
        model.load_state_dict(self.state)
        return model.to(experiment.device)

    def score(self, model, part, task):
        data = (self.old, self.new)[task][{"validation": 1, "test": 2}[part]]
        return evaluate(model, self.batches(data, 500, shuffle=False))["accuracy"]

    def few(self, labels):
        """This many images of each new class."""
        data, rng = self.new[0], np.random.default_rng((self.seed, labels))
        mine = [np.flatnonzero(data.labels == k) for k in range(len(data.classes))]
        return Subset(data, np.concatenate([rng.choice(m, labels, replace=False) for m in mine]))


def measure(source, approach, labels, rate, seed, *, steps=100, layers=1, hidden=(), **settings):
    """One row: a new head, and perhaps the backbone, trained on a few images of the new classes."""
    begun, source = time.perf_counter(), source(seed)
    fresh = approach in ("scratch", "frozen, random backbone")
    network = source.fresh() if fresh else source.trained()
    with manual_seed(seed, 1):
        model = with_new_head(network, source.classes[1], layers=layers, hidden=hidden)
    few = source.few(labels)
    loader = source.batches(few, min(50, len(few)))
    epochs = -(-steps // len(loader))
    options = {"schedule": cosine(epochs), "seed": seed, "device": experiment.device}
    if approach.startswith("frozen"):
        model.to(experiment.device)
        features = RecordedBatches(record_responses(model.backbone, loader), loader)
        rule = Adam(model.head.parameters(), rate)
        fit(model.head, features, classification_loss, rule, epochs, **options)
    else:
        rule = Adam(rate_groups(model, rate, **APPROACHES[approach], **settings), rate)
        fit(model, loader, classification_loss, rule, epochs, **options)
    row = {"updates": epochs * len(loader), "parameters": model.parameter_count()}
    row["train_accuracy"] = evaluate(model, source.batches(few, 500, shuffle=False))["accuracy"]
    row["validation_accuracy"] = source.score(model, "validation", 1)
    if seed not in CHOOSING:
        row["test_accuracy"] = source.score(model, "test", 1)
    return row | {"seconds": round(time.perf_counter() - begun, 1)}


def source_row(source, seed):
    """How good the old network is at its own task."""
    begun, source = time.perf_counter(), source(seed)
    model, images = source.trained(), len(source.old[0])
    row = work_of(source.fresh(), source.epochs * -(-images // 64), source.epochs * images)
    row["train_accuracy"] = evaluate(model, source.batches(source.old[0], 500))["accuracy"]
    row["validation_accuracy"] = source.score(model, "validation", 0)
    if seed not in CHOOSING:
        row["test_accuracy"] = source.score(model, "test", 0)
    return row | {"epochs": source.epochs, "seconds": round(time.perf_counter() - begun, 1)}


def wrong_labels(share, seed):
    """LeNet-5 on 5,000 digits, some of them with a random wrong label."""
    begun, splits = time.perf_counter(), load("mnist")
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
        schedule=cosine(8), seed=seed, device=experiment.device,
    )  # fmt: skip
    found = evaluate(model, DataLoader(splits.test, 500, transform=transform))
    seconds = round(time.perf_counter() - begun, 1)
    return {"test_accuracy": found["accuracy"], "images": 5_000, "epochs": 8, "seconds": seconds}


LOW, HIGH = "01234", "56789"
SEVEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog")
THREE = ("horse", "ship", "truck")
photo_network = partial(small_network, in_channels=3, size=32)
MNIST = "mnist", small_network, LOW, HIGH, 20_000, 2, 0.003
PARTS = {  # the source, the numbers of labels per class, and the approaches
    "digits": (MNIST, (2, 10, 50), {name: {} for name in APPROACHES}),
    "last": (
        ("mnist", lenet5, LOW, HIGH, 20_000, 2, 0.002), (2, 10, 50),
        {name: {} for name in ("scratch", "frozen", "fine-tuned, backbone x0.1")},
    ),
    "head": (
        MNIST, (10,), {"frozen": {}, "frozen, adaptation layers": {"hidden": (128,)}},
    ),
    "photos": (
        ("cifar10-jpeg", photo_network, SEVEN, THREE, 17_500, 4, 0.003), (10, 50),
        {name: {} for name in APPROACHES},
    ),
    "features": (None, (10, 50), {"frozen": {}, "frozen, random backbone": {}}),
    "labels": (None, (), {}),
}  # fmt: skip
FEATURES = {"AlexNet": (partial(batch_normalized, dropout=0.0), 0.001), "VGG": (small_vgg, 0.003)}


def compare(part, settings):
    """All approaches with all numbers of labels, for one kind of source network."""
    _, counts, approaches = PARTS[part.partition(",")[0]]
    source = cache(partial(Source, *settings))
    for seed in (*CHOOSING, *experiment.seeds):
        key = {"part": part, "approach": "source", "seed": seed}
        experiment.table.row(key, partial(source_row, source, seed))
    for labels in counts:
        for approach, options in approaches.items():
            key = {"part": part, "approach": approach, "labels": labels}
            measured = partial(measure, source, approach, labels, **options)
            experiment.compare(key, measured, 0.003, choosing=3)


if __name__ == "__main__":
    experiment, load = Experiment(__doc__, "transfer", PARTS), cache(load_dataset)
    for part in experiment.only:
        if part == "features":
            for name, (network, rate) in FEATURES.items():
                compare(
                    f"features, {name}", ("cifar10-jpeg", network, SEVEN, THREE, 4_000, 12, rate)
                )
        elif part == "labels":
            for share in (0.0, 0.2, 0.4):
                for seed in experiment.seeds:
                    key = {"part": "labels", "wrong_labels": share, "seed": seed}
                    experiment.table.row(key, partial(wrong_labels, share, seed))
        else:
            compare(part, PARTS[part][0])
