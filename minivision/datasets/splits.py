"""Divide a dataset into parts in which every class has its share.

We choose settings on the validation part and use the test part once. Both say little if a class is
missing by bad luck, so each part gets its share of every class (it is *stratified*). A published
dataset never changes, so its parts can have exact sizes. Your own folder grows: its images are
dealt by their names, so that a test image stays a test image.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
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
    """Disjoint index arrays, one per size, in which every class is in proportion.

    labels: int (N,).
    sizes: numbers of examples (integers, kept exactly) or fractions of N (floats). They may leave
        a remainder, which belongs to no part; fractions are rounded so that the total size of the
        parts is rounded correctly too.
    seed: the same labels, sizes and seed give the same parts.

    The examples of each class are spread evenly over the line from 0 to 1: after a shuffle, the
    r-th of the N_c examples of class c is at (r + u_c) / N_c, with one random offset u_c per class.
    From left to right, any stretch of the line has every class in proportion; the parts are
    successive stretches. (Statisticians call this systematic sampling.)

    Raises ValueError for sizes that are negative, of mixed types, or too large in total.

    >>> train, test = stratified_indices(np.array([0, 1, 1, 0, 1, 1, 1, 1, 0]), (6, 3))
    >>> np.bincount(np.array([0, 1, 1, 0, 1, 1, 1, 1, 0])[test])
    array([1, 2])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"stratified_indices: labels is {labels.dtype} {labels.shape}; expected integers (N,)"
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


# The share of each part in a folder of images; the rest is for training.
SHARES = {"test": 0.2, "validation": 0.1}


def place_of(name: str) -> float:
    """A number from 0 to 1 computed from an image's name CLASS/FILE, uniformly distributed.

    >>> round(place_of("cat/1.png"), 3)
    0.415
    """
    data = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") / 2**64


def part_by_name(name: str, parts: Collection[str] = tuple(SHARES)) -> str:
    """The part of the image CLASS/FILE: that of `parts` whose stretch contains its place, or train.

    Only its own name matters, so adding, removing or renaming an image moves no other. The price is
    that the parts have their shares of every class only on average.

    >>> part_by_name("cat/1.png"), part_by_name("cat/2.png")
    ('train', 'train')
    """
    start, place = 0.0, place_of(name)
    for part, share in SHARES.items():
        if part in parts and start <= place < start + share:
            return part
        start += share
    return "train"


def deal_by_name(
    names: Sequence[str], parts: Collection[str] = tuple(SHARES)
) -> dict[str, list[str]]:
    """Deal images CLASS/FILE to "train" and to `parts`, each by `part_by_name`.

    In a very small folder, by chance, a class may have no image for training, or a part may have no
    image at all. Only then is an image moved: the one whose place is the last of its class, or the
    first of all. Raises ValueError if there are too few images even for that.
    """
    class_of = {name: name.split("/")[0] for name in names}
    part_of = {name: part_by_name(name, parts) for name in names}
    in_line = sorted(names, key=place_of)
    last = {class_of[name]: name for name in in_line}  # the last image of each class
    for c in last.keys() - {class_of[name] for name in names if part_of[name] == "train"}:
        part_of[last[c]] = "train"
    for part in [part for part in parts if part not in part_of.values()]:
        training = [name for name in in_line if part_of[name] == "train"]
        left = Counter(class_of[name] for name in training)
        spare = [name for name in training if left[class_of[name]] > 1]
        size = Counter(part_of.values())
        spare += [name for name in in_line if name not in training and size[part_of[name]] > 1]
        if not spare:
            raise ValueError(f"{len(names)} images are too few to split")
        part_of[spare[0]] = part
    return {part: [n for n in names if part_of[n] == part] for part in ("train", *parts)}


def whole_sizes(sizes: Sequence[float], N: int) -> list[int]:
    """The sizes as numbers of examples, at most N in total.

    >>> whole_sizes((0.5, 0.25, 0.25), 9)
    [4, 3, 2]
    """
    sizes = list(sizes)
    fractions = all(isinstance(size, float | np.floating) for size in sizes)
    if not fractions and not all(isinstance(size, int | np.integer) for size in sizes):
        raise ValueError(
            f"stratified_split: sizes is {sizes}; "
            "expected integers such as (1000, 100) or fractions such as (0.8, 0.2)"
        )
    if any(not size >= 0 for size in sizes):
        raise ValueError(f"stratified_split: sizes is {sizes}; expected non-negative sizes")
    # Fractions such as 0.7 + 0.2 + 0.1 add up to one only up to rounding.
    if sum(sizes) > (1 + 1e-9 if fractions else N):
        raise ValueError(
            f"stratified_split: sizes is {sizes}, which sum to {sum(sizes)}; expected at most "
            + ("1.0" if fractions else f"{N}, the number of examples")
        )
    if not fractions:
        return [int(size) for size in sizes]
    cuts = np.rint(np.cumsum([0.0, *sizes]) * N).astype(int)
    return np.diff(cuts).tolist()
