"""One fully connected layer, straight from the pixels, and three ways to begin a network.

A single layer has one weight for every pixel and class: the weights of a class, laid out as an
image, are a template, and its score says how well the image matches it. The second half has the
same small network with three first layers, which differ only in who looks at what.

Read next: models/network.py
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import to_host
from minivision.functional.inputs import pair
from minivision.models.network import Network, built_from
from minivision.nn import (
    Conv2d,
    Linear,
    LocallyConnected2d,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.tensor import Tensor

FIRST_LAYERS = ("dense", "local", "convolution")


def softmax_regression(
    classes: int = 10,
    *,
    in_channels: int = 1,
    size: int | tuple[int, int] = 28,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """Logits = W x + b for the pixels x of an image; also called multinomial logistic regression.

    x (N, C, H, W) -> logits (N, K), (H, W) = size. Cross-entropy is convex in W and b, so a start
    from zero (initialize=False) serves as well as a random one, and leaves no noise in templates.

    >>> softmax_regression(initialize=False).parameter_count()
    7850
    >>> softmax_regression(in_channels=3, size=32, initialize=False).parameter_count()
    30730
    """
    H, W = pair("softmax_regression", "size", size, least=1)
    with built_from(rng, initialize):
        layer = Linear(in_channels * H * W, classes)
    return Network(Sequential(), Sequential(layer), (in_channels, H, W))


def templates(model: Network) -> np.ndarray:
    """The weights of each class as an image, float (K, C, H, W), on the host.

    Raises ValueError for a network with more than one layer: its weights do not belong to pixels.
    """
    if len(model.features) or len(model.classifier) != 1:
        raise ValueError(
            "templates: model has more than one layer; expected a softmax_regression, whose "
            "weights belong to pixels"
        )
    (layer,) = model.classifier
    weight: Any = layer.state_dict()["weight"]
    return to_host(weight).reshape(len(weight), *model.input_shape)


def first_layer_network(
    kind: str,
    classes: int = 10,
    *,
    in_channels: int = 1,
    size: int | tuple[int, int] = 28,
    filters: int = 6,
    kernel_size: int = 5,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """A first layer of one kind, ReLU, 2x2 max pooling and one fully connected layer.

    x (N, C, H, W) -> logits (N, K), (H, W) = size. Every kind makes F = `filters` maps of
    (H - kernel_size + 1, W - kernel_size + 1) units; what a unit looks at differs:

        dense        every pixel of the image, with weights of its own
        local        a window of kernel_size², with weights of its own
        convolution  a window of kernel_size², with the weights of all units of its map

    >>> for kind in FIRST_LAYERS:
    ...     model = first_layer_network(kind, in_channels=3, size=32, initialize=False)
    ...     print(f"{kind:<12}{model.features[0].parameter_count():>12,}")
    dense         14,455,392
    local            357,504
    convolution          456
    """
    H, W = pair("first_layer_network", "size", size, least=1)
    OH, OW = H - kernel_size + 1, W - kernel_size + 1
    if min(OH, OW) < 2:
        raise ValueError(
            f"first_layer_network: a window of {kernel_size}x{kernel_size} leaves {OH}x{OW} units "
            f"of an image of {H}x{W}, too few for 2x2 pooling"
        )
    if kind not in FIRST_LAYERS:
        expected = ", ".join(FIRST_LAYERS)
        raise ValueError(f"first_layer_network: kind is {kind!r}; expected one of {expected}")
    first: Module
    with built_from(rng, initialize):
        if kind == "dense":
            first = DenseMaps((in_channels, H, W), (filters, OH, OW))
        elif kind == "local":
            first = LocallyConnected2d(in_channels, filters, kernel_size, image_size=(H, W))
        else:
            first = Conv2d(in_channels, filters, kernel_size)
        last = Linear(filters * (OH // 2) * (OW // 2), classes)
    return Network(Sequential(first, ReLU(), MaxPool2d(2)), Sequential(last), (in_channels, H, W))


class DenseMaps(Module):
    """A fully connected layer whose units are laid out as maps.

    x (N, C, H, W) -> (N, F, OH, OW), with (C, H, W) = in_shape and (F, OH, OW) = out_shape.
    """

    def __init__(self, in_shape: tuple[int, int, int], out_shape: tuple[int, int, int]):
        self.out_shape = out_shape
        self.linear = Linear(math.prod(in_shape), math.prod(out_shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.reshape(self.linear(F.flatten(x)), (len(x), *self.out_shape))
