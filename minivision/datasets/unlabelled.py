"""Images without labels: a plain folder, and a dataset whose labels are hidden."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from minivision.datasets.class_folders import SUFFIXES, in_words, is_image, kind_of
from minivision.datasets.file_dataset import FileDataset, faults
from minivision.datasets.folder import list_folder

UNKNOWN = "unknown"
HIDDEN = -1  # stands for a label that must not be used


def image_files(folder: str | Path) -> list[Path]:
    """The sorted image files in a folder and its subfolders, without hidden ones.

    Raises FileNotFoundError if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"image_files: there is no folder {folder}")
    files, _ = list_folder(folder)
    return sorted(path for name, path in files.items() if is_image(name) and path.is_file())


def other_files(folder: str | Path) -> dict[str, int]:
    """Count the files in a folder and its subfolders that are not images, by extension."""
    files, _ = list_folder(Path(folder))
    return dict(sorted(Counter(kind_of(name) for name in files if not is_image(name)).items()))


def unlabelled_folder(
    folder: str | Path, size: tuple[int, int], channels: int = 3, skip_unreadable: bool = False
) -> tuple[FileDataset, dict[str, str]]:
    """The images in a folder and its subfolders as a dataset with the single class "unknown".

    The images are resized to (H, W). Also returns a dict from the names of the files left out to
    what is wrong with them. Raises ValueError if there is no image or, without skip_unreadable, if
    an image cannot be read.
    """
    folder, good, broken = Path(folder), [], {}
    paths = image_files(folder)
    for path, fault in zip(paths, faults(paths), strict=True):
        if fault is None:
            good.append(path)
        else:
            broken[path.relative_to(folder).as_posix()] = fault
    if broken and not skip_unreadable:
        name, reason = next(iter(broken.items()))
        raise ValueError(
            f"{len(broken)} of the {len(good) + len(broken)} images in {folder} cannot be read, "
            f"for example {name}: {reason}. Repair or remove them, or leave them out with "
            "--skip-unreadable"
        )
    if not good:
        others = in_words(other_files(folder))
        raise ValueError(
            f"{folder} has no images, even in subfolders{others and f', only {others}'}; expected "
            f"files that end in {', '.join(SUFFIXES)}"
        )
    labels = np.zeros(len(good), np.int64)
    return FileDataset(good, labels, (UNKNOWN,), size, channels), broken


class WithoutLabels:
    """A view of a dataset whose labels are hidden: each is -1, which no loss accepts.

    >>> from minivision.datasets import digits
    >>> hidden = WithoutLabels(digits().test)
    >>> hidden[3][1], hidden.classes, set(hidden.labels)
    (-1, ('unknown',), {np.int64(-1)})
    """

    classes = (UNKNOWN,)

    def __init__(self, dataset: Any):
        self.dataset = dataset
        self.in_memory = getattr(dataset, "in_memory", False)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def labels(self) -> np.ndarray:
        return np.full(len(self), HIDDEN)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.dataset[index][0], HIDDEN

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = self.dataset.batch(indices)[0]
        return images, np.full(len(images), HIDDEN)
