"""Pixel maps: what geometric transforms draw, and how images, points, masks and boxes follow.

Pixel centres are at integers: the first is at 0 and the last at W-1, so the true centre of an image
is ((W-1)/2, (H-1)/2). A map is given by a 3x3 matrix and moves a point like this:

    (u, v, w) = matrix · (x, y, 1)        (x, y) -> (u/w, v/w)

If the last row of the matrix is 0 0 1, then w is 1 and the map is affine: lines stay lines,
parallels stay parallel, and the ratio of lengths along parallels does not change. With any other
last row, the map is a perspective.
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

    `source` is the size (H, W) of the images that the map was drawn for.

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
    """A map given by any matrix (rotation, shear, perspective, …), onto a new (H, W) canvas."""

    source: tuple[int, int]
    size: tuple[int, int]
    matrix: Rows


class GeometricTransform(Transform):
    """A transform whose parameters have a `matrix`, so that annotations can follow the image."""

    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def places(self, parameters: Any) -> tuple[np.ndarray, np.ndarray]:
        """The source position of each pixel of the result, as two arrays x and y (OH, OW)."""
        return places(parameters.matrix, parameters.size)

    def apply(self, image: np.ndarray, parameters: Any) -> np.ndarray:
        """The moved image; `border` and `fill` determine the pixels from outside the image."""
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
        """The positions in the result, float64 (P, 2), of points (x, y) in pixels, (P, 2).

        Raises ValueError if a point is beyond the horizon of a perspective, because it is not
        mapped anywhere.
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
        """Move a mask (H, W) of integers, taking the nearest pixels, so that no label is invented.

        Pixels from outside the mask are `fill`, whatever `border` is.
        """
        check_mask(type(self).__name__, mask, parameters, fill)
        return read_nearest(mask, *self.places(parameters), fill)

    def apply_boxes(self, boxes: np.ndarray, parameters: Any) -> np.ndarray:
        """Boxes around the moved corners of the given boxes, clipped to the result: float64 (B, 4).

        The edges (x0, y0, x1, y1) of a box lie between pixels, as in `datasets.shapes`: the image
        extends from (0, 0) to (W, H), and the edges of pixel x are x and x + 1. A box that has left
        the image, or was empty before, becomes four zeros.
        """
        name = type(self).__name__
        boxes = check_rows(name, "boxes", boxes, "(x0, y0, x1, y1)", 4)
        corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 2)
        # Edge 0 is at position -½, left of the first pixel's centre.
        moved = self.apply_points(corners - 0.5, parameters) + 0.5
        return boxes_around(moved.reshape(-1, 4, 2), parameters.size, empty_boxes(boxes))


def boxes_around(points: np.ndarray, size: tuple[int, int], empty: np.ndarray) -> np.ndarray:
    """The box (B, 4) around each row of points (B, P, 2), clipped; zeros if nothing remains."""
    H, W = size
    ends = points.min(axis=1), points.max(axis=1)
    boxes = np.concatenate([end.clip(0, (W, H)) for end in ends], axis=1)
    boxes[empty | empty_boxes(boxes)] = 0
    return boxes


def empty_boxes(boxes: np.ndarray) -> np.ndarray:
    """Which boxes (B, 4) are empty."""
    return (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])


def check_rows(name: str, argument: str, rows: Any, meaning: str, length: int) -> np.ndarray:
    """The rows as float64 (., length); ValueError if they are not finite numbers of that shape."""
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
    """Raise ValueError if the parameters were drawn for images of a different size."""
    check_image(name, image)
    if image.shape[:2] != parameters.source:
        raise ValueError(
            f"{name}: image has shape {image.shape}, but the parameters were drawn for "
            f"images of size {parameters.source}"
        )


def check_mask(name: str, mask: Any, parameters: Any, fill: Any) -> None:
    """Raise ValueError unless `mask` has the right size and an integer dtype that holds `fill`."""
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
