"""Read an image file, and reject broken ones.

OpenCV's `imread` returns None for a missing file, returns a full-size image for half a photograph,
and allocates unbounded memory if a header lies; a network would silently train on the result. So we
check the bytes first: PNG, JPEG and BMP files have a simple structure that tells where they end and
how large the image is. Then we make sure that there are as many pixels as the header says, and
decode JPEGs strictly. Pillow reads the other formats.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import ImageOps

from minivision.datasets.image_formats import (
    BMP,
    JPEG,
    PNG,
    check_bmp_pixels,
    check_png_pixels,
    image_size,
    opened,
    orientation,
    png_transparent_grey,
)

# About 8,000 x 8,000, of three bytes each. A larger image in a training set is a mistake.
MAX_PIXELS = 64_000_000
MAX_BYTES = 8 * MAX_PIXELS  # uncompressed pixels of four 16-bit numbers each
DARK = 4096  # 12-bit values, as many scanners write them, look black if read as 16-bit

# For each EXIF orientation, how to turn the image upright: whether to transpose it, and then
# whether to flip it upside down (0), left to right (1), or both (-1).
TURNS = {
    2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1),
    8: (True, 0),
}  # fmt: skip


def read_image(path: str | Path, channels: int = 3) -> np.ndarray:
    """The image in a file: uint8 (H, W, 3) in RGB, or (H, W, 1) grey.

    The file may be a PNG, JPEG, BMP, WebP, TIFF, GIF, AVIF or PPM, whatever its extension; if it
    has several images, the first is returned. 16 bits are scaled to 8, transparent areas become
    white, and a photograph is turned upright according to its EXIF tag. Grey is
    0.299 R + 0.587 G + 0.114 B, rounded.

    Raises FileNotFoundError if there is no such file, and ValueError, naming the path, if the file
    is empty, truncated, damaged, or in a different format, or has more than 64 million pixels.
    """
    if channels not in (1, 3):
        raise ValueError(f"read_image: channels is {channels!r}; expected 3 (RGB) or 1 (grey)")
    return image_from_bytes(read_bytes(path), str(path), channels)


def image_from_bytes(data: bytes, name: str, channels: int = 3) -> np.ndarray:
    """The image in the bytes of a file, as in `read_image`; error messages use `name`."""
    try:
        check_image_bytes(data)
        image = decode(data)
    except struct.error as error:
        end = f"it ends after {len(data)} bytes, in a header"
        raise ValueError(f"read_image: {name} is truncated: {end}") from error
    except (ValueError, cv2.error) as error:
        raise ValueError(f"read_image: {name} {error}") from error
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None]
    return image


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an image file, after checking that it is a file and not too large."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"read_image: there is no file {path}")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a device"
        raise ValueError(f"read_image: {path} is {kind}; expected an image file")
    length = path.stat().st_size
    if length > MAX_BYTES:
        raise ValueError(f"read_image: {path} has {length:,} bytes; expected at most {MAX_BYTES:,}")
    return path.read_bytes()


def check_image_bytes(data: bytes) -> None:
    """Raise ValueError, without the file's name, if an image file is incomplete or too large.

    This checks the structure of the file without decoding any pixels, so it is fast.
    """
    H, W = image_size(data)
    if H * W > MAX_PIXELS:
        raise ValueError(f"has {H} x {W} pixels; expected at most {MAX_PIXELS:,}")


def decode(data: bytes) -> np.ndarray:
    """The image in the bytes of a file, uint8 (H, W, 3) in RGB.

    Raises ValueError, without the file's name, if pixels are missing.
    """
    if data.startswith(JPEG):
        return decode_jpeg(data)
    if data.startswith(PNG):
        return decode_png(data)
    if not data.startswith(BMP):
        return decode_other(data)
    check_bmp_pixels(data)
    return cv2.cvtColor(decode_by_opencv(data, cv2.IMREAD_COLOR_BGR), cv2.COLOR_BGR2RGB)


def decode_png(data: bytes) -> np.ndarray:
    """The image in a PNG, which may have 16 bits and transparency."""
    check_png_pixels(data)
    # Any other flag would silently drop 16 bits and transparency.
    image = decode_by_opencv(data, cv2.IMREAD_UNCHANGED)
    grey = png_transparent_grey(data)
    clear = None if grey is None or image.ndim == 3 else image == grey
    image = eight_bits(image)
    if clear is not None:
        image[clear] = 255
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    elif image.shape[2] == 4:
        image = on_white(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
    else:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return upright(image, data)


def decode_by_opencv(data: bytes, flag: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None:
        raise ValueError("is damaged: OpenCV cannot decode it")
    return image


def decode_other(data: bytes) -> np.ndarray:
    """The image in a file of any other format; if it has several, the first one."""
    with opened(data) as image:
        try:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
        except Exception as error:  # Pillow raises many kinds
            raise ValueError(f"is damaged: Pillow cannot decode it ({error})") from error
        if image.mode in ("I", "F"):
            raise ValueError("has 32-bit values, whose white level is unknown; save it with 8 bits")
        if image.mode.startswith("I;16"):
            grey = eight_bits(np.asarray(image).astype(np.uint16))
            return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        if image.has_transparency_data:
            return on_white(np.asarray(image.convert("RGBA")))
        return np.array(image.convert("RGB"))


def eight_bits(image: np.ndarray) -> np.ndarray:
    """The image as uint8: 65535 becomes 255, so white stays white."""
    if image.dtype != np.uint16:
        return image
    brightest = int(image.max())
    if 0 < brightest < DARK:
        raise ValueError(
            f"is nearly black: its largest 16-bit value is {brightest} of 65,535, as if it had "
            "fewer bits; save it with 8 bits"
        )
    return cv2.convertScaleAbs(image, alpha=1 / 257)


def on_white(image: np.ndarray) -> np.ndarray:
    """An RGBA image (H, W, 4) blended with white, (H, W, 3): alpha·colour + (1 - alpha)·255."""
    laid = np.empty((*image.shape[:2], 3), np.uint8)
    few = max(1, 2**18 // image.shape[1])  # rows at a time: floats need a lot of memory
    for at in range(0, len(image), few):
        rows = image[at : at + few]
        alpha = rows[:, :, 3:] / 255
        laid[at : at + few] = np.rint(alpha * rows[:, :, :3] + (1 - alpha) * 255)
    return laid


def decode_jpeg(data: bytes) -> np.ndarray:
    """The upright image in a JPEG, decoded so that damage raises an error, not just a warning."""
    try:
        image = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError as error:
        reason = str(error).split("(): ")[-1]
        if "subsampling" in reason:
            raise ValueError(
                "has a chroma subsampling that cannot be checked for damage; save it again"
            ) from error
        raise ValueError(f"is damaged: {reason}") from error
    return upright(image, data)


def upright(image: np.ndarray, data: bytes) -> np.ndarray:
    """The image turned upright according to the EXIF tag in its file's bytes."""
    transposed, flip = TURNS.get(orientation(data), (False, None))
    if transposed:
        image = cv2.transpose(image)
    return image if flip is None else cv2.flip(image, flip)
