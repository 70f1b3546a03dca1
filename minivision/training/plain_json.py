"""Plain JSON: what may be written into a run's folder, and error messages for what may not.

JSON knows numbers, strings, true, false, null, lists and objects with strings as keys. It has no
word for infinity and "not a number", no tuples, and nothing of NumPy's.

A file of *JSON lines* holds one object per line and grows line by line, so a program that is
killed loses at most the line it was writing.

A first reading may skip this file.
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

from minivision.nn.weights import plain_file, write_atomically


def parse_json(where: str, text: str | bytes) -> Any:
    """The value that the text is in JSON; ValueError, which begins with `where`, if it is not."""
    try:
        return json.loads(text)
    except ValueError as error:  # broken JSON, or bytes that are not text
        raise ValueError(f"{where}: not valid JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{where}: not valid JSON here (it is nested too deeply)") from error


def parse_object(where: str, text: str | bytes) -> dict[str, Any]:
    """The JSON object in the text; ValueError, which begins with `where`, for anything else."""
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

    A last line that a kill left half-written is ignored. Any other line that is not a JSON object
    raises ValueError with its number.
    """
    return _read_lines(path)[0]


def append_line(path: Path, line: bytes) -> None:
    """Append a line that `json_bytes` made; it is on the disk when this returns."""
    records, whole = _read_lines(path)
    if not whole:
        write_lines(path, records)  # or the new line would continue the half-written one
    try:
        with plain_file(path).open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror}") from error


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace the file by one with these objects, in one indivisible step."""
    write_atomically(path, b"".join(json_bytes(f"{path}: record", record) for record in records))


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The objects, and whether the file ends where a line ends."""
    if not path.exists():
        return [], True
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error.strerror}") from error
    records = [parse_object(f"{path}, line {n}", line) for n, line in enumerate(lines, 1)]
    # After the last newline comes nothing, or a line without its end. The beginning of an object
    # is never an object itself, so a rest that can be read lacks only its newline.
    with contextlib.suppress(ValueError):
        records.append(parse_object("the rest", rest))
    return records, not rest


def json_bytes(where: str, value: Any, indent: int | None = None, null: bool = False) -> bytes:
    """The value as JSON and a newline; `null` says that infinity and NaN may become null."""
    return json.dumps(_plain(where, value, null), indent=indent, allow_nan=False).encode() + b"\n"


def _plain(where: str, value: Any, null: bool) -> Any:
    """The value in Python's own types; `where` grows into the name of what JSON cannot hold."""
    if isinstance(value, Mapping):
        for key in value:
            # json.dumps would turn the key 1 into "1", and the run would not come back the same.
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; JSON needs strings as keys")
        return {key: _plain(f"{where}[{key!r}]", item, null) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{where}[{i}]", item, null) for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        if not null:
            raise ValueError(f"{where} is {value}; JSON has no word for it, give a finite number")
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{where} is a {type(value).__name__}; expected numbers, strings, True, False, None, "
        "or lists and dictionaries of them"
    )
