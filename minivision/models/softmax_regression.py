"""A fully connected layer on the pixels, and a small network with three kinds of first layer.

A single layer has one weight for every pixel and class. The weights of a class, laid out as an
image, form a template, and the score of the class says how well an image matches the template. The
second half of the file builds the same small network with three kinds of first layer, which differ
only in what each unit sees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision import functional as F
from minivision.backend import to_host
from minivision.errors import refuses_rng, require_one_of
from minivision.functional.checks import Pair
from minivision.functional.inputs import pair
from minivision.models.network import Network
from minivision.nn import (
    Conv2d,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.nn.initializers import Initializer, Weighted
from minivision.nn.layers import make_window
from minivision.tensor import Tensor
from minivision.windows import Window

FIRST_LAYERS = ("dense", "local", "convolution")


@refuses_rng
def softmax_regression(
    classes: int = 10, *, in_channels: int = 1, size: int | tuple[int, int] = 28
) -> Network:
    """Logits = W x + b for the pixels x of an image; also called multinomial logistic regression.

    x (N, C, H, W) -> logits (N, K), (H, W) = size. Cross-entropy is convex in W and b, so training
    from zeros works as well as from random weights, and it leaves no noise in the templates.

    >>> softmax_regression().parameter_count()
    7850
    >>> softmax_regression(in_channels=3, size=32).parameter_count()
    30730
    """
    H, W = pair("softmax_regression", "size", size, least=1)
    classifier = Sequential(Linear(in_channels * H * W, classes))
    return Network(Sequential(), classifier, input_shape=(in_channels, H, W))


def templates(model: Network) -> np.ndarray:
    """The weights of each class as an image, float (K, C, H, W), on the host.

    Raises ValueError if the network has more than one layer, because its weights then do not
    correspond to pixels.
    """
    if len(model.features) or len(model.classifier) != 1:
        raise ValueError(
            "templates: model has more than one layer; expected a softmax_regression, whose "
            "weights correspond to pixels"
        )
    (layer,) = model.classifier
    weight: Any = layer.state_dict()["weight"]
    return to_host(weight).reshape(len(weight), *model.input_shape)


@refuses_rng
def first_layer_network(
    kind: str,
    classes: int = 10,
    *,
    in_channels: int = 1,
    size: int | tuple[int, int] = 28,
    filters: int = 6,
    kernel_size: int = 5,
) -> Network:
    """A first layer of the given kind, ReLU, 2x2 max pooling and one fully connected layer.

    x (N, C, H, W) -> logits (N, K), (H, W) = size. Every kind makes F = `filters` maps of
    (H - kernel_size + 1, W - kernel_size + 1) units; the kinds differ in what a unit sees:

        dense        every pixel of the image, with its own weights
        local        a window of kernel_size², with its own weights
        convolution  a window of kernel_size², with weights shared by all units of its map

    >>> for kind in FIRST_LAYERS:
    ...     model = first_layer_network(kind, in_channels=3, size=32)
    ...     print(f"{kind:<12}{model.features[0].parameter_count():>12,}")
    dense         14,455,392
    local            357,504
    convolution          456
    """
    H, W = pair("first_layer_network", "size", size, least=1)
    OH, OW = Window((kernel_size, kernel_size)).output_size(H, W)
    if min(OH, OW) < 2:
        raise ValueError(
            f"first_layer_network: kernel_size is {kernel_size}, which leaves {OH}x{OW} units on "
            f"images of {H}x{W}; expected at least 2x2, for the pooling"
        )
    require_one_of("first_layer_network: kind", kind, FIRST_LAYERS)
    first: Module
    if kind == "dense":
        first = DenseMaps((in_channels, H, W), (filters, OH, OW))
    elif kind == "local":
        first = LocallyConnected2d(in_channels, filters, kernel_size, image_size=(H, W))
    else:
        first = Conv2d(in_channels, filters, kernel_size)
    return Network(
        features=Sequential(first, ReLU(), MaxPool2d(2)),
        classifier=Sequential(Linear(filters * (OH // 2) * (OW // 2), classes)),
        input_shape=(in_channels, H, W),
    )


class DenseMaps(Module):
    """A fully connected layer whose units are laid out as maps.

    x (N, C, H, W) -> (N, F, OH, OW), with (C, H, W) = in_shape and (F, OH, OW) = out_shape.
    """

    def __init__(self, in_shape: tuple[int, int, int], out_shape: tuple[int, int, int]):
        self.out_shape = out_shape
        self.linear = Linear(math.prod(in_shape), math.prod(out_shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.reshape(self.linear(F.flatten(x)), (len(x), *self.out_shape))


class LocallyConnected2d(Weighted):
    """A convolution with separate filters at every position, for images of a fixed size.

    x (N, C, H, W) -> (N, F, OH, OW) with (H, W) = image_size; weight (OH, OW, F, C, KH, KW),
    bias (F, OH, OW).

    >>> LocallyConnected2d(3, 6, 5, image_size=32).parameter_count()
    357504
    """

    @refuses_rng
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
        *,
        image_size: Pair,
    ):
        name = "LocallyConnected2d"
        self.window = make_window(name, kernel_size, stride, padding)
        OH, OW = self.window.output_size(*pair(name, "image_size", image_size, least=1))
        if min(OH, OW) < 1:
            raise ValueError(f"{name}: the kernel {kernel_size} is larger than {image_size}")
        self.in_channels, self.out_channels = in_channels, out_channels
        shape = (OH, OW, out_channels, in_channels, *self.window.kernel)
        super().__init__(shape, (out_channels, OH, OW) if bias else None)

    def draw(self, initializer: Initializer) -> None:
        def place_by_place(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
            OH, OW, *one = shape  # each position draws its filters as one convolution would
            filters = [initializer(tuple(one), rng) for _ in range(OH * OW)]
            return np.stack(filters).reshape(shape)

        super().draw(place_by_place)

    def forward(self, x: Tensor) -> Tensor:
        _, stride, padding, _ = self.window
        return F.locally_connected2d(x, self.weight, self.bias, stride, padding)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.window.kernel}"
