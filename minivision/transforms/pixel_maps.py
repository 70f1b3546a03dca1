"""Pixel maps: what geometric transforms draw, and how images, points, masks and boxes follow.

Pixel centres are at integers: the first is 0, the last W-1, and the true centre of an image is
((W-1)/2, (H-1)/2). A map is a 3x3 matrix; with it

    (u, v, w) = matrix · (x, y, 1)        (x, y) -> (u/w, v/w)

If its last row is 0 0 1, w is 1 and the map is affine: lines stay lines, parallels stay parallel,
and lengths along parallels keep their ratio. Any other last row makes a perspective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minivision.transforms.checks import check_image, kind_of, numbers_of
from minivision.transforms.pipeline import Transform
from minivision.transforms.resampling import Rows, places, read_nearest, warp


@dataclass(frozen=True)
class PixelMap:
    """The map x -> scale_x x + shift_x, y -> scale_y y + shift_y, onto a new (H, W) canvas.

    `source` is the size (H, W) of the images it was drawn for.

    >>> PixelMap((28, 28), (28, 28), shift_x=3.0).matrix
    ((1.0, 0.0, 3.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    """

    source: tuple[int, int]
    size: tuple[int, int]
    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0

    @property
    def matrix(self) -> Rows:
        """The same map as a matrix."""
        return (
            (self.scale_x, 0.0, self.shift_x),
            (0.0, self.scale_y, self.shift_y),
            (0.0, 0.0, 1.0),
        )


@dataclass(frozen=True)
class Projection:
    """A map given by any matrix: rotated, sheared or in perspective, onto a new (H, W) canvas."""

    source: tuple[int, int]
    size: tuple[int, int]
    matrix: Rows


class GeometricTransform(Transform):
    """A transform whose parameters have a `matrix`, so that annotations can follow the image."""

    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def places(self, parameters: Any) -> tuple[np.ndarray, np.ndarray]:
        """The source position x, y of each pixel of the result, two arrays (OH, OW)."""
        return places(parameters.matrix, parameters.size)

    def apply(self, image: np.ndarray, parameters: Any) -> np.ndarray:
        """The moved image; `border` and `fill` determine pixels from outside it."""
        check_source(type(self).__name__, image, parameters)
        return warp(
            image,
            parameters.matrix,
            parameters.size,
            self.interpolation,
            self.border,
            self.fill,
        )

    def apply_points(self, points: np.ndarray, parameters: Any) -> np.ndarray:
        """Where the points (P, 2), each (x, y) in pixels, are in the result: float64 (P, 2).

        Raises ValueError for a point beyond the horizon of a perspective, which has no image.
        """
        points = check_rows(type(self).__name__, "points", points, "(x, y)", 2)
        matrix = np.array(parameters.matrix, np.float64)
        moved = points @ matrix[:, :2].T + matrix[:, 2]
        w = moved[:, 2:]
        if not (w > 0).all():
            i = int((w <= 0).argmax())
            raise ValueError(
                f"{type(self).__name__}: points[{i}] is {points[i].tolist()}, which is on or "
                "beyond the horizon of this perspective; expected points in front of it"
            )
        return moved[:, :2] / w

    def apply_mask(self, mask: np.ndarray, parameters: Any, *, fill: int = 0) -> np.ndarray:
        """Move a mask (H, W) of integers, taking the nearest pixels: no label is invented.

        Pixels from outside are `fill`, whatever the border of the image.
        """
        check_mask(type(self).__name__, mask, parameters, fill)
        return read_nearest(mask, *self.places(parameters), fill)

    def apply_boxes(self, boxes: np.ndarray, parameters: Any) -> np.ndarray:
        """The boxes around the moved corners of boxes, clipped to the result: float64 (B, 4).

        A box is (x0, y0, x1, y1) between pixels, as in `datasets.shapes`: the image extends from
        (0, 0) to (W, H), so the edges of the pixel at x are x and x + 1. A box that has left the
        image, or was empty before, becomes four zeros.
        """
        name = type(self).__name__
        boxes = check_rows(name, "boxes", boxes, "(x0, y0, x1, y1)", 4)
        corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 2)
        # The edge 0 is at position -½, left of the first pixel's centre.
        moved = self.apply_points(corners - 0.5, parameters) + 0.5
        return boxes_around(moved.reshape(-1, 4, 2), parameters.size, empty_boxes(boxes))


def boxes_around(points: np.ndarray, size: tuple[int, int], empty: np.ndarray) -> np.ndarray:
    """The box (B, 4) around each row of points (B, P, 2), clipped; zeros if nothing is left."""
    H, W = size
    ends = points.min(axis=1), points.max(axis=1)
    boxes = np.concatenate([end.clip(0, (W, H)) for end in ends], axis=1)
    boxes[empty | empty_boxes(boxes)] = 0
    return boxes


def empty_boxes(boxes: np.ndarray) -> np.ndarray:
    """Which boxes (B, 4) are empty."""
    return (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])


def check_rows(name: str, argument: str, rows: Any, meaning: str, length: int) -> np.ndarray:
    """The rows as float64 (., length); ValueError if they are not numbers of that shape."""
    array = numbers_of(rows)
    if array.ndim != 2 or array.shape[1] != length or not np.isfinite(array).all():
        infinite = array.size and not np.isfinite(array).all()
        came = "has numbers that are not finite" if infinite else f"has shape {np.shape(rows)}"
        raise ValueError(
            f"{name}: {argument} {came}; expected ({argument[0].upper()}, {length}), "
            f"one {meaning} per row"
        )
    return array


def check_source(name: str, image: np.ndarray, parameters: Any) -> None:
    """Raise if the parameters were drawn for images of another size."""
    check_image(name, image)
    if image.shape[:2] != parameters.source:
        raise ValueError(
            f"{name}: image has shape {image.shape}, but the parameters were drawn for "
            f"images of size {parameters.source}"
        )


def check_mask(name: str, mask: Any, parameters: Any, fill: Any) -> None:
    """Raise ValueError unless `mask` has integers of this size, of a dtype that can hold `fill`."""
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "iub" or mask.ndim != 2:
        raise ValueError(
            f"{name}: mask is {kind_of(mask)}; expected integers (H, W), one label per pixel"
        )
    if mask.shape != parameters.source:
        raise ValueError(
            f"{name}: mask has shape {mask.shape}, but the parameters were drawn for "
            f"images of size {parameters.source}"
        )
    limits = np.iinfo(mask.dtype) if mask.dtype.kind in "iu" else np.iinfo(np.uint8)
    if not isinstance(fill, int | np.integer) or not limits.min <= fill <= limits.max:
        raise ValueError(f"{name}: fill is {fill!r}; expected an integer that fits in {mask.dtype}")
