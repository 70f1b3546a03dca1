"""Tensor: its dtype, its operators, its attributes, and the memory of its gradient."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor, backward_steps, record
from minivision import functional as F
from tests.refusals import refused
from tests.strategies import seeds


def leaf(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


# ── dtype ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, np.float32),
        (1.5, np.float32),
        ([1, 2], np.float32),
        ([[1.5], [2.5]], np.float32),
        (np.zeros(2, np.float32), np.float32),
        (np.zeros(2, np.float64), np.float64),
        (np.zeros(2, np.int64), np.int64),
        (np.zeros(2, np.uint8), np.uint8),
        (np.zeros(2, bool), np.bool_),
    ],
)
def test_tensor_keeps_the_dtype_of_an_array_and_makes_python_numbers_float32(data, dtype):
    assert Tensor(data).dtype == dtype


def test_tensor_does_not_copy_an_array():
    array = np.zeros((2, 3))
    assert Tensor(array).data is array


@pytest.mark.parametrize(
    "number", [2, 2.0, True, np.float64(2), np.int64(2), np.array(2.0)], ids=repr
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensor_operators_give_numbers_the_dtype_of_the_tensor(number, dtype):
    x = Tensor(np.ones(3, dtype), requires_grad=True)
    for y in (x + number, number + x, x * number, number * x, x - number, number / x):
        assert y.dtype == dtype
        y.sum().backward()
    assert x.grad.dtype == dtype


def test_tensor_without_axes_holds_an_array_of_the_same_dtype():
    for dtype in (np.float32, np.float64):
        total = Tensor(np.ones(3, dtype)).sum()
        assert isinstance(total.data, np.ndarray)
        assert (total.shape, total.dtype) == ((), dtype)


# ── operators ────────────────────────────────────────────────────────────────────────────────


def test_tensor_operators_and_methods_call_their_functions():
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    u, v = a.data, b.data
    for y, expected in [
        (a + b, u + v), (a - b, u - v), (a * b, u * v), (a / b, u / v), (-a, -u), (a**2, u**2),
        (a @ b.T, u @ v.T), (a[1], u[1]), (2 + a, 2 + u), (2 - a, 2 - u), (2 * a, 2 * u),
        (2 / a, 2 / u), (a.exp(), np.exp(u)), (a.sum(axis=1), u.sum(1)), (a.mean(), u.mean()),
        ((a * a).log(), np.log(u * u)), (a.max(axis=0), u.max(0)), (a.min(axis=0), u.min(0)),
        ((a * a).sqrt(), abs(u)), (abs(a), abs(u)), (a.relu(), np.maximum(u, 0)),
        (u.T @ a, u.T @ u), (a.var(axis=1), u.var(1, ddof=1)),
        (a.sum(0, keepdims=True), u.sum(0, keepdims=True)),
        (a.reshape(3, 2), u.reshape(3, 2)), (a.reshape((3, 2)), u.reshape(3, 2)),
        (a.flatten(start_axis=0), u.reshape(-1)), (a.transpose((1, 0)), u.T), (a.T, u.T),
    ]:  # fmt: skip
        np.testing.assert_allclose(y.data, expected, rtol=1e-15)
        assert y.requires_grad


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("sum", (1, True), lambda u: u.sum(1, keepdims=True)),
        ("mean", (1, True), lambda u: u.mean(1, keepdims=True)),
        ("mean", ((0, 2),), lambda u: u.mean((0, 2))),
        ("var", (2, True, 0), lambda u: u.var(2, keepdims=True)),
        ("var", (2, False, 2), lambda u: u.var(2, ddof=2)),
        ("max", (1, True), lambda u: u.max(1, keepdims=True)),
        ("min", (2, True), lambda u: u.min(2, keepdims=True)),
        ("flatten", (), lambda u: u.reshape(2, 12)),
        ("transpose", ((1, 2, 0),), lambda u: u.transpose(1, 2, 0)),
        ("transpose", (), lambda u: u.T),
    ],
    ids=lambda value: str(value) if not callable(value) else "",
)
def test_tensor_methods_pass_all_their_arguments_on(method, arguments, expected):
    x = leaf(2, 3, 4)
    y = getattr(x, method)(*arguments)
    assert y.shape == expected(x.data).shape
    np.testing.assert_allclose(y.data, expected(x.data), rtol=1e-12)


def test_tensor_operators_take_an_array_on_the_left():
    x, array = leaf(2, 3), np.arange(1.0, 7.0).reshape(2, 3)
    for y, expected in [
        (array + x, array + x.data),
        (array - x, array - x.data),
        (array * x, array * x.data),
        (array / x, array / x.data),
        (array @ x.T, array @ x.data.T),
    ]:
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(y.data, expected)


def test_tensor_does_not_become_an_entry_of_an_array_on_the_left():
    array = np.ones(2)
    with refused(TypeError, "'Tensor'", "ufuncs"):
        array += leaf(2)


def test_tensor_comparisons_return_arrays():
    x, y = Tensor([1.0, 2.0, 3.0]), Tensor([3.0, 2.0, 1.0])
    for result, expected in [
        (x < y, [True, False, False]),
        (x <= y, [True, True, False]),
        (x > y, [False, False, True]),
        (x >= 2, [False, True, True]),
        (x == y, [False, True, False]),
        (x != y.data, [True, False, True]),
        (y.data < x, [False, False, True]),
    ]:
        assert isinstance(result, np.ndarray)
        assert result.tolist() == expected


def test_tensors_can_be_keys_of_a_dict():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert {x: "x", y: "y"}[y] == "y"


def test_tensor_argmax_returns_an_array_of_indices():
    x = Tensor(np.float32([[1, 3, 2], [5, 4, 5]]), requires_grad=True)
    assert x.argmax(1).tolist() == [1, 0]
    assert x.argmax() == 3
    assert x.argmax(axis=0).dtype.kind == "i"


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**", "@"])
def test_tensor_refuses_in_place_operators(operator):
    with refused(TypeError, "in-place operators", "x = x + y", "w.data -= …"):
        exec(f"x {operator}= y", {"x": Tensor([1.0]), "y": Tensor([1.0])})


def test_tensor_iteration_yields_rows_with_gradients():
    x = leaf(2, 3)
    first, second = x
    (first * 2.0 + second * 3.0).sum().backward()
    assert x.grad.tolist() == [[2, 2, 2], [3, 3, 3]]


def test_tensor_can_be_read_by_numpy():
    x = leaf(2, 3)
    assert np.asarray(x) is x.data
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert x.__array__(np.float32).dtype == np.float32  # also if called without NumPy
    copy = np.array(x)
    copy[...] = 0
    assert x.data.any()
    assert np.mean(x.numpy()) == x.data.mean()


def test_tensor_of_one_number_converts_to_float_and_bool():
    assert Tensor(2.5).item() == 2.5
    assert float(Tensor([2.5])[0]) == 2.5
    assert bool(Tensor(0.0)) is False


def test_tensor_prints_its_values_its_dtype_and_names_its_function():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], float32, requires_grad=True)"
    assert repr(x * 2.0) == "Tensor([2., 4.], float32, from multiply)"
    assert repr((x * 2.0).detach()) == "Tensor([2., 4.], float32)"


def test_tensor_of_more_than_50_numbers_prints_only_the_ends():
    assert "..." not in repr(Tensor(np.arange(50.0)))
    assert "2., ..., 48." in repr(Tensor(np.arange(51.0)))


def test_tensor_prints_the_rows_of_a_matrix_below_each_other():
    assert repr(Tensor(np.eye(2))) == "Tensor([[1., 0.],\n        [0., 1.]], float64)"


def test_tensor_of_one_number_takes_a_format_in_an_f_string():
    number, row = Tensor(2.5), Tensor([1.0, 2.0])
    assert f"{number:.3f}" == "2.500"
    assert f"{Tensor([[2.5]]):.1f}" == "2.5"
    assert f"{number}" == str(number)
    assert f"{row}" == str(row)
    assert f"{row:>30}" == str(row).rjust(30)


def test_tensor_prints_no_private_name_after_its_graph_was_freed():
    loss = leaf(2).sum()
    loss.backward()
    assert "_freed" not in repr(loss)


# ── data, grad, requires_grad ────────────────────────────────────────────────────────────────


def test_grad_can_be_set_to_an_array_and_to_none():
    w = leaf(2, 3)
    w.grad = np.ones((2, 3))
    w.grad = None
    assert w.grad is None


@pytest.mark.parametrize("grad", [[1.0, 2.0], Tensor([1.0, 2.0]), 3.0])
def test_tensor_refuses_a_grad_that_is_not_an_array(grad):
    x = Tensor([1.0, 2.0], requires_grad=True)
    with refused(TypeError, "grad", type(grad).__name__, "an array or None"):
        x.grad = grad
    assert x.grad is None


def test_tensor_refuses_and_notices_an_in_place_change_of_a_computed_value():
    """When the error is raised the array has already changed, so earlier uses must be refused."""
    x = Tensor([2.0], requires_grad=True)
    y = x * 2
    z = y * y
    with refused(RuntimeError, "data", "computed"):
        y.data -= 1
    with refused(RuntimeError, "backward", "changed after the forward pass"):
        z.backward(np.ones(1, np.float32))


def test_tensor_requires_grad_can_be_switched_off_on_a_leaf():
    w = leaf(2)
    w.requires_grad = False
    assert (w * 2.0).requires_grad is False


def test_detach_shares_the_array_and_cuts_the_graph():
    w = leaf(2)
    y = w * 2.0
    cut = y.detach()
    assert cut.data is y.data
    assert not cut.requires_grad
    (y * cut).sum().backward()
    np.testing.assert_array_equal(w.grad, 2 * cut.data)


# ── the memory of gradients ──────────────────────────────────────────────────────────────────


def assert_nobody_elses(gradient, *others):
    assert gradient.flags.writeable
    assert 0 not in gradient.strides or gradient.size <= 1
    for other in others:
        assert not np.may_share_memory(gradient, other)


def test_backward_neither_keeps_nor_changes_the_gradient_it_is_given():
    for function in (
        lambda x: x,
        lambda x: x + 0.0,
        lambda x: x + x,
        lambda x: x.reshape(6),
        lambda x: x.T,
        lambda x: x.reshape(6).reshape(2, 3) + x,
        lambda x: F.add(x, x) + F.add(x, x),
    ):
        x = leaf(2, 3)
        y = function(x)
        dy = np.random.default_rng(1).normal(size=y.shape)
        before = dy.copy()
        for _ in range(3):  # later gradients are added in place
            function(x).backward(dy)
        np.testing.assert_array_equal(dy, before)
        assert_nobody_elses(x.grad, dy)


def test_backward_gives_inputs_with_equal_gradients_separate_memory():
    a, b, c = leaf(2, 3), leaf(2, 3), leaf(2, 3)
    dy = np.ones((2, 3))
    (a + b + c).backward(dy)
    assert_nobody_elses(a.grad, b.grad, c.grad, dy)
    assert_nobody_elses(b.grad, c.grad, dy)
    a.grad += 5
    assert b.grad.tolist() == c.grad.tolist() == np.ones((2, 3)).tolist()


def test_backward_adds_the_gradients_of_an_input_used_twice():
    x = leaf(3)
    y = x + x
    y.backward(np.ones(3))
    assert x.grad.tolist() == [2, 2, 2]
    h = x * 1.0  # and if it is not a leaf
    x.grad = None
    (h + h).backward(np.ones(3))
    assert x.grad.tolist() == [2, 2, 2]


def split(x):
    """Its backward function returns two halves of one array: they touch but do not overlap."""

    def backward(dy):
        both = np.stack([dy, 2 * dy])
        return (both[0],)

    return record(x.data + 0, (x,), backward)


def same_twice(a, b):
    """Its backward function returns one array for two inputs, and not dy."""

    def backward(dy):
        g = 3 * dy
        return g, g

    return record(a.data + b.data, (a, b), backward)


def overlapping(a, b):
    """Its backward function returns two views of one array that overlap."""

    def backward(dy):
        g = np.arange(5.0) * dy.sum()
        return g[:4], g[1:]

    return record(a.data + b.data, (a, b), backward)


@pytest.mark.parametrize("function", [same_twice, overlapping])
def test_backward_separates_overlapping_gradients_of_one_function(function):
    a, b = leaf(4), leaf(4, seed=1)
    function(a, b).sum().backward()
    assert_nobody_elses(a.grad, b.grad)
    first_a, first_b = a.grad.copy(), b.grad.copy()
    function(a, b).sum().backward()
    np.testing.assert_array_equal(a.grad, 2 * first_a)
    np.testing.assert_array_equal(b.grad, 2 * first_b)


def test_backward_shares_a_gradient_safely_between_a_leaf_and_a_node():
    a, x = leaf(4), leaf(4, seed=1)
    h = x * 1.0
    y = same_twice(a, h) + h  # h gets a second gradient, added to the one that a shares
    y.sum().backward()
    assert a.grad.tolist() == [3] * 4
    assert x.grad.tolist() == [4] * 4


def test_backward_does_not_add_in_place_to_a_shared_gradient():
    x = leaf(4)
    dy = np.ones(4)
    h = x * 1.0
    y = h + h.reshape(4) + h.reshape(2, 2).reshape(4) + h
    steps = [np.copy(step_dy) for _, step_dy, _ in backward_steps(y, dy)]
    assert dy.tolist() == [1] * 4
    assert steps[0].tolist() == [1] * 4
    assert x.grad.tolist() == [4] * 4


def test_backward_takes_over_a_first_gradient_without_a_copy():
    made = []

    def double(x):
        def backward(dy):
            made.append(2 * dy)
            return (made[-1],)

        return record(2 * x.data, (x,), backward)

    x = leaf(4)
    double(x).sum().backward()
    assert x.grad is made[0]
    double(x).sum().backward()
    assert x.grad is made[0]
    assert x.grad.tolist() == [4] * 4
    assert made[1].tolist() == [2] * 4


def test_backward_copies_views_and_broadcast_gradients_into_a_leaf():
    for function in (
        lambda x: x.sum(),
        lambda x: x.mean(axis=0).sum(),
        lambda x: x.reshape(6).sum(),
        lambda x: x.T.sum(axis=1).sum(),
        lambda x: split(x).sum(),
    ):
        x = leaf(2, 3)
        function(x).backward()
        first = x.grad.copy()
        x.grad[0, 0] += 1  # would show in other entries if memory repeated
        first[0, 0] += 1
        np.testing.assert_array_equal(x.grad, first)
        function(x).backward()
        assert_nobody_elses(x.grad)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_backward_accumulates_broadcast_gradients_of_one_entry(shape):
    x = Tensor(np.ones(shape), requires_grad=True)
    for _ in range(2):
        x.mean().backward()
        x.mean(axis=0).sum().backward()
    assert x.grad.ravel().tolist() == [4]


def test_backward_copies_a_gradient_that_repeats_one_number():
    def halves(x):
        def backward(dy):
            return (np.broadcast_to(dy / 2, 2),)

        return record(x.data.mean(keepdims=True), (x,), backward)

    x = leaf(2)
    for _ in range(2):
        halves(x).sum().backward()
        assert_nobody_elses(x.grad)
    assert x.grad.tolist() == [1, 1]


def test_backward_accumulates_gradients_without_axes():
    x = Tensor(np.array(3.0), requires_grad=True)
    for k in (1, 2, 3):
        (x * x + x).backward()
        assert isinstance(x.grad, np.ndarray)
        assert x.grad == 7 * k
    x.grad = None
    F.exp(x).backward()  # here NumPy's product is a scalar, not an array
    assert isinstance(x.grad, np.ndarray)


def test_backward_accumulates_until_grad_is_set_to_none():
    x = leaf(3)
    held = []
    for k in (1, 2):
        (x * 2.0).sum().backward()
        assert x.grad.tolist() == [2 * k] * 3
        held.append(x.grad)
    assert held[0] is held[1]  # in place
    x.grad = None
    (x * 2.0).sum().backward()
    assert x.grad.tolist() == [2] * 3
    assert held[0].tolist() == [4] * 3


@given(seed=seeds, operations=st.integers(1, 25))
def test_backward_of_a_random_graph_equals_the_sum_over_all_paths(seed, operations):
    """Random graphs of sums, products and views, against the sum of one gradient per path."""
    rng = np.random.default_rng(seed)
    leaves = [Tensor(rng.normal(size=4), requires_grad=True) for _ in range(3)]
    values = list(leaves)
    parents = {}  # result -> [(parent, ∂result/∂parent as an array of four)]
    for _ in range(operations):
        i, j = rng.integers(0, len(values), 2)
        a, b = values[i], values[j]
        kind = rng.integers(0, 3)
        if kind == 0:
            y, partial = a + b, [(a, np.ones(4)), (b, np.ones(4))]
        elif kind == 1:
            y, partial = a * b * 0.5, [(a, 0.5 * b.data), (b, 0.5 * a.data)]
        else:
            y, partial = a.reshape(2, 2).reshape(4), [(a, np.ones(4))]
        parents[y] = partial
        values.append(y)
    dy = rng.normal(size=4)
    expected = {x: np.zeros(4) for x in values}
    expected[values[-1]] = dy
    for y in reversed(values[3:]):
        for parent, slope in parents[y]:
            expected[parent] = expected[parent] + expected[y] * slope
    values[-1].backward(dy)
    for x in leaves:
        got = np.zeros(4) if x.grad is None else x.grad
        np.testing.assert_allclose(got, expected[x], rtol=1e-9, atol=1e-12)


def test_backward_takes_a_numpy_number_as_the_gradient_of_a_scalar():
    x = leaf(3)
    x.sum().backward(np.float64(2.0))
    assert x.grad.tolist() == [2] * 3


def test_node_numbers_are_unique_across_threads():
    numbers = []

    def work():
        numbers.extend((Tensor(1.0)).node.number for _ in range(2000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 8000


def test_backward_steps_free_the_graph():
    y = (2 * Tensor([3.0], requires_grad=True)).sum()
    list(backward_steps(y))
    with refused(RuntimeError, "backward", "earlier backward pass"):
        y.backward()


def test_backward_takes_a_tensor_as_the_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (3 * x).backward(Tensor([10.0, 100.0]))
    np.testing.assert_array_equal(x.grad, [30, 300])
