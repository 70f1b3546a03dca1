"""What single choices in AlexNet and VGG contribute, on a few thousand images.

    python examples/measure_network_choices.py [--only NAME ...] [--seeds 0 1 2 3 4]

Each comparison in COMPARISONS changes one thing in a small network. Its images, epochs, optimizer
and augmentation are the same for all variants; the learning rate of each is chosen as experiment.py
says. An architecture can be judged only if it has been trained long enough: so each variant is also
trained twice as long, with a choosing seed. The images are from CIFAR-10 (JPEG), unless they are
digits.

    vgg            the small VGG and the small AlexNet, both with batch normalization after every
                   convolution; a step of one takes as many multiply-adds as a step of the other
    normalization  AlexNet with LRN after two of its ReLUs, as in the paper; with batch
                   normalization before all of them, as today; and with neither
    kernels        one 7x7 convolution or three 3x3 ones, with batch normalization
    dropout        between the fully connected layers of AlexNet with batch normalization
    digits         dropout in a network of two hidden layers of 800 units: 0.2 at its input, 0.5
                   in the hidden layers (MNIST)
    LRN in VGG     VGG's A, and A-LRN with k = 2, as in the paper, and k = 1

Writes docs/results/network_choices.json.
"""

from functools import cache, partial
from typing import Any, NamedTuple

from experiment import CHOOSING, Experiment, Images

from minivision.models import alexnet_small, vgg_small
from minivision.models.network import Network
from minivision.models.vgg import vgg_network
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
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


def batch_normalized(classes=10, dropout=0.0):
    """The small AlexNet with batch normalization between each convolution and its ReLU."""
    plain, features = alexnet_small(classes, normalization=None, dropout=dropout), []
    for part in plain.features:
        features.append(part)
        if isinstance(part, Conv2d):
            features.append(BatchNorm2d(part.weight.shape[0]))
    return Network(Sequential(*features), plain.classifier, plain.input_shape)


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


def narrow(configuration, k=2.0):
    """VGG's A or A-LRN with few maps; with the constant k in its LRN."""
    model = vgg_network(configuration, classes=10, widths=(16, 32, 64, 128, 128), head="average")
    for part in model.features:
        if isinstance(part, LocalResponseNorm):
            part.k = k
    return Network(model.features, model.classifier, (3, 32, 32))


small_vgg = partial(vgg_small, widths=(16, 32, 64), batch_norm=True)
plain = partial(alexnet_small, dropout=0.0)
COMPARISONS = {
    "vgg": Comparison(
        {"AlexNet": batch_normalized, "VGG": small_vgg},
        0.003,
        {"images": 4_000, "epochs": 28, "optimizer": Adam, "augmentation": FLIPS_AND_CROPS},
    ),
    "normalization": Comparison(
        {
            "none": partial(plain, normalization=None),
            "LRN": partial(plain, normalization="lrn", alpha=0.1),
            "batch norm": batch_normalized,
        },
        0.03,
        {"images": 4_000, "epochs": 12},
    ),
    "kernels": Comparison(
        {"three 3x3": partial(middle, (3, 3, 3)), "one 7x7": partial(middle, (7,))},
        0.03,
        {"images": 4_000, "epochs": 24},
    ),
    "dropout": Comparison(
        {"none": batch_normalized, "0.5": partial(batch_normalized, dropout=0.5)},
        0.03,
        {"images": 1_000, "epochs": 70},
        twice=False,
    ),
    "digits": Comparison(
        {"none": hidden_layers, "0.2 and 0.5": partial(hidden_layers, 0.2, 0.5)},
        0.03,
        {"images": 3_000, "epochs": 60},
        twice=False,
        data="mnist",
    ),
    "LRN in VGG": Comparison(
        {
            "A": partial(narrow, "A"),
            "A-LRN": partial(narrow, "A-LRN"),
            "A-LRN, k = 1": partial(narrow, "A-LRN", k=1.0),
        },
        0.03,
        {"images": 4_000, "epochs": 12},
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
