"""Code shared by the commands for few labels: labelled and unlabelled images, and transforms.

There are two ways to say which images have labels. Either give two folders of your own (--labelled,
--unlabelled), or use a built-in dataset and hide all but a few of its labels (--labels); the hidden
labels then show how often pseudo-labels are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minivision.cli.argument_types import positive
from minivision.cli.comparison import add_folder_arguments, images_of, open_folder
from minivision.cli.images import found_files, unlabelled_stamps
from minivision.cli.optimization import learning_rate, start_of
from minivision.cli.policy import EXPLAINED, STEPS, read_policy
from minivision.cli.setup import preprocessing, undrawn, versions
from minivision.cli.train import DEFAULTS as EPOCHS
from minivision.cli.train import USUAL
from minivision.datasets import (
    DATASETS,
    Splits,
    Subset,
    WithoutLabels,
    stratified_split,
    unlabelled_folder,
)
from minivision.datasets.unlabelled import other_files
from minivision.models import MODELS
from minivision.training import Run
from minivision.training.settings import RunSettings
from minivision.transforms import Compose, RandAugment, from_description


class FewLabels(NamedTuple):
    """The images of a command, and the transforms for them."""

    splits: Splits  # the training split has the labelled images
    unlabelled: Any
    truth: np.ndarray | None  # labels (M,) of the unlabelled images, if they are known
    settings: RunSettings
    clean: Any
    weak: Any
    strong: Any
    shape: tuple[int, int, int]  # (H, W, C) of the images


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--labelled", metavar="NAME|PATH",
        help=f"a folder or tar of class folders, or one of {', '.join(DATASETS)}",
    )  # fmt: skip
    add("--unlabelled", type=Path, metavar="FOLDER", help="images without labels")
    add("--labels", type=positive(int), help="keep N labels of a built-in dataset, hide the rest")
    add("--model", help=f"{', '.join(MODELS)} (default: lenet5)")
    add(
        "--epochs",
        type=positive(int),
        help="passes over the unlabelled images (default: 20; large sets: 5)",
    )
    add("--batch-size", type=positive(int), help="labelled images per step (default: 32)")
    add("--ratio", type=positive(int), help="unlabelled images per labelled one (default: 3)")
    add("--lr", type=positive(float), help="initial learning rate of Adam (default: as in train)")
    add(
        "--augment", metavar="POLICY",
        help=f"weak augmentation, names joined by +, from {', '.join(STEPS)} (default: crop)",
    )  # fmt: skip
    add_folder_arguments(parser)
    parser.epilog = EXPLAINED


SHARED: dict[str, Any] = {
    "labelled": None, "unlabelled": None, "labels": None, "model": "lenet5", "epochs": None,
    "batch_size": 32, "ratio": 3, "lr": None, "augment": "crop", "seed": 0,
    "skip_unreadable": False,
}  # fmt: skip


def ask(arguments: argparse.Namespace, command: str, defaults: Mapping[str, Any]) -> Run:
    """The results folder; ValueError unless the options say which images have no labels."""
    if not arguments.resume and (arguments.unlabelled is None) == (arguments.labels is None):
        raise ValueError(
            "give either --unlabelled FOLDER (your own images) or --labels N (keep N labels and "
            "hide the others)"
        )
    needed = {"labelled": "--labelled NAME|PATH, the images with labels"}
    usual = {
        "epochs": EPOCHS.get(arguments.labelled, USUAL).epochs,
        "lr": learning_rate(arguments.model or defaults["model"], "adam"),
    }
    return open_folder(arguments, command, {**defaults, **usual}, needed)


def few_labels(folder: Run) -> FewLabels:
    """The images named in the folder's settings, with weak and strong augmentation for them."""
    settings = folder.settings
    images = images_of(folder, settings["labelled"], settings["model"])
    splits = images.splits
    H, W, C = splits.train[0][0].shape
    truth, unlabelled_images = None, None
    if settings["labels"] is not None:
        labels, N = settings["labels"], len(splits.train)
        if not len(splits.train.classes) <= labels < N:
            raise ValueError(
                f"--labels is {labels}; expected at least one for each of the "
                f"{len(splits.train.classes)} classes, and fewer than the {N} images"
            )
        (few,) = stratified_split(splits.train, (labels,), seed=settings["seed"])
        rest = np.setdiff1d(np.arange(N), few.indices)
        truth = splits.train.labels[rest]
        unlabelled: Any = WithoutLabels(Subset(splits.train, rest))
        splits = splits._replace(train=few)
    else:
        skip = bool(settings["skip_unreadable"])
        unlabelled, left_out = unlabelled_folder(settings["unlabelled"], (H, W), C, skip)
        place = Path(settings["unlabelled"])
        files = {file.relative_to(place).as_posix(): file for file in unlabelled.files}
        unlabelled_images = unlabelled_stamps(settings, files, folder.path)
        print(f"{place}: {found_files(files, other_files(place))}")
        for name, reason in left_out.items():
            print(f"skipped: {name}: {reason}")
    steps = read_policy("--augment", settings["augment"], (H, W, C)).without_mixer("--augment")
    model = undrawn(settings["model"])
    prepared = preprocessing(splits, model, steps)
    clean, weak = (from_description(prepared[part]) for part in ("dataset", "training"))
    print(
        f"{settings['model']}; {len(splits.train):,} labelled images of "
        f"{len(splits.train.classes)} classes, {len(unlabelled):,} unlabelled"
    )
    of_runs = RunSettings(
        model=settings["model"],
        dataset=settings["labelled"],
        classes=list(splits.train.classes),
        channels=C,
        preprocessing=prepared,
        **{name: settings[name] for name in ("epochs", "batch_size", "lr", "seed", "augment")},
        start=start_of(settings["model"]),
        skipped=images.skipped,
        images=images.record,
        unlabelled_images=unlabelled_images,
        versions=versions(),
    )
    strong = Compose([*steps, RandAugment(2, 9), *clean.transforms])
    return FewLabels(splits, unlabelled, truth, of_runs, clean, weak, strong, (H, W, C))
