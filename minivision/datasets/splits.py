"""Cutting a dataset into parts in which every class has its share.

We choose settings on the validation part and read the test part once. Both say little when a class
is missing from them by bad luck, so each part takes its share of every class (it is *stratified*).

Read next: datasets/only_classes.py
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minivision.datasets.dataset import Subset


class Splits(NamedTuple):
    """The three parts of a dataset. Every part is a dataset with the same classes."""

    train: Any
    validation: Any
    test: Any


def stratified_split(dataset: Any, sizes: Sequence[float], seed: int = 0) -> tuple[Subset, ...]:
    """Views of disjoint parts of a dataset, of the given sizes; see `stratified_indices`."""
    parts = stratified_indices(dataset.labels, sizes, seed)
    return tuple(Subset(dataset, indices) for indices in parts)


def stratified_indices(
    labels: np.ndarray, sizes: Sequence[float], seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Disjoint index arrays, one a size, in which every class is in proportion.

    labels: int (N,).
    sizes: numbers of examples (integers, kept exactly) or fractions of N (floats). They may leave
        a rest, which belongs to no part; a fraction is rounded so that the parts together have the
        rounded size too.
    seed: the same labels, sizes and seed give the same parts.

    Every class spreads its examples evenly over the line from 0 to 1: after a shuffle, the r-th of
    the N_c examples of class c stands at (r + u_c) / N_c, with one random offset u_c a class.
    Read off from left to right, any stretch of the line has every class in proportion; the parts
    are successive stretches. (Statisticians call this systematic sampling.)

    Raises ValueError for sizes that are negative, mixed, or more than there is.

    >>> train, test = stratified_indices(np.array([0, 1, 1, 0, 1, 1, 1, 1, 0]), (6, 3))
    >>> np.bincount(np.array([0, 1, 1, 0, 1, 1, 1, 1, 0])[test])
    array([1, 2])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"stratified_indices: labels is {labels.dtype} {labels.shape}; "
            "expected whole numbers (N,)"
        )
    cuts = np.cumsum([0, *whole_sizes(sizes, len(labels))])
    rng = np.random.default_rng(seed)
    position = np.empty(len(labels))
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        position[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(position, kind="stable")
    # Sorted, so that a part keeps the order of the dataset.
    return tuple(np.sort(order[a:b]) for a, b in pairwise(cuts))


def whole_sizes(sizes: Sequence[float], N: int) -> list[int]:
    """The sizes as numbers of examples, at most N together.

    >>> whole_sizes((0.5, 0.25, 0.25), 9)
    [4, 3, 2]
    """
    sizes = list(sizes)
    fractions = all(isinstance(size, float | np.floating) for size in sizes)
    if not fractions and not all(isinstance(size, int | np.integer) for size in sizes):
        raise ValueError(
            f"stratified_split: sizes is {sizes}; "
            "expected numbers of examples such as (1000, 100) or fractions such as (0.8, 0.2)"
        )
    if any(not size >= 0 for size in sizes):
        raise ValueError(f"stratified_split: sizes is {sizes}; expected no negative size")
    # Fractions such as 0.7 + 0.2 + 0.1 add up to one only within rounding.
    if sum(sizes) > (1 + 1e-9 if fractions else N):
        raise ValueError(
            f"stratified_split: sizes is {sizes}, together {sum(sizes)}; expected at most "
            + ("1.0" if fractions else f"{N}, the number of examples")
        )
    if not fractions:
        return [int(size) for size in sizes]
    cuts = np.rint(np.cumsum([0.0, *sizes]) * N).astype(int)
    return np.diff(cuts).tolist()
