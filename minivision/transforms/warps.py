"""Rotate, shear, and change the perspective: maps whose matrix is chosen, not drawn at random.

All of these maps interpolate. `border` says what lies beyond the image: "constant" is `fill`,
"edge" repeats the outermost pixels, and "reflect" is a mirror image. `interpolation` is "bilinear"
or "nearest". (The operations in transforms/nearest.py agree with Pillow's byte for byte.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minivision.transforms.checks import check_finite, check_size, numbers_of
from minivision.transforms.pixel_maps import GeometricTransform, Projection
from minivision.transforms.resampling import Rows, check_reading


@dataclass(frozen=True)
class Rotate(GeometricTransform):
    """Rotate counter-clockwise about the true centre ((W-1)/2, (H-1)/2), keeping the canvas size.

    It is a common mistake to rotate about (W/2, H/2) instead: a rotation by 180 degrees would then
    also move the image by one pixel.

    >>> Rotate(90)(np.array([[[1], [2]], [[3], [4]]], np.uint8))[:, :, 0]
    array([[2, 4],
           [1, 3]], dtype=uint8)
    """

    degrees: float
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def __post_init__(self) -> None:
        check_finite("Rotate", "degrees", self.degrees)
        check_reading("Rotate", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        return linear_about_centre(size, rotation(self.degrees))


@dataclass(frozen=True)
class Affine(GeometricTransform):
    """Shear, magnify, rotate about the true centre, and move the image, in this order.

        (x, y) -> c + t + scale · R(degrees) · [1 k_x; k_y 1] · ((x, y) - c)

    degrees: the angle, counter-clockwise.
    translate: t = (dx, dy) in pixels, to the right and down.
    shear: (k_x, k_y). A row moves k_x pixels to the right for each pixel that it is below the
        centre; a column moves k_y pixels down for each pixel that it is to the right of the centre.
    """

    degrees: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    shear: tuple[float, float] = (0.0, 0.0)
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def __post_init__(self) -> None:
        for argument in ("degrees", "scale"):
            check_finite("Affine", argument, getattr(self, argument))
        for argument in ("translate", "shear"):
            pair = numbers_of(getattr(self, argument))
            if pair.shape != (2,) or not np.isfinite(pair).all():
                raise ValueError(
                    f"Affine: {argument} is {getattr(self, argument)!r}; "
                    "expected two finite numbers (x, y)"
                )
            object.__setattr__(self, argument, tuple(pair.tolist()))
        if self.scale <= 0:
            raise ValueError(f"Affine: scale is {self.scale}; expected a positive number")
        if self.shear[0] * self.shear[1] == 1:
            raise ValueError(
                f"Affine: shear is {self.shear}, which collapses the image to a line; "
                "expected two numbers whose product is not 1"
            )
        check_reading("Affine", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        k_x, k_y = self.shear
        linear = self.scale * rotation(self.degrees) @ np.array([[1, k_x], [k_y, 1]])
        return linear_about_centre(size, linear, self.translate)


@dataclass(frozen=True)
class Warp(GeometricTransform):
    """Move the pixel centres by any 3x3 matrix, which maps the image to the result.

    The matrix may come from `affine_from_points`, for example, or be an OpenCV warpAffine matrix
    with the row (0, 0, 1) appended.

    size: (H, W) of the result; None means the same size as the image.
    """

    matrix: Rows
    size: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def __post_init__(self) -> None:
        matrix = numbers_of(self.matrix)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise ValueError(
                f"Warp: matrix is {self.matrix!r}; expected 3x3 finite numbers "
                "(append the row 0, 0, 1 to a 2x3 affine matrix)"
            )
        if np.linalg.matrix_rank(matrix) < 3:
            raise ValueError(
                f"Warp: matrix is {matrix.tolist()}, which is singular: it collapses the image "
                "to a line or a point"
            )
        if self.size is not None:
            check_size("Warp", "size", self.size)
        check_reading("Warp", self.interpolation, self.border, self.fill)
        # Plain tuples can be compared and saved in a run's settings.
        object.__setattr__(self, "matrix", as_rows(matrix))

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        return Projection(size, self.size or size, self.matrix)


def rotation(degrees: float) -> np.ndarray:
    """The matrix (2, 2) of a rotation that looks counter-clockwise, given that y points down.

    >>> rotation(90) @ [1, 0]
    array([ 0., -1.])
    """
    angle = math.radians(degrees % 360)
    # Round, because at quarter turns rounding errors would otherwise blend neighbouring pixels.
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    return np.array([[cos, sin], [-sin, cos]])


def linear_about_centre(
    size: tuple[int, int], linear: np.ndarray, translate: Sequence[float] = (0.0, 0.0)
) -> Projection:
    """The map that keeps the true centre fixed, except for the translation."""
    H, W = size
    centre = np.array([(W - 1) / 2, (H - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre + translate
    return Projection(size, size, as_rows(matrix))


def as_rows(matrix: np.ndarray) -> Rows:
    """The matrix as plain tuples, with -0 replaced by 0."""
    return tuple(tuple(row) for row in (np.asarray(matrix) + 0.0).tolist())
