"""Image files with detail, and damage to such files that OpenCV does not report.

Each function takes the bytes of a whole file and returns those of a damaged one whose markers,
lengths and checksums are right.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def photograph(H, W, seed=0):
    """Slopes of colour under noise, uint8 (H, W, 3)."""
    y, x = np.mgrid[0:H, 0:W]
    slopes = np.stack([255 * x / W, 255 * y / H, 255 * (x + y) / (H + W)], axis=2)
    noise = np.random.default_rng(seed).normal(0, 25, slopes.shape)
    return (slopes + noise).clip(0, 255).astype(np.uint8)


def saved(image, kind="JPEG", **options):
    """An array or Pillow image as a file that Pillow writes, with its options."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def opencv_saved(image, suffix, *options):
    """An RGB image as a file that OpenCV writes."""
    return cv2.imencode(suffix, image[:, :, ::-1], options)[1].tobytes()


def chunk(kind, data):
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_parts(data):
    """The IHDR data and the compressed pixels of a PNG."""
    at, packed = len(SIGNATURE), b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed += body
    return header, packed


def png_of(header, packed):
    """A PNG with this IHDR data and these compressed pixels."""
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return SIGNATURE + chunks


def jpeg_middle(data):
    """The middle of a JPEG's scans."""
    start = data.index(b"\xff\xda")
    return start + (len(data) - start) // 2


def cut_jpeg(data):
    return data[: jpeg_middle(data)] + b"\xff\xd9"


def zeroed_jpeg(data):
    middle = jpeg_middle(data)
    return data[:middle] + bytes(len(data) - middle - 2) + b"\xff\xd9"


def resized_jpeg(data, height=1.0, width=1.0):
    """A JPEG whose header states other sizes, by these factors."""
    at = max(data.find(b"\xff\xc0\x00\x11"), data.find(b"\xff\xc2\x00\x11")) + 5
    H, W = struct.unpack_from(">HH", data, at)
    return data[:at] + struct.pack(">HH", int(H * height), int(W * width)) + data[at + 4 :]


def cut_png(data):
    header, packed = png_parts(data)
    return png_of(header, packed[: len(packed) // 2])


def rowless_png(data):
    """A complete PNG without the last rows, which were never written."""
    header, packed = png_parts(data)
    pixels = zlib.decompress(packed)
    row = len(pixels) // struct.unpack_from(">I", header, 4)[0]
    return png_of(header, zlib.compress(pixels[: len(pixels) // 2 // row * row]))


def zeroed_png(data):
    header, packed = png_parts(data)
    half = len(packed) // 2
    return png_of(header, packed[:half] + bytes(len(packed) - half))


def resized_png(data, height=1.0, width=1.0):
    header, packed = png_parts(data)
    W, H = struct.unpack_from(">II", header)
    return png_of(struct.pack(">II", int(W * width), int(H * height)) + header[8:], packed)


def cut_bmp(data):
    half = len(data) // 2
    return data[:2] + struct.pack("<I", half) + data[6:half]


def resized_bmp(data, height=1.0, width=1.0):
    W, H = struct.unpack_from("<ii", data, 18)
    return data[:18] + struct.pack("<ii", int(W * width), int(H * height)) + data[26:]


def with_stated_sizes(resize):
    """The four ways in which a header can state the wrong size."""
    return {
        "higher": lambda data: resize(data, height=4),
        "lower": lambda data: resize(data, height=0.25),
        "wider": lambda data: resize(data, width=2),
        "narrower": lambda data: resize(data, width=0.5),
    }


DAMAGES = {
    ".jpg": {"cut": cut_jpeg, "zeroed": zeroed_jpeg, **with_stated_sizes(resized_jpeg)},
    ".png": {
        "cut": cut_png,
        "rowless": rowless_png,
        "zeroed": zeroed_png,
        **with_stated_sizes(resized_png),
    },
    # A zeroed BMP cannot be recognised: it is a picture with a black part.
    ".bmp": {"cut": cut_bmp, **with_stated_sizes(resized_bmp)},
}


def whole_file(suffix, H=28, W=28, seed=0):
    """A file with detail of each format."""
    image = photograph(H, W, seed)
    return saved(image, quality=85) if suffix == ".jpg" else opencv_saved(image, suffix)


def smooth_image(H=40, W=60):
    y, x = np.mgrid[0:H, 0:W]
    return np.stack([4 * x, 255 - 6 * y, 2 * (x + y)], axis=2).clip(0, 255).astype(np.uint8)


def encode(image, suffix=".png"):
    """An RGB (or grey, or RGBA) image as the bytes of a file."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image.shape[2]]
    done, data = cv2.imencode(suffix, image[:, :, order])
    assert done
    return data.tobytes()


def write(path, data):
    path.write_bytes(data)
    return path
