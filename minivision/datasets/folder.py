"""Your own images: a folder on disk that contains one folder per class.

    PATH/CLASS/*.png      or      PATH/train/CLASS/*.jpg, PATH/test/…, PATH/validation/…

The code below only lists names; the images are read on demand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from minivision.datasets.class_folders import ClassFolders, is_hidden
from minivision.datasets.splits import Splits


def image_folder(
    path: str | Path, size: tuple[int, int], channels: int = 3, skip: Iterable[str] = ()
) -> Splits:
    """The splits of a folder of class folders; see `ClassFolders.splits`.

    Raises FileNotFoundError if there is no such folder, and ValueError if it cannot be split.
    """
    return open_folder(path).splits(size, channels, skip)


def open_folder(path: str | Path) -> ClassFolders:
    """Open a folder of class folders, and list the names of all files in it."""
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"image_folder: there is no folder {path}")
    return ClassFolders("image_folder", path, *list_folder(path))


def list_folder(path: Path) -> tuple[dict[str, Path], list[str]]:
    """The files in a folder and its subfolders by name, and the names of the subfolders.

    Hidden files and folders are left out, and so are links that lead back to a folder above them.
    """

    def refuse(error: OSError) -> None:
        raise error

    files: dict[str, Path] = {}
    folders = []
    for place, inner, names in os.walk(path, onerror=refuse, followlinks=True):
        inner[:] = [n for n in inner if not is_hidden(n) and not leads_back(Path(place, n))]
        at = Path(place).relative_to(path)
        folders += [(at / name).as_posix() for name in inner]
        files |= {(at / n).as_posix(): Path(place, n) for n in names if not is_hidden(n)}
    return files, folders


def leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one of its own parents, so that following it never ends."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
