"""What single choices in AlexNet and VGG contribute, on a few thousand images from CIFAR-10 (JPEG).

    python examples/measure_network_choices.py [--only NAME ...] [--seeds 0 1 2] [--device auto]

Each comparison in COMPARISONS changes one thing in a small network: the activation, the
normalisation, the pooling, dropout, the input of the classifier, one large kernel or three small
ones, A or A-LRN. Every variant is trained at each learning rate in RATES with the seed CHOOSING,
and uses the rate with its best validation accuracy. Only the runs with that rate and the given
seeds use the test images, once each. A seed determines the images, the initial weights and the
order of the images. Training is SGD with momentum 0.9, batches of 64 and a half-cosine schedule,
without augmentation. A run whose loss is not finite counts as a validation accuracy of 0.

"activation, calm start" repeats the first comparison under different conditions, because the scores
of the untrained ReLU network were sixteen times as large as those of the tanh network: the last
layer starts with weights ten times smaller, the learning rate rises during the first epoch,
training takes twice as long, and the range of rates is wider. Finished rows are kept, including
those with other rates. Writes docs/results/network_choices.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset, stratified_split
from minivision.fast import worker_count
from minivision.models.alexnet_small import alexnet_small
from minivision.models.network import Network
from minivision.models.vgg import vgg_network
from minivision.nn import AdaptiveAvgPool2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import SGD
from minivision.optim.schedules import cosine, warm_up
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

RESULT = RESULTS / "network_choices.json"
RATES = (0.005, 0.01, 0.02)
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
BATCH_SIZE, MOMENTUM = 64, 0.9


def middle(kernels):
    """A network whose middle sees 7x7 pixels of 32 maps, with one kernel or with three."""
    layers = [Conv2d(3, 32, 3, padding=1), ReLU(), MaxPool2d(2)]
    for size in kernels:
        layers += [Conv2d(32, 32, size, padding=size // 2), ReLU()]
    layers += [MaxPool2d(2), AdaptiveAvgPool2d(4)]
    return Network(Sequential(*layers), Sequential(Linear(32 * 16, 10)), (3, 32, 32))


class Comparison(NamedTuple):
    """Networks that differ in one thing, and how long they are trained."""

    images: int
    epochs: int
    variants: dict[str, Callable[..., Network]]
    rates: tuple[float, ...] = RATES
    rising: int = 0  # epochs in which the rate rises


def calm(activation):
    """The bare AlexNet whose last layer begins ten times smaller."""
    model = bare(activation=activation)
    *_, weight, _ = model.parameters()
    weight.data *= np.float32(0.1)
    return model


bare = partial(alexnet_small, normalization=None, dropout=0.0)
narrow = partial(vgg_network, classes=10, widths=(16, 32, 64, 128, 128), head="average")
COMPARISONS = {
    "activation": Comparison(4_000, 6, {"relu": bare, "tanh": partial(bare, activation="tanh")}),
    "activation, calm start": Comparison(
        4_000,
        12,
        {"relu": partial(calm, "relu"), "tanh": partial(calm, "tanh")},
        rates=(0.005, 0.01, 0.02, 0.04),
        rising=1,
    ),
    "dropout": Comparison(1_000, 24, {"none": bare, "0.5": partial(bare, dropout=0.5)}),
    "normalization": Comparison(
        4_000,
        6,
        {
            "none": bare,
            "lrn, alpha 0.1": partial(bare, normalization="lrn", alpha=0.1),
            "batch_norm": partial(bare, normalization="batch_norm"),
        },
    ),
    "pooling": Comparison(4_000, 6, {"3 by 2": bare, "2 by 2": partial(bare, pool=(2, 2))}),
    "head": Comparison(4_000, 6, {"flatten": bare, "average": partial(bare, head="average")}),
    "kernels": Comparison(
        4_000, 6, {"three 3x3": partial(middle, (3, 3, 3)), "one 7x7": partial(middle, (7,))}
    ),
    "vgg": Comparison(
        4_000, 6, {"A": partial(narrow, "A"), "A-LRN": partial(narrow, "A-LRN")}
    ),
}  # fmt: skip


def _schedule(comparison):
    falling = cosine(comparison.epochs - comparison.rising)
    return warm_up(comparison.rising, falling) if comparison.rising else falling


def measure(name, variant, rate, seed, splits, device):
    """One row: a network trained on some images. The test images only for counted seeds."""
    begun = time.perf_counter()
    comparison = COMPARISONS[name]
    (train,) = stratified_split(splits.train, (comparison.images,), seed=seed)
    with manual_seed(seed):
        model = comparison.variants[variant]()
    row = {
        "comparison": name,
        "variant": variant,
        "lr": rate,
        "seed": seed,
        "images": comparison.images,
        "epochs": comparison.epochs,
        "parameters": model.parameter_count(),
    }
    try:
        history = fit(
            model,
            DataLoader(train, BATCH_SIZE, shuffle=True, seed=seed, transform=PREPARE),
            classification_loss,
            SGD(model.parameters(), rate, MOMENTUM),
            comparison.epochs,
            schedule=_schedule(comparison),
            seed=seed,
            device=device,
        )
    except FloatingPointError:
        return {**row, "diverged": True, "validation_accuracy": 0.0}
    parts = {"validation": splits.validation}
    if seed != CHOOSING:
        parts |= {"train": train, "test": splits.test}
    for part, data in parts.items():
        found = evaluate(model, DataLoader(data, 500, transform=PREPARE))["accuracy"]
        row[f"{part}_accuracy"] = found
    return {
        **row,
        "train_loss": history["train_loss"],
        "seconds_an_epoch": round(float(np.median(history["seconds"])), 2),
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
    }


def trained(name, variant, rate, seed):
    """The row of this run; it is measured and written if it does not exist yet.

    The same network, trained the same way in another comparison, is this row under another name.
    """
    comparison = COMPARISONS[name]
    made = comparison.variants[variant]
    for row in rows:
        other = COMPARISONS[row["comparison"]]
        alike = (other.images, other.epochs) == (comparison.images, comparison.epochs)
        same = other.variants[row["variant"]] is made and alike
        if same and (row["lr"], row["seed"]) == (rate, seed):
            return row
    row = measure(name, variant, rate, seed, splits, device) | provenance()
    rows.append(row)
    write_rows(arguments.result, rows)
    shown = "  ".join(f"{n[:-9]} {v:.2%}" for n, v in row.items() if n.endswith("_accuracy"))
    print(f"{name:<14} {variant:<15} rate {rate:g}, seed {seed:>3}  {shown}", flush=True)
    return row


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

rows = read_rows(arguments.result)
splits = load_dataset("cifar10-jpeg")
pixels = splits.train.images / np.float32(255)
mean, std = (getattr(pixels, name)(axis=(0, 1, 2), dtype=np.float64) for name in ("mean", "std"))
del pixels
PREPARE = Compose([ToArray(), Normalize(mean.round(4), std.round(4))])

for name in arguments.only:
    print(f"── {name}: {COMPARISONS[name].images:,} images, {COMPARISONS[name].epochs} epochs")
    for variant in COMPARISONS[name].variants:
        tried = {rate: trained(name, variant, rate, CHOOSING) for rate in COMPARISONS[name].rates}
        best = max(tried, key=lambda rate: tried[rate]["validation_accuracy"])
        counted = [trained(name, variant, best, seed) for seed in arguments.seeds]
        part = {
            which: np.array([row[f"{which}_accuracy"] for row in counted])
            for which in ("train", "test")
        }
        print(
            f"{variant:<15} {counted[0]['parameters']:>9,} parameters, rate {best:g}: "
            f"train {part['train'].mean():.2%}, test {part['test'].mean():.2%} "
            f"± {part['test'].std(ddof=1):.2%}, gap {(part['train'] - part['test']).mean():.2%}, "
            f"{np.median([row['seconds_an_epoch'] for row in counted]):.1f} s an epoch"
        )
print(arguments.result)
