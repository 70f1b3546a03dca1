"""The settings of a run: everything needed to repeat it, as stored in its settings.json.

You can skip this file on a first reading.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

PREPROCESSING = ("dataset", "training", "image")
FREE = ("workers", "versions")  # entries that may change while a run is stopped
# File locations may change too: the files are compared with what this other entry records.
PLACES = {
    "dataset": "images", "labelled": "images", "unlabelled": "unlabelled_images",
    "weights": "weights_sha256",
}  # fmt: skip
CHOICES = {
    "optimizer": ("adam", "sgd"),
    "schedule": ("cosine", "constant", "step", "plateau"),
    "class_weights": (None, "balanced"),
    "start": ("he", "paper"),
    "mixer": (None, "cutmix", "mixup"),
    "channels": (1, 3),
}
PLATEAU = 3  # epochs without a new best that the schedule "plateau" tolerates


def digests(settings: Mapping[str, Any]) -> dict[str, str]:
    """The CRC-32 of every entry, as eight hexadecimal digits; equal entries have equal digests.

    >>> digests({"seed": 0, "lr": 0.1})
    {'seed': 'f4dbdf21', 'lr': '81f33594'}
    """
    texts = {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}
    return {name: f"{zlib.crc32(text.encode()):08x}" for name, text in texts.items()}


def check_unedited(file: Path, settings: Mapping[str, Any], begun: Mapping[str, str]) -> None:
    """Raise ValueError if an entry that affects the weights has changed since the run began.

    begun: the digests from the start of the run; if empty, nothing can be checked.
    """
    if not isinstance(begun, dict):
        begun = {"digests": "edited as well"}
    now = digests(settings)
    for name in {**begun, **now} if begun else ():
        free = name in FREE or (name in PLACES and settings.get(PLACES[name]) is not None)
        if begun.get(name) != now.get(name) and not free:
            raise ValueError(
                f"{file}: {name!r} was edited after the run had started, so it cannot be resumed; "
                "restore the old value, or start again in another folder"
            )


@dataclass(frozen=True)
class RunSettings:
    """The settings of one run, checked on creation; a ValueError names the first wrong value."""

    model: str
    dataset: str  # a name or the path of class folders
    classes: list
    channels: int
    # Descriptions of transforms: "dataset" for its images, "training" for augmented ones, "image"
    # for any image passed to `predict`.
    preprocessing: dict
    epochs: int
    batch_size: int
    lr: int | float
    optimizer: str = "adam"
    momentum: int | float | None = None  # for sgd; None: 0.9, as in runs older than this setting
    weight_decay: int | float | None = None  # on weights only; None: sgd 5e-4 on all, adam 0
    schedule: str = "cosine"
    class_weights: str | None = None
    patience: int | None = None  # epochs without a better validation loss before training ends
    weights: str | None = None  # the file with the network's initial weights
    weights_sha256: str | None = None  # of that file
    seed: int = 0
    start: str = "paper"  # how the initial weights are drawn
    limit: int | None = None  # the number of training images; None: all
    workers: int = 0
    shift: int | None = None  # options as given; the resulting transforms are in preprocessing
    augment: str | None = None
    skip_unreadable: bool = False
    mixer: str | None = None
    # None for a network as its file builds it; otherwise its backbone gets a new head:
    # {"layers": how many are removed, "hidden": [units]}.
    head: dict | None = None
    skipped: dict = field(default_factory=dict)  # files left out: {name: what is wrong}
    images: dict | None = None  # the fingerprint of the images, if they are the user's own
    unlabelled_images: dict | None = None
    versions: dict = field(default_factory=dict)  # of the software used for the run

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                named = getattr(kind, "__name__", kind)
                raise ValueError(f"{name!r} is {value!r:.60}; expected {named}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                expected = ", ".join(map(str, known))
                raise ValueError(f"{name!r} is {getattr(self, name)!r:.60}; expected {expected}")
        if not self.classes or not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"'classes' is {self.classes!r:.60}; expected a list of names")
        if missing := [part for part in PREPROCESSING if part not in self.preprocessing]:
            raise ValueError(f"'preprocessing' has no {missing[0]!r}; expected all three parts")
        for name in ("skipped", "unlabelled_images", "versions"):
            check_texts(repr(name), getattr(self, name))
        for name, part in (self.images or {}).items():
            if isinstance(part, dict):
                check_texts(repr(name), part)
        if self.head is not None:
            counts = [self.head.get("layers"), *as_list(self.head.get("hidden"))]
            if any(type(count) is not int or count < 1 for count in counts):
                raise ValueError(
                    f"'head' is {self.head!r:.60}; expected counts as 'layers' and 'hidden'"
                )
        for name in ("epochs", "batch_size", "lr"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name!r} is {getattr(self, name)}; expected a number above 0")
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(
                f"'momentum' is {self.momentum}, but the optimizer is {self.optimizer}, which "
                "averages gradients in its own way; only sgd takes a momentum"
            )
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise ValueError(f"'momentum' is {self.momentum}; expected at least 0 and below 1")
        if self.weight_decay is not None and not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"'weight_decay' is {self.weight_decay}; expected at least 0")
        least = 2 + PLATEAU if self.schedule == "plateau" else 1
        if self.patience is not None and self.patience < least:
            why = ", because plateau lowers the learning rate after 4 epochs" if least > 1 else ""
            raise ValueError(f"'patience' is {self.patience}; expected at least {least}{why}")

    @classmethod
    def read(cls, file: Path, content: Mapping[str, Any]) -> RunSettings:
        """Read settings.json, also from version 0.1; a ValueError names the file and the entry."""
        known = [entry.name for entry in fields(cls)]
        unknown = [name for name in content if name not in known]
        missing = [name for name in known[: known.index("optimizer")] if name not in content]
        try:
            if unknown or missing:
                which = f"{missing[0]!r} is missing" if missing else f"{unknown[0]!r} is unknown"
                raise ValueError(which)
            return cls(**content)
        except ValueError as error:
            raise ValueError(f"{file}: {error}; the file was not written by train") from error

    def plain(self) -> dict[str, Any]:
        """As a dictionary, for settings.json."""
        return asdict(self)


def check_texts(where: str, entries: Any) -> None:
    """Raise ValueError unless `entries` is None or a dictionary that maps names to strings."""
    if not isinstance(entries, dict | None):
        raise ValueError(f"{where} is {entries!r:.60}; expected names with strings")
    for name, value in (entries or {}).items():
        if not isinstance(value, str):
            raise ValueError(f"{name!r} in {where} is {value!r:.60}; expected a string")


def as_list(value: Any) -> list:
    """A list unchanged; anything else as a list with one element."""
    return value if isinstance(value, list) else [value]
