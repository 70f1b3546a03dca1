"""MNIST: 70,000 handwritten digits of 28x28 grey pixels, the fruit fly of machine learning.

LeCun, Bottou, Bengio and Haffner 1998, §III. 60,000 images are for training (we set a fixed 5,000
of them aside for validation), and 10,000 are for testing. The dataset consists of four IDX files;
any other collection of four such files can be loaded by the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minivision.datasets.dataset import ArrayDataset
from minivision.datasets.download import RemoteFile, load_file
from minivision.datasets.idx import parse_idx
from minivision.datasets.splits import Splits, stratified_split

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# Images and labels for training, then images and labels for testing.
FILES = tuple(
    RemoteFile(name, MIRROR + name, sha256, md5)
    for name, sha256, md5 in (
        (
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "a25bea736e30d166cdddb491f175f624",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "2646ac647ad5339dbf082846283269ea",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    )
)


def mnist(data_dir: str | Path | None = None) -> Splits:
    """MNIST as uint8 (28, 28, 1): 55,000 images train, 5,000 validation, 10,000 test.

    Raises what `load_file` raises if the files are missing or damaged.
    """
    return load_idx_collection("mnist", FILES, tuple("0123456789"), 5_000, data_dir)


def load_idx_collection(
    collection: str,
    files: Sequence[RemoteFile],
    classes: tuple[str, ...],
    validation: int,
    data_dir: str | Path | None = None,
) -> Splits:
    """The splits of a collection of four IDX files, given in the order of `FILES`.

    The validation set is a fixed choice of `validation` training images.
    """
    arrays = [parse_idx(load_file(collection, file, data_dir), file.name) for file in files]
    train_images, train_labels, test_images, test_labels = arrays
    full = ArrayDataset(train_images[..., None], train_labels, classes)
    train, held_out = stratified_split(full, (len(full) - validation, validation), seed=0)
    return Splits(train, held_out, ArrayDataset(test_images[..., None], test_labels, classes))
