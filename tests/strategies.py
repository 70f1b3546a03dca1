"""What Hypothesis draws: geometries and seeds. The numbers come from the seed."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)


class Convolution(NamedTuple):
    """A convolution's sizes, and the seed of its numbers."""

    N: int
    channels: int  # in each group, of x
    filters: int  # in each group
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    seed: int = 0

    def arrays(self, dtype=np.float64):
        """x (N, C, H, W), weight (F, C/groups, KH, KW), bias (F)."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=(self.N, self.channels * self.groups, *self.size))
        F = self.filters * self.groups
        weight = rng.normal(size=(F, self.channels, *self.kernel))
        return x.astype(dtype), weight.astype(dtype), rng.normal(size=F).astype(dtype)

    @property
    def settings(self):
        """The keywords of conv2d."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


class Pooling(NamedTuple):
    """A pooling's sizes, and the seed of its numbers."""

    N: int
    C: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    seed: int = 0

    def array(self, dtype=np.float64):
        """x (N, C, H, W), all entries different."""
        rng = np.random.default_rng(self.seed)
        entries = self.N * self.C * self.size[0] * self.size[1]
        x = rng.permutation(entries).reshape(self.N, self.C, *self.size)
        return (0.01 * x - 0.5).astype(dtype)

    @property
    def settings(self):
        return {"kernel_size": self.kernel, "stride": self.stride, "padding": self.padding}


# Geometries that are seldom drawn, and that break first.
ODD_CONVOLUTIONS = {
    "empty batch": Convolution(0, 2, 3, (5, 4), (3, 2)),
    "empty batch, groups": Convolution(0, 2, 1, (5, 4), (3, 2), groups=2),
    "1x1 image": Convolution(2, 3, 2, (1, 1), (1, 1)),
    "1x1 image, padded": Convolution(2, 1, 2, (1, 1), (3, 3), padding=(1, 1)),
    "kernel as large as the image": Convolution(2, 2, 3, (4, 3), (4, 3)),
    "stride larger than the kernel": Convolution(1, 2, 2, (9, 8), (2, 1), stride=(4, 3)),
    "stride that does not divide": Convolution(2, 1, 2, (8, 7), (3, 2), stride=(2, 3)),
    "one group for each channel": Convolution(2, 1, 2, (5, 4), (3, 2), groups=3),
    "two groups": Convolution(2, 2, 3, (5, 4), (2, 3), groups=2),
    "dilated over the border": Convolution(1, 2, 1, (5, 6), (3, 2), (1, 1), (2, 1), (2, 3)),
    "padding beyond half the kernel": Convolution(2, 2, 3, (5, 4), (2, 3), (2, 1), (2, 3)),
    "a single row": Convolution(2, 2, 2, (1, 7), (1, 3), stride=(1, 2)),
}  # fmt: skip

ODD_POOLINGS = {
    "empty batch": Pooling(0, 2, (5, 4), (2, 2), (2, 2)),
    "1x1 image": Pooling(2, 3, (1, 1), (1, 1), (1, 1)),
    "kernel as large as the image": Pooling(2, 2, (4, 3), (4, 3), (1, 1)),
    "stride larger than the kernel": Pooling(1, 2, (9, 8), (2, 1), (4, 3)),
    "overlapping": Pooling(2, 1, (7, 6), (3, 3), (2, 2)),
    "padded": Pooling(2, 2, (5, 4), (3, 2), (2, 1), (1, 1)),
}


@st.composite
def convolutions(draw, least_batch=0):
    """A convolution that fits. The image is never square, unless it is one pixel."""
    taps, step = st.integers(1, 3), st.integers(1, 3)
    kernel = draw(st.tuples(taps, taps))
    dilation = draw(st.tuples(step, step))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = _size(draw, [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)], padding)
    return Convolution(
        N=draw(st.integers(least_batch, 3)),
        channels=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 3)),
        size=size,
        kernel=kernel,
        stride=draw(st.tuples(step, step)),
        padding=padding,
        dilation=dilation,
        groups=draw(st.integers(1, 3)),
        seed=draw(seeds),
    )


@st.composite
def convolutions_of_stacked_rows(draw):
    """A convolution for the fast forms: no vertical dilation, and borders wider than kernels."""
    taps, step, border = st.integers(1, 4), st.integers(1, 5), st.integers(0, 4)
    kernel, padding = draw(st.tuples(taps, taps)), draw(st.tuples(border, border))
    dilation = (1, draw(st.integers(1, 3)))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    return Convolution(
        N=draw(st.integers(1, 5)),
        channels=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 3)),
        size=_size(draw, extents, padding),
        kernel=kernel,
        stride=draw(st.one_of(st.just((1, 1)), st.tuples(step, step))),
        padding=padding,
        dilation=dilation,
        groups=draw(st.integers(1, 3)),
        seed=draw(seeds),
    )


@st.composite
def poolings(draw, least_batch=0):
    """A pooling that fits, with padding of at most half the kernel."""
    taps, step = st.integers(1, 4), st.integers(1, 5)
    kernel = draw(st.tuples(taps, taps))
    padding = draw(st.tuples(*[st.integers(0, k // 2) for k in kernel]))
    return Pooling(
        N=draw(st.integers(least_batch, 3)),
        C=draw(st.integers(1, 3)),
        size=_size(draw, kernel, padding),
        kernel=kernel,
        stride=draw(st.tuples(step, step)),
        padding=padding,
        seed=draw(seeds),
    )


def _size(draw, extents, padding):
    extra = st.integers(0, 5)
    H, W = (
        max(1, extent - 2 * p) + draw(extra) for extent, p in zip(extents, padding, strict=True)
    )
    return (H, W + 1) if H == W > 1 else (H, W)


def memory_orders(array):
    """The same array in each memory layout we know of."""
    if array.ndim == 0:
        array = array.reshape(1)
        return {name: other.reshape(()) for name, other in memory_orders(array).items()}
    padded = np.zeros([2 * n + 1 for n in array.shape], array.dtype)
    slices = padded[tuple(slice(1, None, 2) for _ in array.shape)]
    slices[...] = array
    innermost = np.ascontiguousarray(np.moveaxis(array, 0, -1))
    backwards = np.flip(array).copy()
    return {
        "C": array.copy(order="C"),
        "Fortran": array.copy(order="F"),
        "batch innermost": np.moveaxis(innermost, -1, 0),
        "every other entry": slices,
        "negative strides": np.flip(backwards),
    }
