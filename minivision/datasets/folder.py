"""Your own images: a folder on the disk that has one folder for each class.

    PATH/CLASS/*.png      or      PATH/train/CLASS/*.jpg, PATH/test/…, PATH/validation/…

Only names are listed here; the images are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from minivision.datasets.class_folders import ClassFolders, Tree, is_hidden
from minivision.datasets.splits import Splits


def image_folder(
    path: str | Path, size: tuple[int, int], channels: int = 3, skip: Iterable[str] = ()
) -> Splits:
    """The splits of a folder of class folders; see `ClassFolders.splits`.

    Raises FileNotFoundError where there is no such folder, and ValueError for one in disorder.
    """
    return open_folder(path).splits(size, channels, skip)


def open_folder(path: str | Path) -> ClassFolders:
    """The class folders in a folder, with the names of all files."""
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"image_folder: there is no folder {path}")
    # Three levels are enough: train, its classes, and their images.
    return ClassFolders("image_folder", path, list_folder(path, 3))


def list_folder(folder: Path, levels: int) -> Tree:
    """What is in a folder and, down to so many levels, in its folders; hidden names left out."""
    tree: Tree = {}
    for entry in folder.iterdir():
        if is_hidden(entry.name):
            continue
        if not entry.is_dir():
            tree[entry.name] = entry
        else:
            tree[entry.name] = list_folder(entry, levels - 1) if levels > 1 else {}
    return tree
