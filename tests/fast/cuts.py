"""Split the work of the fast forms into tiny tiles, so that small arrays cover every border case.

By the rules of fast/choice.py, an array of a test would be a single tile. Here a tile is a few rows
and columns, and the test makes the choices that fast/choice.py makes by size.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from minivision import Tensor, fast
from minivision.fast import choice


def on_its_page(function, arrays, dy, *settings, **more):
    """y and the gradients of all arrays, computed by the page in functional/."""
    with fast.off():
        inputs = [Tensor(np.asarray(array), requires_grad=True) for array in arrays]
        y = function(*inputs, *settings, **more)
        y.backward(np.asarray(dy))
    return y.data, *[x.grad for x in inputs]


class Cuts(NamedTuple):
    """How large a tile is, which form computes a gradient, how many workers share the tiles."""

    height: int = 1
    width: int = 1
    columns: bool = False  # all windows of some rows as columns, not stacked rows
    flip: bool = False  # the gradient of the image by flipped kernels, where the stride is 1
    by_kernel_rows: bool = False  # the gradient of the weights by kernel rows, not output rows
    workers: int = 1


def always(value):
    """A choice that is the same for every size."""
    return lambda *sizes, **more: value


@contextmanager
def cut_into(cuts):
    """Make every fast form split its work like this, whatever its size; None changes nothing."""
    if cuts is None:
        yield
        return
    rules = {
        "LEAST": 1,
        "BLOCK": cuts.width,
        "workers": always(cuts.workers),
        "tile": always((cuts.height, cuts.width)),
        "use_columns": lambda geometry, *_: cuts.columns and min(geometry.padding) >= 0,
        "column_rows": always(cuts.height),
        "adjoint_rows": always(cuts.height),
        "gradient_rows": always(cuts.height),
        "sum_by_kernel_rows": always(cuts.by_kernel_rows),
        "flip_kernels": lambda geometry, **_: cuts.flip and geometry.stride == (1, 1),
        "pooling_tile": always((cuts.width, cuts.height)),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, rule in rules.items():
            assert hasattr(choice, name)
            patch.setattr(choice, name, rule)
        yield


cuts = st.builds(
    Cuts,
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    columns=st.booleans(),
    flip=st.booleans(),
    by_kernel_rows=st.booleans(),
    workers=st.integers(1, 3),
)
