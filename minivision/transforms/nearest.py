"""Shear, translate and rotate by nearest-neighbour sampling: pixels are moved but never blended.

For every pixel (x, y) of the result, a matrix gives the source position in the image:

    x' = a·x + b·y + c        y' = d·x + e·y + f        with pixel centres at x + 0.5, y + 0.5

As in Pillow, the position is computed in integer multiples of 1/65536 pixel, so that a tie between
two pixels is resolved in the same way on every machine. Pixels from outside the image are `fill`.
The signs are Pillow's too: a positive translation moves the content left. `Translate` and `Scale`
in geometry.py use OpenCV's signs, and blend pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from minivision.transforms.checks import check_fill, check_finite, check_image

ONE = 65536  # one pixel in fixed-point arithmetic
LARGEST = 32767  # what OpenCV can address
Matrix = tuple[float, float, float, float, float, float]


def shear_x(image: np.ndarray, factor: float, fill: int = 0) -> np.ndarray:
    """Move each row y left by factor·y pixels; the top row stays in place."""
    return _moved("shear_x", image, (1, factor, 0, 0, 1, 0), fill)


def shear_y(image: np.ndarray, factor: float, fill: int = 0) -> np.ndarray:
    """Move each column x up by factor·x pixels; the leftmost column stays in place."""
    return _moved("shear_y", image, (1, 0, 0, factor, 1, 0), fill)


def translate_x(image: np.ndarray, pixels: float, fill: int = 0) -> np.ndarray:
    """Move the content left; a negative number of pixels moves it right."""
    return _moved("translate_x", image, (1, 0, pixels, 0, 1, 0), fill)


def translate_y(image: np.ndarray, pixels: float, fill: int = 0) -> np.ndarray:
    """Move the content up; a negative number of pixels moves it down."""
    return _moved("translate_y", image, (1, 0, 0, 0, 1, pixels), fill)


def rotate(image: np.ndarray, degrees: float, fill: int = 0) -> np.ndarray:
    """Rotate the content counter-clockwise about the centre of the image, at (W/2, H/2)."""
    check_image("rotate", image)
    check_finite("rotate", "degrees", degrees)
    H, W = image.shape[:2]
    angle = -math.radians(degrees % 360)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    a, b, d, e = cos, sin, -sin, cos
    c = a * (-W / 2) + b * (-H / 2) + W / 2
    f = d * (-W / 2) + e * (-H / 2) + H / 2
    return _moved("rotate", image, (a, b, c, d, e, f), fill)


def affine_nearest(image: np.ndarray, matrix: Matrix, fill: int = 0) -> np.ndarray:
    """The image (H, W, C) moved by (a, b, c, d, e, f), which maps the result to the image.

    >>> image = np.arange(4, dtype=np.uint8).reshape(1, 4, 1)
    >>> affine_nearest(image, (1, 0, 1, 0, 1, 0), fill=9).ravel()
    array([1, 2, 3, 9], dtype=uint8)
    """
    return _moved("affine_nearest", image, matrix, fill)


def _moved(name: str, image: np.ndarray, matrix: Matrix, fill: int) -> np.ndarray:
    check_image(name, image)
    check_fill(name, fill)
    for number in matrix:
        check_finite(name, "matrix", number)
    H, W, _ = image.shape
    if max(H, W) >= LARGEST:
        raise ValueError(f"{name}: image has shape {image.shape}; expected sides below {LARGEST}")
    a, b, c, d, e, f = matrix
    x, y = np.arange(W), np.arange(H)[:, None]
    places = np.empty((H, W, 2), np.int16)
    source_x = _fixed(c + a / 2 + b / 2) + _fixed(a) * x + _fixed(b) * y >> 16
    source_y = _fixed(f + d / 2 + e / 2) + _fixed(d) * x + _fixed(e) * y >> 16
    np.clip(source_x, -1, W, out=places[..., 0], casting="unsafe")
    np.clip(source_y, -1, H, out=places[..., 1], casting="unsafe")
    # At integer positions OpenCV only fetches pixels; it does not interpolate.
    moved = cv2.remap(  # type: ignore[call-overload]
        image, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill,) * 4,
    )  # fmt: skip
    return moved.reshape(image.shape)


def _fixed(number: float) -> int:
    """The number in units of 1/65536, with halves rounded up."""
    return math.floor(number * ONE + 0.5)
