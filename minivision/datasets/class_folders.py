"""Class folders: a tree of image files, wherever it lies, as a dataset cut into its splits.

    CLASS/*.png      or      train/CLASS/*.jpg, test/CLASS/…, validation/CLASS/…

The sorted names of the folders are the classes. `folder` and `archive` make such trees; what they
mean is decided here, once. Images are resized to one size, because a batch is one array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
PARTS = ("train", "validation", "test")

# A folder is a dict from names to what is in it; everything else is a file.
Tree = dict[str, Any]


class ClassFolders:
    """A tree of class folders: which of its images cannot be read, and its splits.

    where: the function that errors name; root: the path of the tree, for errors too.

    >>> import cv2
    >>> grey = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    >>> cats = {f"{i}.png": Member(f"cat/{i}.png", grey) for i in range(5)}
    >>> dogs = {"a.png": Member("dog/a.png", grey), "b.png": Member("dog/b.png", grey[:50])}
    >>> photos = ClassFolders("pets", Path("pets"), {"cat": cats, "dog": dogs})
    >>> photos.unreadable()
    {'dog/b.png': "is truncated: it ends after 50 bytes, in a chunk 'IDAT'"}
    >>> [len(part) for part in photos.splits(size=(4, 4), skip=photos.unreadable())]
    [4, 1, 1]
    """

    def __init__(self, where: str, root: Path, tree: Tree):
        self.where = where
        self.root = root
        self.tree = tree

    def unreadable(self) -> dict[str, str]:
        """The image files that cannot be used, from their names in the tree to what is wrong.

        Every file is decoded, so nothing is left that could stop a training later.
        """
        images = self.images()
        found = dict(zip(images, faults(list(images.values())), strict=True))
        return {name: fault for name, fault in found.items() if fault is not None}

    def total_bytes(self) -> int:
        """What `unreadable` has to read: the bytes of all image files together."""
        return sum(
            len(file.data) if isinstance(file, Member) else file.stat().st_size
            for file in self.images().values()
            if isinstance(file, Member) or file.exists()
        )

    def images(self) -> dict[str, File]:
        """The image files of all splits with their names in the tree, such as "train/cat/1.jpg"."""
        return {
            name: file
            for at, tree in self.parts().values()
            for folder in folders_in(tree)
            for name, file in images_in(tree[folder], f"{at}{folder}/").items()
        }

    def splits(
        self,
        size: tuple[int, int],
        channels: int = 3,
        skip: Iterable[str] = (),
        dealt: Mapping[str, Iterable[str]] | None = None,
    ) -> Splits:
        """The splits, of images uint8 (H, W, C) of one `size` (H, W), without the files in `skip`.

        dealt: the names of the images of each part, so as to have the same parts as before; the
            default is `deal(skip)`.

        Raises ValueError, with the path, if there are fewer than two classes, a class without
        images, a class unknown to `train`, or too few images for three parts.
        """
        check_size(self.where, "size", size)
        if channels not in (1, 3):
            raise ValueError(
                f"{self.where}: channels is {channels!r}; expected 3 (RGB) or 1 (grey)"
            )
        classes, images = self.class_names(), self.images()
        datasets = {}
        for part, names in (self.deal(skip) if dealt is None else dealt).items():
            files = [images[name] for name in names]
            labels = np.array([classes.index(name.split("/")[-2]) for name in names], np.int64)
            datasets[part] = FileDataset(files, labels, classes, size, channels)
        return Splits(**datasets)

    def deal(self, skip: Iterable[str] = ()) -> dict[str, list[str]]:
        """The names of the images of each part, sorted by class and name, without those in `skip`.

        With a folder `train`, the folders `test` and `validation` are the other parts. What has no
        folder of its own is dealt from the images for training, by their names: about a fifth for
        the test, about a tenth for validation (`deal_by_name`).
        """
        found = {part: self.checked_names(part, set(skip)) for part in self.parts()}
        at, _ = self.parts()["train"]
        try:
            dealt = deal_by_name([name.removeprefix(at) for name in found["train"]], self.cut())
        except ValueError as error:
            raise ValueError(
                f"{self.where}: {self.root / at}: {error}; add images, or the folders train, "
                "validation and test"
            ) from error
        found |= {part: [at + name for name in names] for part, names in dealt.items()}
        return {part: found[part] for part in PARTS}

    def deal_by_count(self, skip: Iterable[str] = ()) -> dict[str, list[str]]:
        """The parts with exactly their share of every class, for images that never change.

        A new image moves others. Version 0.1 dealt all folders so, and its runs go on with this.
        """
        found = {part: self.checked_names(part, set(skip)) for part in self.parts()}
        names, cut = found["train"], self.cut()
        classes = self.class_names()
        labels = np.array([classes.index(name.split("/")[-2]) for name in names])
        test = max(1, len(names) // 5) if "test" in cut else 0
        validation = max(1, len(names) // 10) if "validation" in cut else 0
        sizes = (len(names) - test - validation, validation, test)
        counted = zip(PARTS, stratified_indices(labels, sizes, seed=0), strict=True)
        found |= {p: [names[i] for i in part] for p, part in counted if p in ("train", *cut)}
        return {part: found[part] for part in PARTS}

    def part_of(self, name: str) -> str:
        """The part that the image of this name belongs to, whatever else is in the folder."""
        at, _ = self.parts()["train"]
        if not name.startswith(at):
            return name.split("/")[0]
        return part_by_name(name.removeprefix(at), self.cut())

    def cut(self) -> list[str]:
        """The parts that have no folder of their own."""
        return [part for part in SHARES if part not in self.parts()]

    def parts(self) -> dict[str, tuple[str, Tree]]:
        """The place and tree of each split that has a folder; where none has, all is "train"."""
        names = folders_in(self.tree)
        given = [name for name in PARTS if name in names]
        if not given:
            return {"train": ("", self.tree)}
        if "train" not in given or len(given) < len(names):
            raise ValueError(
                f"{self.where}: {self.root} has the folders {names}; "
                "expected class folders only, or train beside nothing but validation and test"
            )
        return {name: (f"{name}/", self.tree[name]) for name in given}

    def class_names(self) -> tuple[str, ...]:
        """The sorted names of the class folders for training; at least two."""
        at, tree = self.parts()["train"]
        classes = folders_in(tree)
        if len(classes) < 2:
            loose = sum(is_image(name) for name in tree)
            hint = f", and {loose} images that are in none" if loose else ""
            raise ValueError(
                f"{self.where}: {self.root / at} has {len(classes)} class folders {classes}{hint}; "
                "expected at least two, each with the images of one class"
            )
        return tuple(classes)

    def checked_names(self, part: str, skipped: set[str]) -> list[str]:
        """The names of the images in a part's class folders, sorted; every class has some."""
        (at, tree), classes = self.parts()[part], self.class_names()
        names: list[str] = []
        place = self.root / at
        for c in folders_in(tree):
            if c not in classes:
                raise ValueError(
                    f"{self.where}: {place} has a class {c!r}, which the training images do not "
                    f"have; expected {', '.join(classes)}"
                )
            images = images_in(tree[c], f"{at}{c}/")
            found = [name for name in images if name not in skipped]
            if not found:
                all_skipped = f" but {len(images)} that are left out" if images else ""
                raise ValueError(
                    f"{self.where}: {place / c} has no images{all_skipped}; "
                    f"expected files that end in {', '.join(SUFFIXES)}"
                )
            names += found
        if not names:
            raise ValueError(f"{self.where}: {place} has no class folders with images")
        return names


def folders_in(tree: Tree) -> list[str]:
    """The sorted names of the folders in a folder."""
    return sorted(name for name, entry in tree.items() if isinstance(entry, dict))


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is there for the operating system, not for us."""
    return name.startswith(".") or name == "__MACOSX"


def images_in(folder: Tree, at: str) -> dict[str, File]:
    """The image files of one class folder, sorted; `at` is put before their names."""
    return {
        at + name: folder[name]
        for name in sorted(folder)
        if is_image(name) and not isinstance(folder[name], dict)
    }
