"""Squares, discs, triangles, stars and rings: as many as you like, and wherever you like.

Real photographs differ in everything at once. Here we control the position, size, brightness and
clutter of every image, so we can change one of them while the others stay the same. Does a network
recognise a shape at a position where it has never seen one? And because we draw the shapes, we know
to the pixel where they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minivision.datasets.dataset import ArrayDataset, read_only
from minivision.datasets.splits import Splits
from minivision.random import Key, keyed
from minivision.transforms.checks import check_count, check_size

CLASSES = ("square", "disc", "triangle", "star", "ring")
# The corners of the shapes that have any, on a circle of radius 1: angles in degrees, and radii.
# The inner corners of a star are the points where its sides cross when it is drawn in one stroke.
CORNERS = {
    "square": (np.arange(4) * 90 + 45, np.ones(4)),
    "triangle": (np.arange(3) * 120 + 90, np.ones(3)),
    "star": (np.arange(10) * 36 + 90, np.tile([1.0, (3 - 5**0.5) / 2], 5)),
}
HOLE = 0.55  # of a ring, as a fraction of its radius
FINER = 8  # shapes are drawn this many times larger and averaged, for smooth edges
LEAST_PIXELS = 5  # a smaller star looks like a disc

Range = tuple[float, float]


class ShapeDataset(ArrayDataset):
    """Images uint8 (N, H, W, 3) of one shape each, their labels, and `boxes` int64 (N, 4).

    A box is x0, y0, x1, y1 in pixels, with x to the right and y down, and x1 and y1 excluded: the
    whole shape is in `image[y0:y1, x0:x1]`, and x1 - x0 is its width.

    Each of the following is drawn uniformly from its range (low, high), separately for every image:

    position: the centre's x as a fraction of the width, and its y as a fraction of the height,
        drawn separately. Near 0 and 1 a shape extends beyond the border, but its box ends there.
    scale: the diameter of the circle around the shape, as a fraction of the shorter side.
    angle: in degrees, counter-clockwise.
    brightness: the value of the shape's strongest colour channel, as a fraction of white.
    background: the grey of the background, as a fraction of white.
    clutter: the number of strokes in the background, behind the shape; both ends are included.

    Image i has class i % 5 and depends only on `seed`, i and the ranges; changing one range changes
    nothing else about the image. The first image is number `first`, so that several disjoint
    datasets can be taken from one endless sequence. Raises ValueError if a range is invalid.

    >>> data = ShapeDataset(10, size=(24, 32), clutter=(0, 0))
    >>> data.images.shape, data.classes[data.labels[3]], data.boxes.shape
    ((10, 24, 32, 3), 'star', (10, 4))
    """

    def __init__(
        self,
        N: int,
        *,
        seed: int = 0,
        first: int = 0,
        size: tuple[int, int] = (32, 32),
        position: Range = (0.3, 0.7),
        scale: Range = (0.4, 0.8),
        angle: Range = (0.0, 360.0),
        brightness: Range = (0.4, 1.0),
        background: Range = (0.0, 0.25),
        clutter: tuple[int, int] = (0, 4),
    ):
        for name, count in (("N", N), ("seed", seed), ("first", first)):
            check_count("ShapeDataset", name, count)
        check_size("ShapeDataset", "size", size)
        H, W = size
        least = LEAST_PIXELS / min(H, W)
        check_range("position", position, 0, 1)
        check_range("scale", scale, least, 1, f" (from {LEAST_PIXELS} pixels to the shorter side)")
        check_range("angle", angle, -360, 360)
        check_range("brightness", brightness, 0, 1)
        check_range("background", background, 0, 1)
        check_range("clutter", clutter, 0, 1000)
        images = np.empty((N, H, W, 3), np.uint8)
        boxes = np.empty((N, 4), np.int64)
        labels = (first + np.arange(N)) % len(CLASSES)
        for n in range(N):
            rng = keyed(Key.SHAPE, seed, first + n)
            centre = rng.uniform(*position, 2) * (W, H)
            radius = rng.uniform(*scale) * min(H, W) / 2
            coverage = draw_shape(CLASSES[labels[n]], size, centre, radius, rng.uniform(*angle))
            tint = rng.uniform(0.2, 1, 3)
            colour = 255 * rng.uniform(*brightness) * tint / tint.max()
            grey = round(255 * rng.uniform(*background))
            # Draw the clutter last, so that the shapes are the same with and without it.
            ground = draw_clutter(size, grey, clutter, rng)
            share = coverage[:, :, None] / 255
            images[n] = np.rint(share * colour + (1 - share) * ground)
            boxes[n] = box_around(coverage)
        super().__init__(images, labels, CLASSES)
        self.boxes = read_only(boxes)


def draw_shape(
    kind: str, size: tuple[int, int], centre: np.ndarray, radius: float, angle: float
) -> np.ndarray:
    """How much of each pixel the shape covers, uint8 (H, W) from 0 to 255.

    centre (x, y) and radius in pixels; the image extends from (0, 0) to (W, H).
    """
    H, W = size
    fine = np.zeros((H * FINER, W * FINER), np.uint8)
    # OpenCV takes integers, here in sixteenths of a pixel, and its (0, 0) is the centre of the
    # first pixel, whereas ours is its corner.
    middle = np.rint((np.asarray(centre) * FINER - 0.5) * 16).astype(int)
    if kind in CORNERS:
        degrees, radii = CORNERS[kind]
        turned = np.radians(degrees + angle)
        corners = np.stack([np.cos(turned), -np.sin(turned)], axis=1) * radii[:, None]
        points = middle + np.rint(corners * radius * FINER * 16).astype(int)
        cv2.fillPoly(fine, [points.astype(np.int32)], 255, shift=4)
    else:
        at = (int(middle[0]), int(middle[1]))
        cv2.circle(fine, at, round(radius * FINER * 16), 255, -1, shift=4)
        if kind == "ring":
            cv2.circle(fine, at, round(HOLE * radius * FINER * 16), 0, -1, shift=4)
    return cv2.resize(fine, (W, H), interpolation=cv2.INTER_AREA)


def draw_clutter(
    size: tuple[int, int], grey: int, clutter: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A grey background uint8 (H, W, 3) with strokes in random colours across it."""
    H, W = size
    ground = np.full((H, W, 3), grey, np.uint8)
    low, high = clutter
    for _ in range(int(low + rng.random() * (high - low + 1))):
        start, end = (rng.random((2, 2)) * (W, H)).astype(int).tolist()
        cv2.line(ground, start, end, rng.uniform(0, 255, 3).tolist(), 1, cv2.LINE_AA)
    return ground


def box_around(coverage: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box x0, y0, x1, y1 that contains all covered pixels."""
    columns, rows = np.flatnonzero(coverage.any(axis=0)), np.flatnonzero(coverage.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def check_range(argument: str, limits: Any, least: float, most: float, meaning: str = "") -> None:
    """Raise ValueError unless `limits` is (low, high) with least <= low <= high <= most."""
    numbers = isinstance(limits, tuple) and all(isinstance(n, int | float) for n in limits)
    if not numbers or len(limits) != 2 or not least <= limits[0] <= limits[1] <= most:
        raise ValueError(
            f"ShapeDataset: {argument} is {limits!r}; expected a tuple (low, high) "
            f"between {least:.3g} and {most:.3g}{meaning}"
        )


def shapes(data_dir: str | Path | None = None) -> Splits:
    """The shapes as uint8 (32, 32, 3): 2,000 images train, 500 validation, 500 test, with boxes.

    The images are always the same. `data_dir` is unused; it exists so that all datasets are called
    in the same way.

    >>> train, validation, test = shapes()
    >>> len(train), len(validation), len(test), train.boxes.shape
    (2000, 500, 500, (2000, 4))
    """
    return Splits(
        ShapeDataset(2_000), ShapeDataset(500, first=2_000), ShapeDataset(500, first=2_500)
    )
