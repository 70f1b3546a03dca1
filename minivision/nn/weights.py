"""Save and load named arrays in safetensors files, which a crash cannot leave half-written.

A safetensors file is a JSON header (names, dtypes, shapes, and a dictionary of strings) followed by
the bytes of the arrays. Unlike loading a pickle, reading such a file runs no code. Every file that
must survive a crash is written by `write_atomically`: readers see the old file or the new one,
never half of one.

You can skip this file on a first reading.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from minivision.backend import Array, to_host
from minivision.errors import kind

# The format detects a truncated file but not a flipped bit, so the metadata holds a checksum.
CHECKSUM = "minivision.crc32"
UNFINISHED = ".unfinished-"  # prefix of the names of files that are being written


def save_weights(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named NumPy or CuPy arrays and a dictionary of strings to a safetensors file.

    Arrays of any shape, memory layout and byte order are restored with the same values; the file
    itself stores little-endian numbers in C order. Booleans, integers, float16 to float64 and
    complex64 can be stored. The folder must exist; an existing file is replaced (see
    `write_atomically`).

    Raises TypeError if a name or an entry of the metadata is not a string, ValueError for a dtype
    that the format does not support or a reserved name, OSError if the file cannot be written.
    """
    metadata = dict(metadata or {})
    for name, value in [*metadata.items(), *((name, "") for name in arrays)]:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(
                f"save_weights: {name!r}: {value!r} cannot be stored; expected strings as names of "
                "arrays and as keys and values of metadata (json.dumps converts other values)"
            )
    for reserved, where in (("__metadata__", arrays), (CHECKSUM, metadata)):
        if reserved in where:
            raise ValueError(f"save_weights: the name {reserved!r} is reserved; choose another")

    # safetensors writes the raw memory and records only the shape, so a transposed array would be
    # loaded scrambled. np.ascontiguousarray would turn a 0-d array into a 1-d one.
    stored = {}
    for name, array in arrays.items():
        host = to_host(array)
        if not isinstance(host, np.ndarray | np.generic):
            raise TypeError(
                f"save_weights: {name!r} is {kind(array)}; expected a NumPy or CuPy array"
            )
        stored[name] = np.asarray(host, dtype=host.dtype.newbyteorder("<"), order="C")
    metadata[CHECKSUM] = checksum(stored, metadata)
    try:
        data = _sorted_metadata(safetensors.numpy.save(stored, metadata))
    except safetensors.SafetensorError as error:
        dtypes = {name: str(array.dtype) for name, array in stored.items()}
        raise ValueError(f"save_weights: {error}; the arrays have dtypes {dtypes}") from error
    write_atomically(path, data)


def _sorted_metadata(data: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes it in random order.

    A file begins with the size of its header (8 bytes) and the header itself: JSON, padded with
    spaces to a multiple of 8 bytes.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + size :]])


def load_weights(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file: its arrays, sorted by name, and its metadata.

    A file written by `save_weights` is checked bit for bit; one from another program has no
    checksum and is only checked for a valid header and the right length.

    Raises FileNotFoundError (or another OSError) if the path cannot be read, ValueError if its
    content is truncated, changed or not a safetensors file.
    """
    path = Path(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise type(error)(f"load_weights: cannot read {path}: {error.strerror}") from error
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (safetensors.SafetensorError, ValueError) as error:  # or a shape NumPy rejects
        raise ValueError(f"{path} is truncated or not a safetensors file: {error}") from error
    except (AttributeError, TypeError) as error:  # bfloat16 and the 8-bit floats
        raise ValueError(f"{path} contains numbers of a type that NumPy lacks: {error}") from error
    expected = metadata.pop(CHECKSUM, None)
    if expected is not None and expected != checksum(arrays, metadata):
        raise ValueError(
            f"{path} is corrupted: its content no longer matches the checksum written with it; "
            "restore an older copy or write it again"
        )
    return arrays, metadata


def checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """The CRC-32 of names, dtypes, shapes, numbers and metadata, as eight hexadecimal digits.

    It detects accidents, such as a failing disk; it does not protect against forgery.

    >>> checksum({"weight": np.zeros(3)}, {}) == checksum({"weight": np.zeros((3, 1))}, {})
    False
    """
    crc = zlib.crc32(repr(sorted(metadata.items())).encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(repr((name, array.dtype.name, array.shape)).encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def plain_file(path: str | os.PathLike[str]) -> Path:
    """The file to write for this path, with all links followed.

    Raises FileExistsError if it is a device, a pipe or a socket, or the links form a circle.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise FileExistsError(f"cannot write {path}: its symbolic links form a loop")
    if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)):
        raise FileExistsError(
            f"cannot write {path}: it is a device, a pipe or a socket; choose another file"
        )
    return target


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a failure at any moment leaves either the old file or the new one.

    The failure may be a crash, a killed process or a full disk. The bytes are written to a
    temporary file in the same folder and flushed to disk. The temporary file is then renamed to
    replace the old one, which is an atomic operation of the operating system. The new file has the
    permissions that the umask gives to any new file. If the path is a link, the link is kept and
    the file that it points to is replaced.

    If writing fails, the OSError is raised with the path in its message, and nothing is left
    behind. A folder, a device or a pipe is never replaced.
    """
    path = plain_file(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; expected a file name")
    # "x" fails if the file exists, and the random name keeps two writers from clashing.
    temporary = path.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)  # already gone if it was renamed
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror}") from error
    # The rename itself is on disk once the folder is flushed. Not every system can flush a folder
    # (Windows cannot), but the file is complete either way.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
