"""Does a searched augmentation policy help on the test images? 2,000 images from CIFAR-10 (JPEG).

    python examples/measure_augmentation_search.py [--seeds 0 1 2] [--processes N]

There are two searches with the seed CHOOSING: one over a grid of RandAugment's N and M, and one
over random sequences of operations. Both include the candidate "none", and see only the validation
images. Then four policies are trained again with the given seeds and evaluated on the test images,
once each: none, the best policy of each search, and, as a control, the first policy of the grid,
which was not selected. If a search finds nothing better than "none", its best policy is "none".
Flips and crops are part of every policy, including the baseline. A seed determines the 2,000
images, the initial weights, the order of the images and the random augmentation. The network is
small, and is trained by Adam with batches of 64 and a half-cosine schedule. Finished rows are kept;
an interrupted search resumes in its folder. Writes docs/results/augmentation_search.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np
from recording import RESULTS, ROOT, provenance, read_rows, write_rows

from minivision.datasets import ArrayDataset, load_dataset, stratified_split
from minivision.fast import worker_count
from minivision.methods import NONE, Grid, RandomSequences, Trial, best_of, policy_name, search
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.transforms import (
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    ToArray,
    describe,
    from_description,
)

RESULT = RESULTS / "augmentation_search.json"
FOLDER = ROOT / "runs" / "measure_augmentation_search"
CHOOSING = 100  # the seed of the searches; nothing trained with it sees the test images
IMAGES, EPOCHS, BATCH_SIZE, RATE = 2_000, 20, 64, 3e-3
GRID = Grid(counts=(1, 2), magnitudes=(3, 6, 9, 15))
SPACES = {"grid": (GRID, 9), "sequences": (RandomSequences(), 7)}  # and their budgets
BASELINE = [RandomHorizontalFlip(), RandomCrop((32, 32), padding=4)]


def network():
    """Convolution, batch normalisation, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in (16, 32, 64):
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


def make_trial(splits, seed, images, epochs):
    """The trial of a seed: its own training images, the validation images of all."""
    (part,) = stratified_split(splits.train, (images,), seed=seed)
    train = ArrayDataset(*part.batch(np.arange(images)), part.classes)
    pixels = train.images / np.float32(255)
    numbers = [ToArray(), Normalize(pixels.mean((0, 1, 2)), pixels.std((0, 1, 2)))]
    validation = ArrayDataset(
        *splits.validation.batch(np.arange(len(splits.validation))), part.classes
    )
    return Trial(network, train, validation, BASELINE, numbers, epochs, BATCH_SIZE, RATE)


def searched(space, splits, rows, arguments):
    """The rows of a search, in the order of its candidates; it is run if there are none."""
    sampler, budget = SPACES[space]
    found = [row for row in rows if row["kind"] == "search" and row["space"] == space]
    if found:
        return found
    candidates = search(
        sampler,
        make_trial(splits, CHOOSING, arguments.images, arguments.epochs),
        budget,
        CHOOSING,
        folder=arguments.folder / space,
        settings={"images": arguments.images, "epochs": arguments.epochs, "lr": RATE},
        processes=arguments.processes,
    )
    best = best_of(candidates)
    return [
        {
            "kind": "search",
            "space": space,
            "candidate": candidate.number,
            "name": policy_name(candidate.policy),
            "policy": describe(candidate.policy),
            "best": candidate is best,
            "seed": CHOOSING,
            "images": arguments.images,
            "epochs": arguments.epochs,
            "validation_images": len(splits.validation),
            "validation_accuracy": candidate.score,
            "seconds": round(candidate.seconds, 1),
            **provenance(),
        }
        for candidate in candidates
    ]


def measure(name, description, seed, splits, arguments):
    """One row: a network trained with the policy and a new seed, and one look at the test."""
    begun = time.perf_counter()
    trial = make_trial(splits, seed, arguments.images, arguments.epochs)
    model = trial.trained(from_description(description), seed)
    parts = {"train": trial.train, "validation": trial.validation, "test": splits.test}
    return {
        "kind": "test",
        "name": name,
        "policy": description,
        "seed": seed,
        "images": arguments.images,
        "epochs": arguments.epochs,
        "parameters": model.parameter_count(),
        **{f"{part}_accuracy": trial.score(model, data) for part, data in parts.items()},
        "seconds": round(time.perf_counter() - begun, 1),
        "kernel_workers": worker_count(),
        **provenance(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--processes", type=int, help="of the searches (default: one per core)")
    parser.add_argument("--images", type=int, default=IMAGES, help="fewer for a first try")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer for a first try")
    parser.add_argument("--result", type=Path, default=RESULT, help="the file of rows")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of unfinished searches")
    arguments = parser.parse_args()
    if CHOOSING in arguments.seeds:
        parser.error(f"the seed {CHOOSING} is for the searches")

    rows, splits = read_rows(arguments.result), load_dataset("cifar10-jpeg")
    if any((r["images"], r["epochs"]) != (arguments.images, arguments.epochs) for r in rows):
        parser.error(f"{arguments.result} has rows of other --images or --epochs")
    policies = {"none": describe(NONE), "first of the grid": describe(GRID(1, CHOOSING))}
    for space in SPACES:
        found = searched(space, splits, rows, arguments)
        if found[0] not in rows:
            rows += found
            write_rows(arguments.result, rows)
        for row in sorted(found, key=lambda row: -row["validation_accuracy"]):
            print(f"{space:<10} {row['name']:<45} validation {row['validation_accuracy']:.2%}")
        best = next(row for row in found if row["best"])
        policies[f"best of the {space}"] = best["policy"]

    accuracy = {}
    for name, description in policies.items():
        for seed in arguments.seeds:
            # Two names may stand for one policy; it is trained once.
            same = (row for row in rows if row["kind"] == "test"
                    and (row["policy"], row["seed"]) == (description, seed))  # fmt: skip
            row = next(same, None)
            if row is None:
                row = measure(name, description, seed, splits, arguments)
                rows.append(row)
                write_rows(arguments.result, rows)
            accuracy[name, seed] = row["test_accuracy"]
            print(f"{name:<22} seed {seed}: train {row['train_accuracy']:.2%}, validation "
                  f"{row['validation_accuracy']:.2%}, test {row['test_accuracy']:.2%}",
                  flush=True)  # fmt: skip
    for name, description in policies.items():
        test = np.array([accuracy[name, seed] for seed in arguments.seeds])
        gain = test - [accuracy["none", seed] for seed in arguments.seeds]
        words = policy_name(from_description(description))
        print(f"{name:<22} {words:<45} test {test.mean():.2%}, to none {gain.mean():+.2%}", end="")
        if len(gain) > 1:
            print(f" ± {gain.std(ddof=1) / len(gain) ** 0.5:.2%} (standard error, paired)", end="")
        print()
    print(arguments.result)


if __name__ == "__main__":
    main()
