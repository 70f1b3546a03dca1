"""The sentences that a transform answers wrong arguments with.

Each check names the transform and the argument, what came, and what was expected. They stand
together here so that the arithmetic of the other files can be read without them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST = 1e9  # of a number: further on, pixels and angles are no longer told apart
MAX_PIXELS = 64_000_000  # of an image, as large as one that is read from a file


def check_image(name: str, image: Any) -> None:
    """Raise ValueError where `image` is not a uint8 image (H, W, C), C one of 1, 3, 4."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(
            f"{name}: image is {kind_of(image)}; expected a NumPy array uint8 (H, W, C) "
            "(ToArray makes floats of it, and comes after this)"
        )
    if image.ndim != 3:
        hint = "; a grey image is (H, W, 1): image[:, :, None]" if image.ndim == 2 else ""
        raise ValueError(f"{name}: image has shape {image.shape}; expected (H, W, C){hint}")
    # OpenCV 5 interpolates two channels with coordinates rounded to 1/32 pixel, and these exactly.
    if 0 in image.shape or image.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"{name}: image has shape {image.shape}; "
            "expected (H, W, C) with at least one pixel, and 1, 3 or 4 channels in the last place"
        )


def check_batch(name: str, images: Any) -> None:
    """Raise ValueError where `images` are not floats (N, C, H, W), of NumPy or CuPy."""
    if getattr(images, "ndim", None) != 4 or images.dtype.kind != "f":
        came = f"{images.dtype} {images.shape}" if hasattr(images, "dtype") else kind_of(images)
        raise ValueError(f"{name}: images is {came}; expected floats (N, C, H, W)")


def check_light(name: str, image: Any) -> None:
    """Raise ValueError where `image` is not uint8 (H, W, C) with light only, no transparency."""
    check_image(name, image)
    if image.shape[2] == 4:
        raise ValueError(
            f"{name}: image has shape {image.shape}; expected 1 or 3 channels, "
            "without transparency: image[:, :, :3]"
        )


def check_factor(name: str, factor: Any, argument: str = "factor") -> None:
    """Raise ValueError if the factor is not a finite number from 0 up, at most `LARGEST`."""
    number = isinstance(factor, int | float | np.integer | np.floating)
    if not number or not 0 <= factor <= LARGEST:
        raise ValueError(
            f"{name}: {argument} is {factor!r:.60}; expected a finite number, 0 to {LARGEST:g}"
        )


def needed_rng(name: str, rng: Any) -> np.random.Generator:
    """The generator itself; ValueError where there is none, to teach where chance comes from."""
    if not isinstance(rng, np.random.Generator):
        came = "no rng came" if rng is None else f"rng is {kind_of(rng)}"
        raise ValueError(
            f"{name}: {came}; this transform is random and keeps no hidden state, "
            "so pass rng=np.random.default_rng(seed)"
        )
    return rng


def check_size(name: str, argument: str, size: object) -> None:
    """Raise ValueError where `size` is not a tuple (H, W) of whole numbers above zero."""
    if (
        not isinstance(size, tuple)
        or len(size) != 2
        or not all(isinstance(n, int | np.integer) and n > 0 for n in size)
    ):
        raise ValueError(
            f"{name}: {argument} is {size!r}; expected a tuple (H, W) of whole numbers above zero"
        )
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(
            f"{name}: {argument} is {size!r:.60}; expected at most {MAX_PIXELS:,} pixels in all"
        )


def check_count(name: str, argument: str, count: object) -> None:
    """Raise ValueError where `count` is not a whole number from zero up."""
    if not isinstance(count, int | np.integer) or count < 0:
        raise ValueError(f"{name}: {argument} is {count!r}; expected a whole number, 0 or more")


def check_fill(name: str, fill: object) -> None:
    """Raise ValueError where `fill`, the value of pixels that come from nowhere, is not a byte."""
    if not isinstance(fill, int | np.integer) or not 0 <= fill <= 255:
        raise ValueError(f"{name}: fill is {fill!r}; expected a whole number from 0 to 255")


def check_finite(name: str, argument: str, number: float) -> None:
    """Raise ValueError if it is not a number, or infinite, or larger than `LARGEST`."""
    given = isinstance(number, int | float | np.integer | np.floating)
    if not given or not -LARGEST <= number <= LARGEST:
        raise ValueError(
            f"{name}: {argument} is {number!r:.60}; expected a finite number, at most {LARGEST:g}"
        )


def numbers_of(value: Any) -> np.ndarray:
    """The value as float64; an empty array where it is no numbers, or rows of different lengths."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def kind_of(value: Any) -> str:
    """What came, for a sentence.

    >>> kind_of(np.zeros((3, 4), np.float32)), kind_of("cat")
    ('float32 (3, 4)', 'a str')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"a {type(value).__name__}"
