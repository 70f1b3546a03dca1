"""Which parameters weight decay pulls towards 0: those that multiply a layer's input.

You can skip this file on a first reading.
"""

from __future__ import annotations

from typing import Any

from minivision.nn import Module
from minivision.nn.initializers import Weighted


def decay_groups(model: Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: the weights of layers decay, nothing else does.

    The weights of convolutions, linear layers and locally connected layers get `weight_decay`.
    Biases and the scales and shifts of normalization layers get 0; there are few of them, and they
    hardly overfit. (He et al. 2019, §3.1, "no bias decay".) Parameters that are frozen later do not
    change.

    >>> from minivision.nn import BatchNorm2d, Conv2d, Sequential
    >>> groups = decay_groups(Sequential(Conv2d(1, 6, 5), BatchNorm2d(6)), 5e-4)
    >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
    [(1, 0.0005), (3, 0.0)]
    """
    multiplies = {id(layer.weight) for layer in model.modules() if isinstance(layer, Weighted)}
    parameters = list(model.parameters())
    decaying = [p for p in parameters if id(p) in multiplies]
    others = [p for p in parameters if id(p) not in multiplies]
    groups = [(decaying, weight_decay), (others, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
