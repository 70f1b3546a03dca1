"""Image to columns, and back: every window of an image becomes one column of a matrix.

A convolution multiplies the same weights with every window. Written as columns, all windows are
one matrix and the convolution is one matrix product, which the machine does best (Chellapilla et
al. 2006). A pixel that lies in several windows is copied several times; going back, its gradients
are added. The two functions are exact adjoints: ⟨im2col(x), c⟩ = ⟨x, col2im(c)⟩.

Read next: kernels/plain/convolution.py
"""

from __future__ import annotations

from minivision.backend import Array
from minivision.kernels.memory import BATCH_INNERMOST, empty
from minivision.kernels.windows import Geometry, crop, pad, windows


def im2col(x: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) -> (C·KH·KW, OH·OW·N), one column for every window.

    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> im2col(x, Geometry(kernel=(2, 2)))[:, 0]
    array([0., 1., 3., 4.])
    """
    N, C, H, W = x.shape
    KH, KW = geometry.kernel
    OH, OW = geometry.output_size(H, W)
    columns = empty((C, KH, KW, OH, OW, N), x)
    for i, j, view in windows(pad(x, geometry.padding), geometry):
        columns[:, i, j] = view.transpose(BATCH_INNERMOST)
    return columns.reshape(C * KH * KW, OH * OW * N)


def col2im(columns: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """columns (C·KH·KW, OH·OW·N) -> (N, C, H, W): add every column back to its window.

    >>> import numpy as np
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), Geometry(kernel=(2, 2))).astype(int).tolist()
    [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]
    """
    N, C, H, W = shape
    KH, KW = geometry.kernel
    PH, PW = geometry.padding
    OH, OW = geometry.output_size(H, W)
    columns = columns.reshape(C, KH, KW, OH, OW, N)
    padded = empty((N, C, H + 2 * PH, W + 2 * PW), columns, BATCH_INNERMOST)
    padded[...] = 0
    for i, j, view in windows(padded, geometry):
        view += columns[:, i, j].transpose(3, 0, 1, 2)
    return crop(padded, geometry.padding)
