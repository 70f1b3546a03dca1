"""Error messages for invalid transform arguments.

Each message names the transform, the argument, its value and what was expected. The checks are
collected here so that they do not interrupt the arithmetic in the other files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.errors import kind

LARGEST = 1e9  # limit for numbers, beyond which floats cannot tell nearby pixels or angles apart
MAX_PIXELS = 64_000_000  # in one image, the same limit as for image files


def check_image(name: str, image: Any) -> None:
    """Raise ValueError unless `image` is a uint8 image (H, W, C) with C = 1, 3 or 4."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(
            f"{name}: image is {kind_of(image)}; expected a uint8 NumPy array (H, W, C) "
            "(apply ToArray after this transform)"
        )
    if image.ndim != 3:
        hint = " (for a grey image, pass image[:, :, None])" if image.ndim == 2 else ""
        raise ValueError(f"{name}: image has shape {image.shape}; expected (H, W, C){hint}")
    # OpenCV 5 rounds coordinates to 1/32 pixel for two channels, but not for 1, 3 or 4.
    if 0 in image.shape or image.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"{name}: image has shape {image.shape}; "
            "expected (H, W, C) with at least one pixel and C = 1, 3 or 4"
        )


def check_batch(name: str, images: Any) -> None:
    """Raise ValueError unless `images` is a NumPy or CuPy array of floats (N, C, H, W)."""
    if getattr(images, "ndim", None) != 4 or images.dtype.kind != "f":
        came = f"{images.dtype} {images.shape}" if hasattr(images, "dtype") else kind_of(images)
        raise ValueError(f"{name}: images is {came}; expected floats (N, C, H, W)")


def check_light(name: str, image: Any) -> None:
    """Raise ValueError unless `image` is uint8 (H, W, C), grey or colour, without transparency."""
    check_image(name, image)
    if image.shape[2] == 4:
        raise ValueError(
            f"{name}: image has shape {image.shape}; expected 1 or 3 channels "
            "(image[:, :, :3] drops the alpha channel)"
        )


def check_factor(name: str, factor: Any, argument: str = "factor") -> None:
    """Raise ValueError unless the factor is a finite number from 0 to `LARGEST`."""
    number = isinstance(factor, int | float | np.integer | np.floating)
    if not number or not 0 <= factor <= LARGEST:
        raise ValueError(
            f"{name}: {argument} is {factor!r:.60}; expected a number from 0 to {LARGEST:g}"
        )


def needed_rng(name: str, rng: Any) -> np.random.Generator:
    """The generator; if it is missing, a ValueError explains that random transforms need one."""
    if not isinstance(rng, np.random.Generator):
        came = "None" if rng is None else kind_of(rng)
        raise ValueError(
            f"{name}: rng is {came}; expected a NumPy random generator, because this transform "
            "is random (pass rng=np.random.default_rng(seed))"
        )
    return rng


def check_size(name: str, argument: str, size: object) -> None:
    """Raise ValueError unless `size` is a tuple (H, W) of positive integers."""
    if (
        not isinstance(size, tuple)
        or len(size) != 2
        or not all(isinstance(n, int | np.integer) and n > 0 for n in size)
    ):
        raise ValueError(
            f"{name}: {argument} is {size!r}; expected a tuple (H, W) of positive integers"
        )
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(
            f"{name}: {argument} is {size!r:.60}; expected at most {MAX_PIXELS:,} pixels"
        )


def check_count(name: str, argument: str, count: object) -> None:
    """Raise ValueError unless `count` is a non-negative integer."""
    if not isinstance(count, int | np.integer) or count < 0:
        raise ValueError(f"{name}: {argument} is {count!r}; expected an integer >= 0")


def check_fill(name: str, fill: object) -> None:
    """Raise ValueError unless `fill`, the value of pixels outside the image, is a byte."""
    if not isinstance(fill, int | np.integer) or not 0 <= fill <= 255:
        raise ValueError(f"{name}: fill is {fill!r}; expected an integer from 0 to 255")


def check_finite(name: str, argument: str, number: float) -> None:
    """Raise ValueError if the number is NaN, infinite, or larger than `LARGEST`."""
    given = isinstance(number, int | float | np.integer | np.floating)
    if not given or not -LARGEST <= number <= LARGEST:
        raise ValueError(
            f"{name}: {argument} is {number!r:.60}; "
            f"expected a number from {-LARGEST:g} to {LARGEST:g}"
        )


def numbers_of(value: Any) -> np.ndarray:
    """The value as float64; empty if it is not numeric or its rows have different lengths."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def kind_of(value: Any) -> str:
    """Describe the kind of a value, for an error message.

    >>> kind_of(np.zeros((3, 4), np.float32)), kind_of("cat")
    ('float32 (3, 4)', 'a str')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return kind(value)
