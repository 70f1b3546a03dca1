"""Class folders: a dataset, divided into splits, from image files in one folder per class.

    CLASS/*.png      or      train/CLASS/*.jpg, test/CLASS/…, validation/CLASS/…

The sorted names of these folders are the classes. A folder inside a class folder belongs to that
class. `folder` and `archive` list the files, and the code below finds the classes and splits. All
images are resized to one size, because a batch is one array.
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
# Common names for the folders of the splits; upper or lower case makes no difference.
PART_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation",
}  # fmt: skip
# Substrings of file names that identify a built-in dataset.
KNOWN_FILES = {
    "idx1-ubyte": "--dataset mnist or fashion_mnist",
    "data_batch_": "--dataset cifar10",
    "cifar-10-": "--dataset cifar10",
}


class ClassFolders:
    """Files in class folders: which are unreadable, which are left out, and how they are split.

    where: the function to name in error messages; root: the path of the files, also for messages.
    files: maps names relative to root, such as "train/cat/1.jpg", to files, images or not.
    folders: the names of all folders, since some may be empty.

    If everything is inside a single outer folder, as in many archives, that folder is ignored.

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
        # The names of the images in each class folder of each split, such as "train/cat/".
        self.names: dict[str, list[str]] = {}
        for name in sorted(filter(is_image, self.files), key=in_order):
            at = next((at for at in self.places.values() if name.startswith(at)), "")
            if "/" in name.removeprefix(at):
                self.names.setdefault(f"{at}{self.class_of(name)}/", []).append(name)

    def wrapper(self, files: Mapping[str, File]) -> str:
        """The folder or nested folders around everything else, such as "pets/", or ""."""
        at = ""
        while len(inner := self.folders_in(at)) == 1 and inner[0].lower() not in PART_NAMES:
            beside = any(is_image(name) for name in files if not name[len(at) :].count("/"))
            within = f"{at}{inner[0]}/"
            if beside or not self.folders_in(within):
                break
            at = within
        return at

    def unreadable(self) -> dict[str, str]:
        """Map the names of the image files that cannot be read to what is wrong with them.

        Every file is decoded now, so that no bad file can stop training later.
        """
        images = self.images()
        found = dict(zip(images, faults(list(images.values())), strict=True))
        return {name: fault for name, fault in found.items() if fault is not None}

    def total_bytes(self) -> int:
        """The total size in bytes of all the image files, which `unreadable` has to read."""
        return sum(
            len(file.data) if isinstance(file, Member) else file.stat().st_size
            for file in self.images().values()
            if isinstance(file, Member) or file.exists()
        )

    def images(self) -> dict[str, File]:
        """The image files of all splits by name, ordered by split, class and name."""
        return {
            name: self.files[name]
            for at in self.places.values()
            for folder, names in self.names.items()
            if folder.startswith(at)
            for name in names
        }

    def left_out(self) -> dict[str, int]:
        """Count the unused files by kind: their extension, or images outside class folders."""
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

        dealt: the names of the images in each split, to reproduce an earlier division; the default
            is `deal(skip)`.

        Raises ValueError, naming the path, if there are fewer than two classes, if a class has no
        images or does not occur in `train`, or if there are too few images for three splits.
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
        """The names of the images in each split, sorted by class and name, without those in `skip`.

        If there is a folder `train`, the folders `test` and `validation` are the other splits. For
        a split without a folder of its own, images are taken from the training images according to
        their names: about a fifth for testing, about a tenth for validation (`deal_by_name`).
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
        """Give each split exactly its share of every class, for collections that never change.

        Adding an image may move others to a different split. Version 0.1 divided all folders in
        this way, so its runs still need it.
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
        """The split that the image with this name belongs to, whatever other images there are."""
        at = self.places["train"]
        if not name.startswith(at):
            return PART_NAMES[name.split("/")[0].lower()]
        return part_by_name(name.removeprefix(at), self.cut())

    def class_of(self, name: str) -> str:
        """The class of the image with this name: its first folder, or the first in its split."""
        first, second, *_ = name.split("/")
        return first if self.places["train"] == "" else second

    def is_direct(self, name: str) -> bool:
        """Whether an image is directly in its class folder, not in a folder inside it."""
        return name.count("/") == self.places["train"].count("/") + 1

    def cut(self) -> list[str]:
        """The splits without a folder of their own."""
        return [part for part in SHARES if part not in self.places]

    def places_of_parts(self) -> dict[str, str]:
        """The folder of each split that has one, such as "Train/"; {"train": ""} if none has."""
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
        """The sorted names of the images in a split's class folders; ValueError if one is empty."""
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
                reason = f", only {only}" if only else ""
                if inside:
                    reason = f" to use, because all {len(inside)} are left out"
                raise ValueError(
                    f"{self.where}: {place / c} has no images{reason}; "
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
    """Whether a file name has the extension of an image."""
    return name.lower().endswith(SUFFIXES)


def kind_of(name: str) -> str:
    """The extension of a file name, such as ".heic"."""
    return PurePosixPath(name).suffix.lower() or "without an extension"


def in_words(kinds: Mapping[str, int]) -> str:
    """The number of files of each kind, as text.

    >>> in_words({".jpg": 1200, ".png": 3})
    '1,200 .jpg, 3 .png'
    """
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to the operating system and should be ignored."""
    return name.startswith(".") or name == "__MACOSX"
