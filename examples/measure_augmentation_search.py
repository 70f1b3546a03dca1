"""What a search for the best RandAugment policy gains, on 2,000 images from CIFAR-10 (JPEG).

    python examples/measure_augmentation_search.py [--seeds 0 1 2 3 4]

The network of measure_augmentation.py is trained for 20 epochs with RandAugment, at one learning
rate and with no other augmentation. N and M are chosen by validation accuracy, with two seeds: for
each N, M is moved to a better neighbour until none is better; N is then moved in the same way. Then
networks are trained with new seeds: with the best pair, with the pair at which the search begins,
and without augmentation. Writes docs/results/augmentation_search.json.
"""

from functools import partial

import numpy as np
from experiment import CHOOSING, Experiment, Images, best_setting
from measure_augmentation import IMAGES, network

from minivision.optim import Adam
from minivision.transforms import RandAugment

COUNTS, MAGNITUDES = (1, 2, 3, 4), (1, 3, 5, 9, 15, 24)
FIRST = {"count": 1, "magnitude": 5}
RATE, EPOCHS, TRIALS = 0.003, 20, CHOOSING[:2]


def row(policy, count, magnitude, seed):
    """One row: the network trained with this policy and seed."""
    augmentation = [RandAugment(count, magnitude)] if count else []
    key = {"part": "search", "policy": policy, "count": count}

    def measure(_, seed):
        return images.trained(
            network, RATE, seed, images=IMAGES, epochs=EPOCHS, optimizer=Adam,
            augmentation=augmentation,
        )  # fmt: skip

    return experiment.row(key, measure, "magnitude", magnitude, seed)


def score(count, magnitude):
    rows = [row("searched", count, magnitude, seed) for seed in TRIALS]
    return np.mean([one["validation_accuracy"] for one in rows])


def best_of_count(count):
    """The score of the best magnitude for this count, which is kept."""
    best[count] = best_setting(MAGNITUDES, FIRST["magnitude"], partial(score, count))
    return score(count, best[count])


if __name__ == "__main__":
    experiment, best = Experiment(__doc__, "augmentation_search", []), {}
    images = Images("cifar10-jpeg", experiment.device)
    count = best_setting(COUNTS, FIRST["count"], best_of_count)
    for seed in (*TRIALS, *experiment.seeds):
        row("none", 0, 0, seed)
    for seed in experiment.seeds:
        row("searched", count, best[count], seed)
        row("first", **FIRST, seed=seed)
