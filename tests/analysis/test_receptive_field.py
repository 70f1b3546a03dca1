"""Receptive fields against the papers' tables, against gradients, and against loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.analysis.effective_field import (
    effective_field,
    effective_size,
    plot_receptive_field,
)
from minivision.analysis.receptive_field import Box, receptive_fields
from minivision.models import (
    MODELS,
    LocallyConnected2d,
    alexnet,
    alexnet_caffenet,
    alexnet_one_weird_trick,
    fully_convolutional,
    lenet5,
    resnet20,
)
from minivision.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from tests.refusals import refused


def conv(C, F, K, **settings):
    return Conv2d(C, F, K, **settings)


# ── the tables ───────────────────────────────────────────────────────────────────────────────


def numbers(field):
    """(n, r, j, c) of a layer whose numbers are the same in both directions."""
    for pair in (field.units, field.size, field.jump, field.start):
        assert pair[0] == pair[1]
    return field.units[0], field.size[0], field.jump[0], field.start[0]


def lenet_1998():
    return Sequential(
        conv(1, 6, 5), AvgPool2d(2), conv(6, 16, 5), AvgPool2d(2), conv(16, 120, 5), Flatten(),
        Linear(120, 84),
    )  # fmt: skip


def named(model, size, layers=(Conv2d, AvgPool2d, MaxPool2d, Linear)):
    """(n, r, j, c) of the layers of these kinds, in order."""
    kinds = {kind.__name__ for kind in layers}
    fields = receptive_fields(model, size).values()
    return [numbers(field) for field in fields if field.kind in kinds]


def test_receptive_fields_of_lenet5_are_those_of_the_table():
    assert named(lenet_1998(), 32) == [
        (28, 5, 1, 2.5), (14, 6, 2, 3), (10, 14, 2, 7), (5, 16, 4, 8), (1, 32, 4, 16),
        (1, 32, 4, 16),
    ]  # fmt: skip


def test_receptive_fields_of_lenet5_original_are_those_of_the_table():
    fields = receptive_fields(MODELS["lenet5_original"]())
    kinds = ("Conv2d", "Subsampling", "TableConv2d", "Linear")
    found = [numbers(field) for field in fields.values() if field.kind in kinds]
    assert found == named(lenet_1998(), 32)


ALEXNET = [
    (55, 11, 4, 5.5), (27, 19, 8, 9.5), (27, 51, 8, 9.5), (13, 67, 16, 17.5), (13, 99, 16, 17.5),
    (13, 131, 16, 17.5), (13, 163, 16, 17.5), (6, 195, 32, 33.5), (1, 355, 32, 113.5),
]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("build", "padding"),
    [
        (alexnet, 0),
        (alexnet_caffenet, 0),
        (alexnet_one_weird_trick, 2),  # takes 224 pixels with a padding of 2 instead of 227
        (lambda: fully_convolutional(alexnet()), 0),  # fc6 as a convolution
    ],
    ids=["alexnet", "caffenet", "one weird trick", "fully convolutional"],
)
def test_receptive_fields_of_alexnet_are_those_of_the_table(build, padding):
    expected = [(n, r, j, c - padding) for n, r, j, c in ALEXNET]
    assert named(build(), 224 if padding else 227)[:9] == expected


VGG_16 = [
    (3, 1, 0.5), (5, 1, 0.5), (6, 2, 1), (10, 2, 1), (14, 2, 1), (16, 4, 2), (24, 4, 2),
    (32, 4, 2), (40, 4, 2), (44, 8, 4), (60, 8, 4), (76, 8, 4), (92, 8, 4), (100, 16, 8),
    (132, 16, 8), (164, 16, 8), (196, 16, 8), (212, 32, 16), (404, 32, 112),
]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_receptive_fields_of_vgg16_are_those_of_the_table():
    """Up to fc6."""
    assert [row[1:] for row in named(MODELS["vgg16"](), 224)][:19] == VGG_16


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vgg11", 150), ("vgg11_lrn", 150), ("vgg13", 156), ("vgg16_c", 156), ("vgg16", 212),
        ("vgg19", 268), ("vgg19_bn", 268),
    ],
)  # fmt: skip
def test_receptive_field_of_the_last_pooling_of_vgg_is_that_of_the_table(name, size):
    """1x1 convolutions add nothing: C sees no more than B."""
    assert named(MODELS[name](), 224, [MaxPool2d])[-1] == (7, size, 32, 16)


def test_receptive_field_of_three_small_filters_is_that_of_a_large_one_with_more_weights():
    C = 64
    stack = Sequential(*[Conv2d(C, C, 3, padding=1, bias=False) for _ in range(3)])
    large = Conv2d(C, C, 7, padding=3, bias=False)
    assert (stack.parameter_count(), large.parameter_count()) == (27 * C**2, 49 * C**2)
    for network in (stack, large):
        assert [*receptive_fields(network, (C, 9, 9)).values()][-1].size == (7, 7)


def test_receptive_field_of_a_residual_network_is_that_of_the_deepest_path():
    """A 3x3 convolution adds two pixels: 1 + 6 at stride 1, 1 + 5 at stride 2, 5 at stride 4."""
    fields = receptive_fields(resnet20(), 256)
    assert fields["conv1"].size == (3, 3)
    assert fields["layer1.2"].size == (3 + 6 * 2,) * 2
    assert fields["layer2.2"].size == (15 + 2 + 5 * 4,) * 2
    assert fields["layer3.2"].size == (37 + 4 + 5 * 8,) * 2
    assert fields["layer3.2"].jump == (4, 4)


@given(K=st.integers(1, 9), P=st.integers(1, 9), S=st.integers(1, 4))
def test_receptive_field_of_a_convolution_and_a_pooling_is_p_plus_k_minus_1(K, P, S):
    """The lecture's formula, and with a stride K + (P - 1)·S."""
    model = Sequential(conv(1, 1, K, stride=S), MaxPool2d(P))
    (_, r, _, _) = named(model, 60)[-1]
    assert r == K + (P - 1) * S
    if S == 1:
        assert r == P + K - 1


@pytest.mark.usefixtures("undrawn")
def test_receptive_field_of_pool5_has_the_pixels_of_the_table():
    pool5 = receptive_fields(alexnet())["features.14"]
    assert pool5.pixels(3, 3) == (list(range(32, 227)),) * 2
    assert pool5.box(3, 3) == (32, 32, 226, 226)
    pool5 = receptive_fields(MODELS["vgg16"]())["features.30"]
    assert pool5.pixels(3, 3) == (list(range(6, 218)),) * 2
    assert pool5.box(3, 3) == (6, 6, 217, 217)


def test_receptive_fields_treat_the_two_directions_separately():
    model = Sequential(conv(1, 1, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(2, 1)))
    (field,) = receptive_fields(model, (11, 9)).values()
    assert (field.units, field.size, field.jump) == ((4, 9), (5, 5), (2, 1))
    assert field.start == (2.5, 0.5)
    assert field.box(1, 0) == (2, -2, 6, 2)
    assert field.pixels(1, 0) == ([2, 4, 6], [0, 1, 2])


# ── against gradients ────────────────────────────────────────────────────────────────────────


@st.composite
def stacks(draw):
    """(layers, image size): a few windows that fit, strides and dilations that may leave holes."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    size = draw(st.tuples(st.integers(6, 13), st.integers(6, 13)))
    layers, (H, W) = [], size
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(pairs), draw(pairs)
        if draw(st.booleans()):
            padding = tuple(draw(st.integers(0, 2)) for _ in range(2))
            layer = conv(1, 1, kernel, stride=stride, padding=padding, dilation=draw(pairs))
            layer.weight.data[...] = 1 / layer.weight.size
        else:
            padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
            layer = AvgPool2d(kernel, stride, padding)
        if min(layer.window.output_size(H, W)) < 1:
            break
        H, W = layer.window.output_size(H, W)
        layers += [layer, ReLU()] if draw(st.booleans()) else [layer]
    return layers, size


def gradient_of(layers, size, row, column):
    """∂unit/∂input: positive weights on a positive image let nothing cancel."""
    x = Tensor(np.ones((1, 1, *size)), requires_grad=True)
    y = Sequential(*layers).to(dtype=np.float64)(x)
    dy = np.zeros(y.shape)
    dy[:, :, row, column] = 1
    y.backward(dy)
    return x.grad[0, 0]


@given(stack=stacks(), where=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_receptive_field_has_exactly_the_pixels_with_a_gradient(stack, where):
    layers, size = stack
    if not layers:
        return
    field = [*receptive_fields(Sequential(*layers), size).values()][-1]
    row, column = (round(p * (n - 1)) for p, n in zip(where, field.units, strict=True))
    moved = gradient_of(layers, size, row, column) != 0
    rows, columns = field.pixels(row, column)
    expected = np.zeros(size, bool)
    expected[np.ix_(rows, columns)] = True
    np.testing.assert_array_equal(moved, expected)
    # The box holds them all; and where no window leaves holes, they fill its part of the image.
    box = field.box(row, column)
    assert not moved[: max(0, box.top)].any()
    assert not moved[box.bottom + 1 :].any()
    assert not moved[:, : max(0, box.left)].any()
    assert not moved[:, box.right + 1 :].any()
    windows = [layer.window for layer in layers if hasattr(layer, "window")]
    if all(w.dilation == (1, 1) and w.stride == (1, 1) for w in windows):
        inside = moved[max(0, box.top) : box.bottom + 1, max(0, box.left) : box.right + 1]
        assert inside.all()


@given(stack=stacks(), where=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_units_seeing_is_the_inverse_of_pixels(stack, where):
    layers, size = stack
    if not layers:
        return
    field = [*receptive_fields(Sequential(*layers), size).values()][-1]
    row, column = (round(p * (n - 1)) for p, n in zip(where, size, strict=True))
    rows = [u for u in range(field.units[0]) if row in field.pixels(u, 0)[0]]
    columns = [u for u in range(field.units[1]) if column in field.pixels(0, u)[1]]
    assert field.units_seeing(row, column) == (rows, columns)


# ── any forward ──────────────────────────────────────────────────────────────────────────────


class Branches(Module):
    """A forward() of its own: a residual connection around two convolutions, and a function."""

    def __init__(self):
        self.first = conv(1, 2, 3, padding=1)
        self.second = conv(2, 1, 5, padding=2)

    def forward(self, x):
        x = F.avg_pool2d(x, 2)
        return F.relu(self.second(F.tanh(self.first(x))) + x)


def test_receptive_fields_include_functions_between_layers():
    fields = receptive_fields(Sequential(Branches(), MaxPool2d(2)), 16)
    assert [*fields] == ["0.first", "0.second", "0", "1"]
    assert [numbers(field)[1:3] for field in fields.values()] == [(6, 2), (14, 2), (14, 2), (16, 4)]
    assert fields["1"].pixels(2, 0) == (list(range(2, 16)), list(range(0, 10)))


def test_receptive_field_of_joined_paths_is_one_box():
    class TwoPaths(Module):
        def forward(self, x):
            narrow, wide = self.narrow(x), self.wide(x)
            return F.concatenate([narrow, wide], axis=1)

    model = TwoPaths()
    model.narrow, model.wide = conv(1, 1, 1), conv(1, 1, (1, 4), padding=(0, 2))
    with refused(ValueError, "concatenate", "9", "8"):  # columns
        receptive_fields(model, 8)
    model.wide = conv(1, 1, (1, 5), padding=(0, 2))
    field = receptive_fields(model, 8)["TwoPaths"]
    assert (field.size, field.start) == ((1, 5), (0.5, 0.5))
    assert field.pixels(3, 4) == ([3], [2, 3, 4, 5, 6])


def test_receptive_fields_do_not_change_in_layers_without_a_window():
    model = Sequential(
        conv(1, 5, 3), BatchNorm2d(5), LocalResponseNorm(), Dropout(0.5), ReLU()
    ).train()
    fields = receptive_fields(model, 9)
    assert len(fields) == 5
    assert {numbers(field) for field in fields.values()} == {(7, 3, 1, 1.5)}


def test_receptive_field_of_linear_layers_and_global_pooling_is_everything():
    for last in (AdaptiveAvgPool2d(1), Linear(7 * 8, 2)):
        model = Sequential(conv(1, 1, 3), *([Flatten()] if isinstance(last, Linear) else []), last)
        field = [*receptive_fields(model, (9, 10)).values()][-1]
        assert (field.units, field.size) == ((1, 1), (9, 10))
        assert field.pixels(0, 0) == (list(range(9)), list(range(10)))


def test_receptive_field_of_adaptive_pooling_is_that_of_a_pooling():
    assert named(AdaptiveAvgPool2d(3), 12, [AdaptiveAvgPool2d]) == [(3, 4, 4, 2)]


def test_receptive_field_of_a_locally_connected_layer_is_that_of_a_convolution():
    local = LocallyConnected2d(1, 1, 3, 2, 1, image_size=9)
    kinds = [LocallyConnected2d, Conv2d]
    assert named(local, 9, kinds) == named(conv(1, 1, 3, stride=2, padding=1), 9, kinds)


def test_receptive_field_of_vectors_reshaped_to_maps_is_everything():
    class Maps(Module):
        def forward(self, x):
            return F.reshape(F.flatten(x), (len(x), 1, 2, 8))

    field = receptive_fields(Maps(), 4)["Maps"]
    assert (field.units, field.size, field.jump) == ((2, 8), (4, 4), (0, 0))
    assert field.box(1, 7) == (0, 0, 3, 3)
    assert field.pixels(1, 7) == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_receptive_fields_list_a_layer_that_is_called_twice_twice():
    shared = conv(1, 1, 3)
    fields = receptive_fields(Sequential(shared, shared), 9)
    assert [(name, field.size) for name, field in fields.items()] == [
        ("0", (3, 3)), ("0, call 2", (5, 5)),
    ]  # fmt: skip


# ── units, boxes, sizes ──────────────────────────────────────────────────────────────────────


def test_box_counts_its_padding():
    assert Box(-2, 3, 30, 5).padding(28, 28) == {"above": 2, "below": 3}
    assert Box(0, -1, 4, 28).padding(28, 28) == {"to the left": 1, "to the right": 1}
    assert Box(0, 0, 27, 27).padding(28, 28) == {}
    assert Box(-5, 0, -4, 0).padding(28, 28) == {"above": 2}  # all of it padding


def test_receptive_fields_use_the_models_own_size_or_the_given_one():
    assert receptive_fields(lenet5())["features.0"].units == (28, 28)
    net = Sequential(conv(2, 1, 3))
    assert receptive_fields(net, 9)["0"].units == (7, 7)
    assert receptive_fields(net, (9, 8))["0"].units == (7, 6)
    assert receptive_fields(net, (2, 9, 8))["0"].units == (7, 6)


def test_receptive_fields_leave_the_model_unchanged():
    model = Sequential(conv(1, 2, 3), BatchNorm2d(2), Dropout(0.5)).train()
    model[1].running_mean.data += 3
    model[0].weight.requires_grad = False
    before = model.state_dict()
    receptive_fields(model, 9)
    model[0].weight.data[...] = 1
    images = np.random.default_rng(0).normal(size=(2, 1, 9, 9)).astype(np.float32)
    effective_field(model, "1", 2, 2, images, rng=np.random.default_rng(1))
    model[0].weight.data[...] = before["0.weight"]
    assert all(module.training for module in model.modules())
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, *[True] * 3]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[2].key is None
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ── the effective field ──────────────────────────────────────────────────────────────────────


def stack(depth, seed):
    manual_seed(seed)
    channels = [1] + [8] * depth
    return Sequential(*[Conv2d(*pair, 3, padding=1) for pair in itertools.pairwise(channels)])


def shares_of(depth, size=41, seed=0):
    images = np.random.default_rng(seed).normal(size=(4, 1, size, size)).astype(np.float32)
    middle = size // 2
    layer = str(depth - 1)
    model = stack(depth, seed)
    rng = np.random.default_rng(1)
    return effective_field(model, layer, middle, middle, images, rng=rng)


def test_effective_field_sums_to_one_and_lies_within_the_box():
    shares = shares_of(3)
    assert shares.sum() == pytest.approx(1)
    seen = np.zeros((41, 41), bool)
    seen[17:24, 17:24] = True  # 20 ± 3
    np.testing.assert_array_equal(shares > 0, seen)


def test_effective_field_of_one_filter_is_its_weights():
    model = Sequential(conv(2, 1, 3))
    model[0].weight.data[...] = np.arange(-9, 9).reshape(1, 2, 3, 3)
    images = np.ones((2, 2, 5, 6), np.float32)
    shares = effective_field(model, "0", 1, 2, images, rng=np.random.default_rng(0))
    expected = np.zeros((5, 6))
    expected[1:4, 2:5] = abs(model[0].weight.data).sum(axis=(0, 1))
    np.testing.assert_allclose(shares, expected / expected.sum(), rtol=1e-6)


def test_effective_field_is_smaller_than_the_box_and_grows_more_slowly():
    sides = {depth: effective_size(shares_of(depth)) for depth in (2, 8)}
    boxes = {depth: 2 * depth + 1 for depth in sides}
    assert sides[8] < 0.7 * boxes[8]
    assert sides[8] / boxes[8] < 0.85 * sides[2] / boxes[2]


def test_effective_size_counts_the_strongest_pixels():
    shares = np.zeros((10, 10))
    shares[2, :4], shares[5, 5] = 0.2, 0.2
    assert effective_size(shares, 0.8) == 2
    assert effective_size(shares, 0.81) == np.sqrt(5)
    assert effective_size(np.full((10, 10), 0.01), 0.25) == 5


def test_plot_receptive_field_draws_the_box_of_the_field():
    field = receptive_fields(lenet5())["features.3"]
    image = np.zeros((28, 28, 3), np.uint8)
    shares = np.full((28, 28), 1 / 784)
    for figure in (
        plot_receptive_field(image, field, 0, 9),
        plot_receptive_field(image[:, :, :1], field, 0, 9, shares),
    ):
        for axes in figure.axes:
            frame = axes.patches[-1]
            assert frame.get_xy() == (15.5, -2.5)
            assert (frame.get_width(), frame.get_height()) == (14, 14)
            assert axes.get_xlabel() == "padding, in pixels: 2 above, 2 to the right"
        assert "Unit (0, 9) of features.3 (Conv2d)" in figure.get_suptitle()
    assert len(figure.axes) == 2
