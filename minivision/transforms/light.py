"""Brightness, contrast, colour and sharpness: interpolate from a duller image, or extrapolate.

Each of the four operations blends the image I with a degenerate version D of it, which is black,
uniformly grey, colourless, or blurred. A factor f of 0 gives the degenerate image and 1 the image
itself; a factor above 1 exaggerates.

    blend = D + f·(I - D)        brightness: D = 0       contrast: D = the mean grey everywhere
                                 color: D = grey         sharpness: D = smooth(I)

The results equal those of Pillow's ImageEnhance: they are computed in float32 and clipped to the
range from 0 to 255, and then fractions are dropped, not rounded. Images are uint8 (H, W, 3), or
(H, W, 1), which have no colour to lose.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from minivision.transforms.checks import check_factor, check_light

VALUES = np.arange(256, dtype=np.uint8)
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every byte by the factor: below 1 the image gets darker, above 1 brighter.

    Byte arithmetic without clipping would wrap around: 200 + 100 is 44. Here values stop at 255.

    >>> brightness(np.array([[[100, 200, 0]]], np.uint8), 1.5)
    array([[[150, 255,   0]]], dtype=uint8)
    """
    check_light("brightness", image)
    check_factor("brightness", factor)
    return look_up(image, blend(np.uint8(0), VALUES, factor))


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Move bytes towards the mean grey (factor below 1) or away; the mean is rounded to a byte."""
    check_light("contrast", image)
    check_factor("contrast", factor)
    mean = np.uint8(_grey_bytes(image).mean() + 0.5)
    return look_up(image, blend(mean, VALUES, factor))


def color(image: np.ndarray, factor: float) -> np.ndarray:
    """Make colours paler (factor below 1) or more saturated; a grey image does not change."""
    check_light("color", image)
    check_factor("color", factor)
    return blend(_grey_bytes(image)[:, :, None], image, factor)


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """Make the image softer (factor below 1) or sharper; the outermost pixels do not change."""
    check_light("sharpness", image)
    check_factor("sharpness", factor)
    return blend(smooth(image), image, factor)


def grayscale(image: np.ndarray) -> np.ndarray:
    """The image without colour, as many channels as before: L = 0.299 R + 0.587 G + 0.114 B.

    >>> grayscale(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    array([[[ 76,  76,  76],
            [150, 150, 150]]], dtype=uint8)
    """
    check_light("grayscale", image)
    return np.repeat(_grey_bytes(image)[:, :, None], image.shape[2], axis=2)


def smooth(image: np.ndarray) -> np.ndarray:
    """The 3x3 mean, with five times the weight on the pixel itself; outermost pixels are copied."""
    check_light("smooth", image)
    y = image.copy()
    means = cv2.filter2D(image, cv2.CV_32F, SMOOTH).reshape(
        image.shape
    )  # cv2 drops a single channel
    y[1:-1, 1:-1] = (means[1:-1, 1:-1] + np.float32(0.5)).astype(np.uint8)
    return y


def _grey_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (H, W), rounded; the weights are multiples of 1/65536.

    No sum reaches 2**24, so float32 represents each of them exactly.
    """
    if image.shape[2] == 1:
        return image[:, :, 0]
    weights = np.array([19595, 38470, 7471], np.float32)
    return ((image.astype(np.float32) @ weights + 32768) / 65536).astype(np.uint8)


def blend(degenerate: Any, image: np.ndarray, factor: float) -> np.ndarray:
    """degenerate + factor·(image - degenerate) as bytes; the degenerate image is broadcast."""
    start = degenerate.astype(np.float32)
    mixed = image - start
    mixed *= np.float32(factor)
    mixed += start
    return np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)


def look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Look up each byte's new value in a table: uint8 (256,), or (256, C), a column per channel."""
    return cv2.LUT(image, table.reshape(1, 256, -1)).reshape(image.shape)
