"""A network learns with a learner's function exactly as with the engine's, and nothing is left."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.datasets import Splits, load_dataset, stratified_split
from minivision.exercises import EXERCISES, exercise, training
from minivision.exercises.demonstrations import DEMONSTRATIONS
from minivision.exercises.plans import PLANS
from minivision.fast import door
from minivision.functional import convolution
from minivision.nn import MaxPool2d
from tests.exercises.others.conv2d_backward import with_matrix_products

QUICK = {"conv2d_backward": with_matrix_products}  # the solution's loops would take minutes
DRAWS_ITS_OWN = {"dropout", "multiply", "cutmix", "posterize"}  # not what the engine would draw


@pytest.fixture(autouse=True)
def little_to_learn(monkeypatch):
    """One epoch, on a few digits."""
    splits, prepare = training.digits()
    (few,) = stratified_split(splits.train, (160,), seed=0)
    parts = Splits(few, splits.validation, splits.test)
    monkeypatch.setattr(training, "digits", lambda: (parts, prepare))
    monkeypatch.setattr(training, "EPOCHS", 1)
    assert len(load_dataset("digits").train) > 160


def test_training_has_a_plan_for_every_exercise():
    assert set(PLANS) | set(DEMONSTRATIONS) == set(EXERCISES)


@pytest.mark.parametrize("name", PLANS)
def test_training_with_a_right_function_gives_the_accuracy_of_the_engine(name):
    plan = PLANS[name](QUICK.get(name, exercise(name).solution))
    yours = training.result_of(plan)
    if name not in DRAWS_ITS_OWN:
        assert yours == training.result_of(plan.without_it())


@pytest.mark.parametrize("name", PLANS)
def test_training_calls_the_learners_function(name):
    calls = []

    def mine(*arguments):
        calls.append(name)
        return QUICK.get(name, exercise(name).solution)(*arguments)

    training.result_of(PLANS[name](mine))
    assert calls


def test_replaced_leaves_nothing_behind():
    before = F.relu, MaxPool2d.pool, convolution.im2col, door.is_open()
    names = "relu", "max_pool2d", "im2col"
    with pytest.raises(ZeroDivisionError), training.replaced(dict.fromkeys(names)):  # noqa: PT012
        assert F.relu is None
        assert MaxPool2d.pool is None
        assert convolution.im2col is None
        assert not door.is_open()
        raise ZeroDivisionError
    assert (F.relu, MaxPool2d.pool, convolution.im2col, door.is_open()) == before
    assert MaxPool2d(2)(Tensor(np.ones((1, 1, 2, 2), np.float32))).shape == (1, 1, 1, 1)


def test_compared_with_the_engine_shows_both_accuracies_and_times(capsys):
    training.compared_with_the_engine("relu", PLANS["relu"](exercise("relu").solution))
    out = capsys.readouterr().out
    assert "yours" in out
    assert "the engine's" in out
    assert out.count("test accuracy") == 2


@pytest.mark.parametrize("name", ["receptive_field", "backward"])
def test_demonstrations_print_their_numbers(name, capsys):
    DEMONSTRATIONS[name](exercise(name).solution)
    out = capsys.readouterr().out
    expected = {"receptive_field": "212", "backward": "a  2.0"}
    assert expected[name] in out
    assert np.isfinite(len(out))
