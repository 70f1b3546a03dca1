"""Local response normalisation and its gradient, as the formulas stand in functional/.

Read next: kernels/plain/batch_normalization.py
"""

from __future__ import annotations

from minivision.backend import Array, array_module


def local_response(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """x (N, C, H, W) -> y = x·s^-β,  s = k + α Σ x² over `size` channels."""
    return x * (k + alpha * channel_window_sum(x * x, size)) ** -beta


def local_response_gradient(
    dy: Array, x: Array, size: int, alpha: float, beta: float, k: float
) -> Array:
    """dx = dy·s^-β - 2αβ x Σ dy·y/s, with s and y computed anew rather than kept."""
    scale = k + alpha * channel_window_sum(x * x, size)
    shrink = scale**-beta
    return dy * shrink - 2 * alpha * beta * x * channel_window_sum(dy * x * shrink / scale, size)


def channel_window_sum(x: Array, size: int) -> Array:
    """x (N, C, H, W) -> Σ over the `size` (odd) channels around each one; outside counts as 0.

    The window is symmetric, so this is its own adjoint.

    >>> import numpy as np
    >>> channel_window_sum(np.ones((1, 4, 1, 1)), 3).ravel()
    array([2., 3., 3., 2.])
    """
    C = x.shape[1]
    y = array_module(x).copy(x)  # in the memory order of x
    for shift in range(1, min(size // 2, C - 1) + 1):
        y[:, shift:] += x[:, :-shift]
        y[:, :-shift] += x[:, shift:]
    return y
