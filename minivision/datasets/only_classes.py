"""A view of a dataset with only some of its classes, as a separate task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minivision.datasets.dataset import Subset


class OnlyClasses(Subset):
    """The examples of these classes, relabelled 0, 1, … in the given order.

    classes: names, such as ("cat", "dog"). Raises ValueError if one is unknown or repeated.

    >>> from minivision.datasets import digits
    >>> odd = OnlyClasses(digits().test, "13579")
    >>> odd.classes, np.unique(odd.labels)
    (('1', '3', '5', '7', '9'), array([0, 1, 2, 3, 4]))
    """

    def __init__(self, dataset: Any, classes: Iterable[str]):
        classes = tuple(classes)
        known = list(dataset.classes)
        unknown = [name for name in classes if name not in known]
        if unknown or not classes or len(set(classes)) < len(classes):
            raise ValueError(
                f"OnlyClasses: classes is {classes!r}; expected distinct names from "
                f"{', '.join(known)}"
            )
        numbers = np.full(len(known), -1)
        numbers[[known.index(name) for name in classes]] = np.arange(len(classes))
        self.numbers = (
            numbers  # maps a label of the dataset to ours, or to -1 if its class is not selected
        )
        super().__init__(dataset, np.flatnonzero(numbers[dataset.labels] >= 0))
        self.classes = classes

    @property
    def labels(self) -> np.ndarray:
        return self.numbers[super().labels]

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        image, label = super().__getitem__(index)
        return image, int(self.numbers[label])

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, labels = super().batch(indices)
        return images, self.numbers[labels]
