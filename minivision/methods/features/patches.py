"""Patch descriptors: what the picture looks like around a point, in 128 numbers.

Pixels themselves compare badly: a patch that is moved by a pixel or lit differently has other
numbers everywhere. So we note only which directions the slopes have, and roughly where. The patch
of 16x16 pixels is cut into 4x4 cells, and in each cell the slopes vote for one of 8 directions, as
strongly as they are steep: 4·4·8 = 128 numbers. This is the core of SIFT (Lowe 2004), at one scale
and without turning the patch upright.

    brightness + c   changes no slope, so nothing
    contrast · c     makes all slopes c times as steep; unit length takes that away
    one bright spot  may fill one number; it is cut off at 0.2, and the length made 1 again
"""

from __future__ import annotations

import numpy as np

from minivision.methods.features.corners import grey_levels, slopes

DIRECTIONS, CELLS = 8, 4
LARGEST = 0.2


def patch_descriptors(
    image: np.ndarray, rows: np.ndarray, columns: np.ndarray, patch: int = 16
) -> np.ndarray:
    """Descriptors float64 (n, 128) of the patches around n points of an image uint8 (H, W, C).

    patch: its side in pixels, a multiple of 4. The patch of a point reaches patch / 2 pixels up
        and to the left of it; beyond the image's border there are no slopes.

    Each descriptor has length 1; that of a patch without a slope is 0. Raises ValueError for
    another patch, and for points that are not in the image.
    """
    grey = grey_levels("patch_descriptors", image)
    (H, W), n = grey.shape, len(rows)
    if patch < CELLS or patch % CELLS:
        raise ValueError(f"patch_descriptors: patch is {patch}; expected a multiple of {CELLS}")
    inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
    if not np.all(inside):
        wrong = int(np.argmin(inside))
        raise ValueError(
            f"patch_descriptors: point {wrong} is ({rows[wrong]}, {columns[wrong]}), outside the "
            f"image of {H}x{W}"
        )
    ix, iy = slopes(grey)
    steepness = np.hypot(ix, iy)
    direction = np.arctan2(iy, ix) * (DIRECTIONS / (2 * np.pi))
    # A slope between two directions votes for both, for the nearer one more.
    away = np.abs((direction - np.arange(DIRECTIONS)[:, None, None] + 4) % DIRECTIONS - 4)
    votes = steepness * np.maximum(0, 1 - away)
    # Sums over all that is above and to the left give the sum in any rectangle from its corners.
    votes = np.pad(votes, ((0, 0), (patch, patch), (patch, patch)))
    sums = np.pad(votes.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    border = np.arange(CELLS + 1) * (patch // CELLS) + patch - patch // 2
    corners = sums[:, (rows[:, None] + border)[:, :, None], (columns[:, None] + border)[:, None, :]]
    cells = np.diff(np.diff(corners, axis=2), axis=3)
    length = CELLS * CELLS * DIRECTIONS
    descriptors = np.maximum(cells, 0).transpose(1, 2, 3, 0).reshape(n, length)
    return unit_length(np.minimum(unit_length(descriptors), LARGEST))


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Every row (N, D) divided by its Euclidean length; a row of zeros stays one.

    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = np.asarray(rows, np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    # Sums of sums leave 10⁻⁹ of a grey level where there is nothing: no direction to be kept.
    return rows / np.where(lengths > 1e-7, lengths, np.inf)[:, None]
