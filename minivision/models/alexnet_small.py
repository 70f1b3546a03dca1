"""A small AlexNet whose ideas can be switched off one by one, to see what each contributes.

The network takes 32x32 images. It has the same five convolutions and three fully connected layers
as `alexnet.py`, with fewer channels and smaller kernels. It is not from a paper.
"""

from __future__ import annotations

import math

from minivision.errors import refuses_rng, require_one_of
from minivision.functional.inputs import pair
from minivision.models.alexnet import times_width
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
    Tanh,
    initialize,
    skip_init,
)
from minivision.nn.initializers import Initializer, glorot_uniform, he_normal
from minivision.nn.sizes import output_shape

ACTIVATIONS: dict[str, tuple[type[Module], Initializer]] = {
    "relu": (ReLU, he_normal),
    "tanh": (Tanh, glorot_uniform),
}
NORMALIZATIONS, HEADS = (None, "lrn", "batch_norm"), ("flatten", "average")


@refuses_rng
def alexnet_small(
    classes: int = 10,
    *,
    in_channels: int = 3,
    size: int | tuple[int, int] = 32,
    width: float = 1.0,
    normalization: str | None = "lrn",
    alpha: float = 1e-4,
    activation: str = "relu",
    pool: tuple[int, int] = (3, 2),
    dropout: float = 0.5,
    head: str = "flatten",
) -> Network:
    """AlexNet for small images: the same layers with fewer channels and smaller kernels.

    x (N, 3, 32, 32) -> logits (N, 10); 32 -> 16 -> 8 -> 4. Each idea from the AlexNet paper can be
    switched off, to see what it contributes:

    normalization: "lrn", "batch_norm" at the same two positions, or None.
    alpha: α in "lrn". The paper's value suits pixels from 0 to 255; the squares of standardised
        pixels are thousands of times smaller, so the inhibition is weaker by the same factor.
    activation: "relu", with He-normal weights, or "tanh", with Glorot-uniform ones.
    pool: kernel and stride. (3, 2) overlaps, (2, 2) does not; both halve the maps, rounding
        down for even kernels and up for odd ones, which get padding.
    dropout: the dropout probability after each hidden layer.
    head: "flatten" the maps into a vector, or take the "average" of each, for any image size.

    >>> alexnet_small().parameter_count()
    341578
    """
    H, W = pair("alexnet_small", "size", size, least=1)
    require_one_of("alexnet_small: normalization", normalization, NORMALIZATIONS)
    require_one_of("alexnet_small: activation", activation, ACTIVATIONS)
    require_one_of("alexnet_small: head", head, HEADS)
    n = times_width("alexnet_small", width)
    nonlinearity, initializer = ACTIVATIONS[activation]
    kernel, stride = pair("alexnet_small", "pool", pool, least=1)

    def normalize(channels: int) -> list[Module]:
        if normalization is None:
            return []
        return [LocalResponseNorm(alpha=alpha) if normalization == "lrn" else BatchNorm2d(channels)]

    def pooling() -> Module:
        return MaxPool2d(kernel, stride, padding=(kernel - 1) // 2)

    with skip_init():
        features = Sequential(
            *(Conv2d(in_channels, n(24), 5, padding=2), nonlinearity()),
            *(*normalize(n(24)), pooling()),
            *(Conv2d(n(24), n(48), 5, padding=2, groups=2), nonlinearity()),
            *(*normalize(n(48)), pooling()),
            *(Conv2d(n(48), n(64), 3, padding=1), nonlinearity()),
            *(Conv2d(n(64), n(64), 3, padding=1, groups=2), nonlinearity()),
            *(Conv2d(n(64), n(48), 3, padding=1, groups=2), nonlinearity(), pooling()),
            *([AdaptiveAvgPool2d(1)] if head == "average" else []),
        )
        units = math.prod(output_shape(features, (in_channels, H, W)))
        classifier = Sequential(
            *(Linear(units, n(256)), nonlinearity(), Dropout(dropout)),
            *(Linear(n(256), n(256)), nonlinearity(), Dropout(dropout)),
            Linear(n(256), classes),
        )
    network = Network(features, classifier, (in_channels, H, W))
    initialize(network, initializer)
    return network
