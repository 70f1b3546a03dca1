"""A small task and a dataset whose labels must not be read, for the tests of self-training."""

import numpy as np

from minivision.datasets import ArrayDataset

CLASSES = ("left", "top", "bottom")
H, W = 6, 5


def stripes(N, seed, noise=40):
    """Three classes that differ in the position of a bright stripe, on noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, N)
    labels[:3] = 0, 1, 2
    images = rng.integers(0, noise, (N, H, W, 1))
    images[labels == 0, :, :2] += 150
    images[labels == 1, :2, :] += 150
    images[labels == 2, -2:, :] += 150
    return ArrayDataset(images.astype(np.uint8), labels, CLASSES)


class Secret:
    """A label that must not be used: every operation on it fails."""

    def _used(self, *arguments):
        raise AssertionError("a label that must not be read was read")

    __int__ = __index__ = __float__ = __array__ = __eq__ = __lt__ = __bool__ = _used
    __hash__ = None


class WithoutLabels:
    """A dataset that raises as soon as a label is read."""

    def __init__(self, dataset):
        self.dataset, self.classes = dataset, dataset.classes
        self.in_memory = True

    def __len__(self):
        return len(self.dataset)

    @property
    def labels(self):
        raise AssertionError("labels that must not be read were read")

    def __getitem__(self, index):
        return self.dataset[index][0], Secret()

    def batch(self, indices):
        return self.dataset.batch(indices)[0], Secret()
