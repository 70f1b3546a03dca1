"""Operations that depend only on a pixel's value: each is a table of 256 new values.

Some tables are the same for every image: invert, posterize, solarize and gamma. The other two are
computed from the image's own histogram, channel by channel: autocontrast stretches the histogram,
equalize flattens it.

The results equal those of Pillow's ImageOps; OpenCV's equalizeHist is a different algorithm. Images
are uint8 (H, W, 3) or (H, W, 1).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision.transforms.checks import check_factor, check_light
from minivision.transforms.light import VALUES, look_up


def invert(image: np.ndarray) -> np.ndarray:
    """The negative: 255 - v."""
    check_light("invert", image)
    return 255 - image


def posterize(image: np.ndarray, bits: int) -> np.ndarray:
    """Keep only the highest 0 to 8 bits of every byte; 8 keeps all of them.

    >>> posterize(np.array([[[255, 100, 31]]], np.uint8), 3)
    array([[[224,  96,   0]]], dtype=uint8)
    """
    check_light("posterize", image)
    if not isinstance(bits, int | np.integer) or not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits is {bits!r}; expected an integer from 0 to 8")
    kept = 256 - 2 ** (8 - int(bits))
    return image & np.uint8(kept)


def solarize(image: np.ndarray, threshold: float) -> np.ndarray:
    """Invert values that reach the threshold: 256 changes nothing, 0 inverts everything."""
    check_light("solarize", image)
    check_factor("solarize", threshold, "threshold")
    return look_up(image, np.where(threshold > VALUES, VALUES, 255 - VALUES))


def solarize_add(image: np.ndarray, addition: int) -> np.ndarray:
    """Lighten the darker half: v + addition, at most 255, if v < 128."""
    check_light("solarize_add", image)
    if not isinstance(addition, int | np.integer) or not 0 <= addition <= 255:
        raise ValueError(
            f"solarize_add: addition is {addition!r}; expected an integer from 0 to 255"
        )
    lighter = np.minimum(VALUES.astype(int) + int(addition), 255).astype(np.uint8)
    return look_up(image, np.where(VALUES < 128, lighter, VALUES))


def gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """255·(v / 255)^γ, rounded: an exponent below 1 lightens the shadows, above 1 darkens them."""
    check_light("gamma", image)
    check_factor("gamma", exponent, "exponent")
    return look_up(image, np.rint(255 * (VALUES / 255) ** exponent).astype(np.uint8))


def autocontrast(image: np.ndarray) -> np.ndarray:
    """Stretch every channel so that its darkest value becomes 0 and its lightest 255."""
    check_light("autocontrast", image)
    return _by_channel(image, _stretched)


def equalize(image: np.ndarray) -> np.ndarray:
    """Spread out the values of each channel, so that they are about equally frequent."""
    check_light("equalize", image)
    return _by_channel(image, _flattened)


def _by_channel(image: np.ndarray, table_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    tables = [table_of(image[:, :, c]) for c in range(image.shape[2])]
    return look_up(image, np.stack(tables, axis=1))


def _stretched(channel: np.ndarray) -> np.ndarray:
    low, high = int(channel.min()), int(channel.max())
    if high <= low:
        return VALUES
    scale = 255.0 / (high - low)
    return np.clip((VALUES * scale - low * scale).astype(np.int64), 0, 255).astype(np.uint8)


def _flattened(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel.ravel(), minlength=256)
    there = np.flatnonzero(counts)
    step = (channel.size - int(counts[there[-1]])) // 255
    if len(there) <= 1 or step == 0:
        return VALUES
    below = np.cumsum(counts) - counts  # pixels darker than each value
    return np.minimum((step // 2 + below) // step, 255).astype(np.uint8)
