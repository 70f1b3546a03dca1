"""What augmentation contributes if images are few: 2,000 images from CIFAR-10 (JPEG).

    python examples/measure_augmentation.py [--only PART ...] [--seeds 0 1 2 3 4]

One small network, with three convolutions and batch normalization, is trained with Adam.

    methods   40 epochs with each entry of METHODS, at the learning rate that suits it best. In this
              time the network without augmentation fits its training images.
    search    20 epochs with RandAugment. N and M are chosen as experiment.py says, with two seeds:
              M climbs for each N, and N climbs by the best M. The pair at which the search begins
              stands beside the best. All runs have the same rate and no other augmentation.

Writes docs/results/augmentation.json.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from experiment import CHOOSING, Experiment, Images, best_setting

from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.transforms import (
    CutMix,
    Mixup,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
)

IMAGES, WIDTHS = 2_000, (16, 32, 64)
COUNTS, MAGNITUDES = (1, 2, 3, 4), (1, 3, 5, 9, 15, 24)
FIRST_COUNT, FIRST_MAGNITUDE = 1, 5  # where the search begins


class Method(NamedTuple):
    """The transforms of single images before they become numbers, and of batches after that."""

    augmentation: tuple[Any, ...] = ()
    batches: Any = None


FLIPS_AND_CROPS = (RandomHorizontalFlip(), RandomCrop((32, 32), padding=4))
METHODS = {
    "none": Method(),
    "CutMix": Method((), CutMix(classes=10)),
    "RandAugment": Method((RandAugment(1, 5),)),
    "flips and crops": Method(FLIPS_AND_CROPS),
    "flips, crops, CutMix": Method(FLIPS_AND_CROPS, CutMix(classes=10)),
    "flips, crops, RandAugment": Method((*FLIPS_AND_CROPS, RandAugment(1, 5))),
    "Mixup": Method((), Mixup(classes=10)),
}


def network():
    """Convolution, batch normalization, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


def methods(experiment, measure):
    for name, method in METHODS.items():
        options = method._asdict()

        def trained(rate, seed, options=options):
            return measure(rate, seed, epochs=40, **options)

        experiment.compare({"part": "methods", "method": name}, trained, 0.003)


def search(experiment, measure):
    def row(name, count, magnitude, seed):
        policy = (RandAugment(count, magnitude),) if count else ()
        key = {"part": "search", "policy": name, "count": count}
        trained = partial(measure, 0.003, epochs=20, augmentation=policy)
        return experiment.row(key, lambda _, seed: trained(seed), "magnitude", magnitude, seed)

    def score(count, magnitude):
        rows = [row("searched", count, magnitude, seed) for seed in CHOOSING[:2]]
        return np.mean([row["validation_accuracy"] for row in rows])

    def climb(count):
        best[count] = best_setting(MAGNITUDES, FIRST_MAGNITUDE, partial(score, count))
        return score(count, best[count])

    best = {}
    count = best_setting(COUNTS, FIRST_COUNT, climb)
    for seed in (*CHOOSING[:2], *experiment.seeds):
        row("none", 0, 0, seed)
    for seed in experiment.seeds:
        row("searched", count, best[count], seed)
        row("first", FIRST_COUNT, FIRST_MAGNITUDE, seed)


def main():
    parts = {"methods": methods, "search": search}
    experiment = Experiment(__doc__, "augmentation", parts)
    photographs = Images("cifar10-jpeg", experiment.device)
    measure = partial(photographs.trained, network, images=IMAGES, optimizer=Adam)
    for part in experiment.only:
        parts[part](experiment, measure)


if __name__ == "__main__":
    main()
