"""A small VGG for 32x32 images, with one block for each width."""

from __future__ import annotations

from collections.abc import Sequence

from minivision.errors import refuses_rng, require_one_of
from minivision.models.network import Network
from minivision.models.vgg import HEADS, blocks
from minivision.nn import AdaptiveAvgPool2d, Linear, ReLU, Sequential


@refuses_rng
def vgg_small(
    classes: int = 10,
    *,
    in_channels: int = 3,
    widths: Sequence[int] = (32, 64, 128),
    head: str = "flatten",
    batch_norm: bool = False,
) -> Network:
    """VGG's idea for 32x32 images: two 3x3 convolutions and a 2x2 pooling for each width.

    x (N, 3, 32, 32) -> logits (N, 10); 32 -> 16 -> 8 -> 4. Weights are He-normal.

    widths: the filters of the blocks, one to five numbers.
    head: "flatten" has a hidden layer of twice the last width; "average" applies one linear layer
        to the mean of each map, for images large enough to leave a pixel after all pooling layers.
    batch_norm: normalize after every convolution.

    >>> vgg_small().parameter_count()
    814122
    """
    if not 1 <= len(widths) <= 5:
        raise ValueError(
            f"vgg_small: widths is {widths!r}; expected 1 to 5 numbers, since every block "
            "halves the 32 pixels"
        )
    require_one_of("vgg_small: head", head, HEADS)
    features, last = blocks([[3, 3]] * len(widths), widths, in_channels, batch_norm), widths[-1]
    if head == "average":
        features.append(AdaptiveAvgPool2d(1))
        classifier = Sequential(Linear(last, classes))
    else:
        side = 32 // 2 ** len(widths)
        classifier = Sequential(
            *(Linear(last * side * side, 2 * last), ReLU()), Linear(2 * last, classes)
        )
    return Network(Sequential(*features), classifier, input_shape=(in_channels, 32, 32))
