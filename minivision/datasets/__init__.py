"""Datasets: images and labels on the host, from the first file to the batch a network is fed.

The room in reading order: `dataset` says what a dataset is; `splits` cuts it into training,
validation and test part; `digits` is the one that needs no download. `idx`, `download` and `mnist`
bring in a published one; `images` and `folder` bring in your own. `loader` makes batches of all.

>>> train, validation, test = load_dataset("digits")
>>> images, labels = next(iter(DataLoader(train, batch_size=64, shuffle=True)))
>>> images.shape, images.dtype, labels.shape
((64, 1, 28, 28), dtype('float32'), (64,))

Read next: datasets/dataset.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from minivision.datasets.dataset import ArrayDataset, Dataset, Subset
from minivision.datasets.digits import digits
from minivision.datasets.folder import FileDataset, image_folder
from minivision.datasets.images import read_image
from minivision.datasets.loader import DataLoader
from minivision.datasets.mnist import mnist
from minivision.datasets.splits import Splits, stratified_indices, stratified_split

# The datasets that have a name. Each is called with data_dir=None or a folder.
DATASETS: dict[str, Callable[..., Splits]] = {"digits": digits, "mnist": mnist}


def load_dataset(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    size: tuple[int, int] | None = None,
    channels: int = 3,
) -> Splits:
    """The splits of a dataset that has a name, or of a folder of class folders.

    data_dir: for a name; a folder to look for its files in, before $MINIVISION_DATA and the cache.
    size, channels: for a path; see `image_folder`.

    Raises ValueError for an unknown name, a folder without a size, or a size that a name has
    already. (A folder that is called like a dataset is reached as "./digits".)
    """
    if name_or_path in DATASETS:
        if size is not None:
            raise ValueError(
                f"load_dataset: size is {size}, but the images of {name_or_path!r} have a size of "
                "their own; use the transform Resize"
            )
        return DATASETS[str(name_or_path)](data_dir=data_dir)
    if not Path(name_or_path).is_dir():
        raise ValueError(
            f'load_dataset: "{name_or_path}" is neither a known dataset ({", ".join(DATASETS)}) '
            "nor a folder of class folders"
        )
    if size is None:
        raise ValueError(
            f"load_dataset: the images of the folder {name_or_path} need one size; "
            "pass size=(H, W), such as size=(32, 32)"
        )
    return image_folder(name_or_path, size, channels)


__all__ = [
    "Dataset",
    "ArrayDataset",
    "Subset",
    "Splits",
    "stratified_indices",
    "stratified_split",
    "digits",
    "mnist",
    "read_image",
    "FileDataset",
    "image_folder",
    "DataLoader",
    "DATASETS",
    "load_dataset",
]
