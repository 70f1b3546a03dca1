"""Initializers have the variance that their papers derive, and depend only on the generator."""

import math

import numpy as np
import pytest

from minivision import manual_seed
from minivision.models import LocallyConnected2d
from minivision.nn import Linear, initialize, skip_init
from minivision.nn.initializers import fans, glorot_uniform, he_normal, normal

SHAPES = [(400, 500), (64, 32, 5, 6)]
every = pytest.mark.parametrize("initializer", [he_normal, glorot_uniform, normal(0.01)])


def draw(initializer, shape, seed=0):
    return initializer(shape, np.random.default_rng(seed))


def test_fans_count_the_inputs_and_outputs_of_a_unit():
    assert fans((16, 6, 5, 4)) == (120, 320)
    assert fans((10, 84)) == (84, 10)


def assert_standard_deviation(weights, expected):
    """Within five standard errors, of the deviation and of the mean."""
    n = weights.size
    assert abs(weights.std() / expected - 1) < 5 / math.sqrt(2 * n)
    assert abs(weights.mean()) < 5 * expected / math.sqrt(n)


@pytest.mark.parametrize("shape", SHAPES)
def test_he_normal_has_variance_two_over_fan_in(shape):
    weights = draw(he_normal, shape)
    assert_standard_deviation(weights, math.sqrt(2 / fans(shape)[0]))
    assert abs(weights).max() > 3 * weights.std()  # normal, not uniform


@pytest.mark.parametrize("shape", SHAPES)
def test_glorot_uniform_has_variance_two_over_the_sum_of_fans_within_its_bounds(shape):
    weights = draw(glorot_uniform, shape)
    a = math.sqrt(6 / sum(fans(shape)))
    assert_standard_deviation(weights, a / math.sqrt(3))
    assert 0.99 * a < abs(weights).max() <= a


def test_normal_has_the_given_standard_deviation():
    assert_standard_deviation(draw(normal(0.01), (300, 400)), 0.01)


@every
def test_initializers_draw_the_same_weights_from_the_same_generator_state(initializer):
    one, two, other = (draw(initializer, (5, 6), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert one.dtype == np.float32


def test_he_normal_keeps_the_signal_through_twenty_layers_of_relu():
    """Twenty layers of ReLU: the mean square neither grows nor vanishes."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 400))
    start = (x**2).mean()
    for _ in range(20):
        x = np.maximum(x, 0) @ he_normal((400, 400), generator).T
    assert 0.3 < (x**2).mean() / start < 3


def test_draw_uses_the_given_initializer():
    layer = Linear(30, 20)
    layer.bias.data += 1
    with manual_seed(3):
        layer.draw(glorot_uniform)
    np.testing.assert_array_equal(layer.weight.data, draw(glorot_uniform, (20, 30), 3))
    assert not layer.bias.data.any()


def test_locally_connected2d_draws_each_position_as_a_convolution():
    with manual_seed(3):
        layer = LocallyConnected2d(2, 3, 5, image_size=6)
    rng = np.random.default_rng(3)
    for filters in layer.weight.data.reshape(4, 3, 2, 5, 5):
        np.testing.assert_array_equal(filters, he_normal((3, 2, 5, 5), rng))
    initialize(layer, glorot_uniform)
    assert abs(layer.weight.data).max() <= math.sqrt(6 / (2 * 25 + 3 * 25))


def test_skip_init_draws_nothing():
    with skip_init():
        layer = Linear(2, 3)
        initialize(layer, he_normal)
    assert layer.weight.data.tolist() == [[0] * 2] * 3
    assert layer.weight.dtype == np.float32
