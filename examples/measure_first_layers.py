"""Dense, locally connected and convolutional first layers on 1,000 digits from MNIST.

    python examples/measure_first_layers.py [--seeds 0 1 2 3 4] [--device auto]

The three networks differ only in the first layer (see models/softmax_regression.py). It has 6 maps
of 24x24 units, and is followed by ReLU, 2x2 max pooling and one fully connected layer. Each
learning rate in RATES is tried with the seeds in CHOOSING, and every kind of layer then uses the
rate with its best mean validation accuracy. (RATES was extended upwards until no kind was best at
the highest rate.) Only the runs with that rate and the given seeds use the test digits, once each.
A seed determines the 1,000 digits, about 100 per class, the initial weights, and the order of the
digits. Finished rows are kept. Writes docs/results/first_layers.json; `commit` is the commit that
was checked out when a row was written, and `changed_since_commit` says whether source files
differed from it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset, stratified_split
from minivision.models.softmax_regression import FIRST_LAYERS, first_layer_network
from minivision.optim import Adam
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray, describe

RESULT = RESULTS / "first_layers.json"
IMAGES, EPOCHS, BATCH_SIZE = 1_000, 30, 50
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
CHOOSING = (100, 101, 102)  # seeds for choosing the rate; their runs never see the test digits
PREPARE = Compose([ToArray(), Normalize(0.1307, 0.3081)])


def measure(kind, rate, seed, splits, device):
    """One row: a network trained on 1,000 digits. The test digits only for counted seeds."""
    begun = time.perf_counter()
    (train,) = stratified_split(splits.train, (IMAGES,), seed=seed)
    with manual_seed(seed):
        model = first_layer_network(kind)
    fit(
        model,
        DataLoader(train, BATCH_SIZE, shuffle=True, seed=seed, transform=PREPARE),
        classification_loss,
        Adam(model.parameters(), rate),
        EPOCHS,
        seed=seed,
        device=device,
    )
    parts = {"train": train, "validation": splits.validation}
    if seed not in CHOOSING:
        parts["test"] = splits.test
    accuracies = {
        f"{part}_accuracy": evaluate(model, DataLoader(data, 500, transform=PREPARE))["accuracy"]
        for part, data in parts.items()
    }
    return {
        "first_layer": kind,
        "lr": rate,
        "seed": seed,
        "first_layer_parameters": model.features[0].parameter_count(),
        "parameters": model.parameter_count(),
        **accuracies,
        "seconds": round(time.perf_counter() - begun, 1),
        "settings": {
            "dataset": "mnist",
            "images": IMAGES,
            "epochs": EPOCHS,
            "batch_size": BATCH_SIZE,
            "optimizer": "adam",
            "lr": rate,
            "schedule": None,
            "preprocessing": describe(PREPARE),
        },
    }


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if set(arguments.seeds) & set(CHOOSING):
    parser.error(f"the seeds {CHOOSING} are for choosing the rate")

rows = read_rows(RESULT)
splits = load_dataset("mnist")


def finished(kind, rate, seed):
    """The row of this run; it is measured and written if it does not exist yet."""
    for row in rows:
        if (row["first_layer"], row["lr"], row["seed"]) == (kind, rate, seed):
            return row
    row = measure(kind, rate, seed, splits, device)
    asked = "" if seed in CHOOSING else f" --seeds {seed}"
    row["command"] = f"python examples/measure_first_layers.py{asked} --device {device}"
    rows.append(row | provenance())
    write_rows(RESULT, rows)
    shown = "  ".join(f"{n[:-9]} {v:.2%}" for n, v in row.items() if n.endswith("_accuracy"))
    print(
        f"seed {seed:>3}  {kind:<12} rate {rate:g}  {shown}  in {row['seconds']:.0f} s", flush=True
    )
    return row


for kind in FIRST_LAYERS:
    tried = {
        rate: np.mean([finished(kind, rate, seed)["validation_accuracy"] for seed in CHOOSING])
        for rate in RATES
    }
    best = max(tried, key=tried.get)
    counted = [finished(kind, best, seed) for seed in arguments.seeds]
    train, test = (np.array([row[f"{p}_accuracy"] for row in counted]) for p in ("train", "test"))
    print(
        f"{kind:<12} {counted[0]['first_layer_parameters']:>9,} parameters in the first layer, "
        f"rate {best:g}: train {train.mean():.2%}, "
        f"test {test.mean():.2%} ± {test.std(ddof=1):.2%}, "
        f"gap {(train - test).mean():.2%} over {len(counted)} seeds"
    )
print(RESULT)
