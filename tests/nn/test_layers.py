"""A layer holds parameters and calls one function; both are checked here."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.nn import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Tanh,
    skip_init,
)
from minivision.nn.initializers import he_normal
from minivision.optim import SGD


def rng(seed=0):
    return np.random.default_rng(seed)


def images(*shape):
    return Tensor(rng(1).normal(size=shape).astype(np.float32))


CONVOLUTION = Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2)
UNBIASED = Conv2d(4, 6, 3, bias=False)
LINEAR = Linear(5, 3)
SAME = Conv2d(4, 6, (3, 5), padding="same")
CALLS = {
    "Conv2d": (
        CONVOLUTION, (2, 4, 7, 6),
        lambda x: F.conv2d(x, CONVOLUTION.weight, CONVOLUTION.bias, (2, 1), (1, 0), (1, 2), 2),
    ),
    "Conv2d without bias": (UNBIASED, (2, 4, 7, 6), lambda x: F.conv2d(x, UNBIASED.weight)),
    "Linear": (LINEAR, (2, 5), lambda x: F.linear(x, LINEAR.weight, LINEAR.bias)),
    "MaxPool2d": (MaxPool2d((3, 2), 2, (1, 0)), (2, 4, 7, 6),
                  lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0))),
    "AvgPool2d": (AvgPool2d(2), (2, 4, 7, 6), lambda x: F.avg_pool2d(x, 2)),
    "AvgPool2d without its border": (
        AvgPool2d(3, 2, 1, count_include_pad=False), (2, 4, 7, 6),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "Conv2d of the same size": (
        SAME, (2, 4, 7, 6), lambda x: F.conv2d(x, SAME.weight, SAME.bias, padding="same")
    ),
    "ReLU": (ReLU(), (2, 5), F.relu),
    "Tanh": (Tanh(), (2, 5), F.tanh),
    "Flatten": (Flatten(), (2, 4, 7, 6), F.flatten),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "call"), CALLS.values(), ids=CALLS)
def test_layers_call_their_functions(layer, shape, call):
    x = images(*shape)
    np.testing.assert_array_equal(layer(x).data, call(x).data)


def test_layers_have_pytorchs_names_and_shapes_and_biases_of_0():
    layers = {
        Conv2d(4, 6, (3, 2), groups=2): ((6, 2, 3, 2), (6,)),
        Linear(5, 3): ((3, 5), (3,)),
    }
    for layer, (weight, bias) in layers.items():
        state = layer.state_dict()
        assert {name: array.shape for name, array in state.items()} == {
            "weight": weight,
            "bias": bias,
        }
        assert state["weight"].all()
        assert not state["bias"].any()
        assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}
    assert list(UNBIASED.state_dict()) == ["weight"]
    assert list(Linear(5, 3, bias=False).state_dict()) == ["weight"]


@pytest.mark.parametrize(("layer", "sizes"), [(Linear, (5, 3)), (Conv2d, (1, 2, 3))])
def test_layers_draw_he_normal_weights_from_the_shared_generator(layer, sizes):
    with manual_seed(3):
        one, other = layer(*sizes), layer(*sizes)
    expected = he_normal(one.weight.shape, rng(3))
    np.testing.assert_array_equal(one.weight.data, expected)
    assert (one.weight.data != other.weight.data).any()  # the next numbers
    with skip_init():
        assert not layer(*sizes).weight.data.any()


# ── dropout ──────────────────────────────────────────────────────────────────────────────────


def ones():
    return Tensor(np.ones((4, 50), np.float32))


def test_dropout_without_a_key_draws_from_the_shared_generator():
    def masks():
        layer = Dropout()
        return [layer(ones()).data for _ in range(3)]

    with manual_seed(5):
        first = masks()
    with manual_seed(5):
        again = masks()
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


def test_dropout_in_a_loop_of_your_own_repeats_to_the_bit():
    def trained():
        with manual_seed(7):
            model = Sequential(Linear(50, 20), ReLU(), Dropout(), Linear(20, 3))
            optimizer = SGD(model.parameters(), 0.1)
            for _ in range(5):
                loss = F.cross_entropy(model(ones()), [0, 1, 2, 0])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return model.state_dict()

    one, other = trained(), trained()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_dropout_in_evaluation_does_nothing_and_needs_no_key():
    x = ones()
    assert Dropout().eval()(x) is x
    assert Dropout(0)(x) is x


def test_dropout_mask_depends_only_on_the_key():
    layer = Dropout()
    masks = []
    for seed, step in [(1, 1), (1, 2), (2, 1), (1, 1)]:
        layer.seed(seed, step)
        masks.append(layer(ones()).data)
    np.testing.assert_array_equal(masks[0], masks[3])
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        assert (masks[i] != masks[j]).any()


def test_dropout_draws_another_mask_in_a_second_call_within_a_step():
    layer = Dropout()
    layer.seed(1, 1)
    one, two = layer(ones()).data, layer(ones()).data
    assert (one != two).any()
    layer.seed(1, 1)
    np.testing.assert_array_equal(layer(ones()).data, one)
    np.testing.assert_array_equal(layer(ones()).data, two)
