"""A small AlexNet, of which every idea can be taken away to see what it brings.

It serves images of 32 pixels a side: the same five convolutions and three fully connected layers
with fewer channels and smaller kernels. The parts are those of `alexnet.py`. Not from a paper.

Read next: models/two_tower.py
"""

from __future__ import annotations

import numpy as np

from minivision.functional.inputs import pair
from minivision.models.alexnet import (
    Layers,
    convolutional_layers,
    fully_connected_layers,
    scaled_table,
    units_in,
)
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    Tanh,
)
from minivision.nn.initializers import Initializer, glorot_uniform, he_normal

# Filters, kernel, stride, padding, groups, and what follows the convolution.
SMALL = (
    (24, 5, 1, 2, 1, "activate normalize pool"),
    (48, 5, 1, 2, 2, "activate normalize pool"),
    (64, 3, 1, 1, 1, "activate"),
    (64, 3, 1, 1, 2, "activate"),
    (48, 3, 1, 1, 2, "activate pool"),
)
SMALL_HIDDEN = (256, 256)
ACTIVATIONS: dict[str, tuple[type[Module], Initializer]] = {
    "relu": (ReLU, he_normal),
    "tanh": (Tanh, glorot_uniform),
}
NORMALIZATIONS, HEADS = (None, "lrn", "batch_norm"), ("flatten", "average")


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
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """AlexNet for small images: the same layers with fewer channels and smaller kernels.

    x (N, 3, 32, 32) -> logits (N, 10); 32 -> 16 -> 8 -> 4. Not from a paper. Every idea of the
    paper can be taken away, to see what it brings:

    normalization: "lrn", "batch_norm" at the same two places, or None.
    alpha: of LRN. The paper's suits pixels from 0 to 255; of pixels that are standardised the
        squares are thousands of times smaller, and so is the inhibition.
    activation: "relu", He-normal; or "tanh", Glorot-uniform. Biases begin at 0.
    pool: kernel and stride. (3, 2) overlaps, (2, 2) does not; both halve the maps, rounding
        down for even kernels, and up for odd ones, which get a border.
    dropout: the probability after each hidden layer.
    head: "flatten" the maps into a vector, or take the "average" of each, for images of any size.

    >>> alexnet_small(initialize=False).parameter_count()
    341578
    """
    H, W = pair("alexnet_small", "size", size, least=1)
    for name, value, expected in (
        ("normalization", normalization, NORMALIZATIONS),
        ("activation", activation, tuple(ACTIVATIONS)),
        ("head", head, HEADS),
    ):
        if value not in expected:
            raise ValueError(
                f"alexnet_small: {name} is {value!r}; expected one of "
                + ", ".join(map(repr, expected))
            )
    kernel, stride = pair("alexnet_small", "pool", pool, least=1)
    activate, initializer = ACTIVATIONS[activation]
    layers: Layers = {
        "activate": lambda C: activate(),
        "normalize": {
            None: None,
            "lrn": lambda C: LocalResponseNorm(alpha=alpha),
            "batch_norm": BatchNorm2d,
        }[normalization],
        "pool": lambda C: MaxPool2d(kernel, stride, padding=(kernel - 1) // 2),
    }
    table, hidden = scaled_table("alexnet_small", SMALL, SMALL_HIDDEN, width)
    features = convolutional_layers(table, in_channels, layers, initializer, rng, initialize)
    if head == "average":
        features.append(AdaptiveAvgPool2d(1))
    units = units_in(features, (H, W))
    if units < 1:
        raise ValueError(
            f"alexnet_small: of an image of {H}x{W} no pixel is left after three poolings of "
            f"{pool}; expected at least {stride**3}x{stride**3}"
        )
    classifier = fully_connected_layers(
        units, hidden, classes, activate, dropout, initializer, rng, initialize
    )
    return Network(Sequential(*features), Sequential(*classifier), (in_channels, H, W))
