"""Your own images: a folder that has one folder for each class.

    PATH/CLASS/*.png      or      PATH/train/CLASS/*.jpg, PATH/test/…, PATH/validation/…

The sorted names of the folders are the classes. Images are read when they are asked for, so a
folder may be larger than the memory, and are resized to one size, because a batch is one array.

Read next: datasets/loader.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minivision.datasets.dataset import check_classes, check_index, check_labels, read_only
from minivision.datasets.images import read_image
from minivision.datasets.splits import Splits, stratified_split
from minivision.transforms.checks import check_size
from minivision.transforms.geometry import Resize

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class FileDataset:
    """Image files and their labels (N,); `[i]` reads a file and resizes it to `size` (H, W).

    Raises what `read_image` raises, at the moment an image is asked for.
    """

    in_memory = False

    def __init__(
        self,
        paths: Sequence[Path],
        labels: np.ndarray,
        classes: tuple[str, ...],
        size: tuple[int, int],
        channels: int = 3,
    ):
        self.paths = tuple(paths)
        self.classes = check_classes("FileDataset", classes)
        labels = np.asarray(labels)
        self.labels = read_only(check_labels("FileDataset", labels, len(self.paths), self.classes))
        self.resize = Resize(size)
        self.channels = channels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        check_index("FileDataset", index, len(self))
        image = read_image(self.paths[index], self.channels)
        return self.resize(image), int(self.labels[index])

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images uint8 (B, H, W, C) and labels (B,) at the given positions, read one by one."""
        positions = np.arange(len(self))[indices]
        H, W = self.resize.size
        images = np.empty((len(positions), H, W, self.channels), np.uint8)
        for image, i in zip(images, positions, strict=True):
            image[:] = self[int(i)][0]
        return images, self.labels[positions]


def image_folder(path: str | Path, size: tuple[int, int], channels: int = 3) -> Splits:
    """The splits of a folder of class folders, of images uint8 (H, W, C) of one `size` (H, W).

    With a sub-folder `train`, the sub-folders `test` and `validation` are the other splits. What
    has no folder of its own is split off from the images for training, stratified and always alike:
    a fifth of them for the test, a tenth for validation, at least one image each.

    Raises FileNotFoundError where there is no such folder, and ValueError, with the path, where
    it holds fewer than two classes, a class without images, or a class unknown to `train`.
    """
    path = Path(path)
    check_size("image_folder", "size", size)
    if channels not in (1, 3):
        raise ValueError(f"image_folder: channels is {channels!r}; expected 3 (RGB) or 1 (grey)")
    if not path.is_dir():
        raise FileNotFoundError(f"image_folder: there is no folder {path}")
    parts = split_folders(path)
    classes = class_names(parts["train"])
    if len(classes) < 2:
        raise ValueError(
            f"image_folder: {parts['train']} has {len(classes)} class folders "
            f"{list(classes)}; expected at least two, each with the images of one class"
        )
    data = {
        name: FileDataset(*list_images(folder, classes), classes, size, channels)
        for name, folder in parts.items()
    }
    total = len(data["train"])
    counts = {
        "test": 0 if "test" in data else max(1, total // 5),
        "validation": 0 if "validation" in data else max(1, total // 10),
    }
    kept = total - counts["test"] - counts["validation"]
    if kept < 1:
        raise ValueError(
            f"image_folder: {parts['train']} has {total} images, too few to be split; "
            "add images, or the folders train, validation and test"
        )
    rest = stratified_split(data["train"], (kept, counts["validation"], counts["test"]), seed=0)
    return Splits(rest[0], data.get("validation", rest[1]), data.get("test", rest[2]))


def split_folders(path: Path) -> dict[str, Path]:
    """The folder of each split that has one; where none has, the whole folder as "train"."""
    names = class_names(path)
    splits = [name for name in ("train", "validation", "test") if name in names]
    if not splits:
        return {"train": path}
    others = [name for name in names if name not in splits]
    if "train" not in splits or others:
        raise ValueError(
            f"image_folder: {path} has the folders {list(names)}; "
            "expected class folders only, or train beside nothing but validation and test"
        )
    return {name: path / name for name in splits}


def class_names(folder: Path) -> tuple[str, ...]:
    """The sorted names of the folders in a folder; hidden ones do not count."""
    return tuple(
        sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    )


def list_images(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], np.ndarray]:
    """The image files in the class folders of a folder, sorted, and their labels int64 (N,)."""
    paths: list[Path] = []
    labels: list[int] = []
    for name in class_names(folder):
        if name not in classes:
            raise ValueError(
                f"image_folder: {folder} has a class {name!r}, which the training images do not "
                f"have; expected {', '.join(classes)}"
            )
        found = sorted(
            file
            for file in (folder / name).iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
        if not found:
            raise ValueError(
                f"image_folder: {folder / name} has no images; "
                f"expected files that end in {', '.join(SUFFIXES)}"
            )
        paths += found
        labels += [classes.index(name)] * len(found)
    if not paths:
        raise ValueError(f"image_folder: {folder} has no class folders with images")
    return paths, np.array(labels, np.int64)
