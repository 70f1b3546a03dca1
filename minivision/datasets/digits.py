"""The default dataset: 1,797 real handwritten digits that come with scikit-learn.

They need no download, so the lessons run even without internet access. The digits were written by
13 people on printed forms, scanned, and reduced to 8x8 pixels with 17 grey levels (Alpaydin and
Kaynak 1998, the test set of UCI's "Optical Recognition of Handwritten Digits"). We enlarge them to
28x28 pixels, the size of MNIST's.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from minivision.datasets.dataset import ArrayDataset
from minivision.datasets.splits import Splits, stratified_split


def digits(data_dir: str | Path | None = None) -> Splits:
    """The 1,797 digits as uint8 (28, 28, 1), bright on dark: 1,257 train, 180 validation, 360 test.

    The split is stratified and always the same, so the results of different runs are comparable.
    `data_dir` is unused; it exists so that all datasets are called in the same way.

    >>> train, validation, test = digits()
    >>> len(train), len(validation), len(test), train[0][0].shape
    (1257, 180, 360, (28, 28, 1))
    """
    from sklearn.datasets import load_digits  # imported here because it takes a second

    bundled = load_digits()
    images = np.stack([enlarge(image) for image in bundled.images])
    dataset = ArrayDataset(images, bundled.target, tuple("0123456789"))
    train, validation, test = stratified_split(dataset, (1257, 180, 360), seed=0)
    return Splits(train, validation, test)


def enlarge(image: np.ndarray) -> np.ndarray:
    """A digit (8, 8) with values from 0 to 16 -> uint8 (28, 28, 1) with values from 0 to 255.

    We add a dark frame of one pixel, which makes 10x10, so that strokes end smoothly at the border.
    Cubic interpolation enlarges the result three times to 30x30, and we cut off one pixel on each
    side. The digit occupies the middle 24x24 pixels.
    """
    framed = np.pad(image, 1).astype(np.float32) * (255 / 16)
    large = cv2.resize(framed, (30, 30), interpolation=cv2.INTER_CUBIC)
    # Cubic interpolation overshoots at sharp edges: clip before converting to bytes.
    return np.rint(large[1:-1, 1:-1, None]).clip(0, 255).astype(np.uint8)
