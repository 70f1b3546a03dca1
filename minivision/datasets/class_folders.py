"""Class folders: a tree of image files, wherever it lies, as a dataset cut into its splits.

    CLASS/*.png      or      train/CLASS/*.jpg, test/CLASS/…, validation/CLASS/…

The sorted names of the folders are the classes. `folder` and `archive` make such trees; what they
mean is decided here, once. Images are resized to one size, because a batch is one array.

Read next: datasets/folder.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minivision.datasets.file_dataset import File, FileDataset, Member, faults
from minivision.datasets.splits import Splits, stratified_split
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

    def splits(self, size: tuple[int, int], channels: int = 3, skip: Iterable[str] = ()) -> Splits:
        """The splits, of images uint8 (H, W, C) of one `size` (H, W), without the files in `skip`.

        With a folder `train`, the folders `test` and `validation` are the other splits. What has
        no folder of its own is split off from the images for training, stratified and always
        alike: a fifth of them for the test, a tenth for validation, at least one image each.

        Raises ValueError, with the path, where there are fewer than two classes, a class without
        images, or a class unknown to `train`.
        """
        check_size(self.where, "size", size)
        if channels not in (1, 3):
            raise ValueError(
                f"{self.where}: channels is {channels!r}; expected 3 (RGB) or 1 (grey)"
            )
        skipped = set(skip)
        parts = self.parts()
        classes = self.class_names(*parts["train"])
        data = {
            name: FileDataset(
                *self.labelled_files(at, tree, classes, skipped), classes, size, channels
            )
            for name, (at, tree) in parts.items()
        }
        total = len(data["train"])
        counts = {
            "test": 0 if "test" in data else max(1, total // 5),
            "validation": 0 if "validation" in data else max(1, total // 10),
        }
        kept = total - counts["test"] - counts["validation"]
        if kept < 1:
            raise ValueError(
                f"{self.where}: {self.root / parts['train'][0]} has {total} images, too few to be "
                "split; add images, or the folders train, validation and test"
            )
        rest = stratified_split(data["train"], (kept, counts["validation"], counts["test"]), seed=0)
        return Splits(rest[0], data.get("validation", rest[1]), data.get("test", rest[2]))

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

    def class_names(self, at: str, tree: Tree) -> tuple[str, ...]:
        """The sorted names of the class folders for training; at least two."""
        classes = folders_in(tree)
        if len(classes) < 2:
            loose = sum(is_image(name) for name in tree)
            hint = f", and {loose} images that are in none" if loose else ""
            raise ValueError(
                f"{self.where}: {self.root / at} has {len(classes)} class folders {classes}{hint}; "
                "expected at least two, each with the images of one class"
            )
        return tuple(classes)

    def labelled_files(
        self, at: str, tree: Tree, classes: tuple[str, ...], skipped: set[str]
    ) -> tuple[list[File], np.ndarray]:
        """The image files in the class folders of a split, sorted, and their labels int64 (N,)."""
        files: list[File] = []
        labels: list[int] = []
        place = self.root / at
        for name in folders_in(tree):
            if name not in classes:
                raise ValueError(
                    f"{self.where}: {place} has a class {name!r}, which the training images do not "
                    f"have; expected {', '.join(classes)}"
                )
            images = images_in(tree[name], f"{at}{name}/")
            found = [file for key, file in images.items() if key not in skipped]
            if not found:
                all_skipped = f" but {len(images)} that are left out" if images else ""
                raise ValueError(
                    f"{self.where}: {place / name} has no images{all_skipped}; "
                    f"expected files that end in {', '.join(SUFFIXES)}"
                )
            files += found
            labels += [classes.index(name)] * len(found)
        if not files:
            raise ValueError(f"{self.where}: {place} has no class folders with images")
        return files, np.array(labels, np.int64)


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
