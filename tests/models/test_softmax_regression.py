"""One layer and its templates; dense, local and convolutional first layers, and what they cost."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.models import (
    MODELS,
    first_layer_network,
    lenet5,
    softmax_regression,
    templates,
)
from minivision.models.softmax_regression import FIRST_LAYERS
from tests.models.checks import check_gradients, rng
from tests.refusals import refused


def images(N=2, C=1, H=28, W=28):
    return rng(1).normal(size=(N, C, H, W)).astype(np.float32)


each_kind = pytest.mark.parametrize("kind", FIRST_LAYERS)


# ── one layer ────────────────────────────────────────────────────────────────────────────────


def test_softmax_regression_has_a_weight_per_pixel_and_class_and_a_bias_per_class():
    assert softmax_regression().parameter_count() == 784 * 10 + 10 == 7_850
    colour = softmax_regression(in_channels=3, size=32)
    assert colour.parameter_count() == 3 * 32 * 32 * 10 + 10 == 30_730
    assert list(colour.state_dict()) == ["classifier.0.weight", "classifier.0.bias"]
    assert colour.input_shape == (3, 32, 32)
    assert softmax_regression(3, size=(4, 6)).input_shape == (1, 4, 6)


def test_templates_times_the_pixels_plus_the_bias_are_the_logits():
    model = softmax_regression(4, in_channels=3, size=(5, 6))
    model.classifier[0].bias.data = np.arange(4, dtype=np.float32)
    x = images(3, 3, 5, 6)
    logits = model(Tensor(x)).numpy()
    pictures = templates(model)
    assert pictures.shape == (4, 3, 5, 6)
    for n in range(3):
        for k in range(4):
            assert logits[n, k] == pytest.approx((x[n] * pictures[k]).sum() + k, rel=1e-4)


def test_templates_are_copies():
    model = softmax_regression()
    before = templates(model)
    templates(model)[:] = 0
    np.testing.assert_array_equal(templates(model), before)


@pytest.mark.parametrize("kind", ["lenet5", *FIRST_LAYERS])
def test_templates_refuse_networks_of_several_layers(kind):
    build = lenet5 if kind == "lenet5" else lambda **k: first_layer_network(kind, **k)
    with refused(ValueError, "templates: model", "more than one layer", "softmax_regression"):
        templates(build())


def test_models_has_softmax_regression_for_the_command_line():
    model = MODELS["softmax_regression"](7, in_channels=3)
    assert model(Tensor(images(C=3))).shape == (2, 7)


# ── three first layers ───────────────────────────────────────────────────────────────────────


def test_first_layer_network_is_counted_by_hand():
    """From 32x32x3 to 28x28x6 with 5x5 windows, by hand."""
    units, window = 6 * 28 * 28, 3 * 5 * 5
    by_hand = {
        "dense": units * (3 * 32 * 32 + 1),
        "local": units * (window + 1),
        "convolution": 6 * (window + 1),
    }
    assert by_hand == {"dense": 14_455_392, "local": 357_504, "convolution": 456}
    for kind, count in by_hand.items():
        model = first_layer_network(kind, in_channels=3, size=32)
        assert model.features[0].parameter_count() == count


@each_kind
def test_first_layer_network_is_the_same_after_the_first_layer(kind):
    model = first_layer_network(kind, 7, in_channels=2, size=(11, 14), filters=4, kernel_size=3)
    x = Tensor(images(3, 2, 11, 14))
    assert model.features[0](x).shape == (3, 4, 9, 12)
    assert model.features(x).shape == (3, 4, 4, 6)
    assert model(x).shape == (3, 7)
    assert model.classifier[0].weight.shape == (7, 4 * 4 * 6)
    assert model.input_shape == (2, 11, 14)


def as_local(weight, bias, places):
    """The weights of a convolution, copied to every position."""
    return {
        "features.0.weight": np.broadcast_to(weight, (*places, *weight.shape)),
        "features.0.bias": np.broadcast_to(bias[:, None, None], (len(bias), *places)),
    }


def as_dense(weight, bias, size):
    """The weights (F·OH·OW, C·H·W) that look at one window each: zero everywhere else."""
    filters, C, KH, KW = weight.shape
    H, W = size
    OH, OW = H - KH + 1, W - KW + 1
    matrix = np.zeros((filters, OH, OW, C, H, W), np.float32)
    for i in range(OH):
        for j in range(OW):
            matrix[:, i, j, :, i : i + KH, j : j + KW] = weight
    return {
        "features.0.linear.weight": matrix.reshape(filters * OH * OW, C * H * W),
        "features.0.linear.bias": np.repeat(bias, OH * OW),
    }


def test_first_layer_network_with_convolution_equals_a_local_or_dense_one_with_its_weights():
    size, settings = (9, 8), {"in_channels": 2, "filters": 3, "kernel_size": 3}
    convolution = first_layer_network("convolution", size=size, **settings)
    convolution.features[0].bias.data = rng(3).normal(size=3).astype(np.float32)
    state = convolution.state_dict()
    weight, bias = state.pop("features.0.weight"), state.pop("features.0.bias")
    x = Tensor(images(4, 2, *size))
    for kind, first in (
        ("local", as_local(weight, bias, (7, 6))),
        ("dense", as_dense(weight, bias, size)),
    ):
        other = first_layer_network(kind, size=size, **settings)
        other.load_state_dict(state | first)
        assert abs(other(x).data).max() > 0.1
        np.testing.assert_allclose(other(x).data, convolution(x).data, rtol=1e-4, atol=1e-5)


@each_kind
def test_first_layer_network_gradients_equal_differences_of_the_loss(kind):
    """In float64, for each weight."""
    model = first_layer_network(kind, 3, size=9, filters=2, kernel_size=4).to(dtype=np.float64)
    x, labels = Tensor(rng(4).normal(size=(4, 1, 9, 9))), [0, 1, 2, 1]
    check_gradients(
        lambda: F.cross_entropy(model(x), labels), model.parameters(), 1e-6, rel=1e-5, abs=1e-8
    )
