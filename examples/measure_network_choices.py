"""What single choices in AlexNet and VGG contribute, on a few thousand images.

    python examples/measure_network_choices.py [--only NAME ...] [--seeds 0 1 2 3 4]

Each comparison in COMPARISONS changes one thing in a small network. Its images, epochs, optimizer
and augmentation are the same for all variants; the learning rate of each is chosen as experiment.py
says. An architecture can be judged only if it has been trained long enough: so each variant is also
trained twice as long, with a choosing seed. The images are from CIFAR-10 (JPEG), unless they are
digits.

    vgg            the small VGG and the small AlexNet, both with batch normalization after every
                   convolution; a step of one takes as many multiply-adds as a step of the other
    normalization  AlexNet with half as many maps and units: with LRN after two of its ReLUs, as in
                   the paper; with batch normalization before all convolutional ones, as today,
                   without dropout and with it; and with neither
    kernels        one 7x7 convolution or three 3x3 ones, with batch normalization
    digits         dropout in a network of two hidden layers of 800 units: 0.2 at its input, 0.5
                   in the hidden layers (MNIST)

Writes docs/results/network_choices.json.
"""

from functools import cache, partial
from typing import Any, NamedTuple

from experiment import CHOOSING, Experiment, Images

from minivision.models import alexnet_small, vgg_small
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from minivision.optim import Adam
from minivision.transforms import RandomCrop, RandomHorizontalFlip

FLIPS_AND_CROPS = (RandomHorizontalFlip(), RandomCrop((32, 32), padding=4))


class Comparison(NamedTuple):
    """Networks that differ in one thing, and how all of them are trained."""

    variants: dict[str, Any]
    start: float  # the learning rate that is tried first
    training: dict[str, Any]
    twice: bool = True  # also train each variant twice as long
    data: str = "cifar10-jpeg"


def batch_normalized(classes=10, **options):
    """The small AlexNet with batch normalization between each convolution and its ReLU."""
    without, features = alexnet_small(classes, normalization=None, **options), []
    for part in without.features:
        features.append(part)
        if isinstance(part, Conv2d):
            features.append(BatchNorm2d(part.weight.shape[0]))
    return Network(Sequential(*features), without.classifier, without.input_shape)


def middle(kernels, channels=24):
    """A network whose middle sees 7x7 pixels, with one kernel or with three."""
    layers = [Conv2d(3, channels, 3, padding=1), BatchNorm2d(channels), ReLU(), MaxPool2d(2)]
    for size in kernels:
        convolution = Conv2d(channels, channels, size, padding=size // 2)
        layers += [convolution, BatchNorm2d(channels), ReLU()]
    layers += [MaxPool2d(2), AdaptiveAvgPool2d(4)]
    return Network(Sequential(*layers), Sequential(Linear(channels * 16, 10)), (3, 32, 32))


def hidden_layers(at_input=0.0, hidden=0.0, units=800):
    """A network of two hidden layers, with dropout."""
    layers = [Dropout(at_input), Linear(28 * 28, units), ReLU()]
    layers += [Dropout(hidden), Linear(units, units), ReLU()]
    layers += [Dropout(hidden), Linear(units, 10)]
    return Network(Sequential(), Sequential(*layers), (1, 28, 28))


small_vgg = partial(vgg_small, widths=(16, 32, 64), batch_norm=True)
narrow = {"width": 0.5, "dropout": 0.0}
COMPARISONS = {
    "vgg": Comparison(
        {"AlexNet": partial(batch_normalized, dropout=0.0), "VGG": small_vgg},
        0.003,
        {"images": 4_000, "epochs": 28, "optimizer": Adam, "augmentation": FLIPS_AND_CROPS},
    ),
    "normalization": Comparison(
        {
            "none": partial(alexnet_small, normalization=None, **narrow),
            "LRN": partial(alexnet_small, normalization="lrn", alpha=0.1, **narrow),
            "batch norm": partial(batch_normalized, **narrow),
            "batch norm, dropout": partial(batch_normalized, width=0.5, dropout=0.5),
        },
        0.03,
        {"images": 1_000, "epochs": 60},
    ),
    "kernels": Comparison(
        {"three 3x3": partial(middle, (3, 3, 3)), "one 7x7": partial(middle, (7,))},
        0.03,
        {"images": 1_500, "epochs": 40},
    ),
    "digits": Comparison(
        {"none": hidden_layers, "0.2 and 0.5": partial(hidden_layers, 0.2, 0.5)},
        0.03,
        {"images": 3_000, "epochs": 60},
        twice=False,
        data="mnist",
    ),
}


def main():
    experiment = Experiment(__doc__, "network_choices", COMPARISONS)
    data = cache(partial(Images, device=experiment.device))
    for name in experiment.only:
        comparison = COMPARISONS[name]
        train = data(comparison.data).trained
        for variant, build in comparison.variants.items():
            trained = partial(train, build, **comparison.training)
            key = {"comparison": name, "variant": variant, "trained": "once"}
            rate, _ = experiment.compare(key, trained, comparison.start)
            if comparison.twice:
                longer = partial(trained, epochs=2 * comparison.training["epochs"])
                experiment.row(key | {"trained": "twice as long"}, longer, "lr", rate, CHOOSING[0])


if __name__ == "__main__":
    main()
