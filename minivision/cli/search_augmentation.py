"""Search for the augmentation that helps on your data: train with several and keep the best.

  minivision search-augmentation --out searches/digits       13 policies for the bundled digits
  minivision search-augmentation --dataset my_photos --out searches/photos --epochs 20
  minivision search-augmentation --space sequences --budget 20 --out searches/sequences
  minivision train --augment searches/digits/best.json      use the best policy

Each candidate is a policy, with which a new network is trained from the same initial weights and
scored on the validation images; the test images are not used. Candidate 0 has only the baseline
augmentation, which all candidates share. --space grid tries RandAugment with N = 1, 2, 3 operations
and magnitude M = 3, 6, 9, 15; --space sequences tries random lists of operations with magnitudes.

Every candidate takes a full training run, so start with --limit and few epochs. To resume a search,
run the same command again. Small differences may be due to chance: see the standard error below the
table.

The folder holds settings.json, candidates.jsonl (one line per candidate), best.json and search.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minivision.analysis.plots import save_figure
from minivision.analysis.policies import plot_search, standard_error
from minivision.backend import resolve_device
from minivision.cli.argument_types import positive, whole
from minivision.cli.images import TRAINED, Images, Recorded, new_images, run_images
from minivision.cli.optimization import learning_rate, start_of
from minivision.cli.policy import EXPLAINED, STEPS, read_policy
from minivision.cli.setup import (
    new_network,
    note_versions,
    preprocessing,
    same_version,
    undrawn,
    versions,
)
from minivision.cli.train import DEFAULTS, USUAL
from minivision.datasets import DATASETS, ArrayDataset, Splits, stratified_split
from minivision.datasets.fingerprint import check_fingerprint
from minivision.methods import (
    Candidate,
    Grid,
    RandomSequences,
    Trial,
    best_of,
    policy_name,
    search,
)
from minivision.models import MODELS
from minivision.nn.weights import write_atomically
from minivision.training.plain_json import read_object
from minivision.training.settings import check_texts
from minivision.transforms import Compose, describe, from_description

SPACES = {"grid": Grid, "sequences": RandomSequences}
BLACK, MIDDLE_GREY = 0, 128  # fill for pixels from outside the image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--dataset", default="digits", metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder or tar of class folders (default: digits)",
    )  # fmt: skip
    add("--out", type=Path, required=True, metavar="FOLDER", help="the search's folder")
    add(
        "--budget",
        type=positive(int),
        default=13,
        help="number of training runs, including the baseline (default: 13)",
    )
    add("--space", choices=SPACES, default="grid", help="the policies to try (default: grid)")
    add("--model", default="lenet5", help=f"{', '.join(MODELS)} (default: lenet5)")
    add("--epochs", type=positive(int), help="epochs per candidate (default: 20; large sets: 5)")
    add("--batch-size", type=positive(int), help="images per step (default: 32; large sets: 64)")
    add("--lr", type=positive(float), help="initial learning rate of Adam (default: as in train)")
    add("--limit", type=positive(int), help="use only N training images, from all classes")
    add(
        "--baseline", metavar="POLICY",
        help=f"augmentation of every candidate: none, or some of {', '.join(STEPS)}, joined by + "
        "(default: flip+crop, or crop for grey images, because digits must not be flipped)",
    )  # fmt: skip
    add("--seed", type=whole, default=0, help="random seed (default: 0)")
    add(
        "--skip-unreadable", action="store_true",
        help="skip unreadable images in your own dataset",
    )  # fmt: skip
    add("--device", default="cpu", help="cpu (default), gpu, gpu:N or auto")
    add(
        "--processes", type=positive(int),
        help="candidates trained at the same time (default: one per core; on a GPU 1)",
    )  # fmt: skip
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> int | None:
    device = resolve_device(arguments.device)
    images = images_of(arguments)
    trial, settings = make_trial(arguments, images.splits, device)
    settings["skipped"] = images.skipped
    if images.record is not None:
        settings["images"] = images.record
    file = arguments.out / "settings.json"
    begun = read_object(file) if file.exists() else {"versions": versions()}
    if "versions" in begun:
        settings["versions"] = begun["versions"]
        same_version(arguments.out, begun["versions"])
        note_versions(begun["versions"])
    fill = BLACK if settings["channels"] == 1 else MIDDLE_GREY
    print(
        f"{arguments.model} on {len(trial.train):,} training images of {arguments.dataset}; "
        f"{arguments.budget} candidates, trained for {trial.epochs} epochs each and scored on "
        f"{len(trial.validation):,} validation images"
    )
    try:
        found = search(
            SPACES[arguments.space](fill=fill),
            trial,
            arguments.budget,
            arguments.seed,
            folder=arguments.out,
            settings=settings,
            processes=arguments.processes or (None if device == "cpu" else 0),
        )
    except KeyboardInterrupt:
        print(f"\nstopped; run the same command again to continue {arguments.out}")
        return 130
    print_table(found, len(trial.validation))
    save(arguments, found, trial, settings)
    return None


def images_of(arguments: argparse.Namespace) -> Images:
    """The images for a new search, or those of the search in --out, which must not have changed."""
    dataset, model, file = arguments.dataset, arguments.model, arguments.out / "settings.json"
    if dataset not in DATASETS and file.exists():
        begun = read_object(file)
        if begun.get("dataset") == str(Path(dataset).resolve()):
            images, classes = begun.get("images"), begun.get("classes")
            check_fingerprint(file, images)
            check_texts(f"{file}: 'skipped'", begun.get("skipped"))
            recorded = Recorded(
                dataset, model, begun.get("channels"), images, begun.get("skipped") or {}, classes
            )
            return run_images(recorded, arguments.out, unchanged=TRAINED)
    return new_images(dataset, model, arguments.skip_unreadable)


def make_trial(
    arguments: argparse.Namespace, splits: Splits, device: str
) -> tuple[Trial, dict[str, Any]]:
    """The trial that scores policies, and all settings that affect a score, as plain JSON."""
    usual = DEFAULTS.get(arguments.dataset, USUAL)
    train = splits.train
    if arguments.limit is not None:
        (train,) = stratified_split(train, (min(arguments.limit, len(train)),))
    H, W, C = train[0][0].shape
    named = arguments.baseline or ("crop" if C == 1 else "flip+crop")
    baseline = read_policy("--baseline", named, (H, W, C)).without_mixer("--baseline")
    steps = preprocessing(splits, undrawn(arguments.model), baseline)
    trial = Trial(
        partial(new_network, arguments.model, len(train.classes), C, start_of(arguments.model)),
        in_memory(train),
        in_memory(splits.validation),
        baseline,
        from_description(steps["dataset"]).transforms,
        arguments.epochs or usual.epochs,
        arguments.batch_size or usual.batch_size,
        arguments.lr or learning_rate(arguments.model, "adam"),
        device,
    )
    named_dataset = arguments.dataset in DATASETS
    settings = {
        "dataset": arguments.dataset if named_dataset else str(Path(arguments.dataset).resolve()),
        "model": arguments.model,
        "space": arguments.space,
        "epochs": trial.epochs,
        "batch_size": trial.batch_size,
        "lr": trial.lr,
        "limit": arguments.limit,
        "classes": list(train.classes),
        "channels": C,
        "training_images": len(train),
        "validation_images": len(splits.validation),
        "preprocessing": steps,
    }
    if start_of(arguments.model) != "paper":
        settings["start"] = start_of(arguments.model)
    if device != "cpu":  # because a GPU rounds differently
        settings["device"] = "gpu"
    return trial, settings


def in_memory(dataset: Any) -> ArrayDataset:
    """The dataset as arrays, which can be sent to other processes."""
    images, labels = dataset.batch(np.arange(len(dataset)))
    return ArrayDataset(images, labels, dataset.classes)


def print_table(found: Sequence[Candidate], images: int) -> None:
    """Print the candidates from best to worst, and the standard error of their accuracies."""
    none = found[0].score
    print("rank  policy                                    validation  vs none")
    ranked = sorted(found, key=lambda candidate: (-candidate.score, candidate.number))
    for rank, candidate in enumerate(ranked, 1):
        difference = f"{100 * (candidate.score - none):+.2f}" if candidate.number else ""
        print(f"{rank:>4}  {policy_name(candidate.policy):<40} {candidate.score:>11.2%}  "
              f"{difference:>7}".rstrip())  # fmt: skip
    error = 100 * standard_error(none, images)
    print(f"one standard error of an accuracy on {images:,} images is {error:.2f} points")


def save(
    arguments: argparse.Namespace,
    found: Sequence[Candidate],
    trial: Trial,
    settings: dict[str, Any],
) -> None:
    """Write best.json, for `train --augment` and `from_description`, and search.png."""
    best, images = best_of(found), len(trial.validation)
    file = arguments.out / "best.json"
    added = [] if best.number == 0 else [best.policy]
    command = (
        f"minivision train --dataset {settings['dataset']} --model {settings['model']} "
        f"--augment {file}"
    )
    content = {
        "found": policy_name(best.policy),
        "candidate": best.number,
        "tried": len(found),
        "validation_accuracy": best.score,
        "validation_accuracy_of_none": found[0].score,
        "policy": describe(Compose([*trial.baseline, *added])),
        "how_to_use": f"{command}; or in Python: from_description(json.load(file)['policy']) from "
        "minivision.transforms, before the other transforms of the training images",
    }
    write_atomically(file, json.dumps(content, indent=2).encode() + b"\n")
    names = [policy_name(candidate.policy) for candidate in found]
    figure = plot_search(
        [candidate.policy for candidate in found], names, [c.score for c in found], images
    )
    save_figure(figure, arguments.out / "search.png")
    if best.number == 0:
        print("with this network, budget and seed, no policy was better than none")
    else:
        print(f"best: {names[best.number]}; since it was chosen by its validation accuracy, expect "
              "a lower test accuracy")  # fmt: skip
    print(f"see {arguments.out / 'search.png'}; try: {command}")
