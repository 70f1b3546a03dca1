"""How edge_cases.py draws its inputs: every combination of the edges of the floats.

A case has an entry for each combination of edges in x, in the other inputs and in dy.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from minivision import functional as F

torch = pytest.importorskip("torch")


class Case(NamedTuple):
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    arrays: list[np.ndarray]
    dy: np.ndarray
    # Where the value (0) and the gradients (1, 2, …) differ by design, see deviations.md.
    differs: dict[int, np.ndarray] | None = None


def edges(dtype, *more):
    info = np.finfo(dtype)
    huge, tiny = info.max / 4, info.smallest_subnormal * dtype(3)
    return np.array([np.inf, -np.inf, np.nan, 0, huge, tiny, 1, -2, *more], dtype)


def crossed(values, count):
    """`count` vectors that together hold every combination of the values."""
    return list(np.array(list(itertools.product(values, repeat=count)), values.dtype).T)


def entries(ours, theirs, inputs=1, differs=None):
    """Entry by entry: every combination of the inputs and dy."""

    def draw(dtype):
        info = np.finfo(dtype)
        *arrays, dy = crossed(
            edges(dtype, -0.0, -info.max / 4, -info.smallest_subnormal), inputs + 1
        )
        return Case(ours, theirs, arrays, dy, differs and differs(*arrays, dy))

    return draw


def rows(ours, theirs, whole=False, shape=(3,), differs=None, most=np.inf):
    """Rows of three edges up to `most`. dy: an edge for each row, or a row with one (whole)."""

    def draw(dtype):
        a, b, c, dy = crossed(edges(dtype), 4)
        x = np.stack([a, b, c], axis=1)
        if whole:
            dy = np.stack([dy, np.ones_like(dy), np.full_like(dy, -0.5)], axis=1)
        fits = ~(x > most).any(axis=1)
        x, dy = (v.reshape(-1, *shape) if v.ndim == 2 else v for v in (x[fits], dy[fits]))
        return Case(ours, theirs, [x], dy, differs and differs(x, dy))

    return draw


def apart(ours, theirs, *shapes, out, differs=None):
    """Call by call: inputs of small whole numbers with one edge each, and dy likewise.

    The numbers are whole, so that sums are exact in any order.
    """

    def draw(dtype):
        rng = np.random.default_rng(0)
        few = np.array([np.inf, np.nan, np.finfo(dtype).max / 4, 1], dtype)
        chosen = crossed(few, min(len(shapes), 2) + 1)
        count = len(chosen[0])
        arrays = [rng.integers(-2, 3, (count, *s)).astype(dtype) for s in (out, *shapes)]
        for array, edge in zip(arrays, chosen, strict=False):  # a third input, the bias, has none
            array.reshape(count, -1)[:, -1] = edge
        dy, *arrays = arrays

        def mine(*arrays):
            return F.stack([ours(*[a[i] for a in arrays]) for i in range(count)])

        def yours(*arrays):
            return torch.stack([theirs(*[a[i] for a in arrays]) for i in range(count)])

        return Case(mine, yours, arrays, dy, differs and differs(*arrays, dy))

    return draw


def images(ours, theirs, out, differs=None):
    """Images of 2x2 pixels with every combination of three edges, and a dy with one."""

    def draw(dtype):
        a, b, c, first = crossed(edges(dtype), 4)
        x = np.stack([a, b, np.full_like(a, 0.5), c], axis=1).reshape(-1, 1, 2, 2)
        dy = np.ones((len(x), 1, *out), dtype)
        dy[:, 0, 0, 0] = first
        return Case(ours, theirs, [x], dy, differs and differs(x, dy))

    return draw


def with_targets(ours, theirs, targets, most=np.inf, differs=None):
    """The losses of rows, one by one; the targets are dealt out in turn."""

    def draw(dtype):
        case = rows(None, None, most=most)(dtype)
        count = len(case.dy) // len(targets) * len(targets)
        x, dy = case.arrays[0][:count], case.dy[:count]
        t = np.tile(np.asarray(targets), (count // len(targets), *[1] * (np.ndim(targets) - 1)))
        t = t.astype(dtype) if t.dtype.kind == "f" else t
        return Case(
            lambda z: ours(z, t), lambda z: theirs(z, torch.tensor(t)), [x], dy,
            differs and differs(x, dy, t),
        )  # fmt: skip

    return draw
