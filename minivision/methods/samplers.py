"""Samplers of augmentation policies: a grid over RandAugment, or lists drawn at random.

A sampler is called as sampler(number, seed) -> policy, with numbers from 1 up. Its result depends
on nothing else, so a search can be stopped, resumed, and given a larger budget later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from minivision.random import Key, keyed
from minivision.transforms import Compose, OperationSequence, RandAugment
from minivision.transforms.randaugment import PRESETS

NONE = Compose([])


@dataclass(frozen=True)
class Grid:
    """RandAugment with every combination of a count N and a magnitude M, in an order set by seed.

    >>> Grid()(1, seed=0)
    RandAugment(count=3, magnitude=9, preset='monotone', fill=128)
    """

    counts: Sequence[int] = (1, 2, 3)
    magnitudes: Sequence[float] = (3, 6, 9, 15)
    preset: str = "monotone"
    fill: int = 128

    def __call__(self, number: int, seed: int) -> RandAugment:
        cells = list(product(self.counts, self.magnitudes))
        if number > len(cells):
            raise ValueError(
                f"Grid: number is {number}, but there are {len(cells)} pairs of N and M; expected "
                f"a budget of at most {len(cells) + 1}, including the baseline"
            )
        order = keyed(Key.GRID, seed).permutation(len(cells))
        count, magnitude = cells[order[number - 1]]
        return RandAugment(count, magnitude, self.preset, self.fill)


@dataclass(frozen=True)
class RandomSequences:
    """One to `longest` operations with magnitudes from 1 to 30, all drawn at random.

    probability: the probability that an operation is applied to an image. With one half, a sequence
        of 1, 2 or 3 operations leaves one image in 2, 4 or 8 unchanged.
    """

    longest: int = 3
    probability: float = 0.5
    preset: str = "monotone"
    fill: int = 128

    def __call__(self, number: int, seed: int) -> OperationSequence:
        rng = keyed(Key.SEQUENCE, seed, number)
        names = [name for name in PRESETS[self.preset] if name != "identity"]
        length = rng.integers(1, self.longest, endpoint=True)
        operations = [
            (names[rng.integers(len(names))], int(rng.integers(1, 30, endpoint=True)))
            for _ in range(length)
        ]
        return OperationSequence(operations, self.probability, self.preset, self.fill)


def policy_name(policy: Any) -> str:
    """A policy in a few words.

    >>> policy_name(RandAugment(2, 9)), policy_name(OperationSequence([("rotate", 15)]))
    ('N=2 M=9', 'rotate 15')
    """
    if policy == NONE:
        return "none"
    if isinstance(policy, RandAugment):
        return f"N={policy.count} M={policy.magnitude:g}"
    if isinstance(policy, OperationSequence):
        table = PRESETS[policy.preset]
        words = [f"{name} {M:g}" if table[name].amount else name for name, M in policy.operations]
        return ", ".join(words)
    return repr(policy)
