"""Random rotations, affine maps and perspectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minivision.transforms.checks import LARGEST, check_factor, needed_rng, numbers_of
from minivision.transforms.from_points import perspective_from_points
from minivision.transforms.pixel_maps import GeometricTransform, Projection
from minivision.transforms.resampling import check_reading
from minivision.transforms.warps import Affine, as_rows, linear_about_centre, rotation


@dataclass(frozen=True)
class RandomRotation(GeometricTransform):
    """Rotate about the true centre by an angle drawn uniformly from -degrees to +degrees."""

    degrees: float
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_factor("RandomRotation", self.degrees, "degrees")
        check_reading("RandomRotation", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        angle = needed_rng("RandomRotation", rng).uniform(-self.degrees, self.degrees)
        return linear_about_centre(size, rotation(angle))


@dataclass(frozen=True)
class RandomAffine(GeometricTransform):
    """A random `Affine` map, for which each number is drawn uniformly and independently.

    degrees: the angle is from -degrees to +degrees.
    translate: the shifts along x and y, in pixels, are from -translate to +translate.
    scale: a pair (low, high); the scale is from low to high.
    shear: the shears along x and y are from -shear to +shear, which must be below 1.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for argument in ("degrees", "translate", "shear"):
            check_factor("RandomAffine", getattr(self, argument), argument)
        if self.shear >= 1:
            raise ValueError(f"RandomAffine: shear is {self.shear}; expected a number below 1")
        scale = numbers_of(self.scale)
        low, high = scale.tolist() if scale.shape == (2,) else (0, 0)
        if not 0 < low <= high <= LARGEST:
            raise ValueError(
                f"RandomAffine: scale is {self.scale!r}; expected (low, high) with 0 < low <= high"
            )
        object.__setattr__(self, "scale", (low, high))
        check_reading("RandomAffine", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        rng = needed_rng("RandomAffine", rng)
        degrees = rng.uniform(-self.degrees, self.degrees)
        dx, dy = rng.uniform(-self.translate, self.translate, 2).tolist()
        scale = rng.uniform(*self.scale)
        k_x, k_y = rng.uniform(-self.shear, self.shear, 2).tolist()
        return Affine(degrees, (dx, dy), scale, (k_x, k_y)).draw(size)


@dataclass(frozen=True)
class RandomPerspective(GeometricTransform):
    """View the image at an angle, by moving each corner inwards by a random amount.

    distortion: a corner moves along x by a fraction of the width, and along y by a fraction of the
        height, each drawn uniformly from 0 to distortion / 2. If distortion is below 2/3, the
        quadrilateral stays convex, and no horizon crosses the image.
    """

    distortion: float = 0.5
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_factor("RandomPerspective", self.distortion, "distortion")
        if self.distortion >= 2 / 3:
            raise ValueError(
                f"RandomPerspective: distortion is {self.distortion}; "
                "expected 0 <= distortion < 2/3"
            )
        check_reading("RandomPerspective", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Projection:
        rng = needed_rng("RandomPerspective", rng)
        H, W = size
        inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        # The corners of the image are half a pixel outside the outermost pixel centres.
        corners = (1 - inwards) / 2 * [W, H] - 0.5
        moved = corners + inwards * rng.uniform(0, self.distortion / 2, (4, 2)) * [W, H]
        return Projection(size, size, as_rows(perspective_from_points(corners, moved)))
