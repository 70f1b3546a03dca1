"""What augmentation contributes if images are few: 2,000 images from CIFAR-10 (JPEG).

    python examples/measure_augmentation.py [--only METHOD ...] [--seeds 0 1 2 3 4]

One small network, with three convolutions and batch normalization, is trained for 40 epochs of Adam
with each entry of METHODS. In this time the network without augmentation fits its training images.
The learning rate is chosen as described in experiment.py. Writes docs/results/augmentation.json.
"""

from functools import partial
from typing import Any, NamedTuple

from experiment import Experiment, Images

from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.transforms import (
    CutMix,
    Mixup,
    RandAugment,
    RandomCrop,
    RandomHorizontalFlip,
)

IMAGES, WIDTHS = 2_000, (16, 32, 64)


class Method(NamedTuple):
    """The transforms of single images before they become numbers, and of batches after that."""

    augmentation: tuple[Any, ...] = ()
    batches: Any = None


METHODS = {
    "none": Method(),
    "CutMix": Method((), CutMix(classes=10)),
    "Mixup": Method((), Mixup(classes=10)),
    "RandAugment": Method((RandAugment(1, 5),)),
    "flips and crops": Method((RandomHorizontalFlip(), RandomCrop((32, 32), padding=4))),
}


def network():
    """Convolution, batch normalization, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


if __name__ == "__main__":
    experiment = Experiment(__doc__, "augmentation", METHODS)
    images = Images("cifar10-jpeg", experiment.device)
    for name in experiment.only:
        options = {"images": IMAGES, "epochs": 40, "optimizer": Adam, **METHODS[name]._asdict()}
        measure = partial(images.trained, network, **options)
        experiment.compare({"part": "methods", "method": name}, measure, 0.003)
