"""CutMix by the engine, and written in other ways."""

import math

import numpy as np

from minivision.transforms import CutMix


class _Drawn(np.random.Generator):
    """A generator whose λ, permutation and centre are already drawn."""

    def __init__(self, lam, permutation, centre):
        super().__init__(np.random.PCG64(0))
        self.lam, self.partners, self.places = lam, permutation, iter(centre)

    def beta(self, a, b):
        return self.lam

    def permutation(self, n):
        assert n == len(self.partners)
        return self.partners

    def integers(self, high):
        return next(self.places)


def engine(images, targets, permutation, lam, centre):
    mixer = CutMix(classes=targets.shape[1])
    return mixer(images, targets, _Drawn(lam, permutation, centre))[:2]


def with_loops(images, targets, permutation, lam, centre):
    N, C, H, W = images.shape
    high, wide = int(H * math.sqrt(1 - lam)) // 2, int(W * math.sqrt(1 - lam)) // 2
    mixed, labels = np.zeros_like(images), np.zeros_like(targets)
    for n in range(N):
        for i in range(H):
            for j in range(W):
                inside = -high <= i - centre[0] < high and -wide <= j - centre[1] < wide
                source = permutation[n] if inside else n
                mixed[n, :, i, j] = images[source, :, i, j]
                labels[n] += targets[source] / (H * W)
    return mixed, labels


def with_a_mask(images, targets, permutation, lam, centre):
    H, W = images.shape[2:]
    high, wide = int(H * (1 - lam) ** 0.5) // 2, int(W * (1 - lam) ** 0.5) // 2
    row, column = np.ogrid[:H, :W]
    inside = (centre[0] - high <= row) & (row < centre[0] + high)
    inside = inside & (centre[1] - wide <= column) & (column < centre[1] + wide)
    lam = float((~inside).mean())
    mixed = np.where(inside, images[permutation], images)
    return mixed, targets * lam + targets[permutation] * (1 - lam)


def with_clip_and_a_loop_over_images(images, targets, permutation, lam, centre):
    """As in the authors' code; λ as a matrix that mixes the targets."""
    N, _, H, W = images.shape
    sides = [int(size * np.sqrt(1 - lam)) for size in (H, W)]
    (top, left), (bottom, right) = (
        [
            int(np.clip(at + sign * (side // 2), 0, size))
            for at, side, size in zip(centre, sides, (H, W), strict=True)
        ]
        for sign in (-1, 1)
    )
    mixed, share = images.copy(), (bottom - top) * (right - left) / (H * W)
    for n in range(N):
        mixed[n, :, top:bottom, left:right] = images[permutation[n], :, top:bottom, left:right]
    mix = np.eye(N) * (1 - share) + np.eye(N)[permutation] * share
    return mixed, (mix @ targets).astype(targets.dtype)
