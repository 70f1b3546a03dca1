"""LeNet-5: the network that read cheques. Two convolutions find strokes and their arrangement.

Here are its two modern forms; `lenet_original.py` has the network itself. Both replace the 1998
network's trainable sub-sampling by max pooling, its squashing by ReLU, its sparse connection table
by full connections and its radial basis outputs by a linear layer with softmax. (LeCun, Bottou,
Bengio & Haffner 1998, §II-B.)

Read next: models/lenet_original.py
"""

from __future__ import annotations

import numpy as np

from minivision.models.network import Network
from minivision.nn import Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential

# (filters, kernel, padding): each followed by ReLU and 2x2 max pooling. Then the hidden units.
LENET5 = (((6, 5, 2), (16, 5, 0)), (120, 84))
LECTURE = (((6, 5, 0), (16, 5, 0)), (120,))


def lenet5(
    classes: int = 10,
    *,
    in_channels: int = 1,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """LeNet-5 for 28x28 images, 6-16-120-84-10, in 61,706 parameters.

    x (N, 1, 28, 28) -> logits (N, 10). Padding 2 gives the first convolution the 32x32 pixels
    that the 1998 network saw: 28 -> 28 -> 14 -> 10 -> 5.

    >>> lenet5(initialize=False).parameter_count()
    61706
    """
    return _build(LENET5, classes, in_channels, rng, initialize)


def lenet5_lecture(
    classes: int = 10,
    *,
    in_channels: int = 1,
    rng: np.random.Generator | None = None,
    initialize: bool = True,
) -> Network:
    """The lecture's Conv5-Pool-Conv5-Pool-FC-FC without padding, in 34,622 parameters.

    x (N, 1, 28, 28) -> logits (N, 10); 28 -> 24 -> 12 -> 8 -> 4.

    >>> lenet5_lecture(initialize=False).parameter_count()
    34622
    """
    return _build(LECTURE, classes, in_channels, rng, initialize)


def _build(
    table: tuple,
    classes: int,
    in_channels: int,
    rng: np.random.Generator | None,
    initialize: bool,
) -> Network:
    convolutions, hidden = table
    features: list[Module] = []
    channels, size = in_channels, 28
    for filters, kernel, padding in convolutions:
        convolution = Conv2d(
            channels, filters, kernel, padding=padding, rng=rng, initialize=initialize
        )
        features += [convolution, ReLU(), MaxPool2d(2)]
        channels, size = filters, (size + 2 * padding - kernel + 1) // 2
    classifier: list[Module] = []
    units = channels * size * size
    for width in hidden:
        classifier += [Linear(units, width, rng=rng, initialize=initialize), ReLU()]
        units = width
    classifier.append(Linear(units, classes, rng=rng, initialize=initialize))
    return Network(Sequential(*features), Sequential(*classifier), (in_channels, 28, 28))
