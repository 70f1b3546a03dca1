"""Rotate, shear, and change the perspective: maps whose matrix is chosen, not drawn.

All of them interpolate. `border` says what is beyond the image: "constant" is `fill`, "edge" its
outermost pixels, "reflect" its mirror image. `interpolation` is "bilinear" or "nearest".
(transforms/nearest.py has moves that agree with Pillow's to the byte.)
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

    About (W/2, H/2), a common mistake, a rotation by 180 degrees would also move the image by one
    pixel.

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
    """Shear, magnify, rotate about the true centre, move: all affine maps but one-axis stretches.

        (x, y) -> c + t + scale · R(degrees) · [1 k_x; k_y 1] · ((x, y) - c)

    degrees: counter-clockwise.
    translate: t = (dx, dy) in pixels, to the right and down.
    shear: (k_x, k_y): a row moves k_x to the right for each pixel it is below the centre, a
        column k_y down for each pixel it is to the right of it.
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
    """Move the pixels by any 3x3 matrix of pixel centres, from the image to the result.

    E.g. a matrix from `affine_from_points`, or an OpenCV warpAffine matrix with the row (0, 0, 1)
    appended.

    size: (H, W) of the result; None means the image's own.
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
    """The matrix (2, 2) of a rotation, counter-clockwise as seen, since y points down.

    >>> rotation(90) @ [1, 0]
    array([ 0., -1.])
    """
    angle = math.radians(degrees % 360)
    # At quarter turns, rounding errors would otherwise blend neighbouring pixels.
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
    """A matrix as plain tuples, with -0 turned into 0."""
    return tuple(tuple(row) for row in (np.asarray(matrix) + 0.0).tolist())
