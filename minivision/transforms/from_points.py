"""Matrices from points: three pairs of points define an affine map, four a perspective.

If a page was photographed at an angle, its four corners and the positions where they belong
determine the map to a front view. Three corners are enough if parallel lines stay parallel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from minivision.transforms.checks import check_size, numbers_of
from minivision.transforms.pixel_maps import GeometricTransform, Projection
from minivision.transforms.resampling import check_reading
from minivision.transforms.warps import as_rows

Points = Sequence[Sequence[float]]
TOO_THIN = 1e8  # condition number of a triangle 1,000 pixels long and 1/50,000 pixel high


def affine_from_points(source: Points | np.ndarray, target: Points | np.ndarray) -> np.ndarray:
    """The matrix (3, 3) of the affine map that takes three points (3, 2) to three others.

    Each pair (x, y) -> (u, v) gives two of six equations:

        a x + b y + c = u        d x + e y + f = v

    Raises ValueError if the points are on one line; the message gives the condition number.

    >>> shear = affine_from_points([[0, 0], [2, 0], [0, 2]], [[0, 0], [2, 0], [1, 2]])
    >>> shear.round(9) + 0
    array([[1. , 0.5, 0. ],
           [0. , 1. , 0. ],
           [0. , 0. , 1. ]])
    """
    source = check_points("affine_from_points", "source", source, 3)
    target = check_points("affine_from_points", "target", target, 3)
    centre = source.mean(axis=0)  # coordinates relative to it are small, and so are rounding errors
    rows = np.column_stack([source - centre, np.ones(3)])
    matrix = np.eye(3)
    matrix[:2] = np.linalg.solve(rows, target).T
    return matrix @ moved_by(-centre)


def perspective_from_points(source: Points | np.ndarray, target: Points | np.ndarray) -> np.ndarray:
    """The matrix (3, 3) of the perspective that takes four points (4, 2) to four others.

    Each pair (x, y) -> (u, v) gives two of eight equations for a … h; the last entry is 1:

        u = (a x + b y + c) / (g x + h y + 1)        v = (d x + e y + f) / (g x + h y + 1)

    Multiplying by the denominator makes them linear. The result equals that of
    cv2.getPerspectiveTransform. Raises ValueError if three points are on a line, or if the source
    and target points are in different orders around their quadrilaterals.
    """
    source = check_points("perspective_from_points", "source", source, 4)
    target = check_points("perspective_from_points", "target", target, 4)
    same = turns(source) == turns(target)
    if same.any() and not same.all():
        raise ValueError(
            f"perspective_from_points: source is {source.tolist()} and target {target.tolist()}, "
            "so the horizon would pass between the points; expected two convex quadrilaterals "
            "with their corners in the same order"
        )
    centre = source.mean(axis=0)
    rows, right = [], []
    for (x, y), (u, v) in zip(source - centre, target, strict=True):
        rows += [
            [x, y, 1, 0, 0, 0, -u * x, -u * y],
            [0, 0, 0, x, y, 1, -v * x, -v * y],
        ]
        right += [u, v]
    matrix = np.append(np.linalg.solve(rows, right), 1).reshape(3, 3) @ moved_by(-centre)
    # Any multiple of the matrix is the same map. Take the one whose last entry is 1, or -1 if the
    # point (0, 0) is beyond the horizon.
    return matrix / (abs(matrix[2, 2]) or 1)


@dataclass(frozen=True)
class Perspective(GeometricTransform):
    """Move four points (4, 2) of the image to four given positions, and all other points with them.

    To straighten a page, let `source` be its corners (x, y) in the photograph and `target` the
    corners of the result, whose `size` is (H, W); None means the same size as the image.
    """

    source: Points
    target: Points
    size: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size("Perspective", "size", self.size)
        check_reading("Perspective", self.interpolation, self.border, self.fill)
        perspective_from_points(self.source, self.target)
        for argument in ("source", "target"):
            object.__setattr__(self, argument, as_rows(numbers_of(getattr(self, argument))))

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        matrix = perspective_from_points(self.source, self.target)
        return Projection(size, self.size or size, as_rows(matrix))


def turns(points: np.ndarray) -> np.ndarray:
    """For each three of four points, whether they are in clockwise order.

    A map that keeps all four points in front of the horizon reverses either all of these orders or
    none of them.
    """
    triangles = [np.column_stack([points[list(t)], np.ones(3)]) for t in combinations(range(4), 3)]
    return np.linalg.det(triangles) > 0


def moved_by(shift: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) of a translation."""
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    return matrix


def check_points(name: str, argument: str, points: Any, count: int) -> np.ndarray:
    """The points as float64; ValueError unless they are (count, 2), with no three on a line."""
    array = numbers_of(points)
    if array.shape != (count, 2) or not np.isfinite(array).all():
        raise ValueError(
            f"{name}: {argument} is {points!r}; "
            f"expected {count} points (x, y), finite numbers of shape ({count}, 2)"
        )
    for three in combinations(range(count), 3):
        corners = array[list(three)]
        seen = corners - corners.mean(axis=0)
        seen /= abs(seen).max() or 1
        condition = np.linalg.cond(np.column_stack([seen, np.ones(3)]))
        if not condition < TOO_THIN:
            raise ValueError(
                f"{name}: {argument} has the collinear points {corners.tolist()} "
                f"(condition number {condition:.1e}); expected a triangle"
            )
    return array
