"""The sum over neighbouring channels, on arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.functional.normalization import channel_window_sum
from tests.strategies import seeds


@given(C=st.integers(1, 8), size=st.sampled_from([1, 3, 5, 7]), seed=seeds)
def test_channel_window_sum_equals_loops_and_is_its_own_adjoint(C, size, seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 2, C, 3, 4))
    sums = channel_window_sum(x, size)
    for c in range(C):
        near = [other for other in range(C) if abs(other - c) <= size // 2]
        np.testing.assert_allclose(sums[:, c], x[:, near].sum(axis=1), rtol=1e-12, atol=1e-13)
    assert (sums * y).sum() == pytest.approx(
        (x * channel_window_sum(y, size)).sum(), rel=1e-10, abs=1e-11
    )
