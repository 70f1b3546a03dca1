"""CutMix and Mixup: mix every image in a batch, and its label, with another image and its label.

An image that is a quarter cat and three quarters dog gets a soft label that says so. In this way
the classifier also learns from images between the training images. Both transforms work on whole
batches, after the images have become NumPy or CuPy arrays:
`fit(..., batch_transform=CutMix(classes=10))`.

As with transforms for single images, `draw` chooses the parameters and `apply` uses them. Each
batch has one λ, one box and one permutation, as in the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array, array_module
from minivision.errors import require_probability
from minivision.transforms.checks import check_batch, needed_rng


class Box(NamedTuple):
    """The rows from top to bottom - 1 and the columns from left to right - 1 of an image."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


class Mixing(NamedTuple):
    """The random choices for a batch: the images' own share λ, their partners, and the box."""

    lam: float
    permutation: np.ndarray  # (N,); image n is mixed with image permutation[n]
    box: Box | None = None  # where the pixels are the partner's; None if all pixels are mixed


class MixedBatch(NamedTuple):
    """Images (N, C, H, W), targets (N, K) whose rows sum to 1, and the random choices."""

    images: Array
    targets: Array
    lam: float
    permutation: np.ndarray
    box: Box | None


@dataclass(frozen=True)
class _Mixer:
    """What Mixup and CutMix share: the settings, drawing λ and partners, and the call."""

    classes: int
    alpha: float = 1.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        _check_settings(self)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None = None) -> Mixing:
        """Choose what to mix in a batch of this shape (N, C, H, W)."""
        name = type(self).__name__
        rng = needed_rng(name, rng)
        if len(shape) != 4:
            raise ValueError(f"{name}: images has shape {tuple(shape)}; expected (N, C, H, W)")
        if self.alpha == 0 or rng.random() >= self.probability:
            return Mixing(1.0, np.arange(shape[0]))
        lam = float(rng.beta(self.alpha, self.alpha))
        return Mixing(lam, rng.permutation(shape[0]))

    def apply(self, images: Array, targets: Any, mixing: Mixing) -> MixedBatch:
        raise NotImplementedError(f"{type(self).__name__} has no apply method")

    def __call__(
        self, images: Array, targets: Any, rng: np.random.Generator | None = None
    ) -> MixedBatch:
        check_batch(type(self).__name__, images)
        return self.apply(images, targets, self.draw(images.shape, rng))


@dataclass(frozen=True)
class Mixup(_Mixer):
    """Blend every image with another, and their labels too: x̃ = λ·x + (1 - λ)·x[partner].

    λ ~ Beta(α, α); with α = 1, λ is uniform from 0 to 1. (Zhang et al. 2018, §2.)

    classes: the number of classes; labels become rows of probabilities.
    probability: the probability that a batch is mixed at all.
    """

    def apply(self, images: Array, targets: Any, mixing: Mixing) -> MixedBatch:
        p = _probabilities("Mixup", images, targets, self.classes)
        partner = array_module(images).asarray(mixing.permutation)
        lam = images.dtype.type(mixing.lam)
        mixed = lam * images
        mixed += (1 - lam) * images[partner]
        return MixedBatch(mixed, _mixed_targets(p, mixing), *mixing)


@dataclass(frozen=True)
class CutMix(_Mixer):
    """Replace a box in every image with the same box of another image; labels are mixed by area.

        x̃ = M·x + (1 - M)·x[partner]      ỹ = λ·y + (1 - λ)·y[partner]      λ = mean of M

    λ ~ Beta(α, α) determines the size of the box: its sides are √(1-λ) times the image's. Its
    centre is any pixel. The box is clipped at the border, and λ is then recomputed from its area.
    (Yun et al. 2019, §3.1, with α = 1. We follow the authors' code, whose boxes have even sides.)

    classes: the number of classes; labels become rows of probabilities.
    probability: the probability that a batch is mixed at all; the authors use 0.5 for CIFAR and 1
        for ImageNet.

    >>> images, labels = np.zeros((4, 3, 8, 8), np.float32), np.arange(4)
    >>> mixed = CutMix(classes=4)(images, labels, np.random.default_rng(0))
    >>> mixed.lam, mixed.box, mixed.targets.sum(axis=1)
    (0.9375, Box(top=5, left=4, bottom=7, right=6), array([1., 1., 1., 1.], dtype=float32))
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator | None = None) -> Mixing:
        """Choose λ, the partners and the box for a batch of this shape (N, C, H, W)."""
        lam, permutation, _ = super().draw(shape, rng)
        if lam == 1:
            return Mixing(lam, permutation)
        H, W = shape[2:]
        rng = needed_rng("CutMix", rng)
        side = math.sqrt(1 - lam)
        box = _box_around((H, W), int(H * side) // 2, int(W * side) // 2, rng)
        return Mixing(1 - box.area / (H * W), permutation, box)

    def apply(self, images: Array, targets: Any, mixing: Mixing) -> MixedBatch:
        p = _probabilities("CutMix", images, targets, self.classes)
        xp = array_module(images)
        mixed = xp.array(images)  # a copy with the same memory layout
        if mixing.box is not None:
            top, left, bottom, right = mixing.box
            partner = xp.asarray(mixing.permutation)
            mixed[:, :, top:bottom, left:right] = images[:, :, top:bottom, left:right][partner]
        return MixedBatch(mixed, _mixed_targets(p, mixing), *mixing)


def _box_around(size: tuple[int, ...], half_height: int, half_width: int, rng: Any) -> Box:
    """A box around a random pixel, extending this far in each direction, clipped at the border."""
    H, W = size
    y, x = int(rng.integers(H)), int(rng.integers(W))
    return Box(
        max(y - half_height, 0), max(x - half_width, 0),
        min(y + half_height, H), min(x + half_width, W),
    )  # fmt: skip


def _mixed_targets(p: Array, mixing: Mixing) -> Array:
    partner = array_module(p).asarray(mixing.permutation)
    lam = p.dtype.type(mixing.lam)
    return lam * p + (1 - lam) * p[partner]


def _probabilities(name: str, images: Array, targets: Any, classes: int) -> Array:
    """Targets as float32 rows (N, K); labels, which are on the host, become one-hot rows."""
    check_batch(name, images)
    N = images.shape[0]
    if getattr(targets, "ndim", None) == 2:
        if targets.shape != (N, classes):
            raise ValueError(f"{name}: targets has shape {targets.shape}; expected {(N, classes)}")
        _check_rows(name, targets)
        return targets
    labels = np.asarray(targets)
    if labels.shape != (N,) or (N and labels.dtype.kind not in "iu"):
        raise ValueError(
            f"{name}: targets is {labels.dtype} {labels.shape}; expected {N} integers, "
            f"or probabilities {(N, classes)}"
        )
    if N and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"{name}: targets has labels from {labels.min()} to {labels.max()}; "
            f"expected 0 to {classes - 1}, because classes is {classes}"
        )
    return np.eye(classes, dtype=np.float32)[labels]


def _check_rows(name: str, p: Array) -> None:
    """Raise if a row of p (N, K) is not a distribution; values are checked only on the host."""
    if p.dtype.kind != "f":
        raise TypeError(f"{name}: targets is {p.dtype}; expected probabilities as floats")
    if not isinstance(p, np.ndarray):
        return
    totals = p.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~((abs(totals - 1) <= 1e-4) & (p >= 0).all(axis=1)))  # NaN is wrong
    if wrong.size:
        n = wrong[0]
        raise ValueError(
            f"{name}: targets[{n}] is {p[n]}, which sums to {totals[n]:.6g}; expected "
            "non-negative probabilities that sum to 1"
        )


def _check_settings(transform: _Mixer) -> None:
    name = type(transform).__name__
    if not isinstance(transform.classes, int | np.integer) or transform.classes < 1:
        raise ValueError(f"{name}: classes is {transform.classes!r}; expected an integer >= 1")
    if not 0 <= transform.alpha < math.inf:
        raise ValueError(f"{name}: alpha is {transform.alpha!r}; expected a non-negative number")
    require_probability(f"{name}: probability", transform.probability)
