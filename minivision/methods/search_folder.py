"""A search's folder: what was asked, and a line for every candidate that is done.

    settings.json      what decides the scores
    candidates.jsonl   one JSON object a line, written when the candidate is done

A search that was killed has all its lines but perhaps the last, which may be half-written; it is
dropped, and that candidate is trained again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minivision.nn.weights import plain_file, write_atomically
from minivision.training.plain_json import json_bytes, parse_object, read_object

RECORD: dict[str, type | tuple[type, ...]] = {
    "candidate": int,
    "name": str,
    "policy": (dict, list),
    "score": float,
    "seconds": float,
}


class SearchFolder:
    """The folder of a search; `open` begins it or returns to it."""

    def __init__(self, path: Path):
        self.path = path
        self.lines = path / "candidates.jsonl"

    @classmethod
    def open(cls, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> SearchFolder:
        """Make the folder with these settings, or return to one that has the same.

        Raises ValueError where it was begun with other settings, and names the first;
        FileExistsError where there are other things in the folder.
        """
        folder = cls(Path(path))
        data = json_bytes("search: settings", settings, indent=2)
        file = folder.path / "settings.json"
        if file.exists():
            folder._refuse_other(parse_object("settings", data), read_object(file))
            return folder
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"cannot make the folder {path}: {error.strerror}") from error
        if any(not path.name.startswith(".") for path in folder.path.iterdir()):
            raise FileExistsError(
                f"{path} is not empty and has no search in it; choose another folder"
            )
        write_atomically(file, data)
        return folder

    def _refuse_other(self, now: dict[str, Any], then: dict[str, Any]) -> None:
        for name in {**then, **now}:
            if (name in now, now.get(name)) != (name in then, then.get(name)):
                came, was = (
                    f"{part[name]!r:.60}" if name in part else "not given" for part in (now, then)
                )
                raise ValueError(
                    f"search: {name} is {came}, but {self.path} was begun with {was}; go on with "
                    "the same settings, or choose another folder"
                )

    def records(self) -> list[dict[str, Any]]:
        """The lines so far, as they were written. ValueError names one that cannot be read."""
        if not self.lines.exists():
            return []
        *whole, rest = self.lines.read_bytes().split(b"\n")
        if rest:  # or the next line would continue the half-written one
            write_atomically(self.lines, b"".join(line + b"\n" for line in whole))
        records = []
        for n, line in enumerate(whole, 1):
            record = parse_object(f"{self.lines}, line {n}", line)
            for name, kind in RECORD.items():
                if not isinstance(record.get(name), kind):
                    came = record.get(name)
                    raise ValueError(f"{self.lines}, line {n}: {name!r} is {came!r}")
            records.append(record)
        return records

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a line; it is on the disk when this returns."""
        line = json_bytes("search: candidate", record)
        try:
            with plain_file(self.lines).open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise type(error)(f"cannot write {self.lines}: {error.strerror}") from error

    def __str__(self) -> str:
        return str(self.path)
