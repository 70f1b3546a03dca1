"""When the fast forms run, and how their work is split: every rule in one place.

Each rule was chosen by measurement (`python -m benchmarks rules`, docs/results/rules.json). No rule
measures time at run time, so the same settings always give the same numbers.
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array
from minivision.fast import door
from minivision.fast.workers import worker_count
from minivision.windows import Window


def use_fast(x: Array) -> bool:
    """True for non-empty NumPy arrays, unless the fast forms are switched off."""
    return door.is_open() and isinstance(x, np.ndarray) and x.size > 0


def serves(operation: str, x: Array, window: Window | None = None) -> bool:
    """Whether this call uses a fast form: fast forms are switched on and one supports the call.

    The stacked rows under a window must be consecutive, so vertical dilation is not supported.

    >>> serves("local_response_norm", np.ones((1, 3, 2, 2)))
    True
    """
    if not use_fast(x):
        return False
    if operation == "relu":
        return x.size >= LEAST
    if operation == "batch_norm":
        return use_channel_rows(x)
    return window is None or window.dilation[0] == 1


PRODUCT_TO_SHARE = 32_000_000  # multiply-adds
ELEMENTS_TO_SHARE = 2 * 2**20


def workers(*, multiply_adds: int = 0, elements: int = 0) -> int:
    """How many workers share an operation of so many multiply-adds or a pass over so many elements.

    Threads exchange the GIL at every NumPy call, and a waiting thread wakes slowly. So each call
    should take a while, and each worker's share should outweigh the cost of the extra calls.
    """
    if not door.is_open():
        return 1
    if multiply_adds >= PRODUCT_TO_SHARE or elements >= ELEMENTS_TO_SHARE:
        return worker_count()
    return 1


# ── elementwise functions and pooling ────────────────────────────────────────────────────────

BLOCK = 128 * 1024  # elements of each array
POOLING_BYTES = 2 * 2**20  # of the image
LEAST = 8 * 1024  # elements; below this the code in functional/ is as fast


def use_channel_rows(x: Array) -> bool:
    """Whether batch normalization treats each channel of x, (N, C) or (N, C, H, W), as one row.

    It does if the channels are outermost in memory and the batch is innermost.
    """
    return use_fast(x) and x.transpose(*range(1, x.ndim), 0).flags.c_contiguous


def pooling_tile(window: Window, OH: int, bytes_per_line: int) -> tuple[int, int]:
    """How many channels and output rows are pooled at once."""
    lines = POOLING_BYTES // bytes_per_line
    whole = (OH - 1) * window.stride[0] + window.kernel[0]
    if lines >= whole:
        return lines // whole, OH
    return 1, _rows_of(lines, window)


# ── convolution ──────────────────────────────────────────────────────────────────────────────

TILE_BYTES = 8 * 2**20  # of stacked rows
PRODUCT_WIDTH = 4096  # columns of one matrix product
FEW_PLACES = 2048  # windows in the whole batch
NARROW_PRODUCT = 128  # columns
ADJOINT_BYTES = 4 * 2**20  # of the windows' gradients, before they are summed
GRADIENT_BYTES = 8 * 2**20  # of stacked rows, when summing the gradient of the weights


def tile(
    filters: tuple[int, ...], window: Window, OW: int, N: int, itemsize: int
) -> tuple[int, int]:
    """How many output rows and columns a tile of a convolution has; filters: (G, F, KH·C·KW).

    The number of columns sets the width of the product; the number of rows then fills TILE_BYTES.
    """
    width = max(1, min(OW, PRODUCT_WIDTH // N))
    bytes_per_line = filters[2] // window.kernel[0] * width * N * itemsize
    return _rows_of(TILE_BYTES // bytes_per_line, window), width


def use_columns(window: Window, rows: int, places_in_a_row: int) -> bool:
    """Whether a convolution has so few windows that all of them are copied to columns at once.

    True for a single image, for a few images with small maps, and if each row has so few positions
    that the product for one row would be too narrow. (Flipped kernels may have negative padding,
    which crops pixels; only stacked rows support it.)
    """
    few = rows * places_in_a_row <= FEW_PLACES or places_in_a_row < NARROW_PRODUCT
    return few and min(window.padding) >= 0


def column_rows(bytes_per_row: int) -> int:
    """How many output rows share one matrix of columns."""
    return max(1, TILE_BYTES // bytes_per_row)


def adjoint_rows(bytes_per_row: int) -> int:
    """How many output rows `adjoint_work` processes at once."""
    return max(1, ADJOINT_BYTES // bytes_per_row)


def gradient_rows(stacked: int, summed: int, window: Window) -> int:
    """How many output rows are stacked and summed at once; stacked, summed: bytes per row."""
    return min(_rows_of(GRADIENT_BYTES // stacked, window), GRADIENT_BYTES // summed + 1)


def _rows_of(lines: int, window: Window) -> int:
    """How many output rows can be computed from this many image rows; at least one."""
    return max(1, (lines - window.kernel[0]) // window.stride[0] + 1)


def sum_by_kernel_rows(channels_times_width: int) -> bool:
    """Whether the gradient of the weights uses one product per kernel row, not per output row."""
    return channels_times_width >= 64


def flip_kernels(window: Window, channels: int) -> bool:
    """Whether the gradient of the image is computed by convolving with the flipped kernels."""
    return window.stride == (1, 1) and channels >= 16
