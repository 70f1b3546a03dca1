"""Small networks that several tests of this room look at."""

import numpy as np

from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Module,
    ReLU,
    Sequential,
)


def awkward_model(rng):
    """Everything that looking could disturb: modes, keys, statistics, gradients, a frozen part."""
    model = Sequential(
        Conv2d(3, 4, 3, padding=1), BatchNorm2d(4), ReLU(), Dropout(0.5),
        Flatten(), Linear(4 * 5 * 6, 7),
    )  # fmt: skip
    model.train()
    model[1].training = False
    model.seed(3, 4)
    model[0].bias.requires_grad = False
    model[0].weight.grad = rng.normal(size=model[0].weight.shape).astype(np.float32)
    return model


def averaging(pool=None, last=None):
    """Convolutions, global average pooling, one linear layer; for images (2, 6, 5)."""
    return Sequential(
        Conv2d(2, 3, 3, padding=1), BatchNorm2d(3), ReLU(),
        Conv2d(3, 4, 3, padding=1), ReLU(),
        pool or AdaptiveAvgPool2d(1), Flatten(), last or Linear(4, 5),
    )  # fmt: skip


class MeanHead(Module):
    """Global average pooling as a line of forward(), as in a ResNet: no layer does it."""

    def __init__(self, in_channels=2, classes=5):
        self.backbone = Conv2d(in_channels, 4, 3)
        self.head = Linear(4, classes)

    def forward(self, x):
        return self.head(self.backbone(x).mean(axis=(2, 3)))
