"""VGG: one kind of filter, 3x3, stacked ever deeper.

Two 3x3 convolutions on top of each other see 5x5 pixels and three see 7x7, with 27C² weights where
one 7x7 has 49C², and with a ReLU after each. The paper compares six networks that differ in their
convolutions only: five blocks of them, a 2x2 pooling after each, then three fully connected
layers. (Simonyan & Zisserman 2014, Table 1.)

Not the paper's: batch normalization (the names with `_bn`), the head "average", and the start from
which a deep network trains without borrowing layers of a shallow one. Indices, names and that
start are torchvision's, so weights travel both ways; torchvision has no C and no A-LRN.

Read next: models/dense_evaluation.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from minivision.models.network import Network, built_from
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minivision.nn.initializers import Initializer, fans, he_normal, normal

# Table 1: the kernel sizes of the convolutions of each block.
CONFIGURATIONS: dict[str, list[list[int | str]]] = {
    "A": [[3], [3], [3, 3], [3, 3], [3, 3]],
    "A-LRN": [[3, "LRN"], [3], [3, 3], [3, 3], [3, 3]],
    "B": [[3, 3], [3, 3], [3, 3], [3, 3], [3, 3]],
    "C": [[3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1]],
    "D": [[3, 3], [3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "E": [[3, 3], [3, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]],
}
WIDTHS = (64, 128, 256, 512, 512)  # the filters of every convolution of a block
HIDDEN = 4096

# "Normal distribution with zero mean and 10⁻² variance", as printed. Often read as σ = 0.01.
PAPERS_START = normal(0.1)


def he_normal_fan_out(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """N(0, 2 / fan_out): He's rule for the backward pass, which torchvision draws from."""
    return rng.normal(0, math.sqrt(2 / fans(shape)[1]), shape).astype(np.float32)


def vgg_network(
    configuration: str,
    classes: int = 1000,
    *,
    in_channels: int = 3,
    widths: Sequence[int] = WIDTHS,
    head: str = "flatten",
    batch_norm: bool = False,
    initializer: Initializer | None = None,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """A network of the paper's Table 1, by its letter: "A", "A-LRN", "B", "C", "D" or "E".

    x (N, 3, 224, 224) -> logits (N, 1000); 224 -> 112 -> 56 -> 28 -> 14 -> 7.

    widths: the filters of every convolution of the five blocks; the paper's by default.
    head: "flatten", the paper's, makes a vector of all 512·7·7 activations and has 123,642,856
        weights, most of the network; "average" takes the mean of each map and one linear layer,
        513,000 weights, and images of any size from 32x32.
    batch_norm: normalize after every convolution.
    initializer: for all weights, such as PAPERS_START. None is torchvision's choice: convolutions
        N(0, 2 / fan_out), linear layers N(0, 0.01²). Biases are 0 in any case.

    Raises ValueError for an unknown configuration or head, and for widths that are not five.

    >>> vgg_network("D", head="average", initialize=False).parameter_count()
    15227688
    """
    if configuration not in CONFIGURATIONS:
        raise ValueError(
            f"vgg_network: configuration is {configuration!r}; "
            f"expected one of {', '.join(CONFIGURATIONS)}"
        )
    if len(widths) != len(WIDTHS):
        raise ValueError(f"vgg_network: widths is {widths!r}; expected {len(WIDTHS)} numbers")
    _check_head("vgg_network", head)
    of_convolutions, of_linear = initializer or he_normal_fan_out, initializer or normal(0.01)
    with built_from(rng, initialize):
        features = convolution_blocks(
            CONFIGURATIONS[configuration], widths, in_channels, batch_norm, of_convolutions
        )
        linear = partial(Linear, initializer=of_linear)
        if head == "average":
            features.append(AdaptiveAvgPool2d(1))
            classifier = Sequential(linear(widths[-1], classes))
        else:
            classifier = Sequential(
                *(linear(widths[-1] * 7 * 7, HIDDEN), ReLU(), Dropout(0.5)),
                *(linear(HIDDEN, HIDDEN), ReLU(), Dropout(0.5)),
                linear(HIDDEN, classes),
            )
        return Network(Sequential(*features), classifier, (in_channels, 224, 224))


# The names: vgg_network with its first argument filled in. The number counts layers with weights.
vgg11, vgg11_bn = partial(vgg_network, "A"), partial(vgg_network, "A", batch_norm=True)
vgg11_lrn = partial(vgg_network, "A-LRN")
vgg11_lrn_bn = partial(vgg_network, "A-LRN", batch_norm=True)
vgg13, vgg13_bn = partial(vgg_network, "B"), partial(vgg_network, "B", batch_norm=True)
vgg16_c, vgg16_c_bn = partial(vgg_network, "C"), partial(vgg_network, "C", batch_norm=True)
vgg16, vgg16_bn = partial(vgg_network, "D"), partial(vgg_network, "D", batch_norm=True)
vgg19, vgg19_bn = partial(vgg_network, "E"), partial(vgg_network, "E", batch_norm=True)


def vgg_small(
    classes: int = 10,
    *,
    in_channels: int = 3,
    widths: Sequence[int] = (32, 64, 128),
    head: str = "flatten",
    batch_norm: bool = False,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """VGG's idea for images of 32x32: a block of two 3x3 convolutions and a pooling for each width.

    x (N, 3, 32, 32) -> logits (N, 10); 32 -> 16 -> 8 -> 4. Weights are He-normal.

    widths: the filters of the blocks, one to five numbers.
    head: "flatten" has a hidden layer of twice the last width; "average" takes the mean of each
        map and one linear layer, and images of any size that the poolings leave a pixel of.
    batch_norm: normalize after every convolution.

    >>> vgg_small(initialize=False).parameter_count()
    814122
    >>> vgg_small(head="average", batch_norm=True, initialize=False).parameter_count()
    289194
    """
    if not 1 <= len(widths) <= 5:
        raise ValueError(
            f"vgg_small: widths is {widths!r}; expected 1 to 5 numbers, for every block halves the "
            "32 pixels"
        )
    _check_head("vgg_small", head)
    with built_from(rng, initialize):
        blocks: list[list[int | str]] = [[3, 3]] * len(widths)
        features = convolution_blocks(blocks, widths, in_channels, batch_norm, he_normal)
        if head == "average":
            features.append(AdaptiveAvgPool2d(1))
            classifier = Sequential(Linear(widths[-1], classes))
        else:
            side, hidden = 32 // 2 ** len(widths), 2 * widths[-1]
            classifier = Sequential(
                Linear(widths[-1] * side * side, hidden), ReLU(), Linear(hidden, classes)
            )
        return Network(Sequential(*features), classifier, (in_channels, 32, 32))


def convolution_blocks(
    blocks: Sequence[Sequence[int | str]],
    widths: Sequence[int],
    channels: int,
    batch_norm: bool,
    initializer: Initializer,
) -> list[Module]:
    """The blocks one after the other: convolution, ReLU, …, 2x2 max pooling."""
    layers: list[Module] = []
    for block, filters in zip(blocks, widths, strict=True):
        for kernel in block:
            if kernel == "LRN":
                layers.append(LocalResponseNorm())
                continue
            size = int(kernel)
            layers.append(
                Conv2d(channels, filters, size, padding=size // 2, initializer=initializer)
            )
            layers += [BatchNorm2d(filters), ReLU()] if batch_norm else [ReLU()]
            channels = filters
        layers.append(MaxPool2d(2))
    return layers


def _check_head(function: str, head: str) -> None:
    if head not in ("flatten", "average"):
        raise ValueError(f"{function}: head is {head!r}; expected one of flatten, average")
