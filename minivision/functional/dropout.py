"""Dropout: set units to zero at random, so that no unit can rely on another."""

from __future__ import annotations

import math

import numpy as np

from minivision.backend import Array, array_module
from minivision.functional.checks import check_generator, check_probability
from minivision.functional.inputs import tensors
from minivision.random import generator
from minivision.tensor import Tensor, record

LEVELS = 2**16


def dropout(
    x: Tensor | Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Set each entry to 0 with probability p and scale the survivors up.

        y = x·m / (1 - p),  m = 0 with probability p, else 1        dx = dy·m / (1 - p)

    Srivastava et al. 2014; Krizhevsky et al. 2012, §4.2. The papers do not scale during training;
    at test time they multiply by the probability of keeping a unit, 1 - p (which Srivastava et al.
    call p). Scaling during training ("inverted" dropout, as in PyTorch) has the same expectation
    and leaves nothing to do at test time.

    The mask is drawn on the host from 16-bit numbers, so CPU and GPU agree; p is rounded to a
    multiple of 1/65536, and the scaling uses the rounded p. Returns x itself if training is False
    or p is 0.

    rng: the generator to draw the mask from; by default the one that `manual_seed` sets.
    """
    (x,) = tensors("dropout", x=x)
    mask = dropout_mask("dropout", x, x.shape, p, training, rng)
    if mask is None:
        return x

    def backward(dy):
        return (dy * mask,)

    return record(x.data * mask, (x,), backward)


def dropout_mask(
    function: str,
    x: Tensor,
    shape: tuple[int, ...],
    p: float,
    training: bool,
    rng: np.random.Generator | None,
) -> Array | None:
    """0 with probability p, else 1 / (1 - p), on x's device; None if nothing is dropped."""
    check_probability(function, p)
    if not training or p == 0:
        return None
    rng = check_generator(function, generator() if rng is None else rng)
    dropped = min(round(p * LEVELS), LEVELS - 1)
    draws = np.frombuffer(rng.bytes(2 * math.prod(shape)), "<u2").reshape(shape)
    keep = draws >= dropped
    scale = np.asarray(LEVELS / (LEVELS - dropped), x.dtype)
    xp = array_module(x.data)
    mask = xp.empty_like(x.data, shape=shape)  # in the memory order of x
    mask[...] = xp.asarray(keep * scale)
    return mask
