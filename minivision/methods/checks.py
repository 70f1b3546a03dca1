"""Check before training that a dataset fits a head."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.nn import Linear, Module


def check_classes(function: str, model: Module, dataset: Any) -> None:
    """Raise ValueError unless the model has one output per class and every class has an image."""
    layers = [part for part in model.modules() if isinstance(part, Linear)]
    classes = tuple(dataset.classes)
    if layers and layers[-1].out_features != len(classes):
        raise ValueError(
            f"{function}: the head has {layers[-1].out_features} outputs, but the dataset has "
            f"{len(classes)} classes ({', '.join(classes)}); attach a new head "
            "(with_new_head or with_new_task)"
        )
    images = np.bincount(dataset.labels, minlength=len(classes))
    if not images.all():
        empty = ", ".join(name for name, n in zip(classes, images, strict=True) if n == 0)
        raise ValueError(
            f"{function}: the dataset has no image of {empty}; expected at least one of every class"
        )
