"""What a chain of students gains from unlabelled images, with and without noise.

    python examples/measure_noisy_student.py [--only DATA ...] [--seeds 0 1 2 3 4]

A teacher is trained on the labelled images, and each student on these and on 10,000 images that
the network before it has labelled. DATA lists the data sets, CHAINS the ways to train:

    mnist         100 labels; two students that are wider than the teacher. The noise is a shift,
                  RandAugment(2, 9), dropout and stochastic depth
    cifar10-jpeg  2,000 labels; one student as wide as the teacher. The noise is a flip, a crop and
                  RandAugment(1, 5), none of it inside the network: so it can be removed from the
                  unlabelled images only, as in the paper's ablation (Xie et al. 2020, §4.1)

For comparison, the last network is also trained on the labelled images alone, with the same noise
and as many updates as the whole chain. All networks of a chain have the same learning rate; it is
chosen as described in experiment.py, by the validation accuracy of the last one. Networks with
counted seeds see the test images as they are, shifted by 3 pixels in both directions, darkened to
0.4 of their brightness, and rotated by 20 degrees. There is one row per network; its updates, work
and seconds include those of the networks before it. Writes docs/results/noisy_student.json.
"""

import time
from functools import partial
from typing import Any, NamedTuple

from experiment import CHOOSING, Experiment, Images, work_of

from minivision.cli.self_train import CHANGES
from minivision.datasets import DataLoader, WithoutLabels, stratified_split
from minivision.methods import filter_and_balance, self_train, without_noise
from minivision.models.network import Network
from minivision.models.resnet import Block
from minivision.nn import BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam, cosine
from minivision.training import evaluate, fit
from minivision.transforms import (
    Compose,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    RandomTranslate,
)

UNLABELLED, BATCH = 10_000, 25  # an update uses a batch of labelled and one of unlabelled images
EPOCHS = 10  # each has a tenth of the steps


class Chain(NamedTuple):
    """Which images have noise, and which labels the students learn from, if there are any."""

    noise: tuple[str, ...] = ("labelled", "unlabelled")
    soft: bool = True
    students: bool = True


class Data(NamedTuple):
    """The images, the networks, how long each is trained, and the noise."""

    labels: int
    widths: tuple[int, ...]  # filters of each network's first layer, the teacher's first
    steps: int
    augmentation: tuple[Any, ...]
    in_network: bool  # whether dropout and stochastic depth are part of the noise
    choosing: int  # seeds that choose the learning rate
    chains: tuple[str, ...]


CHAINS = {
    "noise": Chain(),
    "no noise": Chain(noise=()),
    "noise on labelled images only": Chain(noise=("labelled",)),
    "hard labels": Chain(soft=False),
    "labels alone, as long": Chain(students=False),
}
DATA = {
    "mnist": Data(
        100, (8, 12, 12), 400, (RandomTranslate(2), RandAugment(2, 9)), True, 3,
        ("noise", "no noise", "hard labels", "labels alone, as long"),
    ),
    "cifar10-jpeg": Data(
        2_000, (8, 8), 1_200,
        (RandomHorizontalFlip(), RandomCrop((32, 32), padding=4), RandAugment(1, 5)), False, 1,
        ("noise", "noise on labelled images only", "labels alone, as long"),
    ),
}  # fmt: skip


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


def trained(images, data, chain, device, rate, seed):
    """The networks of a chain, one after the other: one row each."""
    begun, train = time.perf_counter(), images.splits.train
    few, rest = stratified_split(train, (data.labels, UNLABELLED), seed=seed)
    clean = Compose(images.numbers)

    def network(width):
        H, W, C = train[0][0].shape
        model = residual_network((C, H, W), width)
        return model if data.in_network and chain.noise else without_noise(model)

    def loader(name, part):
        changes = data.augmentation if name in chain.noise else ()
        transform = Compose([*changes, *images.numbers])
        return DataLoader(part, BATCH, shuffle=True, seed=seed, transform=transform)

    widths = data.widths if chain.students else data.widths[-1:]
    steps = data.steps * len(data.widths) // len(widths)
    generations = self_train(
        [partial(network, width) for width in widths],
        loader("labelled", few),
        loader("unlabelled", WithoutLabels(rest)),
        clean,
        steps=steps // EPOCHS,
        soft=chain.soft,
        choose=partial(filter_and_balance, allow_missing=True, classes=train.classes),
    )
    rows = []
    for generation in generations:
        model = generation.model
        fit(
            model, generation.batches, generation.loss, Adam(model.parameters(), rate), EPOCHS,
            schedule=cosine(EPOCHS), seed=seed, device=device,
        )  # fmt: skip
        seen = steps * BATCH * (2 if generation.number else 1)
        row = {"labels": data.labels, "unlabelled": UNLABELLED}
        row |= generation.report(rest.labels) | work_of(model, steps, seen)
        for column in ("updates", "images_seen", "work"):
            row[column] += rows[-1][column] if rows else 0
        row["train_accuracy"] = accuracy(model, few, clean)
        row["validation_accuracy"] = accuracy(model, images.splits.validation, clean)
        if seed not in CHOOSING:
            for name, changes in CHANGES.items():
                changed = Compose([*changes, *images.numbers])
                row[f"{name}_accuracy"] = accuracy(model, images.splits.test, changed)
        rows.append(row | {"seconds": round(time.perf_counter() - begun, 1)})
    return rows


def accuracy(model, images, transform):
    return evaluate(model, DataLoader(images, 500, transform=transform))["accuracy"]


def compare(name):
    """All chains of a data set. The networks before the last one get their rows first."""
    images, data = Images(name, experiment.device), DATA[name]
    for chain in data.chains:
        key = {"data": name, "chain": chain}

        def last_network(rate, seed, chain=chain, key=key):
            rows = trained(images, data, CHAINS[chain], experiment.device, rate, seed)
            for row in rows[:-1]:
                found = {"lr": rate, "seed": seed, "generation": row["generation"]}
                experiment.table.row(key | found, row.copy)
            return rows[-1]

        last = len(data.widths) - 1 if CHAINS[chain].students else 0
        experiment.compare(key | {"generation": last}, last_network, 0.003, choosing=data.choosing)


if __name__ == "__main__":
    experiment = Experiment(__doc__, "noisy_student", DATA)
    for name in experiment.only:
        compare(name)
