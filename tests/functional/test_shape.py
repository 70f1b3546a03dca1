"""Reshape, flatten, transpose and getitem move numbers; the gradient moves them back."""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from tests.strategies import seeds

MOVES = ["reshape", "flatten", "transpose", "getitem"]


@pytest.mark.parametrize("name", MOVES)
@given(seed=seeds)
def test_a_move_and_its_gradient_are_adjoint(name, seed):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, with Aᵀ y from the rule."""
    rng = np.random.default_rng(seed)
    function, (x,) = CASES[name](rng)
    leaf = Tensor(x, requires_grad=True)
    moved = function(leaf)
    y = rng.normal(size=moved.shape)
    moved.backward(y)
    assert (moved.data * y).sum() == pytest.approx((x * leaf.grad).sum(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["reshape", "flatten", "transpose"])
@given(seed=seeds)
def test_the_gradient_undoes_a_move_that_keeps_every_entry(name, seed):
    rng = np.random.default_rng(seed)
    function, (x,) = CASES[name](rng)
    leaf = Tensor(x, requires_grad=True)
    moved = function(leaf)
    moved.backward(moved.data.copy())
    np.testing.assert_array_equal(leaf.grad, x)


def test_reshape_is_in_c_order_whatever_the_memory():
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert F.reshape(x, 3, 2).data.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert F.reshape(x, (-1,)).data.tolist() == [0, 1, 2, 3, 4, 5]
    assert F.reshape(x, [6, 1]).shape == (6, 1)
    assert F.reshape(np.ones((1, 1)), ()).shape == ()
    assert F.reshape(np.ones((0, 3)), (3, 0)).shape == (3, 0)
    assert F.reshape(np.ones((0, 3)), (5, -1)).shape == (5, 0)


@pytest.mark.parametrize("new", [(4,), (2, 2), (-1, 4), (-1, -1), (-2, -3), (0, -1), ()])
def test_a_shape_that_does_not_fit_is_refused_with_both_shapes(new):
    with pytest.raises(
        ValueError, match=r"^reshape: x has shape \(2, 3\) and 6 entries; not those"
    ):
        F.reshape(np.ones((2, 3)), new)


def test_flatten_keeps_the_first_axis_and_lists_the_others_in_c_order():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert F.flatten(x).shape == (2, 12)
    assert F.flatten(x).data[1].tolist() == list(range(12, 24))
    assert F.flatten(x, start_axis=0).shape == (24,)
    assert F.flatten(x, start_axis=2).shape == (2, 3, 4)
    assert F.flatten(np.ones((0, 3, 2))).shape == (0, 6)


@pytest.mark.parametrize("start_axis", [-1, 4])
def test_flatten_names_a_bad_axis(start_axis):
    with pytest.raises(ValueError, match=r"^flatten: start_axis is .*; expected 0 to 3"):
        F.flatten(np.ones((2, 3, 4)), start_axis)


def test_transpose_puts_axis_axes_i_of_x_at_place_i():
    x = np.arange(24.0).reshape(2, 3, 4)
    y = F.transpose(x, (2, 0, 1))
    assert y.shape == (4, 2, 3)
    assert all(y.data[k, i, j] == x[i, j, k] for i, j, k in np.ndindex(2, 3, 4))
    assert F.transpose(x).shape == (4, 3, 2)
    assert F.transpose(x, (-1, 0, 1)).shape == (4, 2, 3)
    assert F.transpose(np.array(3.0)).shape == ()


@pytest.mark.parametrize("axes", [(0, 1), (0, 1, 1), (0, 1, 3), ()])
def test_transpose_names_bad_axes(axes):
    with pytest.raises(ValueError, match=r"^transpose: ax[ie]s is .*; expected"):
        F.transpose(np.ones((2, 3, 4)), axes)


def test_getitem_adds_the_gradients_of_an_entry_chosen_twice():
    x = Tensor(np.arange(3.0), requires_grad=True)
    y = x[np.array([0, 2, 0, -1])]
    y.backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    assert y.data.tolist() == [0, 2, 0, 2]
    assert x.grad.tolist() == [101, 0, 1010]


@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(1), slice(1, None), slice(None, None, -1), (0, 1), (slice(None), 1), ...,
     (..., 1), None, (None, 1), [0, 1, 0], (np.array([0, 1]), np.array([2, 2])), True,
     np.array([True, False]), (slice(None), np.array([True, False, True])), slice(5, 9)],
    ids=repr,
)  # fmt: skip
def test_getitem_follows_numpy_and_its_gradient_counts_how_often_an_entry_was_chosen(index):
    array = np.arange(6.0).reshape(2, 3)
    x = Tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, array[index])
    y.backward(np.ones(y.shape))
    chosen = np.arange(6).reshape(2, 3)[index].reshape(-1)
    np.testing.assert_array_equal(x.grad.reshape(-1), np.bincount(chosen, minlength=6))


def test_a_tensor_of_integers_is_an_index():
    x = Tensor(np.arange(3.0), requires_grad=True)
    x[Tensor(np.array([2, 2]))].sum().backward()
    assert x.grad.tolist() == [0, 0, 2]


def test_getitem_refuses_what_numpy_refuses():
    with pytest.raises(IndexError):
        Tensor([1.0, 2.0])[2]
