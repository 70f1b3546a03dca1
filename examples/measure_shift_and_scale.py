"""One fully connected layer against LeNet-5 on shifted or scaled MNIST digits.

    python examples/measure_shift_and_scale.py [--only NETWORK ...] [--seeds 0 1 2 3 4]

Both networks are trained on the 55,000 training digits, once on the digits as they are and once
with random shifts by up to 3 pixels: 2 epochs of Adam with batches of 64 and half a cosine, at a
rate that was fixed beforehand. Nothing is chosen. The accuracy for a shift of s pixels is the mean
over shifts to the left, right, up and down; scaling enlarges or shrinks the digit about the centre
of the image. Writes docs/results/shift_and_scale.json.
"""

import time
from functools import partial

import numpy as np
from experiment import Experiment, Images

from minivision import manual_seed
from minivision.datasets import DataLoader
from minivision.models import MODELS
from minivision.optim import Adam
from minivision.training import evaluate
from minivision.transforms import Compose, RandomTranslate, Scale, Translate

NETWORKS = ("softmax_regression", "lenet5")
TRAINING_SHIFTS = (0, 3)  # in pixels
SHIFTS, SCALES = range(7), (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)


def measure(name, training_shift, images, seed):
    """One row: a network trained with one seed, and its accuracy on every shift and scale."""
    begun = time.perf_counter()
    with manual_seed(seed):
        model = MODELS[name]()
    row = images.trained(
        lambda: model, 1e-3, seed, images=len(images.splits.train), epochs=2, optimizer=Adam,
        augmentation=[RandomTranslate(training_shift)] if training_shift else [],
    )  # fmt: skip

    def accuracy(change):
        changed = Compose([change, *images.numbers])
        return evaluate(model, DataLoader(images.splits.test, 500, transform=changed))["accuracy"]

    by_shift = {}
    for s in SHIFTS:
        places = sorted({(-s, 0), (s, 0), (0, -s), (0, s)})  # a single position if s is 0
        by_shift[str(s)] = float(np.mean([accuracy(Translate(*place)) for place in places]))
    return row | {
        "test_accuracy_by_shift": by_shift,
        "test_accuracy_by_scale": {str(factor): accuracy(Scale(factor)) for factor in SCALES},
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    experiment = Experiment(__doc__, "shift_and_scale", NETWORKS)
    images = Images("mnist", experiment.device)
    for name in experiment.only:
        for shift in TRAINING_SHIFTS:
            for seed in experiment.seeds:
                key = {"model": name, "training_shift": shift, "seed": seed}
                experiment.table.row(key, partial(measure, name, shift, images, seed))
