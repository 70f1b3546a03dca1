"""ReLU and its gradient.

Read next: kernels/plain/normalization.py
"""

from __future__ import annotations

from minivision.backend import Array, array_module


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return array_module(x).maximum(x, 0)


def relu_gradient(dy: Array, y: Array) -> Array:
    """dy where y > 0, else 0."""
    return dy * (y > 0)
