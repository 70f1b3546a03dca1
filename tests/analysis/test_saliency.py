"""Saliency, feature maps and filters, against what can be said by hand or with loops."""

import numpy as np
import pytest

from minivision import Tensor, no_grad
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency
from minivision.models import lenet5, softmax_regression
from minivision.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Module,
    ReLU,
    Sequential,
    skip_init,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def state_of(model):
    """All that a look at a model must leave alone."""
    return (
        {name: array.copy() for name, array in model.state_dict().items()},
        [module.training for module in model.modules()],
        [getattr(module, "key", None) for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if p.grad is None else p.grad.copy() for p in model.parameters()],
    )


def awkward_model(rng):
    """All that could be disturbed: modes, keys, statistics, gradients, a frozen part."""
    model = Sequential(
        Conv2d(3, 4, 3, padding=1), BatchNorm2d(4), ReLU(), Dropout(0.5),
        Flatten(), Linear(4 * 5 * 6, 7),
    )  # fmt: skip
    model.train()
    model[1].training = False
    model.seed(3, 4)
    model[0].bias.requires_grad = False
    model[0].weight.grad = rng.normal(size=model[0].weight.shape).astype(np.float32)
    return model


LOOKS = {
    "saliency": lambda model, x: saliency(model, x),
    "feature_maps": lambda model, x: feature_maps(model, x, "2"),
    "first_layer_filters": lambda model, x: first_layer_filters(model),
}


def assert_left_alone(model, look, x):
    before, image = state_of(model), x.copy()
    look(model, x)
    after = state_of(model)
    np.testing.assert_equal(after, before)
    np.testing.assert_array_equal(x, image)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_leaves_the_model_and_the_images_as_they_were(look, rng):
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    assert_left_alone(awkward_model(rng), look, x)


def test_a_look_that_changed_something_would_be_noticed(rng):
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    for spoil in (
        lambda model, x: model.eval(),
        lambda model, x: model.seed(0, 0),
        lambda model, x: model.requires_grad_(True),
        lambda model, x: model.zero_grad(),
        lambda model, x: model(Tensor(x)).sum().backward(),
    ):
        with pytest.raises(AssertionError):
            assert_left_alone(awkward_model(rng), spoil, x)


# ── saliency ─────────────────────────────────────────────────────────────────────────────────


def test_the_saliency_of_a_linear_model_is_the_size_of_its_weights(rng):
    model = softmax_regression(4, in_channels=3, size=(5, 6))
    x = rng.normal(size=(3, 3, 5, 6)).astype(np.float32)
    weight = np.abs(model.classifier[0].weight.data).reshape(4, 3, 5, 6)
    expected = [weight[k].max(axis=0) for k in (2, 0, 2)]
    np.testing.assert_allclose(saliency(model, x, [2, 0, 2]), expected, rtol=1e-6)
    np.testing.assert_allclose(saliency(model, x, 1), [weight[1].max(axis=0)] * 3, rtol=1e-6)


def test_without_a_class_the_likeliest_of_each_image_is_asked_about(rng):
    model = softmax_regression(4, in_channels=2, size=(5, 6))
    x = rng.normal(size=(6, 2, 5, 6)).astype(np.float32)
    with no_grad():
        likeliest = model(Tensor(x)).numpy().argmax(axis=1)
    assert len(set(likeliest)) > 1
    np.testing.assert_array_equal(saliency(model, x), saliency(model, x, likeliest))


def test_saliency_is_the_change_of_the_score_when_a_pixel_changes(rng):
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


def test_images_in_a_batch_do_not_meet(rng):
    model = awkward_model(rng)
    x = rng.normal(size=(3, 3, 5, 6)).astype(np.float32)
    alone = [saliency(model, x[n : n + 1], n)[0] for n in range(3)]
    np.testing.assert_allclose(saliency(model, x, [0, 1, 2]), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classes", [10, -1, 0.5, [0, 1], [[0, 1, 2]], "7", [0, 1, 10], True])
def test_a_class_that_does_not_exist_is_refused_with_the_range(classes):
    with pytest.raises(ValueError, match=r"saliency: classes is .*from 0 to 9.*N = 3"):
        saliency(lenet5(), np.zeros((3, 1, 28, 28), np.float32), classes)


def test_images_and_models_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"saliency: images has shape \(1, 28, 28\); expected 4"):
        saliency(lenet5(), np.zeros((1, 28, 28), np.float32))
    with pytest.raises(ValueError, match=r"what the model returns has shape .* \(N, K\)"):
        saliency(Conv2d(1, 2, 3), np.zeros((1, 1, 8, 8), np.float32))


def test_a_network_that_says_nothing_has_a_saliency_of_zero():
    with skip_init():
        model = lenet5()
    found = saliency(model, np.ones((2, 1, 28, 28), np.float32))
    np.testing.assert_array_equal(found, np.zeros((2, 28, 28)))


# ── feature maps and filters ─────────────────────────────────────────────────────────────────


def test_feature_maps_are_what_the_layers_up_to_there_make(rng):
    model = lenet5()
    x = rng.normal(size=(3, 1, 28, 28)).astype(np.float32)
    with no_grad():
        expected = Tensor(x)
        for i, layer in enumerate(model.features):
            expected = layer(expected)
            found = feature_maps(model, x, f"features.{i}")
            np.testing.assert_allclose(found, expected.data, rtol=1e-6)
        np.testing.assert_allclose(feature_maps(model, x, "classifier.4"), model(Tensor(x)).data)


def test_feature_maps_are_those_of_evaluation_whatever_the_mode(rng):
    model = awkward_model(rng)
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    model[1].training = True
    while_training = feature_maps(model, x, "3")
    model.eval()
    np.testing.assert_array_equal(while_training, feature_maps(model, x, "3"))
    np.testing.assert_array_equal(while_training, feature_maps(model, x, "2"))  # nothing dropped


def test_many_images_are_sent_through_in_parts(rng):
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


def test_an_unknown_layer_is_told_which_there_are():
    model = Sequential(Conv2d(1, 2, 3), ReLU())
    with pytest.raises(ValueError, match=r"no layer is called 'conv1'; there are 0, 1$"):
        feature_maps(model, np.zeros((1, 1, 5, 5), np.float32), "conv1")


def test_filters_are_those_of_the_first_convolution_as_pictures(rng):
    model = Sequential(Conv2d(3, 4, (2, 5)), ReLU(), Conv2d(4, 6, 1))
    found = first_layer_filters(model)
    assert found.shape == (4, 2, 5, 3)
    for f in range(4):
        for c in range(3):
            np.testing.assert_array_equal(found[f, :, :, c], model[0].weight.data[f, c])
    found[...] = 0
    assert model[0].weight.data.any()
    with pytest.raises(ValueError, match="model has no convolution"):
        first_layer_filters(softmax_regression())
