"""A dataset of image files that are read on demand, so that it may be larger than memory.

The files are on disk or, still compressed, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from minivision.backend import usable_cores
from minivision.datasets.dataset import (
    ArrayDataset,
    check_classes,
    check_index,
    check_labels,
    read_only,
)
from minivision.datasets.images import image_from_bytes, read_bytes
from minivision.transforms.geometry import Resize

THREADS = min(4, usable_cores())  # for checking files


class Member(NamedTuple):
    """A file in memory, as stored in an archive."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


File = Path | Member


class FileDataset:
    """Image files and their labels (N,); `[i]` reads a file and resizes it to `size` (H, W).

    A file is a path, or a `Member` of an archive. If `size` is None, every image keeps its own
    size, as needed for a transform such as RandomResizedCrop. Images can then be read only one at a
    time, and `batch` raises ValueError. Reading an image raises whatever `read_image` raises.
    """

    in_memory = False

    def __init__(
        self,
        files: Sequence[File],
        labels: np.ndarray,
        classes: tuple[str, ...],
        size: tuple[int, int] | None,
        channels: int = 3,
    ):
        self.files = tuple(files)
        self.classes = check_classes("FileDataset", classes)
        labels = np.asarray(labels)
        self.labels = read_only(check_labels("FileDataset", labels, len(self.files), self.classes))
        self.resize = None if size is None else Resize(size)
        self.channels = channels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        check_index("FileDataset", index, len(self))
        file = self.files[index]
        image = image_from_bytes(bytes_of(file), str(file), self.channels)
        return self.resize(image) if self.resize else image, int(self.labels[index])

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images uint8 (B, H, W, C) and labels (B,) at these indices, read one by one."""
        if self.resize is None:
            raise ValueError(
                "FileDataset: size is None, and images of different sizes do not fit in one array; "
                "pass a size, or read one image at a time"
            )
        positions = np.arange(len(self))[indices]
        H, W = self.resize.size
        images = np.empty((len(positions), H, W, self.channels), np.uint8)
        for image, i in zip(images, positions, strict=True):
            image[:] = self[int(i)][0]
        return images, self.labels[positions]


def bytes_of(file: File) -> bytes:
    """The bytes of a file, whether it is a path or a Member."""
    return file.data if isinstance(file, Member) else read_bytes(file)


def faults(files: Sequence[File]) -> list[str | None]:
    """Decode each image file to find out what is wrong with it; None if nothing is."""
    with ThreadPool(THREADS) as pool:
        found = pool.imap(fault_of, files, chunksize=16)
        told, total = "checking images", len(files)
        return list(tqdm(found, told, total, delay=2, disable=None, leave=False))


def fault_of(file: File) -> str | None:
    """What is wrong with an image file, without the file's name; None if nothing is."""
    try:
        image_from_bytes(bytes_of(file), str(file))
    except (ValueError, OSError) as error:
        return str(error).removeprefix(f"read_image: {file} ")
    return None


def decoded(dataset: Any) -> ArrayDataset:
    """Decode all images of a dataset into memory: N·H·W·C bytes, in return for fast batches."""
    images, labels = dataset.batch(np.arange(len(dataset)))
    return ArrayDataset(images, labels, dataset.classes)
