"""What the measuring scripts share: the choice of a setting, and networks trained on a few images.

A setting of a variant, usually the learning rate, is chosen by the accuracy on validation images,
with the *choosing* seeds (100 to 102), which never count towards an effect. If the best setting is
at an end of those tried, the next one on the ladder is tried, too. Then the variant is trained with
the *counted* seeds (0 to 4), and only those networks see the test images, once each. Every run is
one row of a file in docs/results; a row that exists is not measured again, so an interrupted script
resumes where it stopped.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from recording import RESULTS, Table

from minivision import manual_seed
from minivision.analysis.summary import summary
from minivision.backend import resolve_device
from minivision.datasets import DataLoader, load_dataset, stratified_split
from minivision.optim import SGD
from minivision.optim.schedules import cosine
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

CHOOSING = (100, 101, 102)  # the seeds that choose a setting; their runs never see the test images
momentum_sgd = partial(SGD, momentum=0.9)
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)


def best_setting(ladder, start, score):
    """The setting with the highest score(setting), found by climbing a ladder from `start`.

    The neighbours of the best setting so far are tried until it is better than both of them, or
    until the ladder ends. Of two equal settings, the lower one counts as better.

    >>> best_setting((1, 2, 4, 8, 16), 2, lambda setting: -abs(setting - 7))
    8
    """
    tried, best = {}, start
    while True:
        place = ladder.index(best)
        for setting in ladder[max(place - 1, 0) : place + 2]:
            if setting not in tried:
                tried[setting] = score(setting)
        before, best = best, max(sorted(tried), key=tried.get)
        if best == before:
            return best


class Experiment:
    """The options of a script, and the table of its rows."""

    def __init__(self, explanation, name, parts, seeds=5):
        parser = argparse.ArgumentParser(
            description=explanation, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
        parser.add_argument("--seeds", type=int, nargs="+", default=list(range(seeds)))
        parser.add_argument("--device", default="auto")
        parser.add_argument("--result", type=Path, help="the file of rows (default: docs/results)")
        arguments = parser.parse_args()
        if set(CHOOSING) & set(arguments.seeds):
            parser.error(f"the seeds {CHOOSING} are for choosing settings")
        self.only, self.seeds = arguments.only, arguments.seeds
        self.device = resolve_device(arguments.device)
        self.table = Table(arguments.result or RESULTS / f"{name}.json")

    def row(self, key, measure, setting, value, seed):
        """The row of one run; measure(value, seed) makes it if it does not exist yet."""
        return self.table.row(key | {setting: value, "seed": seed}, partial(measure, value, seed))

    def compare(self, key, measure, start, ladder=RATES, *, setting="lr", choosing=1,
                by="validation_accuracy"):  # fmt: skip
        """(the chosen setting of a variant, its rows with the counted seeds).

        key: the entries that name the variant. measure(value of the setting, seed) -> a row.
        choosing: the number of seeds whose mean of the column `by` chooses the setting.
        """

        def score(value):
            seeds = CHOOSING[:choosing]
            return np.mean([self.row(key, measure, setting, value, seed)[by] for seed in seeds])

        best = best_setting(ladder, start, score)
        rows = [self.row(key, measure, setting, best, seed) for seed in self.seeds]
        columns = [f"{part}_accuracy" for part in ("train", "validation", "test")]
        columns = [name for name in columns if all(name in row for row in rows)]
        said = "  ".join(f"{n[:-9]} {np.mean([row[n] for row in rows]):.2%}" for n in columns)
        print(f"{' '.join(map(str, key.values()))}: {setting} {best:g}, {said}", flush=True)
        return best, rows


def work_of(model, updates, images):
    """How long a network was trained: parameters, updates, images, and multiply-adds in 10¹².

    A training step takes three times the multiply-adds of a prediction: one product forward and
    two backward, for the input and for the weights.
    """
    multiply_adds = summary(model).multiply_adds
    return {
        "parameters": model.parameter_count(),
        "multiply_adds": multiply_adds,
        "updates": updates,
        "images_seen": images,
        "work": round(3 * multiply_adds * images / 1e12, 6),
    }


class Images:
    """A dataset, and networks trained on a few thousand of its images."""

    def __init__(self, name, device):
        self.device, self.splits = device, load_dataset(name)
        pixels = self.splits.train.images / np.float32(255)
        self.mean, self.std = (
            getattr(pixels, name)(axis=(0, 1, 2), dtype=np.float64).round(4)
            for name in ("mean", "std")
        )
        self.numbers = [ToArray(), Normalize(self.mean, self.std)]

    def trained(self, build, rate, seed, *, images, epochs, augmentation=(), batches=None,
                optimizer=momentum_sgd, batch_size=64):  # fmt: skip
        """A row: build() trained on some images. A seed determines images, weights and order.

        augmentation: transforms of single images; batches: one of whole batches, such as CutMix.
        The learning rate falls to 0 along half a cosine. A run that diverges has an accuracy of 0.
        """
        begun = time.perf_counter()
        (train,) = stratified_split(self.splits.train, (images,), seed=seed)
        with manual_seed(seed):
            model = build()
        augmented = Compose([*augmentation, *self.numbers])
        loader = DataLoader(train, batch_size, shuffle=True, seed=seed, transform=augmented)
        row = {"images": images, "epochs": epochs, "batch_size": batch_size}
        row |= work_of(model, epochs * len(loader), epochs * images)
        try:
            history = fit(
                model, loader, classification_loss, optimizer(model.parameters(), rate), epochs,
                schedule=cosine(epochs), batch_transform=batches, seed=seed, device=self.device,
            )  # fmt: skip
        except FloatingPointError:
            return row | {"diverged": True, "validation_accuracy": 0.0}
        parts = {"train": train, "validation": self.splits.validation}
        if seed not in CHOOSING:
            parts["test"] = self.splits.test
        for part, data in parts.items():
            found = evaluate(model, DataLoader(data, 500, transform=Compose(self.numbers)))
            row[f"{part}_accuracy"] = found["accuracy"]
        return row | {
            "train_loss": history["train_loss"],
            "seconds_an_epoch": round(float(np.median(history["seconds"])), 2),
            "seconds": round(time.perf_counter() - begun, 1),
        }
