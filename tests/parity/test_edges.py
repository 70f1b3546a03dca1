"""Every function at the edges of the floats: ±∞, NaN, ±0, huge, tiny, ties and empty axes.

PyTorch says what the value is there and what the gradient, also under a dy of such edges. Where
ours differ by design, docs/reference/deviations.md says why, and the case says where.
"""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from minivision import Tensor, fast, functional
from minivision.fast import door
from tests.fast.cuts import Cuts, cut_into
from tests.parity.edge_cases import CASES
from tests.strategies import memory_orders

pytestmark = pytest.mark.parity


@pytest.fixture(params=["page", "fast", "fast, in tiles"])
def batch_innermost(request):
    """Whether the inputs lie as between fast forms; the door is closed for the page."""
    if request.param == "page":
        with fast.off():
            yield False
    else:
        tiles = Cuts(2, 3) if request.param == "fast, in tiles" else None
        with door.on(), cut_into(tiles):
            yield True


def value_and_gradients(case, batch_innermost):
    """[value, gradients…] of ours and of PyTorch's."""
    order = "batch innermost" if batch_innermost else "C"
    leaves = [Tensor(memory_orders(x)[order], requires_grad=True) for x in case.arrays]
    dy = memory_orders(case.dy)[order]
    with np.errstate(all="ignore"):
        y = case.ours(*leaves)
        y.backward(dy)
    for x, before in zip(
        [*[leaf.data for leaf in leaves], dy], [*case.arrays, case.dy], strict=True
    ):
        np.testing.assert_array_equal(x, before)  # nothing that came in is changed
    theirs = [torch.tensor(x, requires_grad=True) for x in case.arrays]
    their_y = case.theirs(*theirs)
    their_y.backward(torch.tensor(case.dy))
    return (
        [y.data, *[leaf.grad for leaf in leaves]],
        [their_y.detach().numpy(), *[x.grad.numpy() for x in theirs]],
    )


def largest_of_rows(x):
    return x.reshape(len(x), -1).max(axis=1).reshape(-1, *[1] * (x.ndim - 1))


def equal(one, other, dy):
    """Entry by entry: both NaN, the same infinity, or finite and equal but for rounding.

    In rows, rounding is relative to the largest finite number of the row and of its dy: what
    cancels is as exact as its terms. 0 and -0 are equal.
    """
    info = np.finfo(one.dtype)
    finite = np.isfinite(one) & np.isfinite(other)
    with np.errstate(all="ignore"):
        scale = largest_of_rows(np.where(finite, np.maximum(abs(one), abs(other)), 0))
        if max(one.ndim, dy.ndim) > 1:
            of_dy = largest_of_rows(np.where(np.isfinite(dy), abs(dy), 0))
            scale = np.maximum(scale, of_dy.reshape(scale.shape))
        close = finite & (abs(one - other) <= 16 * info.eps * scale + 8 * info.smallest_subnormal)
    return (one == other) | (np.isnan(one) & np.isnan(other)) | close


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_functional_agrees_with_pytorch_at_the_edges(name, dtype, batch_innermost):
    case = CASES[name](dtype)
    by_design = case.differs or {}
    ours, theirs = value_and_gradients(case, batch_innermost)
    for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert one.dtype == dtype
        assert one.shape == other.shape
        wrong, allowed = ~equal(one, other, case.dy), by_design.get(i, False)
        if i in by_design:
            assert wrong.any(), "the difference by design is gone: see deviations.md"
        wrong &= ~np.asarray(allowed)
        assert not wrong.any(), (
            f"{'the value' if i == 0 else f'gradient {i}'} at {np.argwhere(wrong)[0]}: "
            f"{one[wrong][:5]}, PyTorch {other[wrong][:5]} ({wrong.sum()} of {wrong.size})"
        )


def test_edge_cases_cover_every_function():
    assert {name.partition(":")[0] for name in CASES} == set(functional.__all__)
