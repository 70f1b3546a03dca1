"""Trained on bright photographs only: what happens on dark ones, with and without augmentation?

    python examples/measure_brightness_gap.py [--only AUGMENTATION ...] [--seeds 0 1 2 3 4]

CIFAR-10 (JPEG). The brightness of an image is the mean of its bytes; two thresholds divide the
training images into thirds. A small network is trained on 8,000 images from the brightest third,
for 6 epochs with Adam: on the images as they are, or with every image darkened or lightened by a
random factor from 0.15 to 1.1, drawn each time.

The learning rate is chosen as described in experiment.py, by the accuracy on the *bright*
validation images: dark images are not used for any choice. A network with a counted seed then sees
the bright test images multiplied by each factor in FACTORS, and all three thirds as they were
taken. Writes docs/results/brightness_gap.json.
"""

from functools import partial

import numpy as np
from experiment import CHOOSING, Experiment, Images

from minivision import manual_seed
from minivision.datasets import ArrayDataset, DataLoader, Splits, Subset
from minivision.models.network import Network
from minivision.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Sequential
from minivision.optim import Adam
from minivision.training import evaluate
from minivision.transforms import ColorJitter, Compose, Normalize, ToArray
from minivision.transforms.light import brightness

AUGMENTATIONS = {"none": (), "brightness": (ColorJitter(brightness=(0.15, 1.1)),)}
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0)
THIRDS = ("dark", "middle", "bright")
IMAGES, EPOCHS, WIDTHS = 8_000, 6, (16, 32, 64)


def network():
    """Convolution, batch normalization, ReLU and pooling, three times; then one linear layer."""
    layers, channels = [], 3
    for filters in WIDTHS:
        convolution = Conv2d(channels, filters, 3, padding=1)
        layers += [convolution, BatchNorm2d(filters), ReLU(), MaxPool2d(2)]
        channels = filters
    head = Sequential(Linear(channels * 4 * 4, 10))
    return Network(Sequential(*layers), head, (3, 32, 32))


class BrightPhotographs(Images):
    """The brightest third of CIFAR-10, and the test images of all thirds."""

    def __init__(self, device):
        super().__init__("cifar10-jpeg", device)
        self.limits = np.quantile(brightness_of(self.splits.train), (1 / 3, 2 / 3))
        self.thirds = {third: self.third_of(self.splits.test, third) for third in THIRDS}
        self.splits = Splits(*(self.third_of(part, "bright") for part in self.splits))
        pixels = self.splits.train.images / np.float32(255)
        mean, std = (getattr(pixels, n)(axis=(0, 1, 2), dtype=float) for n in ("mean", "std"))
        self.numbers = [ToArray(), Normalize(mean.round(4), std.round(4))]

    def third_of(self, data, third):
        """The images of a dataset in one of the three parts, which the training images define."""
        part = np.digitize(brightness_of(data), self.limits)
        return Subset(data, np.flatnonzero(part == THIRDS.index(third)))

    def accuracy(self, model, data):
        return evaluate(model, DataLoader(data, 500, transform=Compose(self.numbers)))["accuracy"]


def brightness_of(data):
    """The mean of each image's bytes."""
    return data.images.mean(axis=(1, 2, 3))


def times(data, factor):
    """The same images, all bytes times a factor: as one tall image, as bytes are independent."""
    images = data.images
    tall = brightness(images.reshape(-1, *images.shape[2:]), factor)
    return ArrayDataset(tall.reshape(images.shape), data.labels, data.classes)


def measure(photographs, augmentation, rate, seed):
    """A row: a network trained on bright images. Test images only for counted seeds."""
    with manual_seed(seed):
        model = network()
    row = photographs.trained(
        lambda: model, rate, seed,
        images=IMAGES, epochs=EPOCHS, augmentation=augmentation, optimizer=Adam,
    )  # fmt: skip
    if seed in CHOOSING:
        return row
    bright = photographs.thirds["bright"]
    return row | {
        "brightness_limits": photographs.limits.round(2).tolist(),
        "test_accuracy_by_factor": {
            str(factor): photographs.accuracy(model, times(bright, factor)) for factor in FACTORS
        },
        "test_accuracy_by_third": {
            third: photographs.accuracy(model, data) for third, data in photographs.thirds.items()
        },
        "test_images_by_third": {third: len(data) for third, data in photographs.thirds.items()},
    }


if __name__ == "__main__":
    experiment = Experiment(__doc__, "brightness_gap", AUGMENTATIONS)
    photographs = BrightPhotographs(experiment.device)
    for name in experiment.only:
        measured = partial(measure, photographs, AUGMENTATIONS[name])
        experiment.compare({"augmentation": name}, measured, 0.003)
