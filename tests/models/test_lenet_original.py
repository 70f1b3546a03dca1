"""The LeNet-5 of 1998 against the paper's own counts, and its layers against loops."""

import math

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.gradcheck import gradcheck
from minivision.models.lenet_original import (
    C3_TABLE,
    RadialBasis,
    Subsampling,
    TableConv2d,
    lenet5_original,
    map_loss,
    pictures,
    uniform_by_fan_in,
)
from minivision.nn import Conv2d, Linear, ScaledTanh

# facts of the paper: layer, output, trainable parameters, connections
LAYERS = [
    ("C1", (6, 28, 28), 156, 122_304),
    ("S2", (6, 14, 14), 12, 5_880),
    ("C3", (16, 10, 10), 1_516, 151_600),
    ("S4", (16, 5, 5), 32, 2_000),
    ("C5", (120, 1, 1), 48_120, 48_120),
    ("F6", (84,), 10_164, 10_164),
    ("output", (10,), 0, 840),
]


def model(seed=0):
    manual_seed(seed)
    return lenet5_original()


def connections(layer, shape):
    """Every unit is connected to the pixels it sees and to its bias."""
    places = math.prod(shape[1:])
    if isinstance(layer, Subsampling):
        return (2 * 2 + 1) * math.prod(shape)
    if isinstance(layer, RadialBasis):
        return layer.centres.data.size
    return layer.parameter_count() * places  # each weight is used once at every position


def test_lenet5_original_layers_have_the_papers_sizes_parameters_and_connections():
    network = model()
    x = Tensor(np.zeros((1, 1, 32, 32), np.float32))
    found = []
    for layer in [*network.features, *network.classifier]:
        if layer is network.classifier[0]:
            x = x.flatten()
        x = layer(x)
        if not isinstance(layer, ScaledTanh):
            shape = x.shape[1:]
            found.append((shape, layer.parameter_count(), connections(layer, shape)))
    assert found == [row[1:] for row in LAYERS]
    assert network.parameter_count() == sum(row[2] for row in LAYERS) == 60_000
    assert sum(row[3] for row in LAYERS) == 340_908


def test_lenet5_original_squashes_every_layer_but_the_last():
    kinds = [type(layer) for layer in [*model().features, *model().classifier]]
    assert kinds[1::2] == [ScaledTanh] * 6
    assert kinds[0::2] == [
        Conv2d, Subsampling, TableConv2d, Subsampling, Conv2d, Linear, RadialBasis,
    ]  # fmt: skip


def test_table_conv2d_of_c3_connects_six_filters_to_three_maps_nine_to_four_and_one_to_all():
    seen = TableConv2d(C3_TABLE, 5).connected.sum(axis=1)
    assert seen.tolist() == [3] * 6 + [4] * 9 + [6]


def test_table_conv2d_equals_loops_over_the_connected_maps():
    rng = np.random.default_rng(0)
    layer = TableConv2d(C3_TABLE, 5)
    x = rng.normal(size=(2, 6, 7, 6)).astype(np.float32)
    rows = [line.split() for line in C3_TABLE.strip().splitlines()]
    expected = np.zeros((2, 16, 3, 2))
    kernel = 0
    for f in range(16):
        for c in range(6):
            if rows[c][f] != "X":
                continue
            for i in range(3):
                for j in range(2):
                    window = x[:, c, i : i + 5, j : j + 5]
                    expected[:, f, i, j] += (window * layer.weight.data[kernel]).sum(axis=(1, 2))
            kernel += 1
    assert kernel == 60
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=0, atol=1e-5)


def test_subsampling_scales_the_sum_of_four_pixels_and_adds_a_bias_per_map():
    layer = Subsampling(2)
    layer.weight.data = np.array([[[2]], [[-1]]], np.float32)
    layer.bias.data = np.array([[[10]], [[20]]], np.float32)
    x = np.arange(16, dtype=np.float32).reshape(1, 2, 2, 4)
    expected = [[[[2 * (0 + 1 + 4 + 5) + 10, 2 * (2 + 3 + 6 + 7) + 10]],
                 [[20 - (8 + 9 + 12 + 13), 20 - (10 + 11 + 14 + 15)]]]]  # fmt: skip
    np.testing.assert_array_equal(layer(Tensor(x)).data, expected)


def test_radial_basis_outputs_the_negative_squared_distance_to_each_picture():
    x = np.random.default_rng(0).normal(size=(3, 84)).astype(np.float32)
    expected = [[-sum((x[n] - pictures()[k]) ** 2) for k in range(10)] for n in range(3)]
    np.testing.assert_allclose(RadialBasis(pictures())(Tensor(x)).data, expected, rtol=1e-5)


def test_radial_basis_reads_each_picture_as_its_digit():
    logits = RadialBasis(pictures())(Tensor(pictures())).data
    assert logits.diagonal().tolist() == [0] * 10
    assert logits.argmax(axis=1).tolist() == list(range(10))


def test_pictures_consist_of_ink_and_paper_and_differ_in_several_pixels():
    found = pictures()
    assert found.shape == (10, 7 * 12)
    assert set(np.unique(found)) == {-1, 1}
    apart = (found[:, None] != found).sum(axis=2)
    assert apart[~np.eye(10, dtype=bool)].min() >= 4


def test_map_loss_equals_its_formula_and_cross_entropy_for_distant_rubbish():
    rng = np.random.default_rng(0)
    y, labels, j = rng.uniform(0, 9, (5, 10)), rng.integers(10, size=5), 2.5
    expected = np.mean([
        y[n, labels[n]] + math.log(math.exp(-j) + sum(math.exp(-y[n, i]) for i in range(10)))
        for n in range(5)
    ])  # fmt: skip
    assert map_loss(Tensor(-y), labels, j).item() == pytest.approx(expected, rel=1e-12)
    far = F.cross_entropy(Tensor(-y), labels).item()
    assert map_loss(Tensor(-y), labels, 1e4).item() == pytest.approx(far, rel=1e-12)


def test_lenet5_original_passes_gradcheck():
    """In float64, for the weights of every layer and the image, under a random upstream."""
    network = model().to(dtype=np.float64)
    rng = np.random.default_rng(1)
    x = rng.uniform(-0.1, 1.175, (2, 1, 32, 32))
    parameters = list(network.parameters())

    def logits(x, *arrays):
        for parameter, array in zip(parameters, arrays, strict=True):
            parameter.node, parameter._data = array.node, array._data
        return network(x)

    gradcheck(logits, [x, *[p.data.copy() for p in parameters]], rng=rng)


def test_lenet5_original_weights_start_uniform_by_the_papers_rule():
    """Between -2.4/I and 2.4/I, with I the inputs of a unit, also where the table removes some."""
    network = model()
    for position, inputs in [(0, 25), (8, 16 * 25)]:
        weight = network.features[position].weight.data
        assert 0.9 * 2.4 / inputs < abs(weight).max() <= 2.4 / inputs
    c3 = network.features[4]
    filters = np.nonzero(c3.connected)[0]
    for f, seen in enumerate(c3.connected.sum(axis=1)):
        largest = abs(c3.weight.data[filters == f]).max()
        assert 0.8 * 2.4 / (25 * seen) < largest <= 2.4 / (25 * seen) * (1 + 1e-6)
    drawn = uniform_by_fan_in((84, 120), np.random.default_rng(0))
    assert abs(drawn).max() <= 2.4 / 120
