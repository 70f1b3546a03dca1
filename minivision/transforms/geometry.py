"""Geometric transforms: resize, translate, scale, flip and crop an image and the points on it.

Each of them moves the pixel at (x, y) to (a x + b, c y + d). The four numbers are its parameters,
a `PixelMap`, and serve the image and its marked points alike. Pixel centres lie at whole numbers,
so the first pixel is 0, the last W-1, and the true centre of an image ((W-1)/2, (H-1)/2).

Read next: transforms/handwriting.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from minivision.transforms.checks import (
    check_count,
    check_fill,
    check_finite,
    check_image,
    check_size,
    needed_rng,
)
from minivision.transforms.pipeline import Transform


@dataclass(frozen=True)
class PixelMap:
    """Where pixels go: x -> scale_x x + shift_x, y -> scale_y y + shift_y, on a new (H, W) canvas.

    `source` is the size (H, W) of the images that it was drawn for.

    >>> Translate(dx=3, dy=-1).draw((28, 28))
    PixelMap(source=(28, 28), size=(28, 28), scale_x=1.0, shift_x=3.0, scale_y=1.0, shift_y=-1.0)
    """

    source: tuple[int, int]
    size: tuple[int, int]
    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0


class GeometricTransform(Transform):
    """A transform whose parameters are a PixelMap, so that points can follow the image."""

    fill: int = 0

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        """The image moved by bilinear interpolation; pixels from outside it are `fill`."""
        check_source(type(self).__name__, image, parameters)
        H, W = parameters.size
        matrix = np.array(
            [
                [parameters.scale_x, 0, parameters.shift_x],
                [0, parameters.scale_y, parameters.shift_y],
            ]
        )
        # Four numbers, because OpenCV takes a single one for channel 0 and zero for the others.
        moved = cv2.warpAffine(
            image,
            matrix,
            (W, H),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(self.fill,) * 4,
        )
        return with_channels(moved, image)

    def apply_points(self, points: np.ndarray, parameters: PixelMap) -> np.ndarray:
        """Where the points (P, 2), each (x, y) in pixels, lie in the result: float64 (P, 2)."""
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"{type(self).__name__}: points has shape {points.shape}; "
                "expected (P, 2), one (x, y) a row"
            )
        scale = np.array([parameters.scale_x, parameters.scale_y])
        shift = np.array([parameters.shift_x, parameters.shift_y])
        return points * scale + shift


@dataclass(frozen=True)
class Resize(GeometricTransform):
    """Change the size to (H, W). Shrinking averages the pixels of each area (INTER_AREA).

    The corners of the image stay its corners, so a centre moves x -> (x + ½) W'/W - ½.
    Bilinear interpolation alone would skip pixels when it shrinks, and alias.

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
        # First the axes that shrink, then those that grow: INTER_AREA averages only where no
        # axis grows.
        resized = cv2.resize(image, (min(W, OW), min(H, OH)), interpolation=cv2.INTER_AREA)
        resized = cv2.resize(resized, (OW, OH), interpolation=cv2.INTER_LINEAR)
        return with_channels(resized, image)


@dataclass(frozen=True)
class Translate(GeometricTransform):
    """Move the image by dx pixels to the right and dy down; what it leaves behind is `fill`.

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
    """Magnify what the image shows by `factor` about its true centre, on a canvas of equal size.

    With the centre c = (W-1)/2: x -> c + factor (x - c), and likewise y. Below 1 a border of
    `fill` appears. Far below 1 fine detail aliases, because the interpolation is bilinear.
    """

    factor: float
    fill: int = 0

    def __post_init__(self) -> None:
        check_finite("Scale", "factor", self.factor)
        if self.factor <= 0:
            raise ValueError(f"Scale: factor is {self.factor}; expected a number above zero")
        check_fill("Scale", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        return about_centre(size, float(self.factor))


@dataclass(frozen=True)
class RandomTranslate(GeometricTransform):
    """Move the image by whole pixels, dx and dy each uniform from -pixels to +pixels."""

    pixels: int
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("RandomTranslate", "pixels", self.pixels)
        check_fill("RandomTranslate", self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomTranslate", rng)
        dx = rng.integers(-self.pixels, self.pixels, endpoint=True)
        dy = rng.integers(-self.pixels, self.pixels, endpoint=True)
        return PixelMap(size, size, shift_x=float(dx), shift_y=float(dy))


@dataclass(frozen=True)
class RandomScale(GeometricTransform):
    """Magnify about the true centre by a factor that is uniform from low to high."""

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
    """Mirror left and right with probability p: x -> (W-1) - x. Digits and text do not like it."""

    p: float = 0.5

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p is {self.p}; expected a number from 0 to 1")

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomHorizontalFlip", rng)
        if rng.random() < self.p:
            return PixelMap(size, size, scale_x=-1.0, shift_x=float(size[1] - 1))
        return PixelMap(size, size)

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("RandomHorizontalFlip", image, parameters)
        return (image[:, ::-1] if parameters.scale_x < 0 else image).copy()


@dataclass(frozen=True)
class RandomCrop(GeometricTransform):
    """Cut a window of size (H, W) out at a random place; first pad with `fill` on all sides.

    With the image's own size and a padding of 4 this is the standard augmentation of CIFAR-10
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
                f"RandomCrop: the image is {size[0]} x {size[1]}, with a padding of "
                f"{self.padding} {size[0] + 2 * self.padding} x {size[1] + 2 * self.padding}; "
                f"expected at least size {OH} x {OW}"
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


def about_centre(size: tuple[int, int], factor: float) -> PixelMap:
    """The map that magnifies by `factor` and leaves the true centre where it is."""
    H, W = size
    rest = 1 - factor
    return PixelMap(size, size, factor, rest * (W - 1) / 2, factor, rest * (H - 1) / 2)


def with_channels(result: np.ndarray, image: np.ndarray) -> np.ndarray:
    """OpenCV's result as (H, W, C): it drops the last axis of an image with one channel."""
    return result.reshape(*result.shape[:2], image.shape[2])


def check_source(name: str, image: np.ndarray, parameters: PixelMap) -> None:
    """Raise where the parameters were drawn for images of another size."""
    check_image(name, image)
    if image.shape[:2] != parameters.source:
        raise ValueError(
            f"{name}: image has shape {image.shape}, but the parameters were drawn for "
            f"images of size {parameters.source}"
        )
