"""Class folders in a tar archive, compressed or not, without unpacking it.

A compressed file can only be read from start to end. So we read it once and keep the members that
we want in memory, just as they are stored: a JPEG stays a JPEG until its image is needed. We never
write anything to disk, but a member that would be dangerous to unpack is still an error, because an
archive with such a member cannot be trusted.
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

from minivision.datasets.class_folders import ClassFolders, is_hidden, is_image
from minivision.datasets.file_dataset import Member
from minivision.datasets.image_formats import may_be_image
from minivision.datasets.images import MAX_BYTES
from minivision.datasets.splits import Splits

# The first bytes of each kind of compressed file, and its reader.
COMPRESSIONS: dict[bytes, Callable] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
}
# The most bytes of one archive to keep in memory.
MAX_ARCHIVE = 4_000_000_000
# A long name is stored in a separate member before its own; tarfile reads all of it.
EXTENSIONS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
MAX_EXTENSION = 1_000_000
FIRST_BYTES = 64  # enough to see whether a file is an image


def image_archive(
    path: str | Path, size: tuple[int, int], channels: int = 3, skip: Iterable[str] = ()
) -> Splits:
    """The splits of a tar of class folders; see `ClassFolders.splits` and `read_members`.

    They are the same as those of a folder with the same files.
    """
    return open_archive(path).splits(size, channels, skip)


def open_archive(path: str | Path) -> ClassFolders:
    """The class folders in a tar archive, with their image files in memory."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image_archive: there is no file {path}")
    members = read_members(path, is_image, may_be_image)
    files = {n: Member(f"{path}/{n}", data) for n, data in members.items() if data is not None}
    folders = [name for name, data in members.items() if data is None]
    return ClassFolders("image_archive", path, files, folders)


def read_members(
    path: Path,
    wanted: Callable[[str], bool],
    begins_well: Callable[[bytes], bool] = lambda start: True,
) -> dict[str, bytes | None]:
    """The members of a tar archive: a dict from path to content, which is None for a folder.

    Members without a `wanted` name are dropped. If a member does not begin as an image should, only
    its first bytes are kept. Hidden members are ignored. Raises ValueError, naming the path, if the
    file is not a tar, is damaged or truncated, or is too large for memory, and if a member has ".."
    in its path or an absolute path, or is a link, a device or a sparse file.
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
                    elif not wanted(parts[-1]):
                        members["/".join(parts)] = b""
                    elif content := tar.extractfile(member):
                        start = content.read(FIRST_BYTES)
                        if begins_well(start):
                            total += member.size
                            check_sizes(path, member, total)
                            start += content.read()
                        members["/".join(parts)] = start
            # Compressed data end with a checksum. Reading to the end verifies it.
            while stream.read(1 << 20):
                pass
    except EOFError as error:
        raise ValueError(f"{path} is truncated: its compressed data end too early") from error
    except (tarfile.TarError, lzma.LZMAError, zlib.error, OSError) as error:
        raise ValueError(f"{path} cannot be read as a tar archive: {error}") from error
    return members


class StrictHeader(tarfile.TarInfo):
    """A strict member header; tarfile alone takes a broken one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> StrictHeader:
        try:
            header = super().frombuf(buf, encoding, errors)
            if header.type in EXTENSIONS and header.size > MAX_EXTENSION:
                raise tarfile.ReadError(f"it has a header of {header.size:,} bytes")
            return header
        except tarfile.HeaderError as error:
            # A block of zeros marks the end of every complete archive.
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(
                f"it is damaged or truncated, or has a different format ({error})"
            ) from error


def checked_parts(path: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    """The parts of a member's path; ValueError if the member has no place among images."""
    place = PurePosixPath(member.name)
    if place.is_absolute():
        fault = "has an absolute path"
    elif ".." in place.parts:
        fault = 'has ".." in its path'
    elif member.issym() or member.islnk():
        fault = f"is a link to {member.linkname}"
    elif member.issparse():
        fault = "is a sparse file"
    elif not (member.isdir() or member.isreg()):
        fault = "is neither a file nor a folder"
    else:
        return place.parts
    raise ValueError(f"{path}: the member {member.name} {fault}; expected only files and folders")


def check_sizes(path: Path, member: tarfile.TarInfo, total: int) -> None:
    """Raise ValueError if a member, or all members together, would take up too much memory."""
    if member.size > MAX_BYTES:
        raise ValueError(
            f"{path}: the member {member.name} has {member.size:,} bytes; "
            f"expected at most {MAX_BYTES:,}"
        )
    if total > MAX_ARCHIVE:
        raise ValueError(
            f"{path} has more than {MAX_ARCHIVE:,} bytes of images, too many to keep in memory; "
            "unpack it and pass the folder instead"
        )


def decompressed(file: Any) -> Any:
    """The file, or a decompressor for it; the first bytes of the file decide."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"PK"):
        raise tarfile.ReadError("it is a ZIP archive; unpack it and pass the folder instead")
    for magic, reader in COMPRESSIONS.items():
        if start.startswith(magic):
            return reader(file)
    return contextlib.nullcontext(file)


def progress(file: Any, path: Path) -> Any:
    """The file, with a progress bar in the terminal if reading takes more than two seconds."""
    length = path.stat().st_size
    description = f"reading {path.name}"
    return tqdm.wrapattr(
        file, "read", total=length, desc=description, delay=2, disable=None, leave=False
    )
