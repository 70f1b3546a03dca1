"""Reading one image file, and refusing the broken ones.

OpenCV's `imread` answers None for a missing file, a full-size picture for a truncated one, and
takes memory without bounds for a header that lies; a network would train on that without a word.
So we look at the bytes first: PNG, JPEG and BMP say their size and their end in plain structures.

Read next: datasets/file_dataset.py
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

# About 8,000 x 8,000; three bytes each. A larger picture in a training set is a mistake.
MAX_PIXELS = 64_000_000
MAX_BYTES = 8 * MAX_PIXELS  # the most pixels, each of four 16-bit numbers, not compressed

# The bytes that a file of each format begins with.
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
BMP = b"BM"


def read_image(path: str | Path, channels: int = 3) -> np.ndarray:
    """The image in a PNG, JPEG or BMP file: uint8 (H, W, 3) in RGB, or (H, W, 1) grey.

    16-bit PNGs are scaled to 8 bits; what is transparent is laid on white; a photograph is turned
    as its camera noted (EXIF). Grey is 0.299 R + 0.587 G + 0.114 B, rounded.

    Raises FileNotFoundError where there is no file, and ValueError, with the path, where it is
    empty, of another format, truncated, damaged, or larger than 64 million pixels.
    """
    if channels not in (1, 3):
        raise ValueError(f"read_image: channels is {channels!r}; expected 3 (RGB) or 1 (grey)")
    return image_from_bytes(read_bytes(path), str(path), channels)


def image_from_bytes(data: bytes, name: str, channels: int = 3) -> np.ndarray:
    """The image in the bytes of a file, as `read_image` gives it; `name` is what errors call it."""
    try:
        check_image_bytes(data)
        image = decode(data)
    except (ValueError, cv2.error) as error:
        raise ValueError(f"read_image: {name} {error}") from error
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None]
    return image


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an image file, once it is certain that it is a file, and no giant."""
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
    """Raise ValueError, with the end of a sentence, where a file is not whole or states a giant.

    This looks at the structure of the file and decodes no pixel, so it is quick.
    """
    H, W = image_size(data)
    if H * W > MAX_PIXELS:
        raise ValueError(f"has {H} x {W} pixels; expected at most {MAX_PIXELS:,} in all")


def decode(data: bytes) -> np.ndarray:
    """The picture in the bytes of a file, uint8 (H, W, 3) in RGB."""
    # Only a PNG has 16 bits or transparency; the other way of reading would drop both silently.
    png = data.startswith(PNG)
    flag = cv2.IMREAD_UNCHANGED if png else cv2.IMREAD_COLOR_BGR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None:
        raise ValueError("is damaged: OpenCV cannot decode it")
    if image.dtype == np.uint16:
        # 65535 / 257 = 255, so white stays white.
        image = np.rint(image / 257).astype(np.uint8)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 4:
        alpha = image[:, :, 3:] / 255
        image = np.rint(alpha * image[:, :, :3] + (1 - alpha) * 255).astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def image_size(data: bytes) -> tuple[int, int]:
    """The size (H, W) that an image file states, once it is certain that the file is whole.

    Raises ValueError with the end of a sentence that begins with the file's name.
    """
    if not data:
        raise ValueError("is empty")
    try:
        if data.startswith(PNG):
            return png_size(data)
        if data.startswith(JPEG):
            return jpeg_size(data)
        if data.startswith(BMP):
            return bmp_size(data)
    except struct.error as error:
        raise ValueError(f"is truncated: it ends after {len(data)} bytes, in a header") from error
    raise ValueError(f"begins with {data[:8].hex(' ')}; expected a PNG, JPEG or BMP file")


def png_size(data: bytes) -> tuple[int, int]:
    """A PNG is a list of chunks (length, type, data, checksum): IHDR first, IEND last."""
    W, H = struct.unpack_from(">II", data, 16)
    at = len(PNG)
    while True:
        if at + 12 > len(data):
            raise ValueError(f"is truncated: it ends after {len(data)} bytes without an IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            name = kind.decode("latin-1")
            raise ValueError(f"is truncated: it ends after {len(data)} bytes, in a chunk {name!r}")
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[at + 4 : end - 4]) != checksum:
            name = kind.decode("latin-1")
            raise ValueError(f"is damaged: the checksum of its chunk {name!r} is wrong")
        if kind == b"IEND":
            return H, W
        at = end


def jpeg_size(data: bytes) -> tuple[int, int]:
    """A JPEG is a list of segments (FF, marker, length, data), then the scan, then FF D9."""
    size, at = None, 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise ValueError(f"is damaged: no JPEG marker at byte {at}")
        if marker == 0xFF:
            # Any number of FF may stand before a marker.
            at += 1
            continue
        # Start of frame: C0 to CF, without the three that hold tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            H, W = struct.unpack_from(">HH", data, at + 5)
            size = (H, W)
        if marker == 0xDA:
            break
        at += 2 + length
    # Inside a scan every byte FF is followed by 00, so FF D9 can only be the end marker.
    if data.find(b"\xff\xd9", at) < 0:
        raise ValueError(f"is truncated: it ends after {len(data)} bytes without an end marker")
    if size is None:
        raise ValueError("is damaged: its JPEG header does not state a size")
    return size


def bmp_size(data: bytes) -> tuple[int, int]:
    """A BMP begins with its own length; a negative height says that the top row comes first."""
    (length,) = struct.unpack_from("<I", data, 2)
    W, H = struct.unpack_from("<ii", data, 18)
    if len(data) < length:
        raise ValueError(f"is truncated: it has {len(data)} of the {length} bytes it promises")
    return abs(H), abs(W)
