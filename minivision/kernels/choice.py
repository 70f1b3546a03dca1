"""Which kernel runs, and how work is cut: every rule in one place.

Each rule was chosen by measuring (docs/results/kernels.json); none depends on measured time at
run time, so the same settings compute the same numbers.

`MINIVISION_KERNELS` in the environment names the kernels: "plain", a few lines each, which CuPy
arrays always get; "direct", the fast forms of the same sums; "fast", the default, which may also
use algorithms that round differently. (None does yet, so "fast" and "direct" are the same.)

Read next: kernels/fast/__init__.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minivision.backend import Array
from minivision.kernels.windows import Geometry
from minivision.kernels.workers import worker_count

KERNELS = ("plain", "direct", "fast")


class _Choice:
    kernels = os.environ.get("MINIVISION_KERNELS", "fast")


_choice = _Choice()
if _choice.kernels not in KERNELS:
    raise ValueError(f"MINIVISION_KERNELS is {_choice.kernels!r}; expected one of {KERNELS}")


@contextmanager
def kernels(name: str) -> Iterator[None]:
    """Compute with these kernels: "plain", "direct" or "fast".

    >>> with kernels("plain"):
    ...     use_fast(np.zeros(3))
    False
    """
    if name not in KERNELS:
        raise ValueError(f"kernels: name is {name!r}; expected one of {KERNELS}")
    before, _choice.kernels = _choice.kernels, name
    try:
        yield
    finally:
        _choice.kernels = before


def use_fast(x: Array) -> bool:
    """Whether fast kernels serve x: an array of NumPy, unless the plain ones were asked for."""
    return _choice.kernels != "plain" and isinstance(x, np.ndarray) and x.size > 0


def use_stacked_rows(x: Array, geometry: Geometry) -> bool:
    """Whether a convolution of x is computed on stacked rows.

    The stacked rows of a window must follow one another, so the kernel's rows may not be spread
    (vertical dilation).
    """
    return use_fast(x) and geometry.dilation[0] == 1


def workers(*, multiply_adds: int = 0, elements: int = 0) -> int:
    """How many workers share an operation of so many multiply-adds, or a pass over elements.

    Handing over and waiting costs about 60 µs, as long as one core needs for 3 million
    multiply-adds of a matrix product or for 100 thousand elements.
    """
    if multiply_adds >= 8_000_000 or elements >= 512 * 1024:
        return worker_count()
    return 1


# ── elementwise functions and pooling ────────────────────────────────────────────────────────

BLOCK = 32 * 1024  # elements: a few arrays of so many stay in a core's cache
LEAST = 4096  # elements; below this, looking for blocks costs more than they bring


def use_blocks(x: Array) -> bool:
    """Whether an elementwise function of x is computed block by block."""
    return use_fast(x) and x.size >= LEAST


def pooling_tile(geometry: Geometry, OH: int, bytes_per_line: int) -> tuple[int, int]:
    """How many channels and output rows are pooled at once: up to 256 KB of the image."""
    lines = 256 * 1024 // bytes_per_line
    whole = (OH - 1) * geometry.stride[0] + geometry.kernel[0]
    if lines >= whole:
        return lines // whole, OH
    return 1, max(1, (lines - geometry.kernel[0]) // geometry.stride[0] + 1)


# ── convolution ──────────────────────────────────────────────────────────────────────────────

TILE_BYTES = 1024 * 1024
SMALL_PRODUCT = 1_000_000


def tile(
    filters: tuple[int, ...], geometry: Geometry, OW: int, N: int, itemsize: int
) -> tuple[int, int]:
    """How many output rows and columns a tile of a convolution has.

    The columns make the product's width: about 512 (w·N), which the BLAS library cuts well, or so
    few that it takes its path for small products (up to 10⁶ multiply-adds), which does not
    rearrange its factors first. The rows fill the cache.
    """
    _, F, K = filters
    width = 512
    if F < 64:
        small = SMALL_PRODUCT // (F * K)
        width = small if small >= 128 else 512
    width = max(1, min(OW, width // N))
    KH = geometry.kernel[0]
    bytes_per_row = K // KH * width * N * itemsize
    lines = TILE_BYTES // bytes_per_row
    height = max(1, (lines - KH) // geometry.stride[0] + 1)
    return height, width


def gradient_rows(bytes_per_line: int, geometry: Geometry) -> int:
    """How many output rows are stacked at once for the gradient of the weights: up to 8 MB."""
    lines = 8 * 2**20 // bytes_per_line
    return max(1, (lines - geometry.kernel[0]) // geometry.stride[0] + 1)


def sum_by_kernel_rows(channels_times_width: int) -> bool:
    """Whether the gradient of the weights takes one product a kernel row, not an output row."""
    return channels_times_width >= 64


def flip_kernels(geometry: Geometry, channels: int) -> bool:
    """Whether the gradient of the image is a convolution with the flipped kernels."""
    return geometry.stride == (1, 1) and channels >= 16


def adjoint_tile(
    filters: tuple[int, ...], geometry: Geometry, OW: int, N: int, itemsize: int
) -> tuple[int, int]:
    """How many image rows and output columns are gathered at once in the adjoint form."""
    _, F, K = filters
    width = max(1, min(OW, max(SMALL_PRODUCT // (F * K), 128) // N))
    height = max(1, TILE_BYTES // (K // geometry.kernel[0] * width * N * itemsize))
    return height, width
