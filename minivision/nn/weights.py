"""Named arrays in a file and back: the safetensors format, written so that no crash can spoil it.

A safetensors file is a JSON header (names, dtypes, shapes, and a dictionary of strings) followed by
the bytes of the arrays; reading one runs no code, which a pickle cannot promise. Every file of the
project that must survive a crash goes through `write_atomically`: readers see the old file or the
new one, never half of one.

A first reading may skip this file.
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

# The format notices a truncated file but not a flipped bit, so a checksum travels in the metadata.
CHECKSUM = "minivision.crc32"
UNFINISHED = ".unfinished-"  # how the names of files begin that are being written


def save_weights(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays of NumPy or CuPy, and a dictionary of strings, to a safetensors file.

    Any shape, any memory layout and either byte order come back equal; the file stores C order and
    little-endian numbers. Booleans, integers, float16 to float64 and complex64 can be stored. The
    folder must exist; an existing file is replaced (see `write_atomically`).

    Raises TypeError for a name or a piece of metadata that is not a string, ValueError for a dtype
    that the format does not know or a reserved name, OSError where the file cannot be written.
    """
    metadata = dict(metadata or {})
    for name, value in [*metadata.items(), *((name, "") for name in arrays)]:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(
                f"save_weights: {name!r}: {value!r} cannot be stored; names of arrays and "
                "both sides of metadata must be strings (json.dumps makes one of other values)"
            )
    for reserved, where in (("__metadata__", arrays), (CHECKSUM, metadata)):
        if reserved in where:
            raise ValueError(f"save_weights: the name {reserved!r} is reserved; choose another")

    # safetensors writes the memory as it lies and records only the shape, so a transposed array
    # would come back scrambled. np.ascontiguousarray would turn a 0-d array into a 1-d one.
    stored = {}
    for name, array in arrays.items():
        host = to_host(array)
        if not isinstance(host, np.ndarray | np.generic):
            raise TypeError(
                f"save_weights: {name!r} is a {type(array).__name__}; "
                "expected an array of NumPy or CuPy"
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
    """The same file with its metadata in order: safetensors writes it in a random one.

    A file begins with the size of its header, 8 bytes, and the header, JSON and spaces up to a
    multiple of 8 bytes.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + size :]])


def load_weights(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file: its arrays, sorted by name, and its metadata.

    A file that `save_weights` wrote is checked bit for bit; one of another program carries no
    checksum and is only checked for a sound header and the right length.

    Raises FileNotFoundError (or another OSError) where the path cannot be read, ValueError where
    its content is truncated, changed or no safetensors file.
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
    except (safetensors.SafetensorError, ValueError) as error:  # or a shape NumPy cannot have
        raise ValueError(f"{path} is truncated or not a safetensors file: {error}") from error
    except (AttributeError, TypeError) as error:  # bfloat16 and the 8-bit floats
        raise ValueError(f"{path} holds numbers of a type NumPy does not have: {error}") from error
    expected = metadata.pop(CHECKSUM, None)
    if expected is not None and expected != checksum(arrays, metadata):
        raise ValueError(
            f"{path} is corrupted: its content no longer matches the checksum written with it; "
            "take an older copy or write it again"
        )
    return arrays, metadata


def checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """The CRC-32 of names, dtypes, shapes, numbers and metadata, as eight hexadecimal digits.

    It finds accidents, such as a failing disk; it is no protection from a forger.

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
    """The file to be written at a path, at the end of all links.

    Raises FileExistsError if there is a device, a pipe or a socket, or a circle of links.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise FileExistsError(f"cannot write {path}: its links lead round in a circle")
    if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)):
        raise FileExistsError(
            f"cannot write {path}: it is a device, a pipe or a socket; choose another file"
        )
    return target


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that a crash, a kill or a full disk leaves the old one or all of the new.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is
    then renamed over the old one, which is one indivisible step of the operating system. The new
    file has the permissions that the umask gives to any new file. A link stays: the file it leads
    to is the one that is written.

    Raises the OSError that stopped it, with the path in its message; nothing is left behind. A
    folder, a device or a pipe is never replaced.
    """
    path = plain_file(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; expected the name of a file")
    # "x" refuses to open a file that exists, and the random name keeps two writers apart.
    temporary = path.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)  # after the renaming there is none
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror}") from error
    # The renaming itself is on the disk once the folder is. Not every system can flush a folder
    # (Windows cannot), and the file is whole either way.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
