"""What is wrong with a dataset for a head, said before training begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.nn import Linear, Module


def check_classes(function: str, model: Module, dataset: Any) -> None:
    """Raise ValueError where the model has not an output for each class, or a class no image."""
    layers = [part for part in model.modules() if isinstance(part, Linear)]
    classes = tuple(dataset.classes)
    if layers and layers[-1].out_features != len(classes):
        raise ValueError(
            f"{function}: the head has {layers[-1].out_features} outputs, but the dataset has "
            f"{len(classes)} classes ({', '.join(classes)}); give it a head for {len(classes)} "
            "(with_new_head, or with_new_task)"
        )
    images = np.bincount(dataset.labels, minlength=len(classes))
    if not images.all():
        empty = ", ".join(name for name, n in zip(classes, images, strict=True) if n == 0)
        raise ValueError(f"{function}: there is no image of {empty}; expected some of every class")
