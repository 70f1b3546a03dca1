"""Gradient clipping: scale all gradients down together if their common norm is too large.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minivision.backend import Array, array_module
from minivision.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Array:
    """Scale all gradients, in place, so that their common Euclidean norm is at most max_norm.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6)),  ‖g‖² summed over all parameters

    Returns ‖g‖ before clipping as a 0-d array, without waiting for a GPU. (Pascanu et al. 2013,
    Algorithm 1; the 1e-6 is PyTorch's.)
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm}; expected a number above 0")
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return np.zeros(())
    xp = array_module(gradients[0])
    norm = xp.sqrt(sum((g * g).sum() for g in gradients))
    scale = xp.minimum(1, max_norm / (norm + 1e-6))
    for gradient in gradients:
        gradient *= scale.astype(gradient.dtype)
    return norm
