"""Cutout: cover a part of every image, so that the network cannot rely on any single part.

Like CutMix and Mixup in mixing.py, it works on whole batches, after the images have become NumPy or
CuPy arrays: `fit(..., batch_transform=Cutout(16))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array, array_module
from minivision.transforms.checks import check_batch, needed_rng
from minivision.transforms.mixing import Box


class ErasedBatch(NamedTuple):
    """Images (N, C, H, W) with a filled box in each, their unchanged targets, and the boxes."""

    images: Array
    targets: Any
    boxes: list[Box]


@dataclass(frozen=True)
class Cutout:
    """Fill a square at a random position in each image, so that no part can be relied on.

    size: the square's side in pixels. The centre may be any pixel; the square is clipped at the
        border. (DeVries & Taylor 2017; in a version of their published code, this number was half
        the side.)
    fill: the value of the square; 0 is the mean grey of standardised images.
    """

    size: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.size, int | np.integer) or self.size < 1:
            raise ValueError(f"Cutout: size is {self.size!r}; expected an integer >= 1")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None = None) -> list[Box]:
        """A random box for each image in a batch of this shape (N, C, H, W)."""
        rng = needed_rng("Cutout", rng)
        return [_square_around(shape[2:], self.size, rng) for _ in range(shape[0])]

    def apply(self, images: Array, targets: Any, boxes: list[Box]) -> ErasedBatch:
        erased = array_module(images).array(images)
        for n, (top, left, bottom, right) in enumerate(boxes):
            erased[n, :, top:bottom, left:right] = self.fill
        return ErasedBatch(erased, targets, boxes)

    def __call__(
        self, images: Array, targets: Any, rng: np.random.Generator | None = None
    ) -> ErasedBatch:
        check_batch("Cutout", images)
        return self.apply(images, targets, self.draw(images.shape, rng))


def _square_around(size: tuple[int, ...], side: int, rng: Any) -> Box:
    H, W = size
    top, left = int(rng.integers(H)) - side // 2, int(rng.integers(W)) - side // 2
    return Box(max(top, 0), max(left, 0), min(top + side, H), min(left + side, W))
