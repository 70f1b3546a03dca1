"""A fixed augmentation policy: the same operations, magnitudes and order for every image.

RandAugment draws new operations for each image. Here the operations are fixed; only their signs
(left or right, lighter or darker) and whether they are applied at all are random. A search over
policies tries sequences of this kind. The operations and the meaning of a magnitude are
RandAugment's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minivision.errors import require_probability
from minivision.transforms.checks import check_fill, check_light, needed_rng
from minivision.transforms.pipeline import Transform
from minivision.transforms.randaugment import (
    PRESETS,
    Step,
    Steps,
    apply_steps,
    check_magnitude,
    check_preset,
    draw_step,
    strength,
)


@dataclass(frozen=True)
class OperationSequence(Transform):
    """Apply the operations in order, each with the given probability.

    operations: pairs of a name in `PRESETS[preset]` and a magnitude from 0 to 30 (ignored by
        operations without a strength, such as equalize).
    probability: the probability of each operation, independently of the others. At 1 the network
        never sees the original images; at 0 it sees nothing else.
    fill: the byte value of pixels from outside the image.

    >>> policy = OperationSequence([("rotate", 15), ("equalize", 0), ("color", 20)])
    >>> print(policy.draw((32, 32), np.random.default_rng(0)))
    rotate -15, equalize, color 1.6
    """

    operations: Sequence[tuple[str, float]]
    probability: float = 1.0
    preset: str = "monotone"
    fill: int = 128

    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_preset("OperationSequence", self.preset)
        check_fill("OperationSequence", self.fill)
        require_probability("OperationSequence: probability", self.probability)
        for pair in _pairs(self.operations):
            self._check_operation(*pair)
        # Plain tuples can be compared and saved in a run's settings.
        object.__setattr__(self, "operations", tuple(map(tuple, self.operations)))

    def _check_operation(self, name: object, magnitude: object) -> None:
        table = PRESETS[self.preset]
        if name not in table:
            raise ValueError(
                f"OperationSequence: preset {self.preset!r} has no operation {name!r}; "
                f"expected one of {', '.join(table)}"
            )
        check_magnitude("OperationSequence", f"the magnitude of {name!r}", magnitude)

    def draw(self, size: tuple[int, int], rng: np.random.Generator | None = None) -> Steps:
        rng = needed_rng("OperationSequence", rng)
        return Steps(
            draw_step(name, magnitude, self.preset, size, rng)
            for name, magnitude in self.operations
            if rng.random() < self.probability
        )

    def apply(self, image: np.ndarray, parameters: Sequence[Step]) -> np.ndarray:
        check_light("OperationSequence", image)
        return apply_steps("OperationSequence", image, parameters, self.preset, self.fill)

    def describe(self, size: tuple[int, int] = (32, 32)) -> str:
        """One line per operation, with its strength on images of size (H, W).

        >>> print(OperationSequence([("rotate", 15), ("equalize", 0)]).describe())
        rotate         ±15 degrees
        equalize
        """
        table = PRESETS[self.preset]
        return "\n".join(strength(table, name, M, size) for name, M in self.operations)


def _pairs(operations: object) -> Sequence[Sequence]:
    """The operations, after checking that they are pairs."""
    listed = isinstance(operations, list | tuple)
    if not listed or not all(isinstance(p, list | tuple) and len(p) == 2 for p in operations):  # type: ignore[attr-defined]
        raise ValueError(
            f"OperationSequence: operations is {operations!r}; "
            'expected pairs (name, magnitude), such as [("rotate", 9), ("color", 20)]'
        )
    return operations  # type: ignore[return-value]
