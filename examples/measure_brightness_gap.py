"""Trained on bright photographs only: what happens on dark ones, with and without augmentation?

    python examples/measure_brightness_gap.py [--seeds 0 1 2] [--device auto]

CIFAR-10 (JPEG). The brightness of an image is the mean of its bytes; two thresholds divide the
training images into thirds. A small network is trained on 8,000 images from the brightest third in
two ways: on the images as they are, and with every image darkened or lightened by a random factor
from 0.15 to 1.1, drawn each time. Each way is tried at each learning rate in RATES with the seed
CHOOSING, and uses the rate with the best accuracy on the *bright* validation images: dark images
are not used for any choice. Only the runs with that rate and the given seeds use the test images,
once each: the bright ones multiplied by each factor in FACTORS, and all three thirds as they were
taken. A seed determines the images, the initial weights, the order of the images and the factors.
Training takes 6 epochs of Adam with batches of 64 and a half-cosine schedule. Finished rows are
kept, including those with other rates. Writes docs/results/brightness_gap.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import ArrayDataset, DataLoader, Subset, load_dataset, stratified_split
from minivision.fast import worker_count
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray
from minivision.transforms.jitter import ColorJitter
from minivision.transforms.light import brightness

RESULT = RESULTS / "brightness_gap.json"
AUGMENTATIONS = {"none": [], "brightness": [ColorJitter(brightness=(0.15, 1.1))]}
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0)
THIRDS = ("dark", "middle", "bright")
RATES = (0.001, 0.003, 0.01)
CHOOSING = 100  # the seed that chooses a rate; its runs never see the test images
IMAGES, EPOCHS, BATCH_SIZE = 8_000, 6, 64
WIDTHS = (16, 32, 64)


def network():
    """Convolution, batch normalisation, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


def brightness_of(images):
    """The mean of each image's bytes."""
    return images.mean(axis=(1, 2, 3))


def third_of(data, third):
    """The images of a dataset in one of the three parts, which the training images define."""
    part = np.digitize(brightness_of(data.images), limits)
    return Subset(data, np.flatnonzero(part == THIRDS.index(third)))


def times(data, factor):
    """The same images, all bytes times a factor: as one tall image, as bytes are independent."""
    images = data.images
    tall = brightness(images.reshape(-1, *images.shape[2:]), factor)
    return ArrayDataset(tall.reshape(images.shape), data.labels, data.classes)


def accuracy(model, data, prepare):
    return evaluate(model, DataLoader(data, 500, transform=prepare))["accuracy"]


def measure(name, rate, seed):
    """One row: a network trained on bright images. The test images only for counted seeds."""
    begun = time.perf_counter()
    (train,) = stratified_split(bright["train"], (IMAGES,), seed=seed)
    pixels = train.images / np.float32(255)
    mean, std = (getattr(pixels, n)(axis=(0, 1, 2), dtype=np.float64) for n in ("mean", "std"))
    numbers = [ToArray(), Normalize(mean.round(4), std.round(4))]
    with manual_seed(seed):
        prepare, model = Compose(numbers), network()
    augmented = Compose([*AUGMENTATIONS[name], *numbers])
    history = fit(
        model,
        DataLoader(train, BATCH_SIZE, shuffle=True, seed=seed, transform=augmented),
        classification_loss,
        Adam(model.parameters(), rate),
        EPOCHS,
        schedule=cosine(EPOCHS),
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
        "brightness_limits": limits.round(2).tolist(),
        "validation_accuracy": accuracy(model, bright["validation"], prepare),
        "train_loss": history["train_loss"],
    }
    if seed != CHOOSING:
        # Times 1 and the bright third are the same images: they are evaluated once.
        by_factor = {
            str(factor): accuracy(model, times(bright["test"], factor), prepare)
            for factor in FACTORS
        }
        thirds = {t: accuracy(model, third_of(splits.test, t), prepare) for t in THIRDS[:2]}
        row["test_accuracy_by_factor"] = by_factor
        row["test_accuracy_by_third"] = thirds | {"bright": by_factor["1.0"]}
        row["test_images_by_third"] = {t: len(third_of(splits.test, t)) for t in THIRDS}
    return {
        **row,
        "seconds_an_epoch": round(float(np.median(history["seconds"])), 2),
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
        "settings": {
            "dataset": "cifar10-jpeg",
            "widths": WIDTHS,
            "batch_size": BATCH_SIZE,
            "optimizer": "adam",
            "schedule": "half a cosine",
            "augmentation": [repr(step) for step in AUGMENTATIONS[name]],
        },
        "command": f"python examples/measure_brightness_gap.py --seeds {seed} --device {device}",
    }


def trained(name, rate, seed):
    """The row of this run; it is measured and written if it does not exist yet."""
    for row in rows:
        if (row["augmentation"], row["lr"], row["seed"]) == (name, rate, seed):
            return row
    row = measure(name, rate, seed) | provenance()
    rows.append(row)
    write_rows(arguments.result, rows)
    print(
        f"{name:<10} rate {rate:g}, seed {seed:>3}: bright validation images "
        f"{row['validation_accuracy']:.2%} in {row['seconds']:.0f} s",
        flush=True,
    )
    return row


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if CHOOSING in arguments.seeds:
    parser.error(f"the seed {CHOOSING} is for choosing the rate")

rows = read_rows(arguments.result)
splits = load_dataset("cifar10-jpeg")
limits = np.quantile(brightness_of(splits.train.images), (1 / 3, 2 / 3))
bright = {name: third_of(getattr(splits, name), "bright") for name in splits._fields}

for name in AUGMENTATIONS:
    tried = {rate: trained(name, rate, CHOOSING) for rate in RATES}
    best = max(RATES, key=lambda rate: tried[rate]["validation_accuracy"])
    counted = [trained(name, best, seed) for seed in arguments.seeds]
    for kind in ("factor", "third"):
        key = f"test_accuracy_by_{kind}"
        cells = {cell: np.array([row[key][cell] for row in counted]) for cell in counted[0][key]}
        print(
            f"{name:<10} rate {best:g}, test by {kind}: "
            + "  ".join(
                f"{c} {v.mean():.1%}" + (f"±{v.std(ddof=1):.1%}" if len(v) > 1 else "")
                for c, v in cells.items()
            )
        )
print(arguments.result)
