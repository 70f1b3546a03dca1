"""VGG: one kind of filter, 3x3, stacked ever deeper.

Two stacked 3x3 convolutions see 5x5 pixels and three see 7x7, with 27C² weights instead of the 49C²
of one 7x7 convolution, and with a ReLU after each. The paper compares six networks that differ only
in their convolutions. Each network has five blocks of convolutions, each block followed by 2x2
pooling, and then three fully connected layers. (Simonyan & Zisserman 2014, Table 1.)

Not in the paper: batch normalization (the names with `_bn`), the head "average", and an
initialization that trains the deep networks without pre-training a shallow one. Indices, names and
this initialization follow torchvision, so weights can be loaded in both directions; torchvision has
no C or A-LRN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from minivision.errors import refuses_rng, require_one_of
from minivision.models.network import Network
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
    initialize,
    skip_init,
)
from minivision.nn.initializers import fans, normal

# Table 1: the kernel sizes of the convolutions in each block.
CONFIGURATIONS: dict[str, list[list[int | str]]] = {
    "A": [[3], [3], [3, 3], [3, 3], [3, 3]],
    "A-LRN": [[3, "LRN"], [3], [3, 3], [3, 3], [3, 3]],
    "B": [[3, 3], [3, 3], [3, 3], [3, 3], [3, 3]],
    "C": [[3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1]],
    "D": [[3, 3], [3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "E": [[3, 3], [3, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]],
}
WIDTHS = (64, 128, 256, 512, 512)  # the filters of every convolution in a block
HIDDEN, HEADS = 4096, ("flatten", "average")

# As printed: "normal distribution with zero mean and 10⁻² variance". Often read as σ = 0.01.
PAPERS_START = normal(0.1)


def he_normal_fan_out(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """N(0, 2 / fan_out): He's rule for the backward pass, which torchvision uses."""
    return rng.normal(0, math.sqrt(2 / fans(shape)[1]), shape).astype(np.float32)


@refuses_rng
def vgg_network(
    configuration: str,
    classes: int = 1000,
    *,
    in_channels: int = 3,
    widths: Sequence[int] = WIDTHS,
    head: str = "flatten",
    batch_norm: bool = False,
) -> Network:
    """A network from the paper's Table 1, by its letter: "A", "A-LRN", "B", "C", "D" or "E".

    x (N, 3, 224, 224) -> logits (N, 1000); 224 -> 112 -> 56 -> 28 -> 14 -> 7.

    widths: the filters of the convolutions in each of the five blocks; the paper's by default.
    head: "flatten", the paper's, makes a vector of all 512·7·7 activations and has 123,642,856
        weights, most of the network; "average" applies one linear layer with 513,000 weights to the
        mean of each map, for images of any size from 32x32.
    batch_norm: normalize after every convolution.

    Raises ValueError for an unknown configuration or head, and if there are not five widths.

    >>> vgg_network("D", head="average").parameter_count()
    15227688
    """
    require_one_of("vgg_network: configuration", configuration, CONFIGURATIONS)
    require_one_of("vgg_network: head", head, HEADS)
    if len(widths) != len(WIDTHS):
        raise ValueError(f"vgg_network: widths is {widths!r}; expected {len(WIDTHS)} numbers")
    with skip_init():
        features = blocks(CONFIGURATIONS[configuration], widths, in_channels, batch_norm)
        if head == "average":
            features.append(AdaptiveAvgPool2d(1))
            classifier = Sequential(Linear(widths[-1], classes))
        else:
            classifier = Sequential(
                *(Linear(widths[-1] * 7 * 7, HIDDEN), ReLU(), Dropout(0.5)),
                *(Linear(HIDDEN, HIDDEN), ReLU(), Dropout(0.5)),
                Linear(HIDDEN, classes),
            )
        network = Network(Sequential(*features), classifier, input_shape=(in_channels, 224, 224))
    initialize(network.features, he_normal_fan_out)
    initialize(network.classifier, normal(0.01))
    return network


# The names: vgg_network with its first argument filled in. The number counts layers with weights.
vgg11, vgg11_bn = partial(vgg_network, "A"), partial(vgg_network, "A", batch_norm=True)
vgg11_lrn = partial(vgg_network, "A-LRN")
vgg11_lrn_bn = partial(vgg_network, "A-LRN", batch_norm=True)
vgg13, vgg13_bn = partial(vgg_network, "B"), partial(vgg_network, "B", batch_norm=True)
vgg16_c, vgg16_c_bn = partial(vgg_network, "C"), partial(vgg_network, "C", batch_norm=True)
vgg16, vgg16_bn = partial(vgg_network, "D"), partial(vgg_network, "D", batch_norm=True)
vgg19, vgg19_bn = partial(vgg_network, "E"), partial(vgg_network, "E", batch_norm=True)


def blocks(
    kernels: Sequence[Sequence[int | str]],
    widths: Sequence[int],
    channels: int,
    batch_norm: bool,
) -> list[Module]:
    """The layers of all blocks: convolutions, each with a ReLU, and 2x2 max pooling."""
    layers: list[Module] = []
    for block, filters in zip(kernels, widths, strict=True):
        for kernel in block:
            if kernel == "LRN":
                layers.append(LocalResponseNorm())
            else:
                size = int(kernel)
                layers.append(Conv2d(channels, filters, size, padding=size // 2))
                layers += [BatchNorm2d(filters), ReLU()] if batch_norm else [ReLU()]
                channels = filters
        layers.append(MaxPool2d(2))
    return layers
