"""Saliency, feature maps and filters, against results by hand and by loops."""

import numpy as np
import pytest

from minivision import Tensor, no_grad
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency
from minivision.models import lenet5, softmax_regression
from minivision.nn import (
    Conv2d,
    Module,
    ReLU,
    Sequential,
    skip_init,
)
from tests.analysis.models import awkward_model

# ── saliency ─────────────────────────────────────────────────────────────────────────────────


def test_saliency_of_a_linear_model_is_the_size_of_its_weights(rng):
    model = softmax_regression(4, in_channels=3, size=(5, 6))
    x = rng.normal(size=(3, 3, 5, 6)).astype(np.float32)
    weight = np.abs(model.classifier[0].weight.data).reshape(4, 3, 5, 6)
    expected = [weight[k].max(axis=0) for k in (2, 0, 2)]
    np.testing.assert_allclose(saliency(model, x, [2, 0, 2]), expected, rtol=1e-6)
    np.testing.assert_allclose(saliency(model, x, 1), [weight[1].max(axis=0)] * 3, rtol=1e-6)


def test_saliency_explains_the_likeliest_class_of_each_image_by_default(rng):
    model = softmax_regression(4, in_channels=2, size=(5, 6))
    x = rng.normal(size=(6, 2, 5, 6)).astype(np.float32)
    with no_grad():
        likeliest = model(Tensor(x)).numpy().argmax(axis=1)
    assert len(set(likeliest)) > 1
    np.testing.assert_array_equal(saliency(model, x), saliency(model, x, likeliest))


def test_saliency_is_the_change_of_the_score_per_change_of_a_pixel(rng):
    """Pixel by pixel, in float64, through convolution, statistics, kinks and dropout."""
    model = awkward_model(rng)
    for parameter in model.parameters():
        parameter.replace(parameter.data.astype(np.float64))
    model.to(dtype=np.float64)
    x = rng.normal(size=(1, 3, 5, 6))
    found = saliency(model, x, 5)[0]
    model.eval()
    step = 1e-6
    for i, j in ((0, 0), (2, 3), (4, 5)):
        slopes = []
        for c in range(3):
            scores = []
            for sign in (1, -1):
                moved = x.copy()
                moved[0, c, i, j] += sign * step
                scores.append(model(Tensor(moved)).data[0, 5])
            slopes.append(abs(scores[0] - scores[1]) / (2 * step))
        assert found[i, j] == pytest.approx(max(slopes), rel=1e-5)


def test_saliency_treats_the_images_of_a_batch_independently(rng):
    model = awkward_model(rng)
    x = rng.normal(size=(3, 3, 5, 6)).astype(np.float32)
    alone = [saliency(model, x[n : n + 1], n)[0] for n in range(3)]
    np.testing.assert_allclose(saliency(model, x, [0, 1, 2]), alone, rtol=1e-4, atol=1e-6)


def test_saliency_of_a_network_of_zeros_is_zero():
    with skip_init():
        model = lenet5()
    found = saliency(model, np.ones((2, 1, 28, 28), np.float32))
    np.testing.assert_array_equal(found, np.zeros((2, 28, 28)))


# ── feature maps and filters ─────────────────────────────────────────────────────────────────


def test_feature_maps_are_the_outputs_of_the_layers(rng):
    model = lenet5()
    x = rng.normal(size=(3, 1, 28, 28)).astype(np.float32)
    with no_grad():
        expected = Tensor(x)
        for i, layer in enumerate(model.features):
            expected = layer(expected)
            found = feature_maps(model, x, f"features.{i}")
            np.testing.assert_allclose(found, expected.data, rtol=1e-6)
        np.testing.assert_allclose(feature_maps(model, x, "classifier.4"), model(Tensor(x)).data)


def test_feature_maps_are_those_of_evaluation_in_any_mode(rng):
    model = awkward_model(rng)
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    model[1].training = True
    while_training = feature_maps(model, x, "3")
    model.eval()
    np.testing.assert_array_equal(while_training, feature_maps(model, x, "3"))
    np.testing.assert_array_equal(while_training, feature_maps(model, x, "2"))  # nothing dropped


def test_feature_maps_of_many_images_are_computed_in_chunks(rng):
    x = rng.normal(size=(503, 1, 4, 3)).astype(np.float32)
    model = Sequential(Conv2d(1, 2, 3), ReLU())
    seen = []

    class Spy(Module):
        def forward(self, x):
            seen.append(len(x.data))
            return model(x)

    found = feature_maps(Spy(), x, "Spy")
    assert seen == [250, 250, 3]
    with no_grad():
        np.testing.assert_allclose(found, model(Tensor(x)).data, rtol=1e-6)
    assert feature_maps(model, x[:0], "1").shape == (0, 2, 2, 1)


def test_first_layer_filters_are_those_of_the_first_convolution_as_pictures(rng):
    model = Sequential(Conv2d(3, 4, (2, 5)), ReLU(), Conv2d(4, 6, 1))
    found = first_layer_filters(model)
    assert found.shape == (4, 2, 5, 3)
    for f in range(4):
        for c in range(3):
            np.testing.assert_array_equal(found[f, :, :, c], model[0].weight.data[f, c])
    found[...] = 0
    assert model[0].weight.data.any()
