"""Does CutMix make a network look at more of the object? Boxes around its evidence on `shapes`.

    python examples/measure_cutmix_localization.py [--only SCENE ...] [--seeds 0 1 2 3 4]

A small network with global average pooling is trained on 2,000 images of the five shapes, for 80
epochs with Adam, without CutMix and with CutMix applied to each batch with probability one half.
The positions of the shapes are not used in training. In this time both networks learn their images.
There are two scenes:

    spotted  every shape has a spot of 4x4 pixels whose colour gives the class away: a small part of
             the object that suffices to recognise it, like the face of a cat
    plain    only the outline gives the class away, so the network has to look at most of it anyway

The class activation map for the true class is thresholded at a fraction of the way from its
smallest to its largest value, and the box around the largest connected component is compared with
the true box (Zhou et al. 2016, §3.2). Two numbers are recorded: the mean overlap (intersection over
union), and the fraction of boxes with an overlap of at least one half. The learning rate is chosen
as described in experiment.py, by *accuracy*. Each network with a counted seed uses the threshold in
SHARES with the best mean overlap on the validation images; the results with the paper's 0.2 are
recorded as well. Writes docs/results/cutmix_localization.json.
"""

from functools import partial

import numpy as np
from experiment import CHOOSING, Experiment, Images

from minivision import manual_seed
from minivision.analysis.activation_maps import class_activation_map
from minivision.analysis.localization import box_overlap, boxes_around_evidence
from minivision.datasets import ArrayDataset, Splits
from minivision.models.network import Network
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from minivision.optim import Adam
from minivision.transforms import Compose, CutMix

AUGMENTATIONS = {"none": None, "CutMix": CutMix(classes=5, probability=0.5)}
SCENES = ("spotted", "plain")
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PAPERS_SHARE = 0.2
IMAGES, EPOCHS, BATCH_SIZE, WIDTHS = 2_000, 80, 50, (16, 32, 64)
SPOT = 4  # pixels per side
SPOTS = ((255, 60, 60), (60, 220, 60), (80, 80, 255), (240, 220, 40), (240, 60, 240))


def network():
    """Three convolutions, the last one's maps 8x8; their averages, and one linear layer."""
    layers, channels = [], 3
    for i, filters in enumerate(WIDTHS):
        layers += [MaxPool2d(2)] if i else []
        convolution = Conv2d(channels, filters, 3, padding=1, bias=False)
        layers += [convolution, BatchNorm2d(filters), ReLU()]
        channels = filters
    head = Sequential(Linear(channels, 5))
    return Network(Sequential(*layers, AdaptiveAvgPool2d(1)), head, (3, 32, 32))


class Scene(Images):
    """The shapes, with or without spots, and the box of each."""

    def __init__(self, name, device):
        super().__init__("shapes", device)
        self.boxes = {part: getattr(self.splits, part).boxes for part in ("validation", "test")}
        if name == "spotted":
            parts = enumerate(self.splits)
            self.splits = Splits(*(spotted(data, first) for first, data in parts))

    def evidence(self, model, part):
        """The class activation maps (N, H, W) of the images for their true classes."""
        data, found = getattr(self.splits, part), []
        for start in range(0, len(data), 250):
            some = slice(start, start + 250)
            images = Compose(self.numbers)(data.images[some])
            found.append(class_activation_map(model, images, data.labels[some]))
        return np.concatenate(found)


def spotted(data, first):
    """The same images with a spot in the middle part of each box; its colour is the class's."""
    images = data.images.copy()
    for n, (x0, y0, x1, y1) in enumerate(data.boxes):
        share = np.random.default_rng((first, n)).uniform(0.3, 0.7, 2)
        x, y = (np.array([x0, y0]) + share * (x1 - x0, y1 - y0)).astype(int) - SPOT // 2
        images[n, max(y, 0) : y + SPOT, max(x, 0) : x + SPOT] = SPOTS[data.labels[n]]
    return ArrayDataset(images, data.labels, data.classes)


def measure(scene, augmentation, rate, seed):
    """A row: a network trained on the shapes; its boxes only for counted seeds."""
    with manual_seed(seed):
        model = network()
    row = scene.trained(
        lambda: model, rate, seed, images=IMAGES, epochs=EPOCHS, batch_size=BATCH_SIZE,
        batches=augmentation, optimizer=Adam,
    )  # fmt: skip
    if seed in CHOOSING:
        return row
    maps = {part: scene.evidence(model, part) for part in scene.boxes}

    def overlaps(part, share):
        """How well the box around each image's evidence overlaps the true one (N,)."""
        return box_overlap(boxes_around_evidence(maps[part], share), scene.boxes[part])

    by_share = {share: float(overlaps("validation", share).mean()) for share in SHARES}
    row["share"] = max(SHARES, key=by_share.get)
    row["validation_overlap_by_share"] = {str(share): o for share, o in by_share.items()}
    for prefix, share in (("", row["share"]), ("papers_share_", PAPERS_SHARE)):
        found = overlaps("test", share)
        row[f"{prefix}test_overlap"] = float(found.mean())
        row[f"{prefix}test_boxes_right"] = float((found >= 0.5).mean())
    return row


if __name__ == "__main__":
    experiment = Experiment(__doc__, "cutmix_localization", SCENES)
    for name in experiment.only:
        scene = Scene(name, experiment.device)
        for augmentation, batches in AUGMENTATIONS.items():
            key = {"scene": name, "augmentation": augmentation}
            experiment.compare(key, partial(measure, scene, batches), 0.01)
