"""CIFAR-10: 60,000 colour photographs of 32x32 pixels, showing ten kinds of animals and vehicles.

Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", chapter 3. Of the 50,000
training images we set a fixed 5,000 aside for validation; the other 10,000 are for testing. The
dataset was published in several forms. We read the binary version, in which a record is one byte
for the label and 3072 bytes of pixels: first all reds, then all greens, then all blues. A version
made of JPEG files is smaller but slightly different, because JPEG loses detail, so label results on
it "CIFAR-10 (JPEG)".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minivision.datasets.archive import open_archive, read_members
from minivision.datasets.dataset import ArrayDataset
from minivision.datasets.download import (
    RemoteFile,
    check_published,
    download,
    find_file,
    search_folders,
)
from minivision.datasets.file_dataset import decoded
from minivision.datasets.splits import Splits, stratified_split

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
# Five files for training, then one for testing.
FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
RECORDS = 10_000  # in each file
VALIDATION = 5_000
JPEG_ARCHIVE = "cifar10-jpeg.tar.xz"


def cifar10(data_dir: str | Path | None = None) -> Splits:
    """CIFAR-10 as uint8 (32, 32, 3): 45,000 images train, 5,000 validation, 10,000 test.

    We look for `cifar-10-binary.tar.gz`, or the six files in it, in each folder and in its
    subfolders `cifar10` and `cifar-10-batches-bin`. The archive is verified by its checksum,
    unpacked files by their lengths and the number of images in each class.

    Raises ValueError, naming the path, if a file is damaged or has different content, and OSError
    if one is missing and cannot be downloaded.
    """
    files = unpacked_files(data_dir) or archived_files(data_dir)
    records = [parse_records(data, name) for name, data in files.items()]
    full = dataset_of(records[:-1], "the five training files")
    train, held_out = stratified_split(full, (len(full) - VALIDATION, VALIDATION), seed=0)
    return Splits(train, held_out, dataset_of(records[-1:], list(files)[-1]))


def unpacked_files(data_dir: str | Path | None) -> dict[str, bytes] | None:
    """The six files from the first folder that has any of them, or None."""
    for place in search_folders("cifar10", data_dir):
        for folder in (place, place / "cifar-10-batches-bin"):
            paths = [folder / name for name in FILES]
            missing = [path.name for path in paths if not path.is_file()]
            if not missing:
                return {str(path): path.read_bytes() for path in paths}
            if len(missing) < len(paths):
                raise FileNotFoundError(
                    f"cifar10: {folder} has some of CIFAR-10's files, but lacks "
                    + ", ".join(missing)
                )
    return None


def archived_files(data_dir: str | Path | None) -> dict[str, bytes]:
    """The six files in the archive, read without unpacking it to disk."""
    path = find_file("cifar10", ARCHIVE, data_dir)
    if path is None:
        refuse_pickles(data_dir)
        path = download("cifar10", ARCHIVE)
    check_published(path, ARCHIVE)
    members = read_members(path, lambda name: name in FILES)
    contents = {name.split("/")[-1]: data for name, data in members.items() if data is not None}
    return {f"{path}/{name}": contents[name] for name in FILES}


def refuse_pickles(data_dir: str | Path | None) -> None:
    """Raise FileNotFoundError, with advice, if only the Python version of CIFAR-10 is found."""
    for folder in search_folders("cifar10", data_dir):
        for name in ("cifar-10-python.tar.gz", "cifar-10-batches-py"):
            if (folder / name).exists():
                raise FileNotFoundError(
                    f"cifar10: {folder / name} contains pickles, which can run arbitrary code "
                    f"when loaded; expected {ARCHIVE.name} in the same folder ({ARCHIVE.url})"
                )


def parse_records(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The images uint8 (N, 32, 32, 3) and labels int64 (N,) in the bytes of one file.

    Raises ValueError if the length is wrong or a label is above 9; error messages use `name`.
    """
    N, expected = RECORDS, RECORDS * (1 + 3 * 32 * 32)
    if len(data) != expected:
        raise ValueError(
            f"{name} has {len(data):,} bytes; expected {expected:,}, "
            f"{N:,} records of a label byte and 3,072 bytes of pixels"
        )
    records = np.frombuffer(data, np.uint8).reshape(N, -1)
    labels, planes = records[:, 0], records[:, 1:].reshape(N, 3, 32, 32)
    if labels.max() >= len(CLASSES):
        at = int(labels.argmax())
        raise ValueError(f"{name}: the label of record {at} is {labels[at]}; expected 0 to 9")
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels.astype(np.int64)


def dataset_of(records: list[tuple[np.ndarray, np.ndarray]], name: str) -> ArrayDataset:
    """The records of several files as one dataset, after checking that the classes are balanced."""
    images, labels = (np.concatenate(arrays) for arrays in zip(*records, strict=True))
    counts = np.bincount(labels, minlength=len(CLASSES))
    if counts.min() != counts.max():
        raise ValueError(
            f"cifar10: {name}: the classes have {counts.tolist()} images; "
            f"expected {len(labels) // len(CLASSES):,} each"
        )
    return ArrayDataset(images, labels, CLASSES)


def cifar10_jpeg(data_dir: str | Path | None = None) -> Splits:
    """CIFAR-10 (JPEG) as uint8 (32, 32, 3): 45,000 images train, 5,000 validation, 10,000 test.

    We look for `cifar10-jpeg.tar.xz`, a tar of class folders, in each folder and in its
    subfolder `cifar10-jpeg`; it cannot be downloaded. All images are decoded in advance, which
    takes 184 MB, because every epoch needs all of them.
    """
    folders = search_folders("cifar10-jpeg", data_dir)
    for folder in folders:
        if (folder / JPEG_ARCHIVE).is_file():
            archive = open_archive(folder / JPEG_ARCHIVE)
            splits = archive.splits((32, 32), dealt=archive.deal_by_count())
            if splits.train.classes != CLASSES:
                raise ValueError(
                    f"{folder / JPEG_ARCHIVE} has the classes {', '.join(splits.train.classes)}; "
                    f"expected those of CIFAR-10, {', '.join(CLASSES)}"
                )
            return Splits(*map(decoded, splits))
    raise FileNotFoundError(
        f"cifar10_jpeg: there is no {JPEG_ARCHIVE} in {', '.join(map(str, folders))}; put it "
        f"in DIR/cifar10-jpeg/, where DIR is data_dir or $MINIVISION_DATA, or use cifar10"
    )
