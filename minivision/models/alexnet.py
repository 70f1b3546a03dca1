"""AlexNet: the network that won ImageNet in 2012. Five convolutions see, three layers decide.

Large filters first, ReLU in place of tanh, lateral inhibition between maps, pooling windows that
overlap, dropout, and two groups of maps that were computed on two graphics cards. (Krizhevsky,
Sutskever & Hinton 2012, §3-5.) Here are the network of the paper and two later forms that share
its name; `alexnet_small.py` has one for small images, `two_tower.py` the two cards.

Where this is not the paper: pixels are standardised (the paper only subtracts their mean); images
have 227 pixels a side (the paper says 224, of which windows of 11 at a stride of 4 would make
54.25 units); dropout is scaled in training instead of at test time; any width but the full one
begins He-normal.

Read next: models/alexnet_small.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Sequential,
)
from minivision.nn.initializers import Initializer, he_normal, normal

# Filters, kernel, stride, padding, groups, and what follows the convolution.
PAPER = (
    (96,  11, 4, 0, 1, "activate normalize pool"),
    (256,  5, 1, 2, 2, "activate normalize pool"),
    (384,  3, 1, 1, 1, "activate"),
    (384,  3, 1, 1, 2, "activate"),
    (256,  3, 1, 1, 2, "activate pool"),
)  # fmt: skip
CAFFENET = tuple((*row[:5], row[5].replace("normalize pool", "pool normalize")) for row in PAPER)
ONE_WEIRD_TRICK = (
    (64,  11, 4, 2, 1, "activate pool"),
    (192,  5, 1, 2, 1, "activate pool"),
    (384,  3, 1, 1, 1, "activate"),
    (256,  3, 1, 1, 1, "activate"),
    (256,  3, 1, 1, 1, "activate pool"),
)  # fmt: skip
HIDDEN = (4096, 4096)

Table = Sequence[tuple[int, int, int, int, int, str]]
Layers = Mapping[str, Callable[[int], Module] | None]


def alexnet(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    width: float = 1.0,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """The network of 2012: convolution, ReLU, local response normalisation, pooling.

    x (N, 3, 227, 227) -> logits (N, 1000); 227 -> 55 -> 27 -> 27 -> 13 -> 13 -> 13 -> 13 -> 6.
    The second, fourth and fifth convolution see only the half of the maps that lay on the same
    card: groups = (1, 2, 1, 2, 2).

    Weights are drawn from N(0, 0.01²); biases are 1 in the second, fourth and fifth convolution
    and in the hidden layers, so that ReLU has something to pass on, and 0 elsewhere (§5).

    width: multiplies the number of filters and of hidden units (to even numbers). Any other than 1
    begins He-normal with biases of 0, because 0.01 is right for the sums of full width only.

    >>> alexnet(initialize=False).parameter_count()
    60965224
    """
    return _of_2012("alexnet", PAPER, classes, in_channels, width, rng, initialize)


def alexnet_caffenet(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    width: float = 1.0,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """The lecture's order, Conv-Pool-LRN: pooling before the normalisation, as in CaffeNet.

    As `alexnet` in everything else, so that the order is the only difference (Caffe's own has
    other biases, and divides α by the window). It normalises 27² places in place of 55².

    >>> alexnet_caffenet(initialize=False).parameter_count()
    60965224
    """
    return _of_2012("alexnet_caffenet", CAFFENET, classes, in_channels, width, rng, initialize)


def alexnet_one_weird_trick(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """What PyTorch calls AlexNet: one tower, fewer filters, no normalisation (Krizhevsky 2014).

    x (N, 3, 224, 224) -> logits (N, 1000), from 63x63 pixels on any size: the maps are averaged
    to 6x6. Dropout comes before the hidden layers, not after them. Names and shapes are those of
    torchvision, whose weights fit; ours begin He-normal, with biases of 0.

    >>> alexnet_one_weird_trick(initialize=False).parameter_count()
    61100840
    """
    layers: Layers = {"activate": _relu, "pool": _overlapping_pool}
    features = convolutional_layers(
        ONE_WEIRD_TRICK, in_channels, layers, he_normal, rng, initialize
    )
    features.append(AdaptiveAvgPool2d(6))
    classifier: list[Module] = []
    units = units_in(features, (224, 224))
    for hidden in HIDDEN:
        linear = Linear(units, hidden, rng=rng, initialize=initialize)
        classifier += [Dropout(0.5), linear, ReLU()]
        units = hidden
    classifier.append(Linear(units, classes, rng=rng, initialize=initialize))
    return Network(Sequential(*features), Sequential(*classifier), (in_channels, 224, 224))


def _of_2012(
    name: str,
    table: Table,
    classes: int,
    in_channels: int,
    width: float,
    rng: np.random.Generator | None,
    initialize: bool,
) -> Network:
    layers: Layers = {
        "activate": _relu,
        "normalize": lambda C: LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0),
        "pool": _overlapping_pool,
    }
    initializer = normal(0.01) if width == 1 else he_normal
    table, hidden = scaled_table(name, table, HIDDEN, width)
    features = convolutional_layers(table, in_channels, layers, initializer, rng, initialize)
    units = units_in(features, (227, 227))
    classifier = fully_connected_layers(
        units, hidden, classes, ReLU, 0.5, initializer, rng, initialize
    )
    if width == 1 and initialize:
        _, conv2, _, conv4, conv5 = (part for part in features if isinstance(part, Conv2d))
        fc6, fc7, _ = (part for part in classifier if isinstance(part, Linear))
        for layer in (conv2, conv4, conv5, fc6, fc7):
            layer.bias = Parameter(np.ones(len(layer.weight), np.float32))
    return Network(Sequential(*features), Sequential(*classifier), (in_channels, 227, 227))


def convolutional_layers(
    table: Table,
    channels: int,
    layers: Layers,
    initializer: Initializer,
    rng: np.random.Generator | None,
    initialize: bool,
) -> list[Module]:
    """The table's convolutions, each followed by what its last column says.

    layers: the words of that column, as functions of the number of maps; None leaves it out.
    """
    features: list[Module] = []
    for filters, kernel, stride, padding, groups, then in table:
        features.append(
            Conv2d(
                *(channels, filters, kernel, stride, padding),
                groups=groups,
                rng=rng,
                initializer=initializer,
                initialize=initialize,
            )
        )
        made = [layers[word] for word in then.split()]
        features += [make(filters) for make in made if make is not None]
        channels = filters
    return features


def fully_connected_layers(
    units: int,
    hidden: Sequence[int],
    classes: int,
    activate: type[Module],
    dropout: float,
    initializer: Initializer,
    rng: np.random.Generator | None,
    initialize: bool,
) -> list[Module]:
    """Hidden layers, each with its activation and dropout, and the scores of the classes."""
    classifier: list[Module] = []
    for count in (*hidden, classes):
        linear = Linear(units, count, rng=rng, initializer=initializer, initialize=initialize)
        classifier += [linear, activate(), Dropout(dropout)]
        units = count
    return classifier[:-2]  # no activation and no dropout after the scores


def _relu(C: int) -> Module:
    return ReLU()


def _overlapping_pool(C: int) -> Module:
    return MaxPool2d(3, 2)


def units_in(features: list[Module], size: tuple[int, int]) -> int:
    """The numbers in the maps that the features make of an image of this size."""
    channels, (H, W) = 0, size
    for layer in features:
        if isinstance(layer, AdaptiveAvgPool2d):
            H, W = layer.output_size
        elif isinstance(layer, Conv2d | MaxPool2d):
            H, W = layer.geometry.output_size(H, W)
        if isinstance(layer, Conv2d):
            channels = layer.out_channels
    return channels * H * W


def scaled_table(
    name: str, table: Table, hidden: Sequence[int], width: float
) -> tuple[Table, list[int]]:
    """The table with `width` times the filters and hidden units, as even numbers."""
    if not 0 < width < float("inf"):
        raise ValueError(f"{name}: width is {width!r}; expected a number above 0, such as 0.25")

    def scaled(count: int) -> int:
        return 2 * max(1, round(count * width / 2))

    return [(scaled(row[0]), *row[1:]) for row in table], [scaled(count) for count in hidden]
