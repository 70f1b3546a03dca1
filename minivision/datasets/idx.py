"""The IDX file format, in which MNIST has been handed on since 1998.

A file begins with two zero bytes, a byte for the type of the numbers and a byte for the number of
axes; then the length of each axis, four bytes each, and the numbers in C order. Everything is
big-endian. (LeCun, Cortes and Burges, "The MNIST database", section "File formats".)
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

# Type code -> the numbers as they lie in the file: ">" is big-endian, the digit counts bytes.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, plain or compressed by gzip.

    Raises OSError where the file cannot be read, and ValueError where it is not good IDX.
    """
    return parse_idx(decompress(Path(path).read_bytes(), str(path)), str(path))


def parse_idx(data: bytes, name: str = "the data") -> np.ndarray:
    """The array in the bytes of an IDX file; `name` is what errors call it.

    Raises ValueError for another format, an unknown type, and a length that the header denies.

    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([[7, 8, 9]], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(
            f"{name} is not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}; "
            "expected two zero bytes, a type code and a number of axes"
        )
    code, axes = data[2], data[3]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise ValueError(f"{name}: the IDX type code is 0x{code:02x}; expected one of {known}")
    start = 4 + 4 * axes
    if len(data) < start:
        raise ValueError(
            f"{name} is truncated: a header of {axes} axes has {start} bytes, "
            f"but the file has {len(data)}"
        )
    shape = tuple(np.frombuffer(data, ">u4", axes, offset=4).tolist())
    dtype = np.dtype(TYPES[code])
    # math.prod, because Python's integers do not overflow when a header lies.
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        what = "is truncated" if len(data) < expected else "has extra bytes at its end"
        raise ValueError(
            f"{name} {what}: its header promises {shape} {dtype.name}, "
            f"{expected} bytes in all, but the file has {len(data)}"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def decompress(data: bytes, name: str) -> bytes:
    """The content of a file that may be compressed by gzip, which its first two bytes tell.

    Raises ValueError where the compressed data are damaged or end too early.
    """
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise ValueError(f"{name} is truncated: its gzip data end too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name} is damaged: its gzip data are corrupt ({error})") from error
