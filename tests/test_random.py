"""The generator that all layers share, how it is seeded and restored, and generators by key."""

import threading
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import manual_seed
from minivision.methods import with_new_task
from minivision.models import (
    MODELS,
    LocallyConnected2d,
    first_layer_network,
    lenet5,
    new_head,
    with_new_head,
)
from minivision.models.lenet_original import C3_TABLE, TableConv2d
from minivision.nn import BatchNorm2d, Conv2d, Linear, Sequential, initialize, skip_init
from minivision.nn.initializers import normal
from minivision.random import Key, generator, keyed
from tests.refusals import refused


def weights(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


@given(seed=st.integers(0, 2**40), more=st.lists(st.integers(0, 9), max_size=2))
def test_manual_seed_sets_the_generator_that_numpy_makes_of_the_same_numbers(seed, more):
    expected = np.random.default_rng((seed, *more)).integers(1000, size=5)
    with manual_seed(seed, *more) as shared:
        np.testing.assert_array_equal(shared.integers(1000, size=5), expected)


def test_manual_seed_as_a_context_restores_the_generator():
    with manual_seed(1):
        first = generator().random()
        second = generator().random()
    with manual_seed(1):
        assert generator().random() == first
        with pytest.raises(ZeroDivisionError), manual_seed(2):
            generator().random(1 // 0)
        with manual_seed(2):
            generator().random()
        assert generator().random() == second


def test_manual_seed_without_a_context_stays():
    before = generator()
    with manual_seed(0):
        manual_seed(5)
        assert generator().random() == np.random.default_rng(5).random()
    assert generator() is before


@pytest.mark.parametrize("seed", [-1, "a", 1.5, None])
def test_manual_seed_refuses_a_seed_that_is_not_an_integer_and_changes_nothing(seed):
    before = generator()
    for arguments in ((seed,), (0, seed)):
        with refused(ValueError, f"manual_seed: seed is {seed!r}", "an integer >= 0"):
            manual_seed(*arguments)
    assert generator() is before


def test_layers_draw_in_the_order_in_which_they_are_built():
    with manual_seed(3):
        first, second = Linear(4, 3), Linear(4, 3)
    assert (first.weight.data != second.weight.data).any()
    with manual_seed(3):
        np.testing.assert_array_equal(Linear(4, 3).weight.data, first.weight.data)
        np.testing.assert_array_equal(Linear(4, 3).weight.data, second.weight.data)


def test_skip_init_draws_nothing_in_this_thread_only():
    found = {}
    with manual_seed(3), skip_init():
        assert not weights(lenet5()).any()
        thread = threading.Thread(target=lambda: found.update(there=Linear(2, 2).weight.data.any()))
        thread.start()
        thread.join()
    assert found == {"there": True}
    assert Linear(2, 2).weight.data.any()


BUILDERS = {
    "Linear": lambda **k: Linear(2, 3, **k),
    "Conv2d": lambda **k: Conv2d(1, 2, 3, **k),
    "TableConv2d": lambda **k: TableConv2d(C3_TABLE, 5, **k),
    "LocallyConnected2d": lambda **k: LocallyConnected2d(1, 2, 3, image_size=5, **k),
    "first_layer_network": lambda **k: first_layer_network("dense", **k),
    "vgg_network": MODELS["vgg11"],
    "cifar_resnet": MODELS["resnet20"],
    "new_head": lambda **k: new_head(3, 2, **k),
    "with_new_head": lambda **k: with_new_head(lenet5(), 2, **k),
    "with_new_task": lambda **k: with_new_task(lenet5(), 2, **k),
} | {name: build for name, build in MODELS.items() if not isinstance(build, partial)}
INSTEAD = {
    "rng": "`manual_seed(seed)`",
    "initialize": "`with skip_init():`",
    "initializer": "`initialize(model, scheme)`",
}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("argument", INSTEAD)
def test_layers_and_models_refuse_arguments_of_version_0_1(name, argument):
    with refused(TypeError, f"{name}: {argument}=", INSTEAD[argument]):
        BUILDERS[name](**{argument: None})


def test_initialize_draws_the_weights_in_order_and_leaves_norms_alone():
    with manual_seed(3):
        with skip_init():
            model = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), Linear(8, 3))
        model[0].bias.data += 1
        initialize(model, normal(0.01))
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(model[0].weight.data, normal(0.01)((2, 1, 3, 3), rng))
    np.testing.assert_array_equal(model[2].weight.data, normal(0.01)((3, 8), rng))
    assert not model[0].bias.data.any()
    assert (model[1].weight.data == 1).all()


def test_keyed_generators_repeat_and_differ_by_purpose():
    numbers = {purpose: keyed(purpose, 0, 0).random() for purpose in Key}
    assert len(set(numbers.values())) == len(Key)
    assert all(keyed(purpose, 0, 0).random() == number for purpose, number in numbers.items())
    assert sorted(Key) == list(range(1, len(Key) + 1))  # no number has two meanings
