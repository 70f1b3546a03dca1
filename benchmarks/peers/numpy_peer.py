"""The chain of 100 operations with its gradients written out by hand in NumPy, no tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.chain import CYCLES, leaves, upstream
from benchmarks.peers.serving import Step, fingerprint, serve


def by_hand(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, m: np.ndarray, k: np.ndarray, dy: np.ndarray
) -> tuple[np.ndarray, ...]:
    """y of the chain, and the gradients of x, w, b, m and k."""
    kept = []
    for _ in range(CYCLES):
        kept.append(x)
        x = x * w
        x = x + b
        kept.append(x)
        x = x @ m
        kept.append(x)
        x = k @ x
    y = x
    dw, db, dm, dk = np.zeros((4, *w.shape), w.dtype)
    for _ in range(CYCLES):
        x = kept.pop()
        dk += dy @ x.T
        dy = k.T @ dy
        x = kept.pop()
        dm += x.T @ dy
        dy = dy @ m.T
        db += dy
        x = kept.pop()
        dw += dy * x
        dy = dy * w
    return y, dy, dw, db, dm, dk


def tape(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    arrays = (*leaves(), upstream())

    def step() -> None:
        by_hand(*arrays)

    return step, {"check": fingerprint(*by_hand(*arrays))}


if __name__ == "__main__":
    serve({"tape": tape})
