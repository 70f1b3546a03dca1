"""The images for a command: checked before training, split, and found again later.

A run on your own images records which images it used (datasets/fingerprint.py). `evaluate` uses
the recorded test images, even if files have been added or removed since, and a resumed run refuses
to train on images other than the ones it started with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minivision.cli.setup import input_size
from minivision.datasets import DATASETS, Splits, load_dataset, open_class_folders
from minivision.datasets.class_folders import PARTS, ClassFolders, in_words, kind_of
from minivision.datasets.file_dataset import File
from minivision.datasets.fingerprint import NAMED, Changes, changes, fingerprint, stamps
from minivision.training.settings import RunSettings

# If a dataset has at most this many bytes, its images are decoded once before training, which takes
# less than a minute, and identified by their contents; otherwise, by their sizes.
CHECKED_BYTES = 2_000_000_000
TRAINED = ("train", "validation")  # the splits that affect what a run learns
NAMES = {"train": "training", "validation": "validation", "test": "test"}


class Images(NamedTuple):
    """The splits of a dataset, and its record in a run's settings (None if it is built in)."""

    splits: Splits
    skipped: dict[str, str]  # name of a file left out -> what is wrong with it
    record: dict[str, Any] | None


def new_images(
    dataset: str, model: str, skip_unreadable: bool, channels: int | None = None
) -> Images:
    """The dataset for a new run; images in a path are resized to what the network expects.

    The images in a path are first decoded once. If some are unreadable, they are left out with
    `skip_unreadable`; without it, a ValueError names them. (If the dataset is too large for this,
    training names the first unreadable image that it comes across.)

    channels: the number that an old network expects; ValueError if a built-in dataset has a
        different one.
    """
    size = input_size(model)
    if dataset in DATASETS:
        if skip_unreadable:
            raise ValueError(f"--skip-unreadable is for your own images; {dataset} is built in")
        return Images(named_splits(dataset, channels), {}, None)
    folders = open_class_folders(dataset)
    small = folders.total_bytes() <= CHECKED_BYTES
    skipped = checked(folders, dataset, skip_unreadable) if skip_unreadable or small else {}
    dealt = folders.deal(skipped)
    splits = folders.splits(size, channels or 3, dealt=dealt)
    files = folders.images()
    print(f"{dataset}: {found_files(files, folders.left_out(), folders.class_names())}")
    if not any(folders.is_direct(name) for name in files):
        print(
            "note: every image is in a folder inside a class folder; if those folders are the "
            "classes, give the path of the folder that contains them"
        )
    parts = {p: stamps({name: files[name] for name in dealt[p]}, small) for p in PARTS}
    return Images(splits, skipped, fingerprint(dataset, parts))


def found_files(
    images: Iterable[str], left_out: Mapping[str, int], classes: Sequence[str] = ()
) -> str:
    """What was found, by file type, so that the user notices files that are not read.

    >>> found_files(["cat/1.jpg", "cat/2.JPG", "dog/1.png"], {".heic": 12}, ["cat", "dog"])
    '3 images (2 .jpg, 1 .png) of 2 classes: cat, dog; not read: 12 .heic'
    """
    kinds = dict(sorted(Counter(map(kind_of, images)).items()))
    found = f"{sum(kinds.values()):,} images ({in_words(kinds)})"
    if classes:
        more = ", …" if len(classes) > NAMED else ""
        found += f" of {len(classes):,} classes: {', '.join(classes[:NAMED])}{more}"
    return f"{found}; not read: {in_words(left_out)}" if left_out else found


class Recorded(NamedTuple):
    """The entries about images in a run's settings, named as in `RunSettings`."""

    dataset: str
    model: str
    channels: int | None
    images: dict[str, Any] | None
    skipped: dict[str, str]
    classes: list[str] | None = None


def run_images(
    settings: RunSettings | Recorded, run: Path, unchanged: Sequence[str] = ()
) -> Images:
    """The images that a run's settings name and record; prints a note if test images have changed.

    unchanged: the splits that must not have changed, such as TRAINED, because the run will train on
        them; ChangedImagesError names the first few images that are missing, changed or new.

    Test images that are missing or changed are left out, and new ones are not used.
    """
    dataset, channels, skipped = settings.dataset, settings.channels, settings.skipped
    if dataset in DATASETS:
        splits = named_splits(dataset, channels)
        refuse_other_classes(settings, splits.train.classes, run)
        return Images(splits, {}, None)
    size, record = input_size(settings.model), settings.images
    folders = open_class_folders(dataset)
    refuse_other_classes(settings, folders.class_names(), run)
    if record is None:
        print(
            f"note: {run} does not record its images, because it is from an older version; if "
            f"{dataset} has changed since, some of its test images may have been trained on"
        )
        dealt = folders.deal_by_count(skipped)
        return Images(folders.splits(size, channels or 3, dealt=dealt), skipped, None)
    for part in unchanged:
        found = changes_of(folders, settings, part)
        refuse_changes(found, f"the {NAMES[part]} images in {dataset}", run)
    found = changes_of(folders, settings, "test")
    missing, changed, new = found
    if any(found):
        print(
            f"note: of the {len(record['test'])} test images of {run}, {len(missing)} are missing "
            f"and {len(changed)} have changed and are left out; {len(new)} are new and not used "
            f"({found})"
        )
    usable = folders.images().keys() - set(changed)
    dealt = {part: [name for name in record[part] if name in usable] for part in PARTS}
    if not dealt["test"]:
        raise ValueError(f"none of the test images of {run} is unchanged in {dataset}")
    return Images(folders.splits(size, channels or 3, dealt=dealt), skipped, record)


def untested(dataset: Any) -> list[str]:
    """The classes without images in a test set, about which its accuracy says nothing.

    >>> from minivision.datasets import ArrayDataset
    >>> cats = ArrayDataset(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 0]), ("cat", "dog"))
    >>> untested(cats), beside_accuracy(untested(cats))
    (['dog'], ' (no test image of dog)')
    """
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    return [name for name, count in zip(dataset.classes, counts, strict=True) if count == 0]


def beside_accuracy(untested: Sequence[str]) -> str:
    """The note after a test accuracy that names the classes without test images, if any."""
    return f" (no test image of {', '.join(untested)})" if untested else ""


class ChangedImagesError(ValueError):
    """A run would train on images other than the ones it started with."""


def named_splits(dataset: str, channels: int | None) -> Splits:
    """The splits of a built-in dataset, after checking the number of channels."""
    splits = load_dataset(dataset)
    found = splits.train[0][0].shape[2]
    if channels not in (None, found):
        raise ValueError(
            f"the images of {dataset} have {found} channel{'s' if found > 1 else ''}, but the "
            f"network was trained on images with {channels} (1: grey, 3: red, green and blue)"
        )
    return splits


def checked(folders: ClassFolders, dataset: str, skip_unreadable: bool) -> dict[str, str]:
    """The unreadable images, to be left out; ValueError names them unless `skip_unreadable`."""
    broken = folders.unreadable()
    if broken and not skip_unreadable:
        named = [f"{name} {reason}" for name, reason in broken.items()][:NAMED]
        more = [f"and {len(broken) - NAMED} more"] if len(broken) > NAMED else []
        raise ValueError(
            f"{len(broken)} of the {len(folders.images())} images in {dataset} cannot be read: "
            + "; ".join(named + more)
            + ". Repair or remove them, or leave them out with --skip-unreadable"
        )
    return broken


def refuse_other_classes(settings: RunSettings | Recorded, now: Sequence[str], run: Path) -> None:
    """Raise ValueError if the dataset no longer has the classes that the run was trained on."""
    then = settings.classes
    if then not in (None, list(now)):
        raise ValueError(
            f"{run} was trained on the classes {', '.join(then)}, but "
            f"{settings.dataset} has {', '.join(now)}"
        )


def changes_of(folders: ClassFolders, settings: RunSettings | Recorded, part: str) -> Changes:
    """How a split's images differ from the recorded ones, including new ones that belong to it."""
    record = settings.images or {}
    elsewhere = {name for other in PARTS if other != part for name in record[other]}
    elsewhere |= set(settings.skipped or ())
    files = {
        name: file
        for name, file in folders.images().items()
        if name in record[part] or (name not in elsewhere and folders.part_of(name) == part)
    }
    return changes(record[part], files)


def refuse_changes(found: Changes, what: str, run: Path) -> None:
    """Raise ChangedImagesError if images that a run trains on have changed since it started."""
    if any(found):
        raise ChangedImagesError(
            f"{what} are not those that {run} started with ({found}); restore them, or start a "
            "new run"
        )


def unlabelled_stamps(
    settings: Mapping[str, Any], files: Mapping[str, File], run: Path
) -> dict[str, str]:
    """The stamps of unlabelled images. Raises ChangedImagesError if they have changed."""
    then = settings.get("unlabelled_images")
    if then is not None:
        refuse_changes(changes(then, files), f"the images in {settings['unlabelled']}", run)
        return dict(then)
    return stamps(files)
