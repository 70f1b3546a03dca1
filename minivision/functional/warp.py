"""Warp an image by a grid of sampling points, differentiable in the image and in the grid.

`affine_grid` computes the point that each output pixel samples; `grid_sample` interpolates there.
Together they rotate, shift and zoom the image, and a network can learn by how much (Jaderberg et
al. 2015, spatial transformer networks). Names, coordinates and align_corners follow PyTorch.
"""

from __future__ import annotations

from typing import Any

from minivision.backend import Array, array_module
from minivision.functional.inputs import sizes, tensors
from minivision.tensor import Tensor, record


def affine_grid(
    theta: Tensor | Array, size: tuple[int, int, int, int], align_corners: bool = False
) -> Tensor:
    """The input point that each output pixel samples, under one affine map per image.

    theta (N, 2, 3), size = (N, C, H, W) of the output -> grid (N, H, W, 2), each (x, y)

        (x, y) = θ · (u, v, 1)        dθ = Σ_pixels d(x, y) · (u, v, 1)ᵀ

    Coordinates run from -1 to 1 across the image: with align_corners, from the centre of the first
    pixel to the centre of the last; otherwise, from edge to edge.
    """
    (theta,) = tensors("affine_grid", theta=theta)
    N, rows, columns = sizes("affine_grid", "theta", theta, "N 2 3")
    if (rows, columns) != (2, 3) or len(size) != 4 or size[0] != N:
        raise ValueError(
            f"affine_grid: theta has shape {theta.shape} and size is {tuple(size)}; "
            "expected (N, 2, 3) and (N, C, H, W) with the same N"
        )
    H, W = size[2:]
    xp, dtype = array_module(theta.data), theta.dtype
    base = xp.ones((H, W, 3), dtype)
    base[..., 0] = _centres(xp, W, align_corners)
    base[..., 1] = _centres(xp, H, align_corners)[:, None]
    places = base.reshape(H * W, 3)

    def backward(dy):
        return ((places.T @ dy.reshape(N, H * W, 2)).swapaxes(1, 2),)

    y = (places @ theta.data.swapaxes(1, 2)).reshape(N, H, W, 2)  # (N, H, W, 2)
    return record(y, (theta,), backward)


def grid_sample(x: Tensor | Array, grid: Tensor | Array, align_corners: bool = False) -> Tensor:
    """Interpolate an image bilinearly at the points of a grid; outside the image, pixels are 0.

    x (N, C, H, W), grid (N, OH, OW, 2) with (x, y) in -1..1 -> (N, C, OH, OW)

        y = Σ over the four neighbours of weight · pixel, weight = (1 - |Δx|)·(1 - |Δy|)
        dx = every neighbour gets weight · dy        dgrid = Σ_c dy · ∂weight·pixel

    As a function of the grid, the value has a kink where a point passes a row or a column of pixel
    centres.
    """
    x, grid = tensors("grid_sample", x=x, grid=grid)
    N, C, H, W = sizes("grid_sample", "x", x, "N C H W")
    M, OH, OW, two = sizes("grid_sample", "grid", grid, "N OH OW 2")
    if M != N or two != 2:
        raise ValueError(
            f"grid_sample: grid has shape {grid.shape}; expected ({N}, OH, OW, 2) for x {x.shape}"
        )
    if min(H, W) < 1:
        raise ValueError(
            f"grid_sample: x has shape {x.shape}; expected at least one pixel per image"
        )
    a, xp, dtype = x.data, array_module(x.data), x.dtype
    want_dx, want_dgrid = x.requires_grad, grid.requires_grad
    # From -1..1 to pixel coordinates, with 0 at the first pixel's centre.
    span_x, span_y = (W - 1, H - 1) if align_corners else (W, H)
    shift = 0.0 if align_corners else 0.5
    px = (grid.data[..., 0] + 1) * (span_x / 2) - shift
    py = (grid.data[..., 1] + 1) * (span_y / 2) - shift
    left, top = xp.floor(px), xp.floor(py)
    fx, fy = px - left, py - top  # how far into the cell, 0 to 1
    image = xp.arange(N)[:, None, None]
    channels_last = a.transpose(0, 2, 3, 1)  # (N, H, W, C)

    # For each neighbour: its index, whether it is inside, its weight, and the weight's slopes along
    # x and y. Pixels outside are replaced by 0 rather than multiplied by 0, which would turn ∞ into
    # NaN.
    neighbours = []
    for row, wy, sy in ((top, 1 - fy, -1.0), (top + 1, fy, 1.0)):
        for column, wx, sx in ((left, 1 - fx, -1.0), (left + 1, fx, 1.0)):
            inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
            r, c = (xp.where(inside, place, 0).astype(xp.int64) for place in (row, column))
            factors = [factor[..., None] for factor in (inside, wx * wy, sx * wy, sy * wx)]
            neighbours.append(((image, r, c), *factors))

    def pixels_around():
        return [xp.where(inside, channels_last[place], 0) for place, inside, *_ in neighbours]

    def summed(factors, pixels):  # (N, OH, OW, C)
        return sum([factor * pixel for factor, pixel in zip(factors, pixels, strict=True)])

    _, _, weights, slopes_x, slopes_y = zip(*neighbours, strict=True)
    y = xp.empty_like(a, shape=(N, C, OH, OW))
    y[...] = summed(weights, pixels_around()).transpose(0, 3, 1, 2)

    def backward(dy):
        dy = dy.transpose(0, 2, 3, 1)
        dx = dgrid = None
        if want_dx:
            dpixels = xp.zeros((N, H, W, C), dtype)
            for place, inside, weight, *_ in neighbours:
                xp.add.at(dpixels, place, xp.where(inside, weight * dy, 0))
            dx = xp.empty_like(a)  # in the memory order of x
            dx[...] = dpixels.transpose(0, 3, 1, 2)
        if want_dgrid:
            pixels, dgrid = pixels_around(), xp.empty((N, OH, OW, 2), dtype)
            dgrid[..., 0] = (dy * summed(slopes_x, pixels)).sum(axis=-1) * (span_x / 2)
            dgrid[..., 1] = (dy * summed(slopes_y, pixels)).sum(axis=-1) * (span_y / 2)
        return dx, dgrid

    return record(y, (x, grid), backward)


def _centres(xp: Any, n: int, align_corners: bool) -> Array:
    """The centres of n pixels in coordinates from -1 to 1."""
    if align_corners:
        return xp.linspace(-1, 1, n) if n > 1 else xp.zeros(1)
    return (2 * xp.arange(n) + 1) / n - 1
