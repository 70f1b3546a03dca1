"""Fashion-MNIST: 70,000 grey images of clothes, with the size and file format of MNIST.

Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms". They made it because MNIST had become too easy to tell good methods from
better ones.
"""

from __future__ import annotations

from pathlib import Path

from minivision.datasets.download import RemoteFile
from minivision.datasets.mnist import load_idx_collection
from minivision.datasets.splits import Splits

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# Images and labels for training, then images and labels for testing.
FILES = tuple(
    RemoteFile(name, SOURCE + name, sha256, md5)
    for name, sha256, md5 in (
        (
            "train-images-idx3-ubyte.gz",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "9018921c3c673c538a1fc5bad174d6f9",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "8181f5470baa50b63fa0f6fddb340f0a",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
    )
)


def fashion_mnist(data_dir: str | Path | None = None) -> Splits:
    """Fashion-MNIST as uint8 (28, 28, 1): 55,000 images train, 5,000 validation, 10,000 test.

    The files have the same names as MNIST's, so they need their own folder, `fashion-mnist` or
    `fashion_mnist`. Raises what `load_file` raises if they are missing or damaged.
    """
    return load_idx_collection("fashion-mnist", FILES, CLASSES, 5_000, data_dir)
