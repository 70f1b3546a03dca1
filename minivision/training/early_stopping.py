"""Early stopping: end training when the network no longer improves, and keep the best epoch.

Sooner or later a network memorises its training images: the loss on them keeps falling, but the
loss on the validation images rises again. The weights to keep are those from before the rise.
(Prechelt 1998 compares rules for when to stop.)

You can skip this file on a first reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minivision.nn import Module


class EarlyStopping:
    """Stop after `patience` epochs without a new lowest number, and keep the best epoch's weights.

    watch: the recorded number that should fall. An epoch that only equals the best does not count
    as better.

    The records alone determine which epoch was the best. The only state is its weights, which are
    saved in a run's checkpoint. So a run that was killed and resumed stops at the same epoch.

    >>> stopping = EarlyStopping(patience=2)
    >>> records = [{"validation_loss": loss} for loss in (1.0, 0.9, 0.95, 0.92)]
    >>> stopping.best_epoch(records), stopping.stops(records[:3]), stopping.stops(records)
    (2, False, True)
    """

    def __init__(self, patience: int, watch: str = "validation_loss"):
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience!r}; expected at least 1 epoch")
        self.patience, self.watch = patience, watch
        self.weights: dict[str, np.ndarray] = {}  # of the best epoch

    def begin(self, validated: bool) -> None:
        """Start, or restart. validated: whether records will have validation numbers."""
        if self.watch.startswith("validation_") and not validated:
            raise ValueError(f"EarlyStopping: watches {self.watch!r}, but validate is None")
        self.weights = {}

    def best_epoch(self, records: Sequence[Mapping[str, Any]]) -> int:
        """The epoch (from 1) with the lowest number; the first if several tie; 0 if no records."""
        numbers = [self.number(record) for record in records]
        return 1 + numbers.index(min(numbers)) if numbers else 0

    def number(self, record: Mapping[str, Any]) -> float:
        """The number in a record. None means NaN or infinity, in a record read from a file."""
        if self.watch not in record:
            raise ValueError(
                f"EarlyStopping: no {self.watch!r} is recorded, only {', '.join(record)}"
            )
        found = record[self.watch]
        return math.inf if found is None or math.isnan(found) else found

    def stops(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Whether none of the last `patience` epochs was a new best."""
        return len(records) - self.best_epoch(records) >= self.patience

    def observe(self, records: Sequence[Mapping[str, Any]], model: Module) -> None:
        """After an epoch, keep the model's weights if the epoch is the best so far."""
        if self.best_epoch(records) == len(records):
            self.weights = model.state_dict()
