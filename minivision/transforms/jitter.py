"""Colour jitter: small random changes of brightness, contrast and saturation.

Colour jitter shows the same object at noon, at dusk and through a cheap lens. It is one of the
oldest colour augmentations (Howard 2013, arXiv 1312.5402), and most training recipes still use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minivision.transforms.checks import LARGEST, needed_rng
from minivision.transforms.light import brightness, color, contrast
from minivision.transforms.pipeline import Transform

Range = tuple[float, float]
CHANGES = {"brightness": brightness, "contrast": contrast, "saturation": color}


class Change(NamedTuple):
    """One step of a colour jitter: the name of the property that changes, and the factor."""

    name: str
    factor: float

    def __str__(self) -> str:
        return f"{self.name} {self.factor:.2f}"


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Draw a factor for each of brightness, contrast and saturation, and an order for the three.

    Each argument is a range (low, high), from which a factor is drawn uniformly, or None for no
    change. A factor of 1 leaves the image unchanged, and (0.6, 1.4) is a common range. The factors
    have the same meaning as in `light`: brightness multiplies every byte, contrast moves it away
    from the mean grey, and saturation moves it away from the pixel's own grey.

    >>> jitter = ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4))
    >>> [change.name for change in jitter.draw((32, 32), np.random.default_rng(0))]
    ['contrast', 'brightness']
    """

    brightness: Range | None = None
    contrast: Range | None = None
    saturation: Range | None = None

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in CHANGES:
            _check_range(name, getattr(self, name))

    def draw(
        self, size: tuple[int, int], rng: np.random.Generator | None = None
    ) -> tuple[Change, ...]:
        rng = needed_rng("ColorJitter", rng)
        ranges = [(name, getattr(self, name)) for name in CHANGES if getattr(self, name)]
        changes = [Change(name, float(rng.uniform(*range_))) for name, range_ in ranges]
        return tuple(changes[i] for i in rng.permutation(len(changes)))

    def apply(self, image: np.ndarray, parameters: tuple[Change, ...]) -> np.ndarray:
        changed = image.copy()
        for name, factor in parameters:
            changed = CHANGES[name](changed, factor)
        return changed


def _check_range(name: str, range_: Any) -> None:
    if range_ is None:
        return
    pair = isinstance(range_, tuple | list) and len(range_) == 2
    if not pair or not all(isinstance(n, int | float | np.number) for n in range_):
        raise ValueError(
            f"ColorJitter: {name} is {range_!r}; expected None or (low, high), such as (0.6, 1.4)"
        )
    if not 0 <= range_[0] <= range_[1] <= LARGEST:
        raise ValueError(
            f"ColorJitter: {name} is {range_!r}; expected 0 <= low <= high <= {LARGEST:g}"
        )
