"""The images used by a run: names, sizes and checksums, so that no change goes unnoticed.

If a test image finds its way into training, the test accuracy is too good, and nothing else would
reveal this. So a run on a folder or an archive of images stores the following in its settings:

    {"count": 180, "digest": "1b4f…", "archive_sha256": null,
     "train": {"cat/1.png": "5120 9f3a2b1c", …}, "validation": {…}, "test": {…}}
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from minivision.datasets.class_folders import PARTS
from minivision.datasets.download import sha256_of
from minivision.datasets.file_dataset import File, Member, bytes_of

NAMED = 5  # images listed in one message


def stamps(files: Mapping[str, File], contents: bool = True) -> dict[str, str]:
    """The stamp of each image: its size in bytes and, if `contents`, the CRC-32 of its bytes.

    >>> stamps({"cat/1.png": Member("cat/1.png", b"not really")})
    {'cat/1.png': '10 7d27afd0'}
    """
    shown = tqdm(files.items(), "reading images", delay=2, disable=None, leave=False)
    return {name: stamp(file, contents) for name, file in shown}


def stamp(file: File, contents: bool) -> str:
    """The stamp of one image file; an unreadable file gets a stamp that no other file has."""
    try:
        if not contents:
            return str(len(file.data) if isinstance(file, Member) else file.stat().st_size)
        data = bytes_of(file)
    except (OSError, ValueError):
        return "cannot be read"
    return f"{len(data)} {zlib.crc32(data):08x}"


def fingerprint(path: str | Path, parts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The record of the images at a path: their number, their digest, and the stamps by split."""
    archive = None
    if Path(path).is_file():
        archive = sha256_of(Path(path))
    count = sum(len(part) for part in parts.values())
    return {"count": count, "digest": digest(parts), "archive_sha256": archive, **parts}


def digest(parts: Mapping[str, Mapping[str, str]]) -> str:
    """The SHA-256 of all names and stamps, in sorted order, with the splits they belong to."""
    lines = sorted("\0".join((n, s, part)) + "\n" for part in parts for n, s in parts[part].items())
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def check_fingerprint(where: str | Path, record: Any) -> None:
    """Raise ValueError if the record was not made by `fingerprint`; None is accepted."""
    if record is None:
        return
    parts: dict[str, Any] = (
        {part: record.get(part) for part in PARTS} if isinstance(record, dict) else {}
    )
    whole = parts and all(isinstance(part, dict) for part in parts.values())
    try:
        whole = whole and digest(parts) == record.get("digest")
    except (TypeError, UnicodeError):  # not strings, or not valid file names
        whole = False
    if not whole:
        raise ValueError(
            f"{where}: 'images', the record of the run's images, is damaged or was edited"
        )


class Changes(NamedTuple):
    """The names of the images that are missing, changed, or new.

    >>> print(Changes(["a.png"], [], ["1.png", "2.png", "3.png", "4.png", "5.png", "6.png"]))
    missing: a.png; new: 1.png, 2.png, 3.png, 4.png, 5.png and 1 more
    """

    missing: list[str]
    changed: list[str]
    new: list[str]

    def __str__(self) -> str:
        told = []
        for kind, names in self._asdict().items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            if names:
                told.append(f"{kind}: {', '.join(names[:NAMED])}{more}")
        return "; ".join(told)


def changes(recorded: Mapping[str, str], files: Mapping[str, File]) -> Changes:
    """How the current images differ from the recorded ones."""
    there = {name: files[name] for name in recorded if name in files}
    sizes_only = {name: file for name, file in there.items() if " " not in recorded[name]}
    read = {name: file for name, file in there.items() if name not in sizes_only}
    now = stamps(sizes_only, contents=False) | stamps(read)
    return Changes(
        missing=[name for name in recorded if name not in files],
        changed=[name for name in there if now[name] != recorded[name]],
        new=[name for name in files if name not in recorded],
    )
