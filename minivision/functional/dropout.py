"""Dropout: each unit is silenced at random, so that none can rely on another.

Read next: functional/softmax.py
"""

from __future__ import annotations

import numpy as np

from minivision.autograd import Tensor, record
from minivision.backend import Array, array_module
from minivision.functional.checks import tensors

LEVELS = 2**16


def dropout(
    x: Tensor | Array, p: float = 0.5, training: bool = True, *, rng: np.random.Generator
) -> Tensor:
    """Set each entry to 0 with probability p and scale the survivors up.

        y = x·m / (1 - p),  m = 0 with probability p, else 1        dx = dy·m / (1 - p)

    Srivastava et al. 2014; Krizhevsky et al. 2012, §4.2. The papers leave the training values
    alone and multiply by 1 - p at test time; scaling during training ("inverted" dropout, as in
    PyTorch) has the same expectation and leaves nothing to do at test time.

    The mask is drawn on the host from 16-bit numbers, so CPU and GPU agree; p is rounded to
    1/65536 and the survivors are scaled by exactly what was kept. rng: where the mask comes from.
    """
    (x,) = tensors("dropout", x=x)
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p is {p}; expected a probability from 0 to below 1")
    if not training or p == 0:
        return x
    if not isinstance(rng, np.random.Generator):
        came = type(rng).__name__
        raise TypeError(f"dropout: rng is a {came}; expected np.random.default_rng(seed)")
    dropped = min(round(p * LEVELS), LEVELS - 1)
    keep = rng.integers(0, LEVELS, x.shape, dtype=np.uint16) >= dropped
    scale = np.asarray(LEVELS / (LEVELS - dropped), x.dtype)
    mask = array_module(x.data).asarray(keep * scale)

    def backward(dy):
        return (dy * mask,)

    return record(x.data * mask, (x,), backward)
