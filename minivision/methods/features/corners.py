"""Interest points: the places of an image that would be found again, which are its corners.

Slide a small window over the image and ask how much its content changes. On a blank wall it does
not; along an edge it changes across but not along; at a corner it changes whatever the direction.
Moravec 1980 tried eight directions. The structure tensor asks all at once: with the slopes Ix, Iy

    S = [[⟨Ix²⟩, ⟨Ix Iy⟩], [⟨Ix Iy⟩, ⟨Iy²⟩]]            ⟨ ⟩: the average in a small window

is the covariance matrix of the slopes (about 0), and the content changes by vᵀSv where the window
moves by v. Its eigenvalues λ1 ≥ λ2 are the changes in the direction that changes most, and across:

    λ1 small             nothing there but noise
    λ1 large, λ2 small   an edge
    both large           a corner

Harris & Stephens 1988 need no eigenvalues: R = det S - 0.04·(trace S)² = λ1·λ2 - 0.04·(λ1 + λ2)² is
positive at corners and negative at edges. Ahmed et al. 2017, whose abstract we follow, say that
they score corner, edge and noise from the covariance matrix of local slopes; how, it does not say.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from minivision.transforms.checks import check_count, check_light

NOISE, EDGE, CORNER = 0, 1, 2
HARRIS = 0.04
SIGMA = 1.5  # pixels: of the Gaussian window that averages the slopes
FLATTEST = 0.01  # noise: λ1 below this part of the image's largest,
ROUNDING = 1.0  # or below one grey level a pixel, squared: bytes are rounded


class Corners(NamedTuple):
    """Of every pixel the score R, float64 (H, W), and what it is: NOISE, EDGE or CORNER."""

    score: np.ndarray
    kind: np.ndarray


class Points(NamedTuple):
    """Rows and columns int64 (n,) of points, and their scores float64 (n,), the best first."""

    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray


def grey_levels(function: str, image: np.ndarray) -> np.ndarray:
    """The image uint8 (H, W, C), C = 1 or 3, in grey: uint8 (H, W)."""
    check_light(function, image)
    if image.shape[2] == 1:
        return image[:, :, 0]
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def slopes(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How fast the grey changes to the right and downward, float64 (H, W), in levels a pixel."""
    # Sobel's weights add up to 8 levels for a slope of one; beyond the border it goes on flat.
    x, y = (
        cv2.Sobel(grey, cv2.CV_64F, *order, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        for order in ((1, 0), (0, 1))
    )
    return x, y


def corner_score(image: np.ndarray) -> Corners:
    """How much of a corner every pixel is: image uint8 (H, W, C) -> score, kind (H, W)."""
    ix, iy = slopes(grey_levels("corner_score", image))
    xx, xy, yy = (
        cv2.GaussianBlur(product, (0, 0), SIGMA, borderType=cv2.BORDER_REPLICATE)
        for product in (ix * ix, ix * iy, iy * iy)
    )
    trace, determinant = xx + yy, xx * yy - xy * xy
    score = determinant - HARRIS * trace**2
    larger = trace / 2 + np.sqrt((xx - yy) ** 2 / 4 + xy * xy)  # λ1
    kind = np.where(score > 0, CORNER, EDGE)
    kind[larger < max(FLATTEST * larger.max(), ROUNDING)] = NOISE
    return Corners(score, kind)


def interest_points(image: np.ndarray, most: int = 100) -> Points:
    """The best corners of an image uint8 (H, W, C), at most so many; a blank image has none.

    A point is a corner whose score is the largest among its eight neighbours (non-maximum
    suppression); of equals the first in reading order, of a plateau too.

    >>> image = np.zeros((40, 40, 1), np.uint8)
    >>> image[20:, 12:] = 200
    >>> points = interest_points(image)
    >>> [(int(row), int(column)) for row, column in zip(points.rows, points.columns)]
    [(20, 12)]
    """
    check_count("interest_points", "most", most)
    score, kind = corner_score(image)
    H, W = score.shape
    padded = np.pad(score, 1, constant_values=-np.inf)
    peak = kind == CORNER
    for i in range(3):
        for j in range(3):
            neighbour = padded[i : i + H, j : j + W]
            if (i, j) < (1, 1):
                peak &= score > neighbour
            elif (i, j) > (1, 1):
                peak &= score >= neighbour
    rows, columns = np.nonzero(peak)
    best = np.argsort(-score[rows, columns], kind="stable")[:most]
    rows, columns = rows[best], columns[best]
    return Points(rows, columns, score[rows, columns])
