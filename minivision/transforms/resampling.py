"""Read an image between its pixels, by bilinear or nearest interpolation, and beyond its border.

A moved image is computed backwards: for every pixel of the result we compute its source position
(x, y) in the image, and read the image there. Pixel centres are at integers, but source positions
usually are not. Bilinear interpolation takes the weighted mean of the four nearest pixels; nearest
interpolation takes the closest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from minivision.errors import require_one_of
from minivision.transforms.checks import check_fill

INTERPOLATIONS = ("bilinear", "nearest")
# As in np.pad, pixels beyond the border are: one value | the outermost pixel | a mirror image.
BORDERS = ("constant", "edge", "reflect")
Rows = Sequence[Sequence[float]]  # a 3x3 matrix


def warp(
    image: np.ndarray,
    matrix: Rows,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    border: str = "constant",
    fill: int = 0,
) -> np.ndarray:
    """Move the uint8 image (H, W, C) by `matrix`, which maps it to a result of this `size`."""
    if interpolation == "bilinear" and border == "constant" and is_affine(matrix):
        # This equals `read` but is several times faster: OpenCV computes the positions as it goes.
        moved = cv2.warpAffine(
            image,
            np.array(matrix, np.float64)[:2],
            (size[1], size[0]),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            # Pass four numbers: OpenCV would use a single one for channel 0 only, and zero for the
            # others.
            borderValue=(fill,) * 4,
        )
        return with_channels(moved, image)
    return read(image, *places(matrix, size), interpolation, border, fill)


def places(matrix: Rows, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The source positions x, y in the image, for each pixel of the result (OH, OW).

    Pixels beyond the horizon of a perspective have no source; their x and y are NaN.
    """
    OH, OW = size
    v, u = np.indices((OH, OW), np.float64)
    a, b, c = np.linalg.inv(np.array(matrix, np.float64))
    x, y, w = (row[0] * u + row[1] * v + row[2] for row in (a, b, c))
    w = np.where(w > 1e-9, w, np.nan)  # also NaN if the source is very far away
    return x / w, y / w


def read(
    image: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    interpolation: str = "bilinear",
    border: str = "constant",
    fill: int = 0,
) -> np.ndarray:
    """Read the image (H, W, C) at the positions x, y, both (OH, OW); where they are NaN, `fill`.

    >>> row = np.array([[[10], [20], [40]]], np.uint8)
    >>> x = np.array([[-1.0, 0.5, 1.5, 3.0]])
    >>> read(row, x, 0 * x)[0, :, 0], read(row, x, 0 * x, border="reflect")[0, :, 0]
    (array([ 0, 15, 30,  0], dtype=uint8), array([20, 15, 30, 20], dtype=uint8))
    """
    H, W = image.shape[:2]
    x, y = inside(x, W, border), inside(y, H, border)
    if interpolation == "nearest":
        return read_nearest(image, x, y, fill)
    seen = cv2.remap(
        image,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill,) * 4,
    )
    return with_channels(seen, image)


def read_nearest(image: np.ndarray, x: np.ndarray, y: np.ndarray, fill: int = 0) -> np.ndarray:
    """The pixel of an image (H, W) or (H, W, C) whose centre is nearest to each position.

    Ties go to the right or lower pixel. (In `transforms/nearest.py`, ties are resolved as in
    Pillow.)
    """
    H, W = image.shape[:2]
    # Add a millionth of a pixel, so that rounding errors do not change how ties are resolved.
    column = np.floor(inside(x, W) + 0.500001).astype(np.int64)
    row = np.floor(inside(y, H) + 0.500001).astype(np.int64)
    there = (row >= 0) & (row < H) & (column >= 0) & (column < W)
    result = image[np.where(there, row, 0), np.where(there, column, 0)]
    result[~there] = fill
    return result


def inside(x: np.ndarray, n: int, border: str = "constant") -> np.ndarray:
    """Map positions along an axis of n pixels to the positions to read, according to `border`.

    >>> inside(np.array([-2.0, 1.0, 5.0]), 4, "edge"), inside(np.array([-2.0, 5.0]), 4, "reflect")
    (array([0., 1., 3.]), array([2., 1.]))
    """
    last = n - 1
    if border == "reflect":  # back and forth between the first and the last centre
        x = last - abs(x % (2 * last) - last) if last else 0 * x
    elif border == "edge":
        x = x.clip(0, last)
    # From two pixels outside the image on, there is only `fill`, as for NaN.
    return np.nan_to_num(x.clip(-2, n + 1), nan=-2.0)


def is_affine(matrix: Rows) -> bool:
    """Whether the last row is 0 0 1, so that parallels stay parallel."""
    return tuple(matrix[2]) == (0, 0, 1)


def with_channels(result: np.ndarray, image: np.ndarray) -> np.ndarray:
    """OpenCV's result as (H, W, C); OpenCV drops the last axis if there is a single channel."""
    return result.reshape(*result.shape[:2], image.shape[2])


def check_reading(name: str, interpolation: Any, border: Any, fill: Any) -> None:
    """Raise ValueError if one of the settings of `read` is unknown."""
    require_one_of(f"{name}: interpolation", interpolation, INTERPOLATIONS)
    require_one_of(f"{name}: border", border, BORDERS)
    check_fill(name, fill)
