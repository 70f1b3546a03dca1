"""Vertical flips and quarter turns: every pixel keeps its value and only changes its position.

Not every image keeps its meaning. A cat may look left or right in a photograph, but is rarely
upside down, and a 6 rotated by 180 degrees is a 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minivision.errors import require_probability
from minivision.transforms.checks import kind_of, needed_rng
from minivision.transforms.pixel_maps import (
    GeometricTransform,
    PixelMap,
    Projection,
    check_source,
)


@dataclass(frozen=True)
class RandomVerticalFlip(GeometricTransform):
    """Flip the image upside down with probability p: y -> (H-1) - y."""

    p: float = 0.5

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_probability("RandomVerticalFlip: p", self.p)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> PixelMap:
        rng = needed_rng("RandomVerticalFlip", rng)
        if rng.random() < self.p:
            return PixelMap(size, size, scale_y=-1.0, shift_y=float(size[0] - 1))
        return PixelMap(size, size)

    def apply(self, image: np.ndarray, parameters: PixelMap) -> np.ndarray:
        check_source("RandomVerticalFlip", image, parameters)
        return (image[::-1] if parameters.scale_y < 0 else image).copy()


@dataclass(frozen=True)
class Rotate90(GeometricTransform):
    """Rotate by quarter turns, counter-clockwise like `np.rot90`, or clockwise if negative.

    An odd number of turns makes an image (H, W) into one of size (W, H).

    >>> Rotate90()(np.array([[[1], [2], [3]]], np.uint8))[:, 0, 0]
    array([3, 2, 1], dtype=uint8)
    """

    turns: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.turns, int | np.integer) or isinstance(self.turns, bool):
            came = self.turns if isinstance(self.turns, float) else kind_of(self.turns)
            raise ValueError(
                f"Rotate90: turns is {came}; expected an integer, the number of quarter turns "
                "(for degrees use Rotate)"
            )

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        H, W = size
        x, y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
        left, up = (-1.0, 0.0, W - 1.0), (0.0, -1.0, H - 1.0)  # (W-1) - x, (H-1) - y
        rows = ((x, y), (y, left), (left, up), (up, x))[self.turns % 4]
        target = (W, H) if self.turns % 2 else (H, W)
        return Projection(size, target, (*rows, (0.0, 0.0, 1.0)))

    def apply(self, image: np.ndarray, parameters: Projection) -> np.ndarray:
        check_source("Rotate90", image, parameters)
        return np.rot90(image, self.turns).copy()
