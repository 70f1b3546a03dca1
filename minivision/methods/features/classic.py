"""Classic features: a local and a global description of an image, without any training.

The *local* part is the mean of the patch descriptors at the best corners. The *global* part is the
histogram of local binary patterns over the whole image.

This is **inspired by** Ahmed, Irtaza & Iqbal 2017, "Fusion of local and global features for
effective image extraction"; we know only its abstract. The abstract names the ingredients: interest
points with a score for corner, edge and noise from the covariance matrix of local slopes; features
from windows around these points; uniform local binary patterns; principal components. Our own
choices are the structure tensor for the score, SIFT descriptors as the features of a window, the
mean of the descriptors, all sizes, and the weights. The paper's keywords also name a support vector
machine; we use nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from minivision.methods.features.corners import interest_points
from minivision.methods.features.local_binary_patterns import lbp_histogram
from minivision.methods.features.patches import patch_descriptors
from minivision.transforms.checks import check_light

# {"local": (N, D), "global": (N, E)}, float64: N images, each described in two ways.
Parts = dict[str, np.ndarray]


@dataclass(frozen=True)
class ClassicFeatures:
    """images -> {"local": (N, 128), "global": (N, 59)}, for images uint8 (H, W, C) of any sizes.

    points: the largest number of corners per image. patch: the side of the windows, in pixels.
    longest: a larger image is first reduced until its longer side has this length, so that a
        window covers about the same part of the scene, whatever the camera's resolution.

    A blank image has no corners; its local part is 0. Raises ValueError for images of fewer than
    3x3 pixels.

    >>> photos = [np.zeros((20, 30, 3), np.uint8), np.zeros((9, 9, 1), np.uint8)]
    >>> {name: part.shape for name, part in ClassicFeatures()(photos).items()}
    {'local': (2, 128), 'global': (2, 59)}
    """

    points: int = 100
    patch: int = 16
    longest: int = 256

    channels = 3  # how image files are read; each part converts them to grey

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> Parts:
        if len(images) == 0:
            raise ValueError("ClassicFeatures: images is empty; expected at least one")
        fitted = [self.fitted(image) for image in images]
        return {
            "local": np.stack([self.local(image) for image in fitted]),
            "global": np.stack([lbp_histogram(image) for image in fitted]),
        }

    def fitted(self, image: np.ndarray) -> np.ndarray:
        """The image, reduced if it is too large."""
        check_light("ClassicFeatures", image)
        H, W = image.shape[:2]
        if max(H, W) <= self.longest:
            return image
        scale = self.longest / max(H, W)
        size = (max(1, round(W * scale)), max(1, round(H * scale)))
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return smaller.reshape(size[1], size[0], image.shape[2])

    def local(self, image: np.ndarray) -> np.ndarray:
        """The mean (128,) of the descriptors at the best corners."""
        points = interest_points(image, self.points)
        descriptors = patch_descriptors(image, points, self.patch)
        return descriptors.sum(axis=0) / max(1, len(descriptors))

    def describe(self) -> dict[str, Any]:
        """What the features depend on, as plain JSON: OpenCV computes the corners and patches."""
        return {"features": "classic", "opencv": cv2.__version__, **asdict(self)}
