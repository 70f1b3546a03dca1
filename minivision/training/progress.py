"""Progress of a training run: its batches, means over an epoch, the history, a progress bar.

You can skip this file on a first reading.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm.auto import tqdm

from minivision.backend import array_module
from minivision.tensor import Tensor


class EpochBatches(Protocol):
    """The batches of one epoch: an iterable with a known length."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


class History(list):
    """One record (a dict of numbers) for every epoch; `history["train_loss"]` is a column."""

    def __getitem__(self, key: Any) -> Any:
        return [record.get(key) for record in self] if isinstance(key, str) else list(self)[key]


def numbers_in(records: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """The records in a file, for resuming a run; ValueError if an entry is not a number."""
    for record in records:
        for name, value in {"seconds": None, **record}.items():
            if not isinstance(value, int | float) and (value is not None or name == "seconds"):
                raise ValueError(
                    f"{file}: in the record for epoch {record['epoch']}, {name!r} is "
                    f"{value!r:.60}; expected a number"
                )
    return records


class Means:
    """Means over an epoch, weighted by batch size and accumulated on the device."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.totals: dict[str, Any] = {}

    def add(self, n: int, values: Mapping[str, Any]) -> None:
        """Add values for a batch of n images: means over the images, or pairs (sum, count)."""
        for name, value in values.items():
            array = value.data if isinstance(value, Tensor) else value
            total, count = array if isinstance(array, tuple) else (_double(array) * n, n)
            self.totals[name] = self.totals.get(name, 0.0) + _double(total)
            self.counts[name] = self.counts.get(name, 0.0) + _double(count)

    def result(self) -> dict[str, float]:
        """The means; a mean over nothing is NaN."""
        return {
            name: float(total / self.counts[name]) if self.counts[name] else float("nan")
            for name, total in self.totals.items()
        }


def _double(number: Any) -> Any:
    return array_module(number).asarray(number, dtype=np.float64)


def bar(epoch: int, epochs: int, batches: int) -> Any:
    """A progress bar on a terminal or in a notebook; silent if the output goes to a file."""
    return tqdm(total=batches, desc=f"epoch {epoch + 1}/{epochs}", unit="batch", disable=None)


def tell(bar: Any, epoch: int, epochs: int, record: Mapping[str, float]) -> None:
    """Show the most important numbers of an epoch, next to the bar or on a line of their own."""
    names = {
        "train_loss": "loss",
        "train_accuracy": "accuracy",
        "validation_accuracy": "validation accuracy",
    }
    told = [
        f"{name} {record[key]:.2%}" if "accuracy" in key else f"{name} {record[key]:.4f}"
        for key, name in names.items()
        if key in record
    ]
    if bar.disable:
        print(f"epoch {epoch + 1}/{epochs}  " + "  ".join(told), file=sys.stderr)
    else:
        bar.set_postfix_str("  ".join(told))
