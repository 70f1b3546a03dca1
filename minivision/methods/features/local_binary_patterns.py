"""Local binary patterns: the texture of an image, from nothing but "brighter or not".

Every pixel has eight neighbours. Going round once, each neighbour gives a 1 if it is at least as
bright as the pixel, else a 0. This makes a pattern of eight bits, of which there are 256 (Ojala,
Pietikäinen & Harwood 1996).

    code = Σ_p [g_p ≥ g_c]·2^p            p = 0 to the right, then counter-clockwise

Most patterns in real images change between 0 and 1 at most twice on the way round: a spot, a line
end, a corner, an edge, a flat area. These 58 of the 256 patterns are called *uniform*; all others
share one bin, so an image is described by a histogram of 59 numbers (Ojala, Pietikäinen & Mäenpää
2002).

**What the histogram ignores.** Any change of lighting that preserves the order of the grey levels
(gamma, contrast, brightness without clipping) leaves every bit, and so the histogram, unchanged.
That is why we use the eight neighbours on the grid: the circle of the paper of 2002 interpolates
its diagonal points between pixels, and interpolated values do not preserve the order.

**What it responds to.** Rotating the image rotates the patterns: a quarter turn moves each pattern
to a different bin with the same number of ones. A quarter turn or a reflection preserves only the
last bin and the sums over the uniform patterns with 0, 1, …, 8 ones, which are `lbp_sums`.
"""

from __future__ import annotations

import numpy as np

from minivision.methods.features.corners import grey_levels

# Rows and columns of the eight neighbours, counter-clockwise from the right.
ROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def changes(code: int) -> int:
    """How often a pattern of eight bits changes value on the way round.

    >>> [changes(code) for code in (0b00000000, 0b00011100, 0b00010100)]
    [0, 2, 4]
    """
    return sum((code >> p & 1) != (code >> (p + 1) % 8 & 1) for p in range(8))


# The uniform patterns, by their number of ones; the last bin is for all others.
UNIFORM = sorted((c for c in range(256) if changes(c) <= 2), key=lambda c: (c.bit_count(), c))
BINS = len(UNIFORM) + 1
BIN = np.full(256, BINS - 1)
BIN[UNIFORM] = np.arange(BINS - 1)


def lbp_codes(image: np.ndarray) -> np.ndarray:
    """The pattern of every pixel that has eight neighbours.

    image uint8 (H, W, C) -> codes uint8 (H-2, W-2). Raises ValueError for an image of fewer than
    3x3 pixels.
    """
    grey = grey_levels("lbp_codes", image)
    H, W = grey.shape
    if H < 3 or W < 3:
        raise ValueError(f"lbp_codes: image is {H}x{W}; expected at least 3x3 pixels")
    centre = grey[1:-1, 1:-1]
    codes = np.zeros((H - 2, W - 2), np.uint8)
    for p, (row, column) in enumerate(ROUND):
        neighbour = grey[1 + row : H - 1 + row, 1 + column : W - 1 + column]
        codes |= (neighbour >= centre).astype(np.uint8) << p
    return codes


def lbp_histogram(image: np.ndarray) -> np.ndarray:
    """The share of pixels with each uniform pattern and of all others: (H, W, C) -> float64 (59,).

    >>> flat = np.full((5, 5, 1), 80, np.uint8)  # all neighbours are as bright: eight ones
    >>> int(lbp_histogram(flat).argmax())
    57
    """
    bins = BIN[lbp_codes(image)]
    return np.bincount(bins.ravel(), minlength=BINS) / bins.size


def lbp_sums(histogram: np.ndarray) -> np.ndarray:
    """The histogram (59,) summed by number of ones (10,); the last entry is the non-uniform bin."""
    ones = [code.bit_count() for code in UNIFORM]
    return np.bincount([*ones, 9], weights=histogram, minlength=10)
