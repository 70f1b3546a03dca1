"""One fully connected layer against LeNet-5 on shifted or scaled MNIST digits.

    python examples/measure_shift_and_scale.py [--seeds 0 1 2 3 4] [--device auto]

Both networks are trained on the 55,000 training digits, once on the digits as they are and once
with random shifts by up to 3 pixels: 2 epochs of Adam with batches of 64. The settings were fixed
beforehand; the validation accuracy is recorded, but neither the validation set nor the test set was
used to choose anything. The accuracy for a shift of s pixels is the mean over shifts to the left,
right, top and bottom; scaling magnifies the digit about the centre of the image. Finished rows are
kept. Writes docs/results/shift_and_scale.json; `commit` is the commit that was checked out when a
row was written, and `changed_since_commit` says whether source files differed from it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset
from minivision.models import MODELS
from minivision.optim import Adam
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import (
    Compose,
    Normalize,
    RandomTranslate,
    Scale,
    ToArray,
    Translate,
    describe,
)

RESULT = RESULTS / "shift_and_scale.json"
NETWORKS = ("softmax_regression", "lenet5")
AUGMENTATIONS = (0, 3)  # shifts in training, in pixels
SHIFTS = range(7)
SCALES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
EPOCHS, BATCH_SIZE, LEARNING_RATE = 2, 64, 1e-3
NUMBERS = [ToArray(), Normalize(0.1307, 0.3081)]  # the usual mean and deviation of MNIST


def test_accuracy(model, test, change):
    batches = DataLoader(test, 500, transform=Compose([change, *NUMBERS]))
    return evaluate(model, batches)["accuracy"]


def measure(name, augmentation, seed, splits, device):
    """One row: a network trained with one seed, and its accuracy on every shift and scale."""
    begun = time.perf_counter()
    moved = [RandomTranslate(augmentation)] if augmentation else []
    training = Compose([*moved, *NUMBERS])
    with manual_seed(seed):
        model = MODELS[name]()
    fit(
        model,
        DataLoader(splits.train, BATCH_SIZE, shuffle=True, seed=seed, transform=training),
        classification_loss,
        Adam(model.parameters(), LEARNING_RATE),
        EPOCHS,
        seed=seed,
        device=device,
    )
    validation = evaluate(model, DataLoader(splits.validation, 500, transform=Compose(NUMBERS)))
    by_shift = {}
    for s in SHIFTS:
        places = {(-s, 0), (s, 0), (0, -s), (0, s)}  # a single position if s is 0
        found = [test_accuracy(model, splits.test, Translate(*place)) for place in sorted(places)]
        by_shift[str(s)] = float(np.mean(found))
    by_scale = {str(f): test_accuracy(model, splits.test, Scale(f)) for f in SCALES}
    return {
        "model": name,
        "training_shift": augmentation,
        "seed": seed,
        "parameters": model.parameter_count(),
        "validation_accuracy": validation["accuracy"],
        "test_accuracy_by_shift": by_shift,
        "test_accuracy_by_scale": by_scale,
        "seconds": round(time.perf_counter() - begun, 1),
        "settings": {
            "dataset": "mnist",
            "epochs": EPOCHS,
            "batch_size": BATCH_SIZE,
            "optimizer": "adam",
            "lr": LEARNING_RATE,
            "schedule": None,
            "preprocessing": describe(training),
        },
    }


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()
device = resolve_device(arguments.device)

rows = read_rows(RESULT)
finished = {(row["model"], row["training_shift"], row["seed"]) for row in rows}
splits = load_dataset("mnist")
for seed in arguments.seeds:
    for name in NETWORKS:
        for augmentation in AUGMENTATIONS:
            if (name, augmentation, seed) in finished:
                continue
            row = measure(name, augmentation, seed, splits, device)
            row["command"] = (
                f"python examples/measure_shift_and_scale.py --seeds {seed} --device {device}"
            )
            rows.append(row | provenance())
            write_rows(RESULT, rows)
            print(
                f"seed {seed}  {name:<18}  trained with shifts of ±{augmentation}  "
                + "  ".join(f"{v:.1%}" for v in row["test_accuracy_by_shift"].values())
                + f"  in {row['seconds']:.0f} s",
                flush=True,
            )

for name in NETWORKS:
    for augmentation in AUGMENTATIONS:
        group = [r for r in rows if (r["model"], r["training_shift"]) == (name, augmentation)]
        for kind in ("shift", "scale"):
            cells = [
                [row[f"test_accuracy_by_{kind}"][key] for row in group]
                for key in group[0][f"test_accuracy_by_{kind}"]
            ]
            print(
                f"{name:<18} ±{augmentation} by {kind}: "
                + "  ".join(f"{np.mean(c):.1%}±{np.std(c, ddof=1):.1%}" for c in cells)
            )
print(RESULT)
