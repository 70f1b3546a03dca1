"""freeze: the weights, statistics and dropout of a part do not change until it is unfrozen."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.nn import BatchNorm1d, Dropout, Linear, ReLU, Sequential
from minivision.optim import SGD, Adam


def network():
    manual_seed(0)
    body = Sequential(Linear(5, 6), BatchNorm1d(6), ReLU(), Dropout(0.5))
    return Sequential(body, Linear(6, 3))


def state(module):
    return {name: array.tobytes() for name, array in module.state_dict().items()}


def train(model, optimizer, steps=5):
    rng = np.random.default_rng(1)
    model.train()
    for step in range(steps):
        model.seed(0, step)
        x, y = rng.normal(1, 2, size=(8, 5)).astype("f"), rng.integers(0, 3, 8)
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(x)), y).backward()
        optimizer.step()


@pytest.mark.parametrize("rule", [SGD, Adam])
def test_freeze_keeps_a_part_the_same_to_the_bit_during_training(rule):
    """Weights, running statistics and their counter; with every weight in the optimizer, too."""
    model = network()
    settings = {"momentum": 0.9, "weight_decay": 0.1} if rule is SGD else {"weight_decay": 0.1}
    before, head = state(model[0].freeze()), state(model[1])
    train(model, rule(model.parameters(), lr=0.1, **settings))
    assert state(model[0]) == before
    assert state(model[1]) != head
    assert all(parameter.grad is None for parameter in model[0].parameters())


def test_train_changes_every_part_that_is_not_frozen():
    model = network()
    before = state(model)
    train(model, SGD(model.parameters(), lr=0.1))
    assert [name for name, array in state(model).items() if array == before[name]] == []


def test_requires_grad_false_alone_lets_the_running_statistics_drift():
    model = network()
    before = state(model[0].requires_grad_(False))
    train(model, SGD(model[1].parameters(), lr=0.1))
    moved = {name for name, array in state(model[0]).items() if array != before[name]}
    assert moved == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_freeze_makes_a_part_compute_in_training_as_in_evaluation():
    model = network()
    x = Tensor(np.random.default_rng(2).normal(size=(4, 5)).astype("f"))
    expected = model.eval()[0](x).data
    model[0].freeze()
    assert np.array_equal(model.train()[0](x).data, expected)  # no key was set, so it drew nothing


def test_train_does_not_affect_a_frozen_part():
    model = network()
    model[0].freeze()
    model.train()
    assert model.training
    assert model[1].training
    assert not any(part.training for part in model[0].modules())
    model[0].train()
    assert not any(part.training for part in model[0].modules())
    model.eval()
    assert not any(part.training for part in model.modules())


def test_freeze_takes_effect_at_once_and_returns_the_part():
    model = network().train()
    assert model[0].freeze() is model[0]
    assert not any(part.training for part in model[0].modules())
    assert [p.requires_grad for p in model.parameters()] == [False] * 4 + [True] * 2


def test_unfreeze_lets_a_part_learn_again_after_the_next_train():
    model = network()
    before = state(model[0])
    assert model[0].freeze().unfreeze() is model[0]
    assert all(p.requires_grad for p in model.parameters())
    assert not any(part.frozen for part in model.modules())
    model.train()
    assert all(part.training for part in model.modules())
    train(model, SGD(model.parameters(), lr=0.1))
    assert [name for name, array in state(model[0]).items() if array == before[name]] == []


def test_unfreeze_of_one_part_leaves_the_others_frozen():
    model = network().freeze()
    model[1].unfreeze()
    before = state(model)
    train(model, SGD(model.parameters(), lr=0.1))
    moved = {name for name, array in state(model).items() if array != before[name]}
    assert moved == {"1.weight", "1.bias"}
