"""Patch descriptors: what the image looks like around a point, in 128 numbers.

Comparing pixels directly works badly: moving a patch by a pixel or lighting it differently changes
all its numbers. So we record only the directions of the slopes, and roughly where they are. The
patch is divided into 4x4 cells, and in each cell the slopes vote for one of 8 directions, weighted
by steepness: 4·4·8 = 128 numbers. This is SIFT (Lowe 2004), computed by OpenCV at one scale and
without rotating the patch. The descriptor hardly depends on:

    small shifts     a slope between cells or directions votes for both, more for the nearer one,
                     and votes from the patch's middle count more than those from its border
    brightness + c   changes no slope, and therefore nothing
    contrast · c     makes all slopes c times as steep; scaling to unit length cancels that
    one bright spot  may dominate one number; it is clipped at 0.2, and the length made 1 again
"""

from __future__ import annotations

import cv2
import numpy as np

from minivision.methods.features.corners import grey_levels


def patch_descriptors(image: np.ndarray, points: np.ndarray, patch: float = 16) -> np.ndarray:
    """Descriptors float64 (n, 128) of the patches around points (n, 2) of an image uint8 (H, W, C).

    points: x and y. patch: the side of a patch in pixels. Beyond the image's border there are no
    slopes.

    The numbers are ordered by cell, in reading order, and within each cell by direction,
    counter-clockwise from the right. A descriptor has length 1 up to rounding (OpenCV stores
    multiples of 1/512), or length 0 if the patch has no slopes. Raises ValueError for a patch
    without pixels and for points outside the image.
    """
    grey = grey_levels("patch_descriptors", image)
    H, W = grey.shape
    if patch < 1:
        raise ValueError(f"patch_descriptors: patch is {patch}; expected at least 1 pixel")
    for x, y in points:
        if not (0 <= x < W and 0 <= y < H):
            raise ValueError(f"patch_descriptors: point ({x}, {y}) is outside the image {H}x{W}")
    if len(points) == 0:
        return np.zeros((0, 128))
    # In OpenCV a patch is six times as wide as its keypoint. Angle 0 means no rotation.
    keypoints = [cv2.KeyPoint(float(x), float(y), patch / 6, 0) for x, y in points]
    _, descriptors = cv2.SIFT.create().compute(grey, keypoints)
    return descriptors.astype(np.float64) / 512
