"""Convolution and its two gradients, each one matrix product over im2col's columns.

    y  = W · columns(x)            (F, C·KH·KW) · (C·KH·KW, OH·OW·N)
    dW = dy · columns(x)ᵀ          (F, OH·OW·N) · (OH·OW·N, C·KH·KW)
    dx = col2im(Wᵀ · dy)           (C·KH·KW, F) · (F, OH·OW·N)

With groups, channels and filters are dealt out into independent convolutions: the same products,
once for each group. Columns are KH·KW times as large as the image, so they are built anew where
they are needed, never kept, and a large batch is worked through in slices.

Read next: kernels/plain/pooling.py
"""

from __future__ import annotations

from collections.abc import Iterator

from minivision.backend import Array, array_module
from minivision.kernels.plain.im2col import col2im, im2col
from minivision.kernels.windows import Geometry

MAX_COLUMN_BYTES = 256 * 2**20


def convolve(x: Array, weight: Array, bias: Array | None, geometry: Geometry, groups: int) -> Array:
    """x (N, C, H, W), weight (F, C/groups, KH, KW), bias (F) -> y (N, F, OH, OW)."""
    F = len(weight)
    OH, OW = geometry.output_size(*x.shape[2:])
    filters = weight.reshape(groups, F // groups, -1)
    parts = []
    for batch in _slices(x, geometry):
        columns = im2col(x[batch], geometry)
        product = filters @ columns.reshape(groups, filters.shape[2], -1)
        parts.append(product.reshape(F, OH, OW, -1).transpose(3, 0, 1, 2))
    y = _join(parts)
    if bias is not None:
        y += bias[:, None, None]
    return y


def gradients(
    dy: Array,
    x: Array,
    weight: Array,
    geometry: Geometry,
    groups: int,
    want_dx: bool,
    want_dw: bool,
) -> tuple[Array | None, Array | None]:
    """dy (N, F, OH, OW) -> dx (N, C, H, W), dW (F, C/groups, KH, KW); None where not wanted."""
    dx = input_gradient(dy, weight, x.shape, geometry, groups) if want_dx else None
    dw = weight_gradient(dy, x, weight.shape, geometry, groups) if want_dw else None
    return dx, dw


def weight_gradient(
    dy: Array, x: Array, shape: tuple[int, ...], geometry: Geometry, groups: int
) -> Array:
    """dy (N, F, OH, OW), x (N, C, H, W) -> dW of this shape (F, C/groups, KH, KW)."""
    F = shape[0]
    dweight: Array = 0
    for batch in _slices(x, geometry):
        columns = im2col(x[batch], geometry)
        columns = columns.reshape(groups, len(columns) // groups, -1)
        upstream = _rows(dy[batch]).reshape(groups, F // groups, -1)
        dweight += upstream @ columns.transpose(0, 2, 1)
    return dweight.reshape(shape)


def input_gradient(
    dy: Array, weight: Array, shape: tuple[int, ...], geometry: Geometry, groups: int
) -> Array:
    """dy (N, F, OH, OW), weight (F, C/groups, KH, KW) -> dx of this shape (N, C, H, W)."""
    F = len(weight)
    N, C, H, W = shape
    KH, KW = geometry.kernel
    filters = weight.reshape(groups, F // groups, -1).transpose(0, 2, 1)
    parts = []
    for batch in _slices(dy, geometry, C):
        upstream = _rows(dy[batch]).reshape(groups, F // groups, -1)
        columns = (filters @ upstream).reshape(C * KH * KW, -1)
        parts.append(col2im(columns, (len(dy[batch]), C, H, W), geometry))
    return _join(parts)


def _rows(dy: Array) -> Array:
    """dy (N, F, OH, OW) -> (F, OH·OW·N), the order of im2col's columns."""
    return dy.transpose(1, 2, 3, 0).reshape(dy.shape[1], -1)


def _slices(x: Array, geometry: Geometry, channels: int = 0) -> Iterator[slice]:
    """Cut the batch so that the columns of a slice stay within MAX_COLUMN_BYTES."""
    N, C, H, W = x.shape
    KH, KW = geometry.kernel
    OH, OW = geometry.output_size(H, W) if not channels else (H, W)
    bytes_per_image = (channels or C) * KH * KW * OH * OW * x.itemsize
    step = max(1, MAX_COLUMN_BYTES // max(1, bytes_per_image))
    yield from (slice(start, start + step) for start in range(0, max(N, 1), step))


def _join(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else array_module(parts[0]).concatenate(parts)
