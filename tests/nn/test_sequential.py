"""Sequential: order, names, slices, and the sizes in the error if an image does not fit."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision.nn import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minivision.nn.sizes import SizeError
from tests.refusals import refused


def convolution(*arguments, **keywords):
    return Conv2d(*arguments, **keywords)


def image(H, W, C=1):
    return Tensor(np.zeros((2, C, H, W), np.float32))


def network():
    return Sequential(
        convolution(1, 6, 5), ReLU(), MaxPool2d(2), convolution(6, 16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Linear(256, 10),
    )  # fmt: skip


def test_sequential_applies_its_layers_in_order():
    x = Tensor(np.float32([[-1.0, 2.0]]))
    layer = Linear(2, 2)
    layer.weight.data[...] = -np.eye(2)
    assert Sequential(layer, ReLU())(x).data.tolist() == [[1, 0]]
    assert Sequential(ReLU(), layer)(x).data.tolist() == [[0, -2]]
    assert Sequential()(x) is x


def test_sequential_has_a_length_and_can_be_iterated_indexed_and_sliced():
    net = network()
    assert len(net) == 8
    assert [type(layer).__name__ for layer in net][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert isinstance(net[-1], Linear)
    backbone = net[:3]
    assert isinstance(backbone, Sequential)
    assert list(backbone) == list(net)[:3]


def test_sequential_lets_a_layer_be_replaced():
    net = network()
    net[-1] = Linear(256, 3)
    assert net(image(28, 28)).shape == (2, 3)
    assert list(net.children())[-1] is net[7]


def test_sequential_names_its_layers_by_position():
    assert [name for name, _ in network().named_parameters()] == [
        "0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias",
    ]  # fmt: skip


# ── sizes ────────────────────────────────────────────────────────────────────────────────────


def advised(error):
    (n,) = re.findall(r"a (\d+)x\1 image fits", str(error))
    return int(n)


@given(
    kernels=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    strides=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    paddings=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    pool=st.integers(1, 3),
    fitting=st.integers(40, 60),
)
def test_sequential_suggests_an_image_size_that_works(kernels, strides, paddings, pool, fitting):
    layers, size = [], fitting
    for kernel, stride, padding in zip(kernels, strides, paddings, strict=False):
        layers += [convolution(1, 1, kernel, stride=stride, padding=padding), ReLU()]
        size = (size + 2 * padding - kernel) // stride + 1
    if size >= pool:
        layers.append(AvgPool2d(pool))
        size = (size - pool) // pool + 1
    linear = Linear(max(1, size) ** 2, 7), Linear(7, 3)
    net = Sequential(*layers, Flatten(), *linear)
    with refused(SizeError, "fits") as caught:
        net(image(200, 201))
    n = advised(caught.value)
    assert net(image(n, n)).shape == (2, 3)


def test_sequential_suggests_no_size_if_no_square_fits():
    net = Sequential(convolution(1, 1, 1), Flatten(), Linear(2, 3))
    assert net(image(1, 2)).shape == (2, 3)
    with refused(SizeError, "linear: x", "1·4·4 = 16") as caught:
        net(image(4, 4))
    assert "fits" not in str(caught.value)


def test_sequential_inside_sequential_suggests_a_size_that_works_for_the_whole():
    net = Sequential(MaxPool2d(2), Sequential(convolution(1, 1, 5), ReLU()))
    with refused(SizeError, "fits") as caught:
        net(image(8, 8))
    n = advised(caught.value)
    assert net(image(n, n)).shape[:2] == (2, 1)


def test_sequential_adds_nothing_to_an_error_that_is_not_about_sizes():
    with refused(ValueError, "conv2d: x has 3 channels", "weight expects 1") as channels:
        network()(image(28, 28, C=3))
    with refused(ValueError, "conv2d: x", "(2, 784)", "4 axes (N, C, H, W)") as axes:
        network()(Tensor(np.zeros((2, 784), np.float32)))
    for caught in (channels, axes):
        assert not isinstance(caught.value, SizeError)
        assert "layer to layer" not in str(caught.value)


def test_sequential_without_a_linear_layer_takes_every_size_that_is_large_enough():
    net = Sequential(convolution(1, 2, 3), MaxPool2d(2))
    assert net(image(4, 9)).shape == (2, 2, 1, 3)
