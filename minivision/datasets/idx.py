"""The IDX file format, in which MNIST has been distributed since 1998.

A file begins with two zero bytes, a byte for the type of the numbers and a byte for the number of
axes, followed by the length of each axis, four bytes each, and the numbers in C order. All numbers
are big-endian. (LeCun, Cortes and Burges, "The MNIST database", section "File formats".)
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

MEGABYTE = 1 << 20  # decompress this much at a time
# Type code -> the dtype of the numbers: ">" is big-endian, the digit counts bytes.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed.

    Raises OSError if the file cannot be read, and ValueError if it is not a valid IDX file.
    """
    return parse_idx(Path(path).read_bytes(), str(path))


def parse_idx(data: bytes, name: str = "the data") -> np.ndarray:
    """The array in the bytes of an IDX file, plain or compressed; error messages use `name`.

    Raises ValueError if the format is a different one, the type is unknown, or the length
    contradicts the header. At most one byte more than the header states is decompressed.

    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([[7, 8, 9]], dtype=uint8)
    """
    start = decompress(data, name, at_most=4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise ValueError(
            f"{name} is not an IDX file: it begins with {start.hex(' ') or 'nothing'}; "
            "expected two zero bytes, a type code and a number of axes"
        )
    code, axes = start[2], start[3]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise ValueError(f"{name}: the IDX type code is 0x{code:02x}; expected one of {known}")
    size = 4 + 4 * axes
    header = decompress(data, name, at_most=size)
    if len(header) < size:
        raise ValueError(
            f"{name} is truncated: a header of {axes} axes has {size} bytes, "
            f"but the file has {len(header)}"
        )
    shape = tuple(np.frombuffer(header, ">u4", axes, offset=4).tolist())
    dtype = np.dtype(TYPES[code])
    # We use math.prod because Python's integers cannot overflow, whatever the header says.
    expected = size + math.prod(shape) * dtype.itemsize
    content = decompress(data, name, at_most=expected + 1)
    if len(content) != expected:
        what = "is truncated" if len(content) < expected else "has extra bytes at its end"
        found = f"{len(content)}" if len(content) < expected else "more"
        raise ValueError(
            f"{name} {what}: its header promises {shape} {dtype.name}, "
            f"{expected} bytes in all, but the file has {found}"
        )
    numbers = np.frombuffer(content, dtype, offset=size)
    try:
        return numbers.reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:
        raise ValueError(f"{name}: no NumPy array can have the shape {shape}") from error


def decompress(data: bytes, name: str, at_most: int) -> bytes:
    """The content of a file that may be gzip-compressed, or its first `at_most` bytes.

    Raises ValueError if the compressed data are damaged or end too early. Everything after the
    first `at_most` bytes is ignored.
    """
    if data[:2] != b"\x1f\x8b":
        return data[:at_most]
    try:
        content = bytearray()
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while part := file.read(min(at_most - len(content), MEGABYTE)):
                content += part
        return bytes(content)
    except EOFError as error:
        raise ValueError(f"{name} is truncated: its gzip data end too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name} is damaged: its gzip data are corrupt ({error})") from error
