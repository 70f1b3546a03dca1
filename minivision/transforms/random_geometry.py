"""Random geometry: shift, scale, flip and crop at random, for more varied training images.

Each transform draws a `PixelMap` from an explicit generator and applies it to the image; the same
map can then be applied to a mask or to points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from minivision.errors import require_probability
from minivision.transforms.checks import (
    check_count,
    check_factor,
    check_fill,
    check_finite,
    check_size,
    needed_rng,
)
from minivision.transforms.geometry import about_centre
from minivision.transforms.pixel_maps import GeometricTransform, PixelMap, check_source
from minivision.transforms.resampling import with_channels


@dataclass(frozen=True)
class RandomTranslate(GeometricTransform):
    """Move the image by whole pixels, with dx and dy uniform from -pixels to +pixels."""

    pixels: int
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("RandomTranslate", "pixels", self.pixels)
        check_factor("RandomTranslate", self.pixels, "pixels")
        check_fill("RandomTranslate", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomTranslate", rng)
        dx = rng.integers(-self.pixels, self.pixels, endpoint=True)
        dy = rng.integers(-self.pixels, self.pixels, endpoint=True)
        return PixelMap(size, size, shift_x=float(dx), shift_y=float(dy))


@dataclass(frozen=True)
class RandomScale(GeometricTransform):
    """Magnify about the true centre by a factor drawn uniformly from low to high."""

    low: float
    high: float
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_finite("RandomScale", "low", self.low)
        check_finite("RandomScale", "high", self.high)
        if not 0 < self.low <= self.high:
            raise ValueError(
                f"RandomScale: low is {self.low} and high is {self.high}; "
                "expected 0 < low <= high, such as 0.9 and 1.1"
            )
        check_fill("RandomScale", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomScale", rng)
        return about_centre(size, rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class RandomHorizontalFlip(GeometricTransform):
    """Flip left to right with probability p: x -> (W-1) - x. Unsuitable for digits and text."""

    p: float = 0.5

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_probability("RandomHorizontalFlip: p", self.p)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomHorizontalFlip", rng)
        if rng.random() < self.p:
            return PixelMap(size, size, scale_x=-1.0, shift_x=float(size[1] - 1))
        return PixelMap(size, size)

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("RandomHorizontalFlip", image, parameters)
        # On large images OpenCV is twenty times faster than copying image[:, ::-1].
        mirrored = parameters.scale_x < 0
        return with_channels(cv2.flip(image, 1), image) if mirrored else image.copy()


@dataclass(frozen=True)
class RandomCrop(GeometricTransform):
    """Pad with `fill` on all sides, then cut out a window of size (H, W) at a random position.

    With the image's own size and a padding of 4, this is the standard augmentation for CIFAR-10
    (He et al. 2016, §4.2).
    """

    size: tuple[int, int]
    padding: int = 0
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_size("RandomCrop", "size", self.size)
        check_count("RandomCrop", "padding", self.padding)
        check_fill("RandomCrop", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomCrop", rng)
        OH, OW = self.size
        spare_y = size[0] + 2 * self.padding - OH
        spare_x = size[1] + 2 * self.padding - OW
        if spare_y < 0 or spare_x < 0:
            raise ValueError(
                f"RandomCrop: size is {self.size}, larger than the padded image "
                f"{(spare_y + OH, spare_x + OW)}; the image is {size} and padding is "
                f"{self.padding} (use a larger padding, or Resize first)"
            )
        check_size(
            "RandomCrop", f"the size with a padding of {self.padding}", (spare_y + OH, spare_x + OW)
        )
        top = int(rng.integers(spare_y, endpoint=True))
        left = int(rng.integers(spare_x, endpoint=True))
        return PixelMap(
            size,
            (OH, OW),
            shift_x=float(self.padding - left),
            shift_y=float(self.padding - top),
        )

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("RandomCrop", image, parameters)
        H, W, C = image.shape
        OH, OW = parameters.size
        P = self.padding
        padded = np.full((H + 2 * P, W + 2 * P, C), self.fill, np.uint8)
        padded[P : P + H, P : P + W] = image
        top, left = P - int(parameters.shift_y), P - int(parameters.shift_x)
        return padded[top : top + OH, left : left + OW].copy()
