"""Plain JSON: what may be written into a run's folder, and sentences for what may not.

JSON knows numbers, strings, true, false, null, lists and objects with strings as keys. It has no
word for infinity and "not a number", no tuples, and nothing of NumPy's.

A first reading may skip this file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def parse_object(where: str, text: bytes) -> dict[str, Any]:
    """The JSON object in the text; ValueError, which begins with `where`, for anything else."""
    try:
        value = json.loads(text)
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise ValueError(f"{where}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object in braces, not {value!r}")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        return parse_object(str(path), path.read_bytes())
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error.strerror}") from error


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
