"""Class folders: image files in one folder per class, as a dataset divided into splits.

    CLASS/*.png      or      train/CLASS/*.jpg, test/CLASS/…, validation/CLASS/…

The sorted names of the folders are the classes; folders in a class folder belong to that class.
`folder` and `archive` list the files; this file interprets them. Images are resized to one size,
because a batch is one array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from minivision.datasets.file_dataset import File, FileDataset, Member, faults
from minivision.datasets.splits import (
    SHARES,
    Splits,
    deal_by_name,
    part_by_name,
    stratified_indices,
)
from minivision.transforms.checks import check_size

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif",
    ".avif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
PARTS = ("train", "validation", "test")
# Common names for the folders of the parts, in upper or lower case.
PART_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation",
}  # fmt: skip
# Files of named datasets, by a part of their names.
KNOWN_FILES = {
    "idx1-ubyte": "--dataset mnist or fashion_mnist",
    "data_batch_": "--dataset cifar10",
    "cifar-10-": "--dataset cifar10",
}


class ClassFolders:
    """Files in class folders: the unreadable images, the files left out, the splits.

    where: the function to name in errors; root: the path of the files, also for errors.
    files: maps names relative to root, such as "train/cat/1.jpg", to files, images or others.
    folders: names of folders, which may be empty.

    A single folder that contains everything else, as in many archives, is skipped.

    >>> import cv2
    >>> grey = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    >>> files = {f"cat/{i}.png": Member(f"cat/{i}.png", grey) for i in range(5)}
    >>> files["dog/a.png"], files["dog/b.png"] = Member("a", grey), Member("b", grey[:50])
    >>> photos = ClassFolders("pets", Path("pets"), files)
    >>> photos.unreadable()
    {'dog/b.png': "is truncated: it ends after 50 bytes, in its 'IDAT' chunk"}
    >>> [len(part) for part in photos.splits(size=(4, 4), skip=photos.unreadable())]
    [4, 1, 1]
    """

    def __init__(
        self, where: str, root: Path, files: Mapping[str, File], folders: Collection[str] = ()
    ):
        self.where = where
        parents = [str(place) for name in files for place in PurePosixPath(name).parents[:-1]]
        self.folders = {*folders, *parents}
        at = self.wrapper(files)
        self.root = root / at
        self.files = {name.removeprefix(at): file for name, file in files.items()}
        self.folders = {name.removeprefix(at) for name in self.folders if name.startswith(at)}
        self.places = self.places_of_parts()
        # The names of the images in each class folder of each part, such as "train/cat/".
        self.names: dict[str, list[str]] = {}
        for name in sorted(filter(is_image, self.files), key=in_order):
            at = next((at for at in self.places.values() if name.startswith(at)), "")
            if "/" in name.removeprefix(at):
                self.names.setdefault(f"{at}{self.class_of(name)}/", []).append(name)

    def wrapper(self, files: Mapping[str, File]) -> str:
        """The folder, or nested folders, that contain everything, such as "pets/"; or ""."""
        at = ""
        while len(inner := self.folders_in(at)) == 1 and inner[0].lower() not in PART_NAMES:
            beside = any(is_image(name) for name in files if not name[len(at) :].count("/"))
            within = f"{at}{inner[0]}/"
            if beside or not self.folders_in(within):
                break
            at = within
        return at

    def unreadable(self) -> dict[str, str]:
        """The unusable image files: maps their names to what is wrong.

        Every file is decoded, so that no bad file can stop training later.
        """
        images = self.images()
        found = dict(zip(images, faults(list(images.values())), strict=True))
        return {name: fault for name, fault in found.items() if fault is not None}

    def total_bytes(self) -> int:
        """The total size of all image files in bytes, which `unreadable` has to read."""
        return sum(
            len(file.data) if isinstance(file, Member) else file.stat().st_size
            for file in self.images().values()
            if isinstance(file, Member) or file.exists()
        )

    def images(self) -> dict[str, File]:
        """The image files of all splits, by name, in the order of parts, classes and names."""
        return {
            name: self.files[name]
            for at in self.places.values()
            for folder, names in self.names.items()
            if folder.startswith(at)
            for name in names
        }

    def left_out(self) -> dict[str, int]:
        """How many files are unused, by kind: their extension, or images outside class folders."""
        others = self.files.keys() - self.images().keys()
        kinds = Counter(
            "outside class folders" if is_image(name) else kind_of(name) for name in others
        )
        return dict(sorted(kinds.items()))

    def splits(
        self,
        size: tuple[int, int],
        channels: int = 3,
        skip: Iterable[str] = (),
        dealt: Mapping[str, Iterable[str]] | None = None,
    ) -> Splits:
        """The splits, with images uint8 (H, W, C) of one `size` (H, W), without files in `skip`.

        dealt: the names of the images of each part, to reproduce an earlier split; the default is
            `deal(skip)`.

        Raises ValueError, with the path, if there are fewer than two classes, a class without
        images, a class unknown to `train`, or too few images for three parts.
        """
        check_size(self.where, "size", size)
        if channels not in (1, 3):
            raise ValueError(
                f"{self.where}: channels is {channels!r}; expected 3 (RGB) or 1 (grey)"
            )
        classes, datasets = self.class_names(), {}
        label_of = {name: k for k, name in enumerate(classes)}
        for part, names in (self.deal(skip) if dealt is None else dealt).items():
            names = list(names)
            labels = np.array([label_of[self.class_of(name)] for name in names], np.int64)
            files = [self.files[name] for name in names]
            datasets[part] = FileDataset(files, labels, classes, size, channels)
        return Splits(**datasets)

    def deal(self, skip: Iterable[str] = ()) -> dict[str, list[str]]:
        """The names of the images of each part, sorted by class and name, without those in `skip`.

        If there is a folder `train`, the folders `test` and `validation` are the other parts. A
        part without a folder is dealt from the training images, by their names: about a fifth for
        testing, about a tenth for validation (`deal_by_name`).
        """
        found = {part: self.checked_names(part, set(skip)) for part in self.places}
        at = self.places["train"]
        try:
            dealt = deal_by_name([name.removeprefix(at) for name in found["train"]], self.cut())
        except ValueError as error:
            raise ValueError(
                f"{self.where}: {self.root / at}: {error}; add images, or use folders train, "
                "validation and test"
            ) from error
        found |= {part: [at + name for name in names] for part, names in dealt.items()}
        return {part: found[part] for part in PARTS}

    def deal_by_count(self, skip: Iterable[str] = ()) -> dict[str, list[str]]:
        """The parts with exactly their share of every class, for images that never change.

        A new image moves others. Version 0.1 dealt all folders this way, and its runs still use it.
        """
        found = {part: self.checked_names(part, set(skip)) for part in self.places}
        names, cut = found["train"], self.cut()
        classes = self.class_names()
        labels = np.array([classes.index(self.class_of(name)) for name in names])
        test = max(1, len(names) // 5) if "test" in cut else 0
        validation = max(1, len(names) // 10) if "validation" in cut else 0
        sizes = (len(names) - test - validation, validation, test)
        counted = zip(PARTS, stratified_indices(labels, sizes, seed=0), strict=True)
        found |= {p: [names[i] for i in part] for p, part in counted if p in ("train", *cut)}
        return {part: found[part] for part in PARTS}

    def part_of(self, name: str) -> str:
        """The part that the image of this name belongs to, regardless of the other images."""
        at = self.places["train"]
        if not name.startswith(at):
            return PART_NAMES[name.split("/")[0].lower()]
        return part_by_name(name.removeprefix(at), self.cut())

    def class_of(self, name: str) -> str:
        """The class of the image of this name: the first folder, or the first in its part."""
        first, second, *_ = name.split("/")
        return first if self.places["train"] == "" else second

    def is_direct(self, name: str) -> bool:
        """Whether an image is in its class folder itself, not in a folder inside it."""
        return name.count("/") == self.places["train"].count("/") + 1

    def cut(self) -> list[str]:
        """The parts without a folder of their own."""
        return [part for part in SHARES if part not in self.places]

    def places_of_parts(self) -> dict[str, str]:
        """The folder of each part that has one, such as "Train/"; {"train": ""} if none has."""
        names = self.folders_in("")
        part_of = {name: PART_NAMES.get(name.lower()) for name in names}
        if not names or (None in part_of.values() and not set(names) & set(PARTS)):
            return {"train": ""}
        given = [part for part in part_of.values() if part]
        if "train" not in given or len(set(given)) < len(names):
            raise ValueError(
                f"{self.where}: {self.root} has the folders {names}; "
                "expected either class folders, or train and optionally validation and test"
            )
        return {part: f"{name}/" for part in PARTS for name in names if part_of[name] == part}

    def class_names(self) -> tuple[str, ...]:
        """The sorted names of the class folders for training; at least two."""
        at = self.places["train"]
        classes = self.folders_in(at)
        if len(classes) < 2:
            loose = sum(is_image(name) and "/" not in name[len(at) :] for name in self.files)
            found = f"only the class folder {classes[0]!r}" if classes else "no class folders"
            hint = f", and {loose} images outside class folders" if loose else ""
            known = [way for part, way in KNOWN_FILES.items() if any(part in n for n in self.files)]
            way = f". It has files of a known dataset: use {known[0]} with " if known else ""
            way += "MINIVISION_DATA set to this folder" if known else ""
            raise ValueError(
                f"{self.where}: {self.root / at} has {found}{hint}; "
                f"expected at least two, each with the images of one class{way}"
            )
        return tuple(classes)

    def checked_names(self, part: str, skipped: set[str]) -> list[str]:
        """The names of the images in a part's class folders, sorted; every class has some."""
        at, classes = self.places[part], self.class_names()
        names: list[str] = []
        place = self.root / at
        for c in self.folders_in(at):
            if c not in classes:
                raise ValueError(
                    f"{self.where}: {place} has a class {c!r} that the training images do not "
                    f"have; expected {', '.join(classes)}"
                )
            inside = self.names.get(f"{at}{c}/", [])
            found = [name for name in inside if name not in skipped]
            if not found:
                others = [name for name in self.files if name.startswith(f"{at}{c}/")]
                only = in_words(Counter(map(kind_of, others)))
                if inside:
                    only = f"{len(inside)} that are left out"
                raise ValueError(
                    f"{self.where}: {place / c} has no images{only and f', only {only}'}; "
                    f"expected files that end in {', '.join(SUFFIXES)}"
                )
            names += found
        if not names:
            raise ValueError(f"{self.where}: {place} has no class folders with images")
        return names

    def folders_in(self, at: str) -> list[str]:
        """The sorted names of the folders in a folder such as "train/"."""
        inside = [name.removeprefix(at) for name in self.folders if name.startswith(at)]
        return sorted({name.split("/")[0] for name in inside})


def in_order(name: str) -> list[str]:
    """Sort key for names: folder by folder, so that "cat/9.png" is before "cat-2/1.png"."""
    return name.split("/")


def is_image(name: str) -> bool:
    """Whether a file name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def kind_of(name: str) -> str:
    """The extension of a file name, such as ".heic"."""
    return PurePosixPath(name).suffix.lower() or "without an extension"


def in_words(kinds: Mapping[str, int]) -> str:
    """How many files there are of each kind.

    >>> in_words({".jpg": 1200, ".png": 3})
    '1,200 .jpg, 3 .png'
    """
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to the operating system and should be ignored."""
    return name.startswith(".") or name == "__MACOSX"
