"""Datasets: images and labels on the host, from files on disk to batches for a network.

In reading order: `dataset` defines what a dataset is; `splits` divides it into training, validation
and test sets, and `only_classes` selects some of its classes; `digits` and `shapes` need no
download. `idx`, `download`, `mnist` and `fashion_mnist` load published datasets. `images`,
`file_dataset`, `class_folders`, `folder`, `unlabelled` and `archive` load your own images, and
`cifar` uses these files too. `loader` makes batches from any dataset.

>>> train, validation, test = load_dataset("digits")
>>> images, labels = next(iter(DataLoader(train, batch_size=64, shuffle=True)))
>>> images.shape, images.dtype, labels.shape
((64, 1, 28, 28), dtype('float32'), (64,))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from minivision.datasets.archive import image_archive, open_archive
from minivision.datasets.cifar import cifar10, cifar10_jpeg
from minivision.datasets.class_folders import ClassFolders
from minivision.datasets.dataset import ArrayDataset, Dataset, Subset
from minivision.datasets.digits import digits
from minivision.datasets.fashion_mnist import fashion_mnist
from minivision.datasets.file_dataset import FileDataset, decoded
from minivision.datasets.folder import image_folder, open_folder
from minivision.datasets.images import read_image
from minivision.datasets.loader import DataLoader
from minivision.datasets.mnist import mnist
from minivision.datasets.only_classes import OnlyClasses
from minivision.datasets.shapes import ShapeDataset, shapes
from minivision.datasets.splits import Splits, stratified_indices, stratified_split
from minivision.datasets.unlabelled import WithoutLabels, image_files, unlabelled_folder

# The built-in datasets. Each function is called with data_dir=None or a folder.
DATASETS: dict[str, Callable[..., Splits]] = {
    "digits": digits,
    "shapes": shapes,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar10-jpeg": cifar10_jpeg,
}


def load_dataset(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    skip: Iterable[str] = (),
) -> Splits:
    """Load the splits of a built-in dataset, or of a folder or tar archive of class folders.

    data_dir: for a built-in dataset, the folder to search before $MINIVISION_DATA and the cache.
    size, channels, skip: for a path; see `ClassFolders.splits`.

    Raises ValueError if the name is unknown, if a path comes without a size, or if a built-in
    dataset comes with one. (If your folder has the name of a built-in dataset, write "./digits".)
    """
    if name_or_path in DATASETS:
        if size is not None:
            raise ValueError(
                f"load_dataset: size is {size}, but the images of {name_or_path!r} have a "
                "fixed size; use the transform Resize"
            )
        return DATASETS[str(name_or_path)](data_dir=data_dir)
    images = open_class_folders(name_or_path)
    if size is None:
        raise ValueError(
            f"load_dataset: size is None, but the images in {name_or_path} need a common size; "
            "pass size=(H, W), such as size=(32, 32)"
        )
    return images.splits(size, channels, skip)


def open_class_folders(path: str | Path) -> ClassFolders:
    """Open a folder or tar of class folders, for listing its unreadable files and splitting it.

    Raises ValueError if the path is neither, and whatever `open_archive` raises.
    """
    if Path(path).is_dir():
        return open_folder(path)
    if Path(path).is_file():
        return open_archive(path)
    raise ValueError(
        f'load_dataset: "{path}" is neither a known dataset ({", ".join(DATASETS)}) '
        "nor a folder or tar of class folders"
    )


__all__ = [
    "Dataset",
    "ArrayDataset",
    "Subset",
    "OnlyClasses",
    "Splits",
    "stratified_indices",
    "stratified_split",
    "digits",
    "ShapeDataset",
    "shapes",
    "mnist",
    "fashion_mnist",
    "read_image",
    "FileDataset",
    "decoded",
    "ClassFolders",
    "open_class_folders",
    "image_folder",
    "image_archive",
    "image_files",
    "unlabelled_folder",
    "WithoutLabels",
    "cifar10",
    "cifar10_jpeg",
    "DataLoader",
    "DATASETS",
    "load_dataset",
]
