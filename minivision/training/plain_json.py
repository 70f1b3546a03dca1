"""Plain JSON: the values allowed in the files of a run, and error messages for all other values.

JSON has numbers, strings, true, false, null, lists, and objects with strings as keys. It cannot
express infinity, "not a number", tuples or NumPy values.

A file of *JSON lines* holds one object per line and grows line by line, so a program that is
killed loses at most the line that it was writing.

You can skip this file on a first reading.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minivision.errors import kind
from minivision.nn.weights import plain_file, write_atomically


def parse_json(where: str, text: str | bytes) -> Any:
    """Parse JSON text; raises ValueError, beginning with `where`, if it is invalid."""
    try:
        return json.loads(text)
    except ValueError as error:  # broken JSON, or bytes that are not text
        raise ValueError(f"{where}: not valid JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{where}: not valid JSON (it is nested too deeply)") from error


def parse_object(where: str, text: str | bytes) -> dict[str, Any]:
    """Parse text as a JSON object; raises ValueError, beginning with `where`, otherwise."""
    value = parse_json(where, text)
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object in braces, not {value!r}")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        return parse_object(str(path), path.read_bytes())
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error.strerror}") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines; an empty list if there is no file.

    A half-written last line, left by a killed process, is ignored. Any other line that is not a
    JSON object raises a ValueError that gives the line number.
    """
    return _read_lines(path)[0]


def append_line(path: Path, line: bytes) -> None:
    """Append a line made by `json_bytes`; it is on disk when this returns."""
    records, whole = _read_lines(path)
    if not whole:
        write_lines(path, records)  # so that the new line does not continue the half-written one
    try:
        with plain_file(path).open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror}") from error


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace the file with these objects, atomically."""
    write_atomically(path, b"".join(json_bytes(f"{path}: record", record) for record in records))


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The objects, and whether the last line is complete."""
    if not path.exists():
        return [], True
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error.strerror}") from error
    records = [parse_object(f"{path}, line {n}", line) for n, line in enumerate(lines, 1)]
    # The last newline is followed by nothing, or by an incomplete line. A truncated object is never
    # valid JSON, so if that line can be parsed, only its newline is missing.
    with contextlib.suppress(ValueError):
        records.append(parse_object("the rest", rest))
    return records, not rest


def json_bytes(where: str, value: Any, indent: int | None = None, null: bool = False) -> bytes:
    """The value as JSON and a newline; if `null`, infinity and NaN are written as null."""
    return json.dumps(_plain(where, value, null), indent=indent, allow_nan=False).encode() + b"\n"


def _plain(where: str, value: Any, null: bool) -> Any:
    """The value in built-in types; `where` is extended to name the part that JSON cannot hold."""
    if isinstance(value, Mapping):
        for key in value:
            # json.dumps would turn the key 1 into "1", so reading would not restore the value.
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; JSON keys must be strings")
        return {key: _plain(f"{where}[{key!r}]", item, null) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{where}[{i}]", item, null) for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        if not null:
            raise ValueError(
                f"{where} is {value}, which JSON cannot express; expected a finite number"
            )
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{where} is {kind(value)}; expected numbers, strings, True, False, None, "
        "or lists and dictionaries of them"
    )
