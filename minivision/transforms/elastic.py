"""Elastic distortion: stretch an image like rubber, in a random direction at every point.

No rotation or shear turns one person's 4 into another's, because their strokes curve differently.
For years elastic distortion was the best augmentation for MNIST (Simard, Steinkraus & Platt 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from minivision.transforms.checks import check_factor, needed_rng
from minivision.transforms.pixel_maps import (
    GeometricTransform,
    boxes_around,
    check_rows,
    check_source,
    empty_boxes,
)
from minivision.transforms.resampling import check_reading, inside, read

STEPS = 300  # the most steps in the search for a point
WIDEST = 1000  # σ in pixels; the filter is several times as wide


@dataclass(frozen=True)
class Displacement:
    """An elastic displacement, determined by an image size, a seed and two settings."""

    source: tuple[int, int]
    size: tuple[int, int]
    alpha: float
    sigma: float
    seed: int

    def field(self) -> tuple[np.ndarray, np.ndarray]:
        """The offsets dx and dy, float64 (H, W), from each pixel of the result to its source."""
        noise = np.random.default_rng(self.seed).uniform(-1, 1, (2, *self.size))
        dx, dy = (
            cv2.GaussianBlur(n, (0, 0), float(self.sigma), borderType=cv2.BORDER_CONSTANT)
            for n in noise
        )
        return self.alpha * dx, self.alpha * dy


@dataclass(frozen=True)
class ElasticDistortion(GeometricTransform):
    """Read each pixel (x, y) of the result at (x, y) + α·G_σ * noise, with noise from U(-1, 1).

    G_σ is a Gaussian that smooths the noise over about σ pixels, so that neighbouring pixels move
    together, by about α / (7σ) pixels along each axis. The paper uses α = 34 and σ = 4 for digits.
    From about α = 2σ² on, some images fold over: the same source pixel appears several times.

    The displacement d that is drawn leads from the result back to the image, so moving points
    requires a search: a point p moves to the point q with q + d(q) = p, found to within 1/1000
    pixel. If the image folds over, there are several such points q, and the search returns one of
    them. If it finds none, ValueError is raised.
    """

    alpha: float = 34.0
    sigma: float = 4.0
    interpolation: str = "bilinear"
    border: str = "constant"
    fill: int = 0

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_factor("ElasticDistortion", self.alpha, "alpha")
        check_factor("ElasticDistortion", self.sigma, "sigma")
        if not 0 < self.sigma <= WIDEST:
            raise ValueError(
                f"ElasticDistortion: sigma is {self.sigma}; "
                f"expected a positive number, at most {WIDEST}"
            )
        check_reading("ElasticDistortion", self.interpolation, self.border, self.fill)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Displacement:
        seed = int(needed_rng("ElasticDistortion", rng).integers(2**32))
        return Displacement(size, size, self.alpha, self.sigma, seed)

    def places(self, parameters: Displacement) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = parameters.field()
        y, x = np.indices(parameters.size)
        return x + dx, y + dy

    def apply(self, image: np.ndarray, parameters: Displacement) -> np.ndarray:
        check_source("ElasticDistortion", image, parameters)
        x, y = self.places(parameters)
        return read(image, x, y, self.interpolation, self.border, self.fill)

    def apply_points(self, points: np.ndarray, parameters: Displacement) -> np.ndarray:
        points = check_rows("ElasticDistortion", "points", points, "(x, y)", 2)
        field = parameters.field()
        moved = points
        for _ in range(STEPS):
            miss = points - (moved + between(field, moved))
            if abs(miss).max(initial=0) < 1e-3:
                return moved
            # Take half a step; a full step would overshoot where the image is compressed.
            moved = moved + miss / 2
        raise ValueError(
            f"ElasticDistortion: some of the points were not found in the result in {STEPS} steps, "
            f"because with alpha {parameters.alpha} and sigma {parameters.sigma} the image folds "
            "over itself (keep alpha below about 2 sigma²)"
        )

    def apply_boxes(self, boxes: np.ndarray, parameters: Displacement) -> np.ndarray:
        """The boxes around the moved outlines, which are no longer straight, clipped as usual."""
        boxes = check_rows("ElasticDistortion", "boxes", boxes, "(x0, y0, x1, y1)", 4)
        along = np.linspace(0, 1, max(parameters.source) + 1)
        zero, one = np.zeros_like(along), np.ones_like(along)
        x = np.concatenate([along, one, along, zero])
        y = np.concatenate([zero, along, one, along])
        x0, y0, x1, y1 = (boxes[:, i, None] for i in range(4))
        outline = np.stack([x0 + (x1 - x0) * x, y0 + (y1 - y0) * y], axis=2)
        moved = self.apply_points(outline.reshape(-1, 2) - 0.5, parameters) + 0.5
        return boxes_around(moved.reshape(outline.shape), parameters.size, empty_boxes(boxes))


def between(field: tuple[np.ndarray, np.ndarray], points: np.ndarray) -> np.ndarray:
    """The displacement (P, 2) at points between pixels; outside the image, at the nearest edge."""
    H, W = field[0].shape
    x, y = inside(points[:, 0], W, "edge"), inside(points[:, 1], H, "edge")
    left, top = np.floor(x).astype(int).clip(0, W - 1), np.floor(y).astype(int).clip(0, H - 1)
    right, below = (left + 1).clip(max=W - 1), (top + 1).clip(max=H - 1)
    fx, fy = x - left, y - top
    return np.stack(
        [
            (1 - fy) * ((1 - fx) * d[top, left] + fx * d[top, right])
            + fy * ((1 - fx) * d[below, left] + fx * d[below, right])
            for d in field
        ],
        axis=1,
    )
