"""Reshape, flatten, transpose and getitem move numbers; the gradient moves them back."""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from minivision.windows import Window
from tests.strategies import seeds

MOVES = ["reshape", "flatten", "transpose", "getitem"]


@pytest.mark.parametrize("name", MOVES)
@given(seed=seeds)
def test_shape_functions_and_their_gradients_are_adjoint(name, seed):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, with Aᵀ y from the backward function."""
    rng = np.random.default_rng(seed)
    function, (x,) = CASES[name](rng)
    leaf = Tensor(x, requires_grad=True)
    moved = function(leaf)
    y = rng.normal(size=moved.shape)
    moved.backward(y)
    assert (moved.data * y).sum() == pytest.approx((x * leaf.grad).sum(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["reshape", "flatten", "transpose"])
@given(seed=seeds)
def test_shape_functions_are_undone_by_their_gradients(name, seed):
    rng = np.random.default_rng(seed)
    function, (x,) = CASES[name](rng)
    leaf = Tensor(x, requires_grad=True)
    moved = function(leaf)
    moved.backward(moved.data.copy())
    np.testing.assert_array_equal(leaf.grad, x)


def test_reshape_is_in_c_order_for_any_memory_order():
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert F.reshape(x, 3, 2).data.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert F.reshape(x, (-1,)).data.tolist() == [0, 1, 2, 3, 4, 5]
    assert F.reshape(x, [6, 1]).shape == (6, 1)
    assert F.reshape(np.ones((1, 1)), ()).shape == ()
    assert F.reshape(np.ones((0, 3)), (3, 0)).shape == (3, 0)
    assert F.reshape(np.ones((0, 3)), (5, -1)).shape == (5, 0)


def test_flatten_keeps_the_first_axis_and_lists_the_others_in_c_order():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert F.flatten(x).shape == (2, 12)
    assert F.flatten(x).data[1].tolist() == list(range(12, 24))
    assert F.flatten(x, start_axis=0).shape == (24,)
    assert F.flatten(x, start_axis=2).shape == (2, 3, 4)
    assert F.flatten(x, start_axis=3).shape == (2, 3, 4, 1)
    assert F.flatten(np.array(5.0), start_axis=0).shape == (1,)
    assert F.flatten(np.ones((0, 3, 2))).shape == (0, 6)


def test_transpose_moves_axis_axes_i_of_x_to_position_i():
    x = np.arange(24.0).reshape(2, 3, 4)
    y = F.transpose(x, (2, 0, 1))
    assert y.shape == (4, 2, 3)
    assert all(y.data[k, i, j] == x[i, j, k] for i, j, k in np.ndindex(2, 3, 4))
    assert F.transpose(x).shape == (4, 3, 2)
    assert F.transpose(x, (-1, 0, 1)).shape == (4, 2, 3)
    assert F.transpose(np.array(3.0)).shape == ()


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
def test_getitem_follows_numpy_and_its_gradient_counts_each_entry(index):
    array = np.arange(6.0).reshape(2, 3)
    x = Tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, array[index])
    y.backward(np.ones(y.shape))
    chosen = np.arange(6).reshape(2, 3)[index].reshape(-1)
    np.testing.assert_array_equal(x.grad.reshape(-1), np.bincount(chosen, minlength=6))


def test_getitem_takes_a_tensor_of_integers_as_an_index():
    x = Tensor(np.arange(3.0), requires_grad=True)
    x[Tensor(np.array([2, 2]))].sum().backward()
    assert x.grad.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("index", "is_pointwise"),
    [
        (np.s_[:, :2], True), (np.s_[:, 1:2], True), (np.s_[:, :2, :, :], True), (np.s_[:], True),
        (np.s_[:1], False), (np.s_[:, :, 1:], False), (np.s_[:, :2, 1:], False),
        (np.s_[:, 0], False), (np.s_[..., ::-1], False), (np.s_[:, [0, 1]], False),
    ],
    ids=str,
)  # fmt: skip
def test_getitem_of_channels_records_a_window_of_one_pixel(index, is_pointwise):
    """For receptive fields, x[:, :2] is like a 1x1 convolution."""
    x = Tensor(np.zeros((2, 3, 4, 5)), requires_grad=True)
    window = x[index].node.window
    assert window == (Window((1, 1)) if is_pointwise else None)


# ── joining, padding, repeating ──────────────────────────────────────────────────────────────


def column(*numbers):
    return Tensor(np.array(numbers, float)[:, None], requires_grad=True)


def test_concatenate_splits_its_gradient_among_the_parts():
    a, b = column(1, 2), column(3)
    y = F.concatenate([a, b])
    y.backward(np.array([[10.0], [20.0], [30.0]]))
    assert y.data.ravel().tolist() == [1, 2, 3]
    assert (a.grad.ravel().tolist(), b.grad.ravel().tolist()) == ([10, 20], [30])


def test_stack_adds_an_axis_and_removes_it_from_the_gradient():
    a, b = column(1, 2), column(3, 4)
    y = F.stack((a, b), axis=-1)
    y.backward(np.array([[[1.0, 10.0]], [[2.0, 20.0]]]))
    assert y.data.tolist() == [[[1, 3]], [[2, 4]]]
    assert (a.grad.ravel().tolist(), b.grad.ravel().tolist()) == ([1, 2], [10, 20])


def test_concatenate_adds_the_gradients_of_a_tensor_given_twice():
    a = column(1, 2)
    F.concatenate([a, a], axis=1).backward(np.array([[1.0, 10.0], [2.0, 20.0]]))
    assert a.grad.ravel().tolist() == [11, 22]


@given(seed=seeds)
def test_concatenate_and_stack_are_undone_by_indexing(seed):
    parts = np.random.default_rng(seed).normal(size=(3, 2, 4))
    joined, stacked = F.concatenate(list(parts), axis=1), F.stack(list(parts), axis=1)
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(joined[:, 4 * i : 4 * i + 4].data, part)
        np.testing.assert_array_equal(stacked[:, i].data, part)


def test_pad_takes_the_widths_from_the_first_axis_on():
    x = Tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    y = F.pad(x, [(1, 0), (0, 2)], value=9.0)
    y.backward(np.arange(8.0).reshape(2, 4))
    assert y.data.tolist() == [[9, 9, 9, 9], [1, 2, 9, 9]]
    assert x.grad.tolist() == [[4, 5]]


def test_broadcast_to_repeats_and_sums_over_the_repeats():
    x = Tensor(np.array([[1.0], [2.0]]), requires_grad=True)
    y = F.broadcast_to(x, (3, 2, 2))
    y.backward(np.arange(12.0).reshape(3, 2, 2))
    assert y.data.tolist() == [[[1, 1], [2, 2]]] * 3
    assert x.grad.tolist() == [[0 + 1 + 4 + 5 + 8 + 9], [2 + 3 + 6 + 7 + 10 + 11]]


def test_concatenate_and_stack_keep_none_of_their_parts():
    """Their gradients are parts of dy, so the arrays that were joined can be freed."""
    for function in (F.concatenate, F.stack):
        rule = function([column(1, 2), column(3, 4)]).node.backward
        assert not any(isinstance(cell.cell_contents, list) for cell in rule.__closure__)


@pytest.mark.parametrize("wrap", [np.asarray, Tensor], ids=["array", "Tensor"])
def test_getitem_copies_its_index(wrap):
    x, index = Tensor(np.zeros(4), requires_grad=True), np.array([0, 1])
    y = x[wrap(index)]
    index[...] = 3
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0]
