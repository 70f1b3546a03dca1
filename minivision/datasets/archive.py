"""Class folders in a tar archive, compressed or not, without unpacking it.

A compressed file can only be read from its front to its back. So we do that once and keep the
members we want in memory, as they lie in the archive: a JPEG stays a JPEG until its image is asked
for. Nothing is ever written, and a member that would be dangerous to unpack is refused all the
same: an archive that holds one is not what it says it is.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm.auto import tqdm

from minivision.datasets.class_folders import (
    PARTS,
    ClassFolders,
    Tree,
    folders_in,
    is_hidden,
    is_image,
)
from minivision.datasets.file_dataset import Member
from minivision.datasets.images import MAX_BYTES
from minivision.datasets.splits import Splits

# The bytes a compressed file begins with, and what reads it.
COMPRESSIONS: dict[bytes, Callable] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
}
# What may be kept in memory of one archive.
MAX_ARCHIVE = 4_000_000_000


def image_archive(
    path: str | Path, size: tuple[int, int], channels: int = 3, skip: Iterable[str] = ()
) -> Splits:
    """The splits of a tar of class folders; see `ClassFolders.splits`, and `read_members`.

    They are those of a folder with the same files.
    """
    return open_archive(path).splits(size, channels, skip)


def open_archive(path: str | Path) -> ClassFolders:
    """The class folders in a tar archive, with their image files in memory.

    A single folder that everything lies in, as in many archives, is passed over.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image_archive: there is no file {path}")
    root, tree = path, tree_of(path, read_members(path, is_image))
    while (name := wrapper(tree)) is not None:
        root, tree = root / name, tree[name]
    return ClassFolders("image_archive", root, tree)


def read_members(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes | None]:
    """The members of a tar archive with a `wanted` name, from path to content; None is a folder.

    Hidden members do not count. Raises ValueError, with the path, for a file that is no tar, is
    damaged or truncated, or too large for the memory, and for a member with ".." or an absolute
    path, a link or a device.
    """
    members: dict[str, bytes | None] = {}
    total = 0
    try:
        with (
            path.open("rb") as file,
            progress(file, path) as watched,
            decompressed(watched) as stream,
        ):
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=StrictHeader) as tar:
                for member in tar:
                    parts = checked_parts(path, member)
                    if not parts or any(is_hidden(part) for part in parts):
                        continue
                    if member.isdir():
                        members["/".join(parts)] = None
                    elif wanted(parts[-1]):
                        total += member.size
                        check_sizes(path, member, total)
                        content = tar.extractfile(member)
                        members["/".join(parts)] = content.read() if content else b""
            # Compressed data end with their checksum: read on to the end, so that it is looked at.
            while stream.read(1 << 20):
                pass
    except EOFError as error:
        raise ValueError(f"{path} is truncated: its compressed data end too early") from error
    except (tarfile.TarError, lzma.LZMAError, zlib.error, OSError) as error:
        raise ValueError(f"{path} cannot be read as a tar archive: {error}") from error
    return members


class StrictHeader(tarfile.TarInfo):
    """A member's header. Where one is broken, tarfile alone would take it for the end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> StrictHeader:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # A block of zeros is the end that every whole archive has.
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"it is cut or damaged, or no tar at all ({error})") from error


def checked_parts(path: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    """The parts of a member's path; ValueError for a member that no collection of images has."""
    place = PurePosixPath(member.name)
    if place.is_absolute():
        fault = "has an absolute path"
    elif ".." in place.parts:
        fault = 'has ".." in its path'
    elif member.issym() or member.islnk():
        fault = f"is a link to {member.linkname}"
    elif not (member.isdir() or member.isreg()):
        fault = "is neither a file nor a folder"
    else:
        return place.parts
    raise ValueError(
        f"{path}: the member {member.name} {fault}; expected nothing but files and folders"
    )


def check_sizes(path: Path, member: tarfile.TarInfo, total: int) -> None:
    """ValueError where a member, or all together, would fill the memory."""
    if member.size > MAX_BYTES:
        raise ValueError(
            f"{path}: the member {member.name} has {member.size:,} bytes; "
            f"expected at most {MAX_BYTES:,}"
        )
    if total > MAX_ARCHIVE:
        raise ValueError(
            f"{path} holds more than {MAX_ARCHIVE:,} bytes of images, too many for the memory; "
            "unpack it and name the folder instead"
        )


def decompressed(file: Any) -> Any:
    """The file, or what decompresses it: its first bytes tell."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"PK"):
        raise tarfile.ReadError("it is a ZIP archive; unpack it and name the folder instead")
    for magic, reader in COMPRESSIONS.items():
        if start.startswith(magic):
            return reader(file)
    return contextlib.nullcontext(file)


def progress(file: Any, path: Path) -> Any:
    """The file, with a bar on the terminal when reading it takes longer than two seconds."""
    length = path.stat().st_size
    description = f"reading {path.name}"
    return tqdm.wrapattr(
        file, "read", total=length, desc=description, delay=2, disable=None, leave=False
    )


def tree_of(path: Path, members: dict[str, bytes | None]) -> Tree:
    """The members as nested dicts."""
    tree: Tree = {}
    for name, data in members.items():
        *folders, last = name.split("/")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
            if not isinstance(at, dict):
                raise ValueError(f"{path}: {name} lies in a member that is a file, not a folder")
        if data is None:
            at.setdefault(last, {})
        else:
            at[last] = Member(f"{path}/{name}", data)
    return tree


def wrapper(tree: Tree) -> str | None:
    """The name of the only folder, if it is no split, and holds folders and no images; or None."""
    if len(tree) != 1:
        return None
    ((name, inner),) = tree.items()
    if name in PARTS or not isinstance(inner, dict) or any(is_image(file) for file in inner):
        return None
    return name if folders_in(inner) else None
