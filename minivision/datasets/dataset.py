"""What a dataset is, datasets that are held in memory, and views of some of their examples.

A dataset has a length and the names of its classes, and `dataset[i]` returns an image uint8
(H, W, C) and its label, an int. Randomness, floats and batches are left to the transforms and the
DataLoader.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Dataset(Protocol):
    """The interface of every dataset; a dataset does not have to inherit from this class.

    `labels` is int64 (N,), and `classes[label]` is the name of a label. `batch` returns several
    examples at once; if `in_memory` is true, it does so by one indexing operation, without reading
    files.
    """

    classes: tuple[str, ...]
    in_memory: bool

    @property
    def labels(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class ArrayDataset:
    """Images uint8 (N, H, W, C) and labels (N,) in memory.

    Labels may be of any integer type, from 0 to len(classes) - 1, and are stored as int64. Images
    are returned as read-only views, so that nobody can change the data by accident. Raises
    ValueError if images, labels and classes do not fit together.

    >>> data = ArrayDataset(np.zeros((2, 4, 5, 1), np.uint8), np.array([1, 0]), ("cat", "dog"))
    >>> image, label = data[0]
    >>> image.shape, label, data.classes[label]
    ((4, 5, 1), 1, 'dog')
    """

    in_memory = True

    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]):
        images, labels = np.asarray(images), np.asarray(labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"ArrayDataset: images is {images.dtype} {images.shape}; "
                "expected uint8 (N, H, W, C), with C = 1 for grey images"
            )
        self.classes = check_classes("ArrayDataset", classes)
        checked = check_labels("ArrayDataset", labels, len(images), self.classes)
        self.images = read_only(images)
        self.labels = read_only(checked)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        check_index("ArrayDataset", index, len(self))
        return self.images[index], int(self.labels[index])

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the images uint8 (B, H, W, C) and labels int64 (B,) at these indices."""
        return self.images[indices], self.labels[indices]


class Subset:
    """Some examples of a dataset, in the order of `indices`; a view, so no image is copied.

    An index may occur more than once (as in a bootstrap sample). Raises ValueError unless the
    indices are integers from 0 to len(dataset) - 1.

    >>> data = ArrayDataset(np.zeros((3, 4, 5, 1), np.uint8), np.array([1, 0, 1]), ("cat", "dog"))
    >>> dogs = Subset(data, np.flatnonzero(data.labels == 1))
    >>> len(dogs), dogs.labels, dogs.classes
    (2, array([1, 1]), ('cat', 'dog'))
    """

    def __init__(self, dataset: Any, indices: np.ndarray):
        indices = np.asarray(indices)
        # NumPy turns an empty list into float64, but an empty subset is valid.
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            hint = " (for a mask, use np.flatnonzero(mask))" if indices.dtype == bool else ""
            raise ValueError(
                f"Subset: indices is {indices.dtype} {indices.shape}; expected integers (M,){hint}"
            )
        if indices.size and not 0 <= indices.min() <= indices.max() < len(dataset):
            raise ValueError(
                f"Subset: indices range from {indices.min()} to {indices.max()}; "
                f"expected 0 to {len(dataset) - 1}, because the dataset has {len(dataset)} examples"
            )
        self.dataset = dataset
        self.indices = read_only(indices.astype(np.int64))
        self.classes = dataset.classes
        self.in_memory = getattr(dataset, "in_memory", False)

    @property
    def labels(self) -> np.ndarray:
        """The labels int64 (M,) of these examples."""
        return self.dataset.labels[self.indices]

    @property
    def images(self) -> np.ndarray:
        """The images uint8 (M, H, W, C) of these examples, copied on each access."""
        return self.batch(np.arange(len(self)))[0]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        check_index("Subset", index, len(self))
        return self.dataset[int(self.indices[index])]

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images (B, H, W, C) and labels (B,) at the given indices of this subset."""
        return self.dataset.batch(self.indices[indices])


def check_classes(name: str, classes: Any) -> tuple[str, ...]:
    """The names of the classes as a tuple; ValueError unless they are distinct strings."""
    # Otherwise a single string would pass for a sequence of one-letter names.
    classes = (classes,) if isinstance(classes, str) else tuple(classes)
    if len(set(classes)) != len(classes) or not all(isinstance(c, str) for c in classes):
        raise ValueError(f"{name}: classes is {classes!r}; expected distinct strings")
    return classes


def check_labels(name: str, labels: np.ndarray, N: int, classes: tuple[str, ...]) -> np.ndarray:
    """The labels as int64 (N,); ValueError if they do not fit the images and the classes."""
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(f"{name}: labels is {labels.dtype} {labels.shape}; expected integers (N,)")
    if len(labels) != N:
        raise ValueError(f"{name}: there are {N} images but {len(labels)} labels")
    if N and not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(
            f"{name}: labels range from {labels.min()} to {labels.max()}; "
            f"expected 0 to {len(classes) - 1}, because there are {len(classes)} classes"
        )
    return labels.astype(np.int64)


def check_index(name: str, index: Any, N: int) -> None:
    """Raise TypeError or IndexError unless `index` is an integer from -N to N - 1."""
    if not isinstance(index, int | np.integer):
        raise TypeError(
            f"{name}: index is {index!r}; expected an integer "
            "(for several examples use batch or Subset)"
        )
    if not -N <= index < N:
        raise IndexError(f"{name}: index is {index}, out of range for {N} examples")


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view of the array."""
    view = array.view()
    view.flags.writeable = False
    return view
