"""100 operations on 4x4 arrays, one after the other, so that the tape's own cost dominates.

They use Python's operators, so the same lines run on NumPy arrays and on any library's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

OPERATIONS = 100
CYCLES = OPERATIONS // 4


def leaves(seed: int = 0) -> tuple[np.ndarray, ...]:
    """x, w, b, m, k, all 4x4 float32: signs and rotations, so that nothing grows or vanishes."""
    rng = np.random.default_rng(seed)
    x, b = rng.standard_normal((2, 4, 4), np.float32)
    w = rng.choice([np.float32(-1), np.float32(1)], (4, 4))
    m, k = np.linalg.qr(rng.standard_normal((2, 4, 4)))[0].astype(np.float32)
    return x, w, b / 10, np.ascontiguousarray(m), np.ascontiguousarray(k)


def upstream(seed: int = 1) -> np.ndarray:
    """dy, the gradient at the end of the chain."""
    return np.random.default_rng(seed).standard_normal((4, 4), np.float32)


def chain(x: Any, w: Any, b: Any, m: Any, k: Any) -> Any:
    """Multiply, add, and multiply matrices from both sides, 25 times."""
    for _ in range(CYCLES):
        x = x * w
        x = x + b
        x = x @ m
        x = k @ x
    return x
