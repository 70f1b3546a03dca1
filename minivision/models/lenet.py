"""LeNet-5, the network that read cheques: two convolutions find strokes and their arrangement.

This file has two modern versions; `lenet_original.py` has the original of 1998. The modern versions
replace its trainable sub-sampling with max pooling, its squashing function with ReLU, its sparse
connection table with full connections, and its radial basis outputs with a linear layer; softmax is
part of the loss. (LeCun, Bottou, Bengio & Haffner 1998, §II-B.)
"""

from __future__ import annotations

from minivision.errors import refuses_rng  # explains a change to users of version 0.1
from minivision.models.network import Network
from minivision.nn import Conv2d, Linear, MaxPool2d, ReLU, Sequential


@refuses_rng
def lenet5(classes: int = 10, *, in_channels: int = 1) -> Network:
    """LeNet-5 for 28x28 images: 6-16-120-84-10, with 61,706 parameters.

    x (N, 1, 28, 28) -> logits (N, 10). A padding of 2 gives the first convolution the 32x32 pixels
    that the network of 1998 saw.

    >>> lenet5().parameter_count()
    61706
    """
    return Network(
        features=Sequential(
            *(Conv2d(in_channels, 6, 5, padding=2), ReLU(), MaxPool2d(2)),  # 28x28, pooled to 14x14
            *(Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)),  # 10x10, pooled to 5x5
        ),
        classifier=Sequential(
            *(Linear(16 * 5 * 5, 120), ReLU()),
            *(Linear(120, 84), ReLU()),
            Linear(84, classes),
        ),
        input_shape=(in_channels, 28, 28),
    )


@refuses_rng
def lenet5_lecture(classes: int = 10, *, in_channels: int = 1) -> Network:
    """Conv5-Pool-Conv5-Pool-FC-FC without padding, with 34,622 parameters.

    x (N, 1, 28, 28) -> logits (N, 10). This is the version shown in the lecture course that
    minivision accompanies.

    >>> lenet5_lecture().parameter_count()
    34622
    """
    return Network(
        features=Sequential(
            *(Conv2d(in_channels, 6, 5), ReLU(), MaxPool2d(2)),  # 24x24, pooled to 12x12
            *(Conv2d(6, 16, 5), ReLU(), MaxPool2d(2)),  # 8x8, pooled to 4x4
        ),
        classifier=Sequential(Linear(16 * 4 * 4, 120), ReLU(), Linear(120, classes)),
        input_shape=(in_channels, 28, 28),
    )
