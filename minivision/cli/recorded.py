"""Check the options and results in a command's folder when they are read again.

People edit these files. If an entry is missing or has the wrong type, an error names it before it
is used to train or print anything.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minivision.training import Run
from minivision.training.settings import check_texts

COUNTS = ("epochs", "batch_size", "ratio", "layers", "iterations", "limit", "labels", "per_class",
          "hidden")  # fmt: skip
FROM_ZERO = ("seed", "warm_up")  # whole numbers, 0 or more
NUMBERS = ("lr", "backbone_rate", "layer_decay", "temperature", "alpha", "old_weight", "threshold",
           "floor")  # fmt: skip
SWITCHES = ("skip_unreadable", "no_labels", "hard_labels", "no_balance", "allow_missing")
# Options that may be null; all others are strings. One of `labels` and `unlabelled` is null.
OPTIONAL = ("limit", "labels", "per_class", "hidden", "alpha", "student", "unlabelled",
            "unlabelled_augment")  # fmt: skip
LISTS: dict[str, Any] = {"curve": int | float | None, "untested_classes": str}  # in a result


def check_options(file: Path, options: Mapping[str, Any], names: list[str]) -> None:
    """Raise ValueError if the command line would not accept an option in a settings.json."""
    for name in names:
        value, least = options[name], None
        kind: Any = str
        if name in (*COUNTS, *FROM_ZERO):
            kind, least = int, int(name in COUNTS)
        elif name in NUMBERS:
            kind, least = int | float, 0
        elif name in SWITCHES:
            kind = bool
        given = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if least is not None and given:
            given = least <= value < float("inf")
        if not given and not (value is None and name in OPTIONAL):
            raise ValueError(f"{file}: {name!r} is {value!r:.60}; expected what the command wrote")
    if "labels" in names and (options["labels"] is None) == (options["unlabelled"] is None):
        raise ValueError(f"{file}: expected one of 'labels' and 'unlabelled' to be null")
    for name in ("skipped", "versions", "unlabelled_images"):
        check_texts(f"{file}: {name!r}", options.get(name))


def result_of(run: Run, *needed: str) -> dict[str, Any]:
    """The result.json of a finished run; ValueError names an entry that is not valid."""
    found = run.read_result()
    for name in (*needed, *found):
        value, kind = found.get(name), LISTS.get(name, int | float | None)
        if name in LISTS and isinstance(value, list):
            good = all(isinstance(entry, kind) for entry in value)
        else:
            good = name not in LISTS and isinstance(value, kind)
        if not good or (name in needed and value is None):
            was = f"is {value!r:.60}" if name in found else "is missing"
            raise ValueError(f"{run.result_path}: {name!r} {was}; expected what the command wrote")
    return found
