"""Sequential: order, names, slices, and the story of sizes when an image does not fit."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor
from minivision.nn import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minivision.nn.sizes import SizeError


def convolution(*arguments, **keywords):
    return Conv2d(*arguments, **keywords)


def image(H, W, C=1):
    return Tensor(np.zeros((2, C, H, W), np.float32))


def network():
    return Sequential(
        convolution(1, 6, 5), ReLU(), MaxPool2d(2), convolution(6, 16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Linear(256, 10),
    )  # fmt: skip


def test_layers_are_applied_in_order():
    x = Tensor(np.float32([[-1.0, 2.0]]))
    layer = Linear(2, 2)
    layer.weight.data[...] = -np.eye(2)
    assert Sequential(layer, ReLU())(x).data.tolist() == [[1, 0]]
    assert Sequential(ReLU(), layer)(x).data.tolist() == [[0, -2]]
    assert Sequential()(x) is x


def test_it_has_a_length_can_be_iterated_indexed_and_sliced():
    net = network()
    assert len(net) == 8
    assert [type(layer).__name__ for layer in net][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert isinstance(net[-1], Linear)
    body = net[:3]
    assert isinstance(body, Sequential)
    assert list(body) == list(net)[:3]
    with pytest.raises(IndexError):
        net[8]


def test_a_place_can_be_given_another_module():
    net = network()
    net[-1] = Linear(256, 3)
    assert net(image(28, 28)).shape == (2, 3)
    assert list(net.children())[-1] is net[7]
    with pytest.raises(TypeError, match="is a function, not a Module"):
        net[0] = image


def test_names_are_positions():
    assert [name for name, _ in network().named_parameters()] == [
        "0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias",
    ]  # fmt: skip


def test_a_part_that_is_no_module_is_named():
    with pytest.raises(
        TypeError, match=r"^Sequential: part 1 is a builtin_function_or_method, not"
    ):
        Sequential(ReLU(), max)


# ── sizes ────────────────────────────────────────────────────────────────────────────────────


def test_an_image_that_runs_out_of_pixels_is_told_the_chain_and_a_size_that_works():
    with pytest.raises(SizeError) as caught:
        network()(image(12, 11))
    sentence = str(caught.value)
    assert sentence.startswith(
        "conv2d: the kernel (5x5, dilation (1, 1)) is larger than the padded"
    )
    assert "image sizes on the way: 12x11 -> 8x7 -> 4x3 (no pixel is left for Conv2d)" in sentence
    assert "a 28x28 image fits" in sentence


def test_a_linear_layer_that_does_not_fit_is_told_the_chain_too():
    with pytest.raises(SizeError, match=r"32 -> 28 -> 14 -> 10 -> 5 \(Linear expects 256 features, "
                       r"not 16·5·5 = 400\); a 28x28 image fits"):  # fmt: skip
        network()(image(32, 32))


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
def test_the_advised_size_really_works(kernels, strides, paddings, pool, fitting):
    layers, size = [], fitting
    for kernel, stride, padding in zip(kernels, strides, paddings, strict=False):
        layers += [convolution(1, 1, kernel, stride=stride, padding=padding), ReLU()]
        size = (size + 2 * padding - kernel) // stride + 1
    if size >= pool:
        layers.append(AvgPool2d(pool))
        size = (size - pool) // pool + 1
    linear = Linear(max(1, size) ** 2, 7), Linear(7, 3)
    net = Sequential(*layers, Flatten(), *linear)
    with pytest.raises(SizeError) as caught:
        net(image(200, 201))
    n = advised(caught.value)
    assert net(image(n, n)).shape == (2, 3)


def test_where_no_square_fits_no_size_is_advised():
    net = Sequential(convolution(1, 1, 1), Flatten(), Linear(2, 3))
    assert net(image(1, 2)).shape == (2, 3)
    with pytest.raises(SizeError, match=r"not 1·4·4 = 16\)$"):
        net(image(4, 4))


def test_the_size_that_a_network_in_a_network_advises_works_for_the_whole():
    net = Sequential(MaxPool2d(2), Sequential(convolution(1, 1, 5), ReLU()))
    with pytest.raises(SizeError) as caught:
        net(image(8, 8))
    n = advised(caught.value)
    assert net(image(n, n)).shape[:2] == (2, 1)


def test_a_fault_that_is_not_the_sizes_keeps_its_own_sentence():
    with pytest.raises(
        ValueError, match=r"^conv2d: x has 3 channels but weight expects 1 .*\)$"
    ) as e:
        network()(image(28, 28, C=3))
    assert not isinstance(e.value, SizeError)
    with pytest.raises(ValueError, match=r"expected 4 axes \(N, C, H, W\)$"):
        network()(Tensor(np.zeros((2, 784), np.float32)))


def test_a_convolution_without_a_linear_layer_takes_every_size_that_is_large_enough():
    net = Sequential(convolution(1, 2, 3), MaxPool2d(2))
    assert net(image(4, 9)).shape == (2, 2, 1, 3)
    with pytest.raises(
        SizeError, match=r"3 -> 1 \(no pixel is left for MaxPool2d\); a 4x4 image fits"
    ):
        net(image(3, 3))
