"""Fast convolution: tiles of stacked rows, one matrix product per output row of a tile.

    y = W · windows            (F, KH·C·KW) · (KH·C·KW, w·N)

A tile is a few output rows and columns, so that the copies made by `stack_rows` stay small for any
batch size. The tiles are distributed among the workers. Small outputs use `columns.py` instead.
The two gradients have their own files but are dispatched to the workers together.

Names in this package imply a layout: `image` (G, C, H, W, N), `maps` (G, F, OH, OW, N), with the
groups in front, and C channels and F filters per group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from minivision.backend import Array
from minivision.fast import choice
from minivision.fast.columns import columns_work
from minivision.fast.input_gradient import adjoint_work, flipped
from minivision.fast.memory import batch_innermost, empty, in_order, memory_order
from minivision.fast.stacked_rows import covered, cut, stack_rows, windows_of
from minivision.fast.weight_gradient import sum_in_order, weight_work
from minivision.fast.workers import Work, one_blas_thread, part, share
from minivision.windows import Window


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    wanted: Sequence[bool],
) -> tuple[Array, Callable]:
    """The value of `functional.conv2d`, and its backward function: dx, dW and db if wanted."""
    order = memory_order(x) if wanted[0] else ()
    x = batch_innermost(x)
    y = convolve(x, weight, bias, window, groups)

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dx, dw = gradients(dy, x, weight, window, groups, *wanted[:2])
        db = dy.sum(axis=(0, 2, 3)) if wanted[2] else None
        return None if dx is None else in_order(dx, order), dw, db

    return y, backward


def convolve(x: Array, weight: Array, bias: Array | None, window: Window, groups: int) -> Array:
    """x (N, C, H, W), weight (F, C/groups, KH, KW), bias (F) -> y (N, F, OH, OW)."""
    N, F = len(x), len(weight)
    y = empty((F, *window.output_size(*x.shape[2:]), N), x)
    multiply_adds = y.size * weight[0].size
    workers = choice.workers(multiply_adds=multiply_adds)
    maps = y.reshape(groups, F // groups, *y.shape[1:])
    with one_blas_thread(multiply_adds):
        work = convolution_work(in_groups(x, groups), weight, bias, maps, window, workers)
        share(work, workers)
    return y.transpose(3, 0, 1, 2)


def gradients(
    dy: Array,
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    want_dx: bool,
    want_dw: bool,
) -> tuple[Array | None, Array | None]:
    """dy (N, F, OH, OW) -> dx (N, C, H, W), dW (F, C/groups, KH, KW); None if not wanted."""
    image, upstream = in_groups(x, groups), in_groups(dy, groups)
    multiply_adds = dy.size * weight[0].size * (want_dx + want_dw)
    workers = choice.workers(multiply_adds=multiply_adds)
    works: list[Work] = []
    if want_dw:
        sums, work = weight_work(image, upstream, window, workers)
        works.append(work)
    if want_dx:
        dx = empty(image.shape, x)
        if choice.flip_kernels(window, channels=image.shape[1]):
            back, turned = flipped(weight, window, groups)
            works.append(convolution_work(upstream, back, None, dx, turned, workers))
        else:
            filters = stacked_filters(weight, groups)
            works.append(adjoint_work(upstream, filters, dx, window, workers))

    def work_of_all(worker: int) -> None:
        for work in works:
            work(worker)

    with one_blas_thread(multiply_adds):
        share(work_of_all, workers)
    return (
        dx.reshape(-1, *dx.shape[2:]).transpose(3, 0, 1, 2) if want_dx else None,
        sum_in_order(sums, weight.shape, groups) if want_dw else None,
    )


def convolution_work(
    image: Array,
    weight: Array,
    bias: Array | None,
    maps: Array,
    window: Window,
    workers: int,
) -> Work:
    """The work of each worker: fill one part of maps (G, F, OH, OW, N).

    image (G, C, H, W, N), weight (G·F, C, KH, KW), bias (G·F).
    """
    G, F, OH, OW, N = maps.shape
    if choice.use_columns(window, OH, OW * N):
        return columns_work(image, weight, bias, maps, window, workers)
    filters = stacked_filters(weight, G)
    height, width = choice.tile(filters.shape, window, OW, N, image.itemsize)
    tiles = list(product(range(G), cut(OH, height, workers), cut(OW, width)))
    places = maps.reshape(G, F, OH, OW * N).transpose(0, 2, 1, 3)  # (G, OH, F, OW·N)
    column = None if bias is None else bias.reshape(G, F, 1)

    def work(worker: int) -> None:
        for group, rows, columns in part(tiles, worker, workers):
            stacked = stack_rows(image[group], window, covered(window, rows), columns)
            across = slice(columns.start * N, columns.stop * N)
            y = places[group, rows.start : rows.stop, :, across]
            np.matmul(filters[group], windows_of(stacked, window, len(rows)), out=y)
            if column is not None:
                y += column[group]

    return work


def in_groups(x: Array, groups: int) -> Array:
    """x (N, C, H, W) -> (groups, C/groups, H, W, N)."""
    image = batch_innermost(x).transpose(1, 2, 3, 0)
    return image.reshape(groups, -1, *image.shape[1:])


def stacked_filters(weight: Array, groups: int) -> Array:
    """weight (F, C, KH, KW) -> (groups, F/groups, KH·C·KW), in the order of stacked rows."""
    F = len(weight)
    return weight.transpose(0, 2, 1, 3).reshape(groups, F // groups, -1)
