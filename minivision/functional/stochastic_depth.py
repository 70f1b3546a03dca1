"""Stochastic depth: leave out whole residual branches at random."""

from __future__ import annotations

import numpy as np

from minivision.backend import Array
from minivision.functional.dropout import dropout_mask
from minivision.functional.inputs import tensors
from minivision.tensor import Tensor, record


def drop_path(
    x: Tensor | Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Dropout for whole examples: stochastic depth, if x is the output of a residual branch.

    x (N, …) -> (N, …): each example is set to 0 with probability p, and the others are scaled up.

        y_n = x_n·m_n / (1 - p)        dx_n = dy_n·m_n / (1 - p)

    A residual branch is added to its own input. Dropping it leaves the identity, so the network is
    shallower for that example (Huang et al. 2016, who scale at test time instead).
    """
    (x,) = tensors("drop_path", x=x)
    if x.ndim == 0:
        raise ValueError("drop_path: x has shape (); expected (N, …)")
    mask = dropout_mask("drop_path", x, (x.shape[0], *[1] * (x.ndim - 1)), p, training, rng)
    if mask is None:
        return x

    def backward(dy):
        return (dy * mask,)

    return record(x.data * mask, (x,), backward)
