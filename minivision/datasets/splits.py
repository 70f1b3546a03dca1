"""Divide a dataset into splits that each have their share of every class.

We choose settings on the validation set and use the test set only once. Neither tells us much if a
class happens to be missing, so each split gets its share of every class: the splits are
*stratified*. A published dataset never changes, so its splits can have exact sizes. Your own folder
grows, so its images are assigned by their names, and a test image stays a test image.
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
    """The three splits of a dataset. Each split is itself a dataset, with the same classes."""

    train: Any
    validation: Any
    test: Any


def stratified_split(dataset: Any, sizes: Sequence[float], seed: int = 0) -> tuple[Subset, ...]:
    """Disjoint subsets of a dataset, as views, with the given sizes; see `stratified_indices`."""
    parts = stratified_indices(dataset.labels, sizes, seed)
    return tuple(Subset(dataset, indices) for indices in parts)


def stratified_indices(
    labels: np.ndarray, sizes: Sequence[float], seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Disjoint arrays of indices, one per size, with every class in proportion.

    labels: int (N,).
    sizes: numbers of examples (integers, which are honoured exactly) or fractions of N (floats). If
        they leave a remainder, it belongs to no split; fractions are rounded so that the total size
        of the splits is rounded correctly too.
    seed: the same labels, sizes and seed give the same splits.

    The examples of each class are spread evenly over the line from 0 to 1: after a shuffle, the
    r-th of the N_c examples of class c is at (r + u_c) / N_c, with one random offset u_c per class.
    Any interval of the line then contains every class in proportion, and the splits are successive
    intervals from left to right. (Statisticians call this systematic sampling.)

    Raises ValueError if the sizes are negative, of mixed types, or too large in total.

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
    # Sort the indices, so that a split keeps the order of the dataset.
    return tuple(np.sort(order[a:b]) for a, b in pairwise(cuts))


# The share of each split in a folder of images; the rest is for training.
SHARES = {"test": 0.2, "validation": 0.1}


def place_of(name: str) -> float:
    """A position from 0 to 1, computed from an image's name CLASS/FILE and uniformly distributed.

    >>> round(place_of("cat/1.png"), 3)
    0.415
    """
    data = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") / 2**64


def part_by_name(name: str, parts: Collection[str] = tuple(SHARES)) -> str:
    """The split that the image CLASS/FILE is assigned to: one of `parts`, or "train".

    Each split but "train" has an interval as long as its share, and gets the images whose
    `place_of` falls inside. Only an image's own name matters, so adding, removing or renaming other
    images never moves it. The price is that the splits have their shares of every class only on
    average.

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
    """Assign images CLASS/FILE to "train" and to `parts`, using `part_by_name`.

    In a very small folder, a class may end up without a training image, or a split without any
    image. Only then is an image moved: to training, the one with the largest `place_of` in its
    class; to an empty split, the one with the smallest `place_of` that can be spared. Raises
    ValueError if there are too few images even for that.
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
    # Because of rounding errors, fractions such as 0.7 + 0.2 + 0.1 may not add up to exactly one.
    if sum(sizes) > (1 + 1e-9 if fractions else N):
        raise ValueError(
            f"stratified_split: sizes is {sizes}, which sum to {sum(sizes)}; expected at most "
            + ("1.0" if fractions else f"{N}, the number of examples")
        )
    if not fractions:
        return [int(size) for size in sizes]
    cuts = np.rint(np.cumsum([0.0, *sizes]) * N).astype(int)
    return np.diff(cuts).tolist()
