"""Interest points: the corners of an image, which can be found again in other images of the scene.

Shift a small window over the image and measure how much its content changes. On a blank wall
nothing changes; at an edge the content changes across the edge but not along it; at a corner it
changes in every direction. Moravec 1980 tried eight directions. The structure tensor covers all
directions: with the slopes Ix and Iy,

    S = [[⟨Ix²⟩, ⟨Ix Iy⟩], [⟨Ix Iy⟩, ⟨Iy²⟩]]            ⟨ ⟩: the average in a small window

is the covariance matrix of the slopes (about 0), and the content changes by vᵀSv if the window
moves by v. Its eigenvalues λ1 ≥ λ2 are the changes in the direction of most change and at right
angles to it:

    λ1 small             only noise
    λ1 large, λ2 small   an edge
    both large           a corner

Harris & Stephens 1988 need no eigenvalues: R = det S - 0.04·(trace S)² = λ1·λ2 - 0.04·(λ1 + λ2)² is
positive at corners and negative at edges. Ahmed et al. 2017, whose abstract we follow, say that
they score corner, edge and noise from the covariance matrix of local slopes, but not how.

OpenCV does the computing. Its Ix is the difference between the right and the left neighbour, with
white as 1 and black as 0, averaged over three rows with the weights 1, 2, 1 (Sobel); Iy likewise.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from minivision.transforms.checks import check_count, check_light

NOISE, EDGE, CORNER = 0, 1, 2
HARRIS = 0.04
WINDOW, SOBEL = 3, 3  # the sides of the window for ⟨ ⟩ and of Sobel's, in pixels
# A pixel is noise if λ1 is below this share of the largest λ1 in the image, or below two grey
# levels, squared, because bytes are rounded.
FLATTEST = 0.01
ROUNDING = (2 / 255) ** 2


class Corners(NamedTuple):
    """The score R of every pixel, float32 (H, W), and its kind: NOISE, EDGE or CORNER."""

    score: np.ndarray
    kind: np.ndarray


def grey_levels(function: str, image: np.ndarray) -> np.ndarray:
    """The image uint8 (H, W, C), C = 1 or 3, in grey: uint8 (H, W)."""
    check_light(function, image)
    if image.shape[2] == 1:
        return image[:, :, 0]
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def corner_score(image: np.ndarray) -> Corners:
    """How corner-like every pixel is: image uint8 (H, W, C) -> score, kind (H, W)."""
    grey = grey_levels("corner_score", image)
    score = cv2.cornerHarris(grey, WINDOW, SOBEL, HARRIS)
    larger = cv2.cornerEigenValsAndVecs(grey, WINDOW, SOBEL)[:, :, 0]  # λ1
    kind = np.where(score > 0, CORNER, EDGE)
    kind[larger < max(FLATTEST * larger.max(), ROUNDING)] = NOISE
    return Corners(score, kind)


def interest_points(image: np.ndarray, most: int = 100) -> np.ndarray:
    """The best corners of an image uint8 (H, W, C), at most `most`: int64 (n, 2), x and y.

    A point is a corner whose score is at least that of its eight neighbours (non-maximum
    suppression), none of which is a point already. The best points come first. The outermost
    pixels of an image are never points, and a blank image has no points.

    >>> image = np.zeros((40, 40, 1), np.uint8)
    >>> image[20:, 12:] = 200
    >>> interest_points(image)
    array([[12, 20]])
    """
    check_count("interest_points", "most", most)
    found = cv2.goodFeaturesToTrack(
        grey_levels("interest_points", image),
        maxCorners=most,
        qualityLevel=1e-9,  # of the best score; OpenCV requires one, but the mask decides
        minDistance=2,
        mask=(corner_score(image).kind == CORNER).astype(np.uint8),
        blockSize=WINDOW,
        gradientSize=SOBEL,
        useHarrisDetector=True,
        k=HARRIS,
    )
    # None means no corner; OpenCV treats maxCorners=0 as unlimited.
    return np.zeros((0, 2), int) if found is None else found[:most, 0].astype(int)
