"""AlexNet, the network that won the ImageNet competition in 2012.

It has five convolutions, the first with large filters, and three fully connected layers. It uses
ReLU in place of tanh, lateral inhibition between maps, pooling windows that overlap, dropout, and
two groups of maps that were computed on two graphics cards. (Krizhevsky, Sutskever & Hinton 2012,
§3-5.) This file has the paper's network and two later variants that share its name;
`alexnet_small.py` has a version for small images, `two_tower.py` the two-card version.

Differences from the paper: pixels are standardised (the paper only subtracts their mean); images
are 227x227 (the paper says 224, but 11x11 windows at stride 4 would then give 54.25 units); dropout
is scaled during training instead of at test time; networks that are narrower or wider than the
paper's are initialised He-normal.
"""

from __future__ import annotations

from collections.abc import Callable

from minivision.errors import refuses_rng
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
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
from minivision.nn.initializers import he_normal, normal

HIDDEN = 4096


@refuses_rng
def alexnet(classes: int = 1000, *, in_channels: int = 3, width: float = 1.0) -> Network:
    """The network of 2012: convolution, ReLU, local response normalization, pooling.

    x (N, 3, 227, 227) -> logits (N, 1000). The second, fourth and fifth convolutions see only the
    half of the maps that was on the same card: groups=2.

    Weights are drawn from N(0, 0.01²); biases are 1 in the second, fourth and fifth convolutions
    and in the hidden layers, so that ReLU receives positive inputs, and 0 elsewhere (§5).

    width: multiplies the numbers of filters and hidden units (rounded to even numbers). If it is
    not 1, weights start He-normal and biases at 0, because σ = 0.01 suits only the full width.

    >>> with skip_init():
    ...     alexnet().parameter_count()
    60965224
    """
    return _of_2012("alexnet", classes, in_channels, width, pool_first=False)


@refuses_rng
def alexnet_caffenet(classes: int = 1000, *, in_channels: int = 3, width: float = 1.0) -> Network:
    """AlexNet with pooling before normalization (Conv-Pool-LRN), as in CaffeNet.

    This is the order taught in the lecture course that minivision accompanies. The network is
    otherwise identical to `alexnet`, so that the order is the only difference. (Caffe's own version
    has different biases, and divides α by the window size.) The first normalization sees maps of
    27x27 pixels instead of 55x55.

    >>> with skip_init():
    ...     alexnet_caffenet().parameter_count()
    60965224
    """
    return _of_2012("alexnet_caffenet", classes, in_channels, width, pool_first=True)


def _of_2012(name: str, classes: int, in_channels: int, width: float, pool_first: bool) -> Network:
    n = times_width(name, width)

    def norm_and_pool() -> list[Module]:
        norm, pool = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0), MaxPool2d(3, 2)
        return [pool, norm] if pool_first else [norm, pool]

    with skip_init():
        network = Network(
            features=Sequential(
                *(Conv2d(in_channels, n(96), 11, stride=4), ReLU()),  # 55x55
                *norm_and_pool(),  # 27x27
                *(Conv2d(n(96), n(256), 5, padding=2, groups=2), ReLU()),
                *norm_and_pool(),  # 13x13
                *(Conv2d(n(256), n(384), 3, padding=1), ReLU()),
                *(Conv2d(n(384), n(384), 3, padding=1, groups=2), ReLU()),
                *(Conv2d(n(384), n(256), 3, padding=1, groups=2), ReLU()),
                MaxPool2d(3, 2),  # 6x6
            ),
            classifier=Sequential(
                *(Linear(n(256) * 6 * 6, n(HIDDEN)), ReLU(), Dropout(0.5)),
                *(Linear(n(HIDDEN), n(HIDDEN)), ReLU(), Dropout(0.5)),
                Linear(n(HIDDEN), classes),
            ),
            input_shape=(in_channels, 227, 227),
        )
    initialize(network, normal(0.01) if width == 1 else he_normal)
    if width == 1:
        layers = [part for part in network.modules() if isinstance(part, Conv2d | Linear)]
        for layer in (layers[1], *layers[3:7]):
            layer.bias.data += 1  # type: ignore[union-attr]
    return network


@refuses_rng
def alexnet_one_weird_trick(classes: int = 1000, *, in_channels: int = 3) -> Network:
    """What PyTorch calls AlexNet: one tower, fewer filters, no normalization (Krizhevsky 2014).

    x (N, 3, 224, 224) -> logits (N, 1000); any size from 63x63 works, since the maps are averaged
    to 6x6. Dropout is applied before the hidden layers, not after them. Names and shapes match
    torchvision's, so torchvision's weights can be loaded. New weights are drawn He-normal, and
    biases start at 0.

    >>> with skip_init():
    ...     alexnet_one_weird_trick().parameter_count()
    61100840
    """
    return Network(
        features=Sequential(
            *(Conv2d(in_channels, 64, 11, stride=4, padding=2), ReLU(), MaxPool2d(3, 2)),
            *(Conv2d(64, 192, 5, padding=2), ReLU(), MaxPool2d(3, 2)),
            *(Conv2d(192, 384, 3, padding=1), ReLU()),
            *(Conv2d(384, 256, 3, padding=1), ReLU()),
            *(Conv2d(256, 256, 3, padding=1), ReLU(), MaxPool2d(3, 2)),
            AdaptiveAvgPool2d(6),
        ),
        classifier=Sequential(
            *(Dropout(0.5), Linear(256 * 6 * 6, HIDDEN), ReLU()),
            *(Dropout(0.5), Linear(HIDDEN, HIDDEN), ReLU()),
            Linear(HIDDEN, classes),
        ),
        input_shape=(in_channels, 224, 224),
    )


def times_width(name: str, width: float) -> Callable[[int], int]:
    """A function that multiplies a number by width and rounds the result to an even number."""
    if not 0 < width < float("inf"):
        raise ValueError(f"{name}: width is {width!r}; expected a number above 0, such as 0.25")
    return lambda count: 2 * max(1, round(count * width / 2))
