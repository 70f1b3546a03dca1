"""What augmentation contributes if images are few: 2,000 images from CIFAR-10 (JPEG).

    python examples/measure_augmentation.py [--only NAME ...] [--seeds 0 1 2] [--device auto]

One small network is trained with each entry of AUGMENTATIONS: no augmentation, flips and crops,
CutMix, Mixup, RandAugment, and flips and crops followed by RandAugment. Each training is 18 epochs
of Adam with batches of 64 and a half-cosine schedule, so all make the same number of steps. Each
augmentation is tried at each learning rate in RATES with the seed CHOOSING, and uses the rate with
the best accuracy on the validation images. Only the runs with that rate and the given seeds use the
test images, once each. A seed determines the images, the initial weights, the order of the images
and the random augmentation. The strengths of the augmentations are from the papers and from an
earlier experiment. Finished rows are kept, including those with other rates. Writes
docs/results/augmentation.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset, stratified_split
from minivision.fast import worker_count
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import (
    Compose,
    CutMix,
    Mixup,
    Normalize,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
    ToArray,
)

RESULT = RESULTS / "augmentation.json"
RATES = (0.001, 0.003)
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
IMAGES, EPOCHS, BATCH_SIZE = 2_000, 18, 64
WIDTHS = (16, 32, 64)


class Augmentation(NamedTuple):
    """The transforms of single images before they become numbers, and of batches after that."""

    images: list[Any]
    batches: Any = None


FLIPS_AND_CROPS = [RandomHorizontalFlip(), RandomCrop((32, 32), padding=4)]
AUGMENTATIONS = {
    "none": Augmentation([]),
    "flips and crops": Augmentation(FLIPS_AND_CROPS),
    "CutMix": Augmentation([], CutMix(classes=10)),
    "Mixup": Augmentation([], Mixup(classes=10)),
    "RandAugment": Augmentation([RandAugment(1, 5)]),
    "flips, crops, RandAugment": Augmentation([*FLIPS_AND_CROPS, RandAugment(1, 5)]),
}


def network():
    """Convolution, batch normalisation, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


def measure(name, rate, seed):
    """One row: a network trained on some images. The test images only for counted seeds."""
    begun = time.perf_counter()
    (train,) = stratified_split(splits.train, (IMAGES,), seed=seed)
    with manual_seed(seed):
        model, augmentation = network(), AUGMENTATIONS[name]
    augmented = Compose([*augmentation.images, *NUMBERS])
    history = fit(
        model,
        DataLoader(train, BATCH_SIZE, shuffle=True, seed=seed, transform=augmented),
        classification_loss,
        Adam(model.parameters(), rate),
        EPOCHS,
        schedule=cosine(EPOCHS),
        batch_transform=augmentation.batches,
        seed=seed,
        device=device,
    )
    row = {
        "augmentation": name,
        "lr": rate,
        "seed": seed,
        "images": IMAGES,
        "epochs": EPOCHS,
        "parameters": model.parameter_count(),
    }
    parts = {"validation": splits.validation}
    if seed != CHOOSING:
        parts |= {"train": train, "test": splits.test}
    for part, data in parts.items():
        found = evaluate(model, DataLoader(data, 500, transform=Compose(NUMBERS)))
        row[f"{part}_accuracy"] = found["accuracy"]
    return {
        **row,
        "train_loss": history["train_loss"],
        "seconds_an_epoch": round(float(np.median(history["seconds"])), 2),
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
        "settings": {
            "dataset": "cifar10-jpeg",
            "widths": WIDTHS,
            "batch_size": BATCH_SIZE,
            "optimizer": "adam",
            "schedule": "half a cosine",
            "augmentation": [
                repr(step) for step in (*augmentation.images, augmentation.batches) if step
            ],
        },
        "command": f"python examples/measure_augmentation.py --seeds {seed} --device {device}",
    }


def trained(name, rate, seed):
    """The row of this run; it is measured and written if it does not exist yet."""
    for row in rows:
        if (row["augmentation"], row["lr"], row["seed"]) == (name, rate, seed):
            return row
    row = measure(name, rate, seed) | provenance()
    rows.append(row)
    write_rows(arguments.result, rows)
    shown = "  ".join(f"{n[:-9]} {v:.2%}" for n, v in row.items() if n.endswith("_accuracy"))
    print(
        f"{name:<25} rate {rate:g}, seed {seed:>3}: {shown} in {row['seconds']:.0f} s", flush=True
    )
    return row


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--only", nargs="+", choices=AUGMENTATIONS, default=list(AUGMENTATIONS))
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
NUMBERS = [ToArray(), Normalize(mean.round(4), std.round(4))]

for name in arguments.only:
    tried = {rate: trained(name, rate, CHOOSING) for rate in RATES}
    best = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
    counted = [trained(name, best, seed) for seed in arguments.seeds]
    train, test = (
        np.array([row[f"{part}_accuracy"] for row in counted]) for part in ("train", "test")
    )
    spread = f" ± {test.std(ddof=1):.2%}" if len(test) > 1 else ""
    print(f"{name:<25} rate {best:g}: train {train.mean():.2%}, test {test.mean():.2%}{spread}")
print(arguments.result)
