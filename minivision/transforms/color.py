"""PCA colour: change the light in an image along the directions in which real light varies.

The colours of natural images vary most from dark to bright, less from blue to yellow, and least
between green and magenta. These directions are the principal components of the pixels. Each image
is shifted along them at random, and further along those that vary more. (Krizhevsky et al. 2012,
§4.1.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minivision.transforms.checks import check_finite, check_image, needed_rng
from minivision.transforms.pipeline import Transform

# ImageNet's values, for pixels from 0 to 1; the components are the columns of the second table.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


@dataclass(frozen=True)
class ColorShift:
    """The colour added to every pixel, in byte units (0 to 255)."""

    red: float
    green: float
    blue: float


@dataclass(frozen=True)
class PCAColor(Transform):
    """Add one random colour, drawn along the principal components, to all pixels of an image.

        pixel + [p₁ p₂ p₃] [α₁λ₁, α₂λ₂, α₃λ₃]ᵀ        α_i ~ N(0, σ²), drawn once for each image

    p_i, λ_i: eigenvectors and eigenvalues of the covariance of red, green and blue, for pixels
    from 0 to 1. The defaults are ImageNet's; use `color_components` to compute them for other
    images. The paper multiplies by the eigenvalue, the variance along p_i; some libraries multiply
    by its square root. The result is rounded and clipped to the range from 0 to 255.

    sigma: σ, 0.1 in the paper.
    eigenvectors: three rows, for red, green and blue; each column is a component.
    """

    sigma: float = 0.1
    eigenvalues: Sequence[float] = EIGENVALUES
    eigenvectors: Sequence[Sequence[float]] = EIGENVECTORS

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_finite("PCAColor", "sigma", self.sigma)
        values, vectors = np.asarray(self.eigenvalues), np.asarray(self.eigenvectors)
        if self.sigma < 0 or values.shape != (3,) or vectors.shape != (3, 3):
            raise ValueError(
                f"PCAColor: sigma is {self.sigma}, eigenvalues has shape {values.shape} and "
                f"eigenvectors {vectors.shape}; expected a non-negative number, (3,) and (3, 3)"
            )
        if not (np.isfinite(values).all() and np.isfinite(vectors).all() and values.min() >= 0):
            raise ValueError(
                f"PCAColor: eigenvalues is {self.eigenvalues} and eigenvectors "
                f"{self.eigenvectors}; expected finite numbers and non-negative eigenvalues"
            )
        # Plain tuples can be compared and saved in a run's settings.
        object.__setattr__(self, "eigenvalues", tuple(values.tolist()))
        object.__setattr__(self, "eigenvectors", tuple(map(tuple, vectors.tolist())))

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> ColorShift:
        alpha = needed_rng("PCAColor", rng).normal(0, self.sigma, 3)
        shift = np.array(self.eigenvectors) @ (alpha * np.array(self.eigenvalues))
        return ColorShift(*(255 * shift).tolist())

    def apply(self, image: np.ndarray, parameters: ColorShift) -> np.ndarray:
        check_color("PCAColor", image)
        shift = np.array([parameters.red, parameters.green, parameters.blue], np.float32)
        return np.rint(np.clip(image + shift, 0, 255)).astype(np.uint8)


def color_components(images: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues (3,) and eigenvectors (3, 3) of the colours in some images, for `PCAColor`.

    images: uint8 (H, W, 3), of any sizes; every pixel counts once. The eigenvalues, for pixels from
    0 to 1, are sorted from largest to smallest. Column i of the second array is the i-th component,
    with the sign that makes its largest entry positive.

    >>> grey = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    >>> values, vectors = color_components([grey])
    >>> values.round(4) + 0, vectors[:, 0].round(4)
    (array([0.75, 0.  , 0.  ]), array([0.5774, 0.5774, 0.5774]))
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        check_color("color_components", image)
        pixels = image.reshape(-1, 3) / 255.0
        count += len(pixels)
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
    if count == 0:
        raise ValueError("color_components: images is empty; expected at least one image")
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    # eigh returns the smallest first. Rounding may make a variance of 0 slightly negative.
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    largest = vectors[abs(vectors).argmax(axis=0), range(3)]
    return values, vectors * np.sign(largest)


def check_color(name: str, image: np.ndarray) -> None:
    """Raise ValueError unless the image is uint8 (H, W, 3)."""
    check_image(name, image)
    if image.shape[2] != 3:
        raise ValueError(
            f"{name}: image has shape {image.shape}; expected (H, W, 3): red, green and blue"
        )
