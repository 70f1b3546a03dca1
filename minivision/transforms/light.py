"""Brightness, contrast, colour and sharpness: a step from a duller image to the image, or beyond.

Each of the four blends the image with a degenerate version of it: black, one grey, no colours, or
blurred. A factor of 0 gives the degenerate image, 1 the image itself, more than 1 exaggerates.

    blend = D + f·(I - D)        brightness: D = 0       contrast: D = the mean grey everywhere
                                 color: D = grey         sharpness: D = smooth(I)

Bytes, as Pillow computes them in its ImageEnhance: in float32, cut off to 0 and 255, not rounded.
Images are uint8 (H, W, 3), or (H, W, 1), which has no colour to lose.

Read next: transforms/tables.py
"""

from __future__ import annotations

import cv2
import numpy as np

from minivision.transforms.checks import check_factor, check_light

SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Darker below 1, lighter above: every byte times the factor.

    Products that are added to a byte without a cut-off start again from 0: 200 + 100 is 44. Here
    they end at 255.

    >>> brightness(np.array([[[100, 200, 0]]], np.uint8), 1.5)
    array([[[150, 255,   0]]], dtype=uint8)
    """
    check_light("brightness", image)
    check_factor("brightness", factor)
    return blend(np.zeros_like(image), image, factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Flatter below 1, stronger above: away from the mean grey, which is rounded to a byte."""
    check_light("contrast", image)
    check_factor("contrast", factor)
    mean = int(_grey_bytes(image).mean() + 0.5)
    return blend(np.full_like(image, mean), image, factor)


def color(image: np.ndarray, factor: float) -> np.ndarray:
    """Paler below 1, more saturated above; a grey image stays as it is."""
    check_light("color", image)
    check_factor("color", factor)
    return blend(grayscale(image), image, factor)


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """Softer below 1, sharper above; the outermost pixels stay as they are."""
    check_light("sharpness", image)
    check_factor("sharpness", factor)
    return blend(smooth(image), image, factor)


def grayscale(image: np.ndarray) -> np.ndarray:
    """The image without its colours, in as many channels: L = 0.299 R + 0.587 G + 0.114 B.

    >>> grayscale(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    array([[[ 76,  76,  76],
            [150, 150, 150]]], dtype=uint8)
    """
    check_light("grayscale", image)
    return np.repeat(_grey_bytes(image)[:, :, None], image.shape[2], axis=2)


def smooth(image: np.ndarray) -> np.ndarray:
    """A 3x3 mean in which the pixel itself counts five times; the outermost pixels are copied."""
    check_light("smooth", image)
    y = image.copy()
    sums = cv2.filter2D(image, cv2.CV_32F, SMOOTH) + np.float32(0.5)
    inside = sums.reshape(image.shape)[1:-1, 1:-1]  # OpenCV drops a single channel
    y[1:-1, 1:-1] = np.clip(inside, 0, 255).astype(np.uint8)
    return y


def _grey_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (H, W), with the weights as 16-bit integers, rounded."""
    if image.shape[2] == 1:
        return image[:, :, 0]
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((image.astype(np.uint32) @ weights + 32768) >> 16).astype(np.uint8)


def blend(degenerate: np.ndarray, image: np.ndarray, factor: float) -> np.ndarray:
    """degenerate + factor·(image - degenerate), in bytes of one shape."""
    start = degenerate.astype(np.float32)
    mixed = start + np.float32(factor) * (image - start)
    return np.clip(mixed, 0, 255).astype(np.uint8)
