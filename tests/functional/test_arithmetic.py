"""Arithmetic by hand, and broadcasting against arrays written out in full."""

import numpy as np
import pytest
from hypothesis import given

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.gradient_cases.draws import broadcast_pair
from tests.strategies import seeds

BINARY = {
    "add": (F.add, lambda a, b: a + b),
    "subtract": (F.subtract, lambda a, b: a - b),
    "multiply": (F.multiply, lambda a, b: a * b),
    "divide": (F.divide, lambda a, b: a / b),
}
binary = pytest.mark.parametrize(("function", "by_numbers"), BINARY.values(), ids=BINARY)


def gradients(function, *values, dy=1.0):
    leaves = [Tensor(np.array(value), requires_grad=True) for value in values]
    y = function(*leaves)
    y.backward(np.full(y.shape, dy))
    return y.item(), *[leaf.grad.item() for leaf in leaves]


def test_arithmetic_values_and_gradients_by_hand():
    assert gradients(F.add, 3.0, 4.0, dy=10.0) == (7, 10, 10)
    assert gradients(F.subtract, 3.0, 4.0, dy=10.0) == (-1, 10, -10)
    assert gradients(F.multiply, 3.0, 4.0, dy=10.0) == (12, 40, 30)
    assert gradients(F.divide, 3.0, 4.0, dy=16.0) == (0.75, 4, -3)
    assert gradients(F.negative, 3.0, dy=10.0) == (-3, -10)
    assert gradients(lambda x: F.power(x, 3), 2.0, dy=10.0) == (8, 120)
    assert gradients(lambda x: F.power(x, -1), 2.0, dy=8.0) == (0.5, -2)
    assert gradients(F.exp, 0.0, dy=10.0) == (1, 10)
    assert gradients(F.log, 4.0, dy=10.0) == (np.log(4), 2.5)
    assert gradients(F.sqrt, 4.0, dy=8.0) == (2, 2)
    assert gradients(F.absolute, -3.0, dy=10.0) == (3, -10)
    assert gradients(F.absolute, 3.0, dy=10.0) == (3, 10)
    assert gradients(F.absolute, 0.0, dy=10.0) == (0, 0)


def test_tensor_has_abs_and_sqrt():
    x = Tensor(np.array([-4.0, 9.0]))
    assert abs(x).data.tolist() == [4, 9]
    assert abs(x).sqrt().data.tolist() == [2, 3]


@given(seed=seeds)
def test_sqrt_and_absolute_are_powers(seed):
    x = np.random.default_rng(seed).uniform(0.5, 2, (3, 4))
    np.testing.assert_allclose(F.sqrt(x).data, F.power(x, 0.5).data, rtol=1e-14)
    np.testing.assert_allclose(F.absolute(-x).data, F.sqrt(x * x).data, rtol=1e-14)


@binary
@given(seed=seeds)
def test_arithmetic_broadcasts_as_loops_do(function, by_numbers, seed):
    rng = np.random.default_rng(seed)
    a_shape, b_shape = broadcast_pair(rng)
    a, b = rng.uniform(0.5, 2, a_shape), rng.uniform(0.5, 2, b_shape)
    y = function(a, b)
    shape = np.broadcast_shapes(a_shape, b_shape)
    assert y.shape == shape
    wide_a, wide_b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    for place in np.ndindex(shape):
        assert y.data[place] == by_numbers(float(wide_a[place]), float(wide_b[place]))


@binary
@given(seed=seeds)
def test_arithmetic_gradient_of_a_broadcast_input_is_the_sum_over_its_repeats(
    function, by_numbers, seed
):
    rng = np.random.default_rng(seed)
    a_shape, b_shape = broadcast_pair(rng)
    a, b = rng.uniform(0.5, 2, a_shape), rng.uniform(0.5, 2, b_shape)
    shape = np.broadcast_shapes(a_shape, b_shape)
    dy = rng.normal(size=shape)
    narrow = [Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)]
    wide = [Tensor(np.broadcast_to(v, shape).copy(), requires_grad=True) for v in (a, b)]
    function(*narrow).backward(dy)
    function(*wide).backward(dy)
    for small, large in zip(narrow, wide, strict=True):
        expected = np.zeros((1,) * (len(shape) - small.ndim) + small.shape)
        for place in np.ndindex(shape):
            folded = tuple(0 if n == 1 else i for i, n in zip(place, expected.shape, strict=True))
            expected[folded] += large.grad[place]
        np.testing.assert_allclose(
            small.grad, expected.reshape(small.shape), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize(("a", "b"), [((0, 3), (3,)), ((0, 3), (1, 1)), ((2, 0), (2, 1)), ((), ())])
@binary
def test_arithmetic_broadcasts_empty_arrays_and_numbers(function, by_numbers, a, b):
    leaves = [Tensor(np.ones(shape), requires_grad=True) for shape in (a, b)]
    y = function(*leaves)
    assert y.shape == np.broadcast_shapes(a, b)
    y.backward(np.ones(y.shape))
    for leaf in leaves:
        assert leaf.grad.shape == leaf.shape
        if y.size == 0:
            assert not leaf.grad.any()  # nothing was repeated, so nothing is summed


def test_power_zero_is_one_with_gradient_zero_even_at_zero():
    assert gradients(lambda x: F.power(x, 0), 0.0) == (1, 0)
    assert gradients(lambda x: F.power(x, 1), 0.0) == (0, 1)
    assert gradients(lambda x: F.power(x, 2), 0.0) == (0, 0)


@pytest.mark.parametrize("exponent", [2, 2.0, np.int64(2), np.float32(2)])
def test_power_takes_every_kind_of_number_as_its_exponent(exponent):
    y = Tensor(np.float32([3.0])) ** exponent
    assert y.data.tolist() == [9]
    assert y.dtype == np.float32


def test_add_gives_a_number_the_dtype_of_the_array_on_either_side():
    array = np.ones(3)
    for y in (F.add(2.0, array), F.add(array, 2.0)):
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y.data, [3, 3, 3])
