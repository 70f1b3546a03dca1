"""A small AlexNet, of which every idea can be taken away to see what it brings.

It serves images of 32 pixels a side: the same five convolutions and three fully connected layers
with fewer channels and smaller kernels. The parts are those of `alexnet.py`. Not from a paper.

Read next: models/two_tower.py
"""

from __future__ import annotations

import numpy as np

from minivision.functional.inputs import pair
from minivision.models.alexnet import times_width
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
    Tanh,
)
from minivision.nn.initializers import Initializer, glorot_uniform, he_normal
from minivision.windows import Window

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
    input_shape = (in_channels, H, W)
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
    padding = (kernel - 1) // 2
    for _ in range(3):
        H, W = Window((kernel,) * 2, (stride,) * 2, (padding,) * 2).output_size(H, W)
    if min(H, W) < 1:
        raise ValueError(
            f"alexnet_small: of an image of {input_shape[1]}x{input_shape[2]} no pixel is left "
            f"after three poolings of {pool}; expected at least {stride**3}x{stride**3}"
        )
    n = times_width("alexnet_small", width)
    nonlinearity, initializer = ACTIVATIONS[activation]

    def convolution(channels: int, filters: int, kernel_size: int, groups: int = 1) -> list[Module]:
        layer = Conv2d(
            channels, filters, kernel_size, padding=kernel_size // 2, groups=groups,
            initializer=initializer,
        )  # fmt: skip
        return [layer, nonlinearity()]

    def normalize(channels: int) -> list[Module]:
        if normalization is None:
            return []
        return [LocalResponseNorm(alpha=alpha) if normalization == "lrn" else BatchNorm2d(channels)]

    def hidden(units: int, count: int) -> list[Module]:
        return [Linear(units, count, initializer=initializer), nonlinearity(), Dropout(dropout)]

    average = [AdaptiveAvgPool2d(1)] if head == "average" else []
    with built_from(rng, initialize):
        return Network(
            Sequential(
                *convolution(in_channels, n(24), 5),
                *normalize(n(24)),
                MaxPool2d(kernel, stride, padding),
                *convolution(n(24), n(48), 5, groups=2),
                *normalize(n(48)),
                MaxPool2d(kernel, stride, padding),
                *convolution(n(48), n(64), 3),
                *convolution(n(64), n(64), 3, groups=2),
                *convolution(n(64), n(48), 3, groups=2),
                MaxPool2d(kernel, stride, padding),
                *average,
            ),
            Sequential(
                *hidden(n(48) * (1 if average else H * W), n(256)),
                *hidden(n(256), n(256)),
                Linear(n(256), classes, initializer=initializer),
            ),
            input_shape,
        )
