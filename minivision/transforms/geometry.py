"""Geometric transforms: resize, pad, translate and scale an image and its annotations.

Each of these transforms moves the pixel at (x, y) to (a x + b, c y + d), and its parameters are a
`PixelMap`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from minivision.transforms.checks import check_fill, check_finite, check_size
from minivision.transforms.pixel_maps import GeometricTransform, PixelMap, check_source
from minivision.transforms.resampling import with_channels


@dataclass(frozen=True)
class Resize(GeometricTransform):
    """Change the size to (H, W). When shrinking, average the pixels in each area (INTER_AREA).

    The corners of the image stay corners, so a pixel centre moves x -> (x + ½) W'/W - ½. When
    shrinking, bilinear interpolation alone would skip pixels and cause aliasing.

    >>> Resize((14, 20))(np.zeros((28, 28, 1), np.uint8)).shape
    (14, 20, 1)
    """

    size: tuple[int, int]

    def __post_init__(self) -> None:
        check_size("Resize", "size", self.size)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        H, W = size
        scale_y, scale_x = self.size[0] / H, self.size[1] / W
        target = (self.size[0], self.size[1])
        return PixelMap(size, target, scale_x, (scale_x - 1) / 2, scale_y, (scale_y - 1) / 2)

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("Resize", image, parameters)
        H, W, _ = image.shape
        OH, OW = parameters.size
        # Resize first the axes that shrink and then those that grow, because INTER_AREA averages
        # only if no axis grows.
        resized = cv2.resize(image, (min(W, OW), min(H, OH)), interpolation=cv2.INTER_AREA)
        resized = cv2.resize(resized, (OW, OH), interpolation=cv2.INTER_LINEAR)
        return with_channels(resized, image)


@dataclass(frozen=True)
class Pad(GeometricTransform):
    """Centre the image on a larger canvas (H, W); the border is `fill`.

    If the border cannot be equally wide on both sides, it is a pixel wider on the right or below.

    >>> Pad((1, 4))(np.array([[[7]]], np.uint8))[0, :, 0]
    array([0, 7, 0, 0], dtype=uint8)
    """

    size: tuple[int, int]
    fill: int = 0

    def __post_init__(self) -> None:
        check_size("Pad", "size", self.size)
        check_fill("Pad", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        below, right = self.size[0] - size[0], self.size[1] - size[1]
        if min(below, right) < 0:
            raise ValueError(f"Pad: size is {self.size}, smaller than the image {size}")
        target = (self.size[0], self.size[1])
        return PixelMap(size, target, shift_x=float(right // 2), shift_y=float(below // 2))


@dataclass(frozen=True)
class Translate(GeometricTransform):
    """Move the image by dx pixels to the right and dy down; the uncovered area is `fill`.

    >>> Translate(dx=3, dy=-1).draw((28, 28))
    PixelMap(source=(28, 28), size=(28, 28), scale_x=1.0, shift_x=3.0, scale_y=1.0, shift_y=-1.0)
    >>> row = np.array([[[10], [20], [30]]], np.uint8)
    >>> Translate(dx=1, dy=0)(row)[0, :, 0]
    array([ 0, 10, 20], dtype=uint8)
    """

    dx: float
    dy: float
    fill: int = 0

    def __post_init__(self) -> None:
        check_finite("Translate", "dx", self.dx)
        check_finite("Translate", "dy", self.dy)
        check_fill("Translate", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        return PixelMap(size, size, shift_x=float(self.dx), shift_y=float(self.dy))


@dataclass(frozen=True)
class Scale(GeometricTransform):
    """Magnify the image by `factor` about its true centre, on a canvas of the same size.

    With the centre c = (W-1)/2: x -> c + factor (x - c), and likewise for y. If the factor is below
    1, a border of `fill` appears; if it is far below 1, bilinear interpolation causes aliasing.
    """

    factor: float
    fill: int = 0

    def __post_init__(self) -> None:
        check_finite("Scale", "factor", self.factor)
        if self.factor <= 0:
            raise ValueError(f"Scale: factor is {self.factor}; expected a positive number")
        check_fill("Scale", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        return about_centre(size, float(self.factor))


def about_centre(size: tuple[int, int], factor: float) -> PixelMap:
    """The map that magnifies by `factor` and keeps the true centre fixed."""
    H, W = size
    rest = 1 - factor
    return PixelMap(size, size, factor, rest * (W - 1) / 2, factor, rest * (H - 1) / 2)
