"""A small VGG with batch normalisation, trained on the 45,000 training images of CIFAR-10 (JPEG).

    python examples/train_vgg_small_cifar10.py [--epochs 12] [--seed 0] [--workers 0]

The network has 289,194 parameters: three blocks of two 3x3 convolutions with 32, 64 and 128
filters, each convolution followed by batch normalisation and ReLU, then the mean of every map and
one linear layer. Training uses flips and crops, and SGD with Nesterov momentum 0.9 and weight decay
5e-4; the learning rate rises to 0.1 during the first epoch and then falls along half a cosine. No
setting was chosen by looking at an accuracy, and the test images are read once, after the last
epoch. Running the same command again resumes an interrupted run. Adds a row to
docs/results/vgg_small_cifar10.json, whose `training_seconds` is the total time of all epochs.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from pathlib import Path

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import manual_seed
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset
from minivision.fast import worker_count
from minivision.models.vgg import vgg_small
from minivision.optim import SGD
from minivision.optim.schedules import cosine, warm_up
from minivision.training import Run, classification_loss, evaluate, fit
from minivision.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    ToArray,
    describe,
)

RESULT = RESULTS / "vgg_small_cifar10.json"
BATCH_SIZE, RATE, MOMENTUM, WEIGHT_DECAY = 128, 0.1, 0.9, 5e-4

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--workers", type=int, default=0, help="threads that prepare images")
parser.add_argument("--runs", type=Path, default=Path("runs"), help="parent folder of the run")
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()
epochs, seed = arguments.epochs, arguments.seed

splits = load_dataset("cifar10-jpeg")
pixels = splits.train.images / np.float32(255)
mean, std = (getattr(pixels, name)(axis=(0, 1, 2), dtype=np.float64) for name in ("mean", "std"))
numbers = [ToArray(), Normalize(mean.round(4), std.round(4))]
PREPARE = Compose(numbers)
AUGMENT = Compose([RandomHorizontalFlip(), RandomCrop((32, 32), padding=4), *numbers])
folder = arguments.runs / f"vgg_small-cifar10-jpeg-epochs-{epochs}-seed-{seed}"
settings = {
    "dataset": "cifar10-jpeg",
    "epochs": epochs,
    "batch_size": BATCH_SIZE,
    "seed": seed,
    "optimizer": "sgd",
    "lr": RATE,
    "momentum": MOMENTUM,
    "nesterov": True,
    "weight_decay": WEIGHT_DECAY,
    "schedule": "warm_up(1), then cosine",
    "preprocessing": describe(PREPARE),
    "augmentation": describe(AUGMENT),
}
run = Run.open(folder) if (folder / "settings.json").exists() else Run.create(folder, settings)
with manual_seed(seed):
    model = vgg_small(head="average", batch_norm=True)
batches = DataLoader(
    splits.train,
    BATCH_SIZE,
    shuffle=True,
    seed=seed,
    transform=AUGMENT,
    workers=arguments.workers,
)
history = fit(
    model,
    batches,
    classification_loss,
    SGD(model.parameters(), RATE, MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY),
    epochs,
    schedule=warm_up(1, cosine(epochs - 1)),
    validate=lambda model: evaluate(model, DataLoader(splits.validation, 500, transform=PREPARE)),
    seed=seed,
    run=run,
    device=resolve_device(arguments.device),
)
row = {
    "model": 'vgg_small(head="average", batch_norm=True)',
    "seed": seed,
    "parameters": model.parameter_count(),
    "test_accuracy": evaluate(model, DataLoader(splits.test, 500, transform=PREPARE))["accuracy"],
    "training_seconds": round(sum(history["seconds"]), 1),
    "kernel_workers": worker_count(),
    "history": list(history),
    "settings": settings,
    "command": f"python examples/train_vgg_small_cifar10.py --epochs {epochs} --seed {seed}",
}
rows = [r for r in read_rows(RESULT) if (r["seed"], r["settings"]["epochs"]) != (seed, epochs)]
write_rows(RESULT, [*rows, row | provenance()])
print(
    f"{epochs} epochs, {row['training_seconds'] / 60:.0f} minutes: "
    f"validation {history[-1]['validation_accuracy']:.2%}, test {row['test_accuracy']:.2%}"
)
