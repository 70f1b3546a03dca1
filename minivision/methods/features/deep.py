"""Deep features: the same two parts of an image, from any trained network.

The *local* part comes from the maps of the last convolution. Every position of the maps describes a
window of the image, its receptive field, with one number per map; the mean over all positions
discards location, as the mean of patch descriptors does. The *global* part is the input of the last
fully connected layer, which combines information from the whole image.

A ResNet has only one fully connected layer. Its input, the mean over the feature maps, is the
global part; the local part is the mean one stage earlier, where receptive fields are smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.autograd import no_grad
from minivision.backend import device_of, to_device, to_host
from minivision.errors import kind
from minivision.functional import relu
from minivision.methods.features.classic import Parts
from minivision.models import Network, ResNet, cut
from minivision.nn import Conv2d, Flatten, Module, Sequential
from minivision.nn.weights import checksum
from minivision.tensor import Tensor

BATCH = 100


class DeepFeatures:
    """images -> {"local": (N, F), "global": (N, D)}, for images uint8 (H, W, C).

    model: a Network with convolutions, a ResNet, or a new head on the backbone of either.
    prepare: image -> float32 (C, H, W), as in the network's training; ends with `ToArray`.
    channels: 3 or 1, how image files are read.

    Raises TypeError for any other kind of model, ValueError for one without convolutions.
    """

    def __init__(self, model: Module, prepare: Callable[[Any], np.ndarray], channels: int = 3):
        backbone = cut(model).backbone
        if not isinstance(backbone, Network | ResNet):
            raise TypeError(
                f"DeepFeatures: the backbone of the model is {kind(backbone)}; "
                "expected a Network or a ResNet"
            )
        if not any(isinstance(part, Conv2d) for part in backbone.modules()):
            raise ValueError(
                "DeepFeatures: the model has no convolution, so it has no local features"
            )
        self.backbone, self.prepare, self.channels = backbone, prepare, channels

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> Parts:
        if len(images) == 0:
            raise ValueError("DeepFeatures: images is empty; expected at least one")
        where = next((device_of(p.data) for p in self.backbone.parameters()), "cpu")
        was_training = self.backbone.training
        self.backbone.eval()
        found: list[tuple[np.ndarray, np.ndarray]] = []
        try:
            with no_grad():
                for i in range(0, len(images), BATCH):
                    x = np.stack([self.prepare(image) for image in images[i : i + BATCH]])
                    local, whole = two_parts(self.backbone, Tensor(to_device(x, where)))
                    found.append((to_host(local.data), to_host(whole.data)))
        finally:
            self.backbone.train(was_training)
        parts = [np.concatenate(part).astype(np.float64) for part in zip(*found, strict=True)]
        return {"local": parts[0], "global": parts[1]}

    def describe(self) -> dict[str, Any]:
        """What the features depend on, as plain JSON: the weights by their checksum."""
        weights = {name: to_host(array) for name, array in self.backbone.state_dict().items()}
        return {
            "features": "deep",
            "weights": checksum(weights, {}),
            "prepare": repr(self.prepare),
            "channels": self.channels,
        }


def two_parts(backbone: Network | ResNet, x: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, C, H, W) -> the local part (N, F) and the global part (N, D)."""
    if isinstance(backbone, ResNet):
        maps = backbone.layer2(backbone.layer1(relu(backbone.bn1(backbone.conv1(x)))))
        return maps.mean(axis=(2, 3)), backbone.layer3(maps).mean(axis=(2, 3))
    maps = backbone.features(x)
    return maps.mean(axis=(2, 3)), Sequential(Flatten(), *backbone.classifier)(maps)
