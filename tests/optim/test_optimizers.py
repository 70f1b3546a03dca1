"""Optimizers against hand calculations; PyTorch's own results are in tests/parity."""

from itertools import pairwise

import numpy as np
import pytest

from minivision import Tensor
from minivision.models import MODELS
from minivision.nn import BatchNorm2d, Conv2d, Linear, Parameter, ReLU, Sequential, skip_init
from minivision.optim import (
    SGD,
    Adam,
    AdamW,
    DivideWhenStalled,
    WeightAverage,
    clip_grad_norm_,
    cosine,
    decay_groups,
    step_decay,
    warm_up,
)
from tests.refusals import refused


def weight(value, gradient):
    parameter = Parameter(np.array([value], dtype=np.float64))
    parameter.grad = np.array([gradient], dtype=np.float64)
    return parameter


def test_sgd_steps_against_the_gradient():
    w = weight(1.0, 0.5)
    SGD([w], lr=0.1).step()
    np.testing.assert_allclose(w.data, [0.95])


def test_sgd_momentum_remembers_earlier_gradients():
    w = weight(1.0, 0.5)
    optimizer = SGD([w], lr=0.1, momentum=0.9)
    optimizer.step()  # v = 0.5
    np.testing.assert_allclose(w.data, [0.95])
    w.grad = np.array([0.2])
    optimizer.step()  # v = 0.9·0.5 + 0.2 = 0.65
    np.testing.assert_allclose(w.data, [0.95 - 0.065])


def test_sgd_nesterov_looks_ahead_along_the_velocity():
    w = weight(1.0, 0.5)
    SGD([w], lr=0.1, momentum=0.9, nesterov=True).step()  # g + 0.9·v = 0.5 + 0.45
    np.testing.assert_allclose(w.data, [1 - 0.095])


def test_sgd_weight_decay_pulls_towards_zero():
    w = weight(2.0, 0.0)
    SGD([w], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(w.data, [1.9])


def test_sgd_leaves_the_gradient_as_it_was():
    w = weight(2.0, 0.3)
    optimizer = SGD([w], lr=0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(3):
        optimizer.step()
        assert w.grad.tolist() == [0.3]


def test_adam_first_step_is_the_learning_rate_in_the_gradients_direction():
    w = weight(1.0, -123.0)
    Adam([w], lr=0.01).step()
    np.testing.assert_allclose(w.data, [1.01], rtol=1e-9)


def test_adam_second_step_by_hand():
    w = weight(0.0, 1.0)
    optimizer = Adam([w], lr=0.1, betas=(0.5, 0.5), eps=0.0)
    optimizer.step()
    w.grad = np.array([3.0])
    optimizer.step()
    m = (0.5 * 0.5 * 1 + 0.5 * 3) / (1 - 0.5**2)
    v = (0.5 * 0.5 * 1 + 0.5 * 9) / (1 - 0.5**2)
    np.testing.assert_allclose(w.data, [-0.1 - 0.1 * m / np.sqrt(v)])


def test_adam_corrects_a_parameter_that_joins_late_as_if_it_were_new():
    early, late = weight(0.0, 1.0), Parameter(np.zeros(1))
    optimizer = Adam([early, late], lr=0.1)
    for _ in range(10):
        optimizer.step()
    late.grad = np.array([5.0])
    optimizer.step()
    np.testing.assert_allclose(late.data, [-0.1], rtol=1e-6)


def test_optimizer_groups_have_their_own_learning_rates_and_are_scaled_together():
    backbone, head = weight(1.0, 1.0), weight(1.0, 1.0)
    optimizer = SGD([{"params": [backbone], "lr": 0.01}, {"params": [head]}], lr=0.1)
    optimizer.scale_lr(0.5)
    optimizer.step()
    np.testing.assert_allclose([backbone.data[0], head.data[0]], [1 - 0.005, 1 - 0.05])
    optimizer.scale_lr(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]


def test_optimizer_leaves_parameters_that_are_frozen_or_have_no_gradient():
    frozen, idle = weight(1.0, 1.0), Parameter(np.ones(1))
    frozen.requires_grad = False
    SGD([frozen, idle], lr=0.1, weight_decay=0.5).step()
    assert frozen.data.tolist() == idle.data.tolist() == [1.0]


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, 0.1, 0.9), lambda p: Adam(p, 0.1)], ids=["SGD", "Adam"]
)
def test_optimizer_restored_from_its_state_continues_to_the_bit(make):
    def steps(w, optimizer, gradients):
        for g in gradients:
            w.grad = np.array([g])
            optimizer.step()

    whole = Parameter(np.ones(1))
    steps(whole, make([whole]), [0.3, -0.2, 0.7])
    first = Parameter(np.ones(1))
    optimizer = make([first])
    steps(first, optimizer, [0.3, -0.2])
    second = Parameter(first.data.copy())
    restored = make([second])
    restored.load_state_dict(optimizer.state_dict())
    steps(second, restored, [0.7])
    assert second.data.tobytes() == whole.data.tobytes()


def test_load_state_dict_converts_integers_to_the_type_of_the_parameter():
    """Otherwise the next step could not be written into it."""
    parameter = Parameter(np.ones(3, np.float32))
    optimizer = SGD([parameter], 0.1, 0.9)
    optimizer.load_state_dict({"0.velocity": np.ones(3, np.uint8)})
    parameter.grad = np.ones(3, np.float32)
    optimizer.step()
    assert optimizer.state_dict()["0.velocity"].dtype == np.float32
    np.testing.assert_allclose(parameter.data, 1 - 0.1 * 1.9, rtol=1e-6)


@pytest.mark.parametrize("make", [SGD, Adam], ids=["SGD", "Adam"])
def test_optimizer_keeps_float32_when_its_settings_are_numpy_numbers(make):
    w = Parameter(np.ones(3, np.float32))
    optimizer = make([w], np.float64(0.1), weight_decay=np.float64(0.1))
    optimizer.scale_lr(np.float64(0.5))
    for _ in range(2):
        w.grad = np.ones(3, np.float32)
        optimizer.step()
    assert w.dtype == np.float32
    assert all(a.dtype.itemsize == 4 for a in optimizer.state[w].values() if a.ndim)


def test_optimizer_step_marks_the_weights_as_changed():
    w, x = Parameter([1.0]), Tensor([2.0])
    loss = (w * x).sum()
    w.grad = np.ones(1, np.float32)
    SGD([w], 0.1).step()
    with refused(RuntimeError, "a of multiply", "changed"):
        loss.backward()


def test_clip_grad_norm_scales_all_gradients_to_the_common_norm():
    a, b = weight(0.0, 3.0), weight(0.0, 4.0)
    norm = clip_grad_norm_([a, b], 1.0)
    assert float(norm) == 5.0
    np.testing.assert_allclose([a.grad[0], b.grad[0]], [0.6, 0.8], rtol=1e-6)


def test_clip_grad_norm_leaves_short_gradients_alone():
    a = weight(0.0, 0.3)
    clip_grad_norm_([a], 1.0)
    assert a.grad[0] == 0.3


def test_cosine_falls_from_one_to_the_lowest():
    schedule = cosine(epochs=4, lowest=0.1)
    values = [schedule(t) for t in np.linspace(0, 5, 21)]
    assert values[0] == 1.0
    assert all(a >= b for a, b in pairwise(values))
    np.testing.assert_allclose([schedule(2), schedule(4), schedule(5)], [0.55, 0.1, 0.1])


def test_weight_average_follows_the_weights_and_restores_the_models():
    with skip_init():
        model = Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.75)
    model.weight.data = np.ones((1, 1), np.float32)
    average.update()
    with average.applied():
        assert model.weight.data[0, 0] == 0.25
    assert model.weight.data[0, 0] == 1.0
    state = average.state_dict()
    other = WeightAverage(model, decay=0.75)
    other.load_state_dict(state)
    assert other.average["weight"][0, 0] == 0.25
    assert model.weight.data[0, 0] == 1.0


def test_adamw_decays_all_weights_alike_whatever_their_gradient():
    small, large = weight(1.0, 1e-3), weight(1.0, 1e3)
    AdamW([small, large], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose([small.data[0], large.data[0]], 0.95 - 0.1, rtol=1e-4)
    idle = weight(1.0, 0.0)
    AdamW([idle], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(idle.data, [0.95])


def test_warm_up_rises_in_a_straight_line_and_hands_over():
    schedule = warm_up(4, then=step_decay(every=2, factor=0.5))
    assert [schedule(t) for t in (0, 1, 3, 4, 5.9, 6)] == [0, 0.25, 0.75, 1.0, 1.0, 0.5]
    assert warm_up(1)(7) == 1.0


def test_divide_when_stalled_divides_when_the_watched_number_stops_falling():
    schedule = DivideWhenStalled(patience=2, factor=0.1)
    factors = []
    for loss in (1.0, 0.8, 0.9, 0.8, 0.81, 0.7, 0.7, 0.7, 0.7):
        schedule.observe({"validation_loss": loss})
        factors.append(round(schedule(0.0), 6))
    assert factors == [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01]


def test_decay_groups_decays_what_layers_multiply_by_and_nothing_else():
    with skip_init():
        model = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), ReLU(), Linear(8, 3))
    model.load_state_dict({name: np.full_like(a, 2) for name, a in model.state_dict().items()})
    for parameter in model.parameters():
        parameter.grad = np.zeros_like(parameter.data)
    SGD(decay_groups(model, weight_decay=0.5), lr=0.1).step()
    for name, parameter in model.named_parameters():
        expected = 1.9 if name in ("0.weight", "3.weight") else 2.0
        np.testing.assert_allclose(parameter.data, expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_decay_groups_have_every_parameter_once_and_no_bias_decays(name):
    with skip_init():
        model = MODELS[name]()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    grouped = {
        names[id(p)]: g["weight_decay"] for g in decay_groups(model, 0.1) for p in g["params"]
    }
    assert grouped.keys() == set(names.values())
    for layer, decay in grouped.items():
        shape = dict(model.named_parameters())[layer].shape
        assert (decay == 0.1) == (layer.endswith("weight") and np.prod(shape[1:]) > 1), layer


def test_decay_groups_of_a_network_without_biases_is_one_group():
    with skip_init():
        (group,) = decay_groups(Linear(2, 1, bias=False), 0.1)
    assert SGD([group], lr=0.1).param_groups[0]["weight_decay"] == 0.1


def test_weight_average_with_a_warm_up_forgets_the_first_weights_soon():
    def after(updates, **options):
        with skip_init():
            model = Linear(1, 1, bias=False)
        average = WeightAverage(model, decay=0.999, **options)
        model.weight.data = np.ones((1, 1), np.float32)
        for _ in range(updates):
            average.update()
        return float(average.average["weight"][0, 0])

    # What is left of the zeros: 1/10 · 2/11 · 3/12 · ..., against 0.999 to the number of updates.
    assert after(3, warm_up=True) == pytest.approx(1 - 1 / 10 * 2 / 11 * 3 / 12, rel=1e-6)
    assert after(3) == pytest.approx(1 - 0.999**3, rel=1e-4)
    assert after(100, warm_up=True) > 0.999 > after(100) * 10


def test_weight_average_with_a_warm_up_ends_at_its_decay():
    with skip_init():
        average = WeightAverage(Linear(1, 1), decay=0.5, warm_up=True)
    decays = []
    for _ in range(12):
        decays.append(average.decay_now())
        average.update()
    assert decays == [min(0.5, (1 + t) / (10 + t)) for t in range(12)]
    assert decays[-1] == 0.5


def test_weight_average_takes_its_warm_up_over_with_its_state():
    with skip_init():
        model = Linear(1, 1)
    average, other, without = (
        WeightAverage(model, warm_up=True), WeightAverage(model, warm_up=True), WeightAverage(model)
    )  # fmt: skip
    for _ in range(5):
        average.update()
    other.load_state_dict(average.state_dict())
    assert other.decay_now() == average.decay_now() == 6 / 15
    with refused(ValueError, "WeightAverage: warm_up", "False", "with one", "warm_up=True"):
        without.load_state_dict(average.state_dict())
    with refused(ValueError, "WeightAverage: warm_up", "True", "without one", "warm_up=False"):
        other.load_state_dict(without.state_dict())
    assert other.decay_now() == 6 / 15
