"""Class activation maps and Grad-CAM, against loops and against each other."""

import numpy as np
import pytest

from minivision import Tensor, no_grad
from minivision.analysis.activation_maps import (
    class_activation_evidence,
    class_activation_map,
    grad_cam,
    grad_cam_evidence,
    stretched,
)
from minivision.models import lenet5, lenet5_original
from minivision.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from tests.analysis.models import MeanHead, averaging
from tests.refusals import refused


def small_images(rng, N=3):
    return rng.normal(size=(N, 2, 6, 5)).astype(np.float32)


# ── Grad-CAM ─────────────────────────────────────────────────────────────────────────────────


def test_grad_cam_equals_its_definition_written_as_loops(rng):
    """The network is cut at the maps; differences of the upper part give the gradients."""
    lower = Sequential(Conv2d(2, 3, 3, padding=1), ReLU(), MaxPool2d(2))
    upper = Sequential(Conv2d(3, 4, 2), ReLU(), Flatten(), Linear(16, 5))
    model = Sequential(*lower, *upper).to(dtype=np.float64)
    x = rng.normal(size=(2, 2, 6, 7))
    classes = [4, 1]
    maps = lower(Tensor(x)).data
    N, F, OH, OW = maps.shape
    expected = np.zeros((N, OH, OW))
    for n in range(N):
        for f in range(F):
            slopes = []
            for i in range(OH):
                for j in range(OW):
                    scores = []
                    for step in (1e-6, -1e-6):
                        moved = maps.copy()
                        moved[n, f, i, j] += step
                        scores.append(upper(Tensor(moved)).data[n, classes[n]])
                    slopes.append((scores[0] - scores[1]) / 2e-6)
            for i in range(OH):
                for j in range(OW):
                    expected[n, i, j] += sum(slopes) / len(slopes) * maps[n, f, i, j]
    evidence = grad_cam_evidence(model, x, "2", classes)
    np.testing.assert_allclose(evidence.total(), expected, rtol=1e-6, atol=1e-9)
    assert expected.min() < 0 < expected.max()
    found = grad_cam(model, x, "2", classes)
    np.testing.assert_allclose(found, stretched(np.maximum(expected, 0), (6, 7)), atol=1e-8)


def test_grad_cam_is_the_class_activation_map_over_the_number_of_positions(rng):
    model, x = averaging(), small_images(rng)
    cam = class_activation_map(model, x, [0, 3, 4])
    assert cam.min() < 0 < cam.max()
    found = grad_cam(model, x, classes=[0, 3, 4])
    np.testing.assert_allclose(found, np.maximum(cam, 0) / (6 * 5), rtol=1e-4, atol=1e-6)


def test_grad_cam_uses_the_last_convolutions_maps_after_their_relu_by_default(rng):
    x = small_images(rng)
    assert grad_cam_evidence(averaging(), x).layer == "4"
    digit = np.zeros((1, 1, 28, 28), np.float32)
    assert grad_cam_evidence(lenet5(), digit).layer == "features.4"
    old = np.zeros((1, 1, 32, 32), np.float32)
    evidence = grad_cam_evidence(lenet5_original(), old)
    assert evidence.maps.shape[1:] == (16, 10, 10)


def test_grad_cam_of_a_residual_block_uses_the_sum_and_not_its_branch(rng):
    class Residual(Module):
        def __init__(self):
            self.convolution = Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return x + self.convolution(x)

    model = Sequential(Residual(), MaxPool2d(2), Flatten(), Linear(12, 3))
    assert grad_cam_evidence(model, small_images(rng)).layer == "0"


def test_grad_cam_takes_every_layer_with_maps(rng):
    x = rng.normal(size=(2, 1, 28, 28)).astype(np.float32)
    for i in range(6):
        found = grad_cam(lenet5(), x, f"features.{i}")
        assert found.shape == (2, 28, 28)
        assert found.min() >= 0


def test_activation_maps_of_constant_or_zero_maps_are_finite(rng):
    model = averaging()
    for parameter in model.parameters():
        parameter.data[...] = 0
    model[3].bias.data[...] = 2
    x = small_images(rng)
    for found in (grad_cam(model, x), class_activation_map(model, x)):
        np.testing.assert_array_equal(found, 0)
    model[-1].weight.data[...] = 1
    np.testing.assert_allclose(class_activation_map(model, x), 4 * 2)


# ── the class activation map ─────────────────────────────────────────────────────────────────


def test_class_activation_map_has_the_logit_without_bias_as_its_mean(rng):
    model, x = averaging(), small_images(rng)
    found = class_activation_map(model, x, [1, 0, 4])
    model.eval()
    with no_grad():
        logits = model(Tensor(x)).data - model[-1].bias.data
    np.testing.assert_allclose(found.mean(axis=(1, 2)), logits[range(3), [1, 0, 4]], rtol=1e-4)


def test_class_activation_map_equals_its_definition_written_as_loops(rng):
    model, x = averaging(), small_images(rng)
    model.eval()
    with no_grad():
        maps = model[:5](Tensor(x)).data
    expected = np.zeros((3, 6, 5))
    for n, k in enumerate((1, 0, 4)):
        for f in range(4):
            for i in range(6):
                for j in range(5):
                    expected[n, i, j] += model[-1].weight.data[k, f] * maps[n, f, i, j]
    found = class_activation_map(model, x, [1, 0, 4])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_class_activation_evidence_recognizes_every_way_of_averaging_all_positions(rng):
    x = small_images(rng)
    for model, layer in (
        (averaging(), "4"),
        (averaging(AvgPool2d((6, 5))), "4"),
        (MeanHead(), "backbone"),
        (
            Sequential(averaging()[:5], AdaptiveAvgPool2d(1), Dropout(), Flatten(), Linear(4, 5)),
            "0.4",
        ),
    ):
        assert class_activation_evidence(model, x).layer == layer


OTHER_HEADS = {
    "max pooling": averaging(MaxPool2d((6, 5))),
    "one position, but not the mean of all": averaging(AvgPool2d(3, 4)),
    "two positions": averaging(AdaptiveAvgPool2d((2, 1)), Linear(8, 5)),
    "two layers": averaging(last=Sequential(Linear(4, 4), ReLU(), Linear(4, 5))),
    "an activation": averaging(last=Sequential(Linear(4, 5), ReLU())),
    "no maps": Sequential(Flatten(), Linear(60, 5)),
    "no linear layer": Sequential(Conv2d(2, 5, 3), AdaptiveAvgPool2d(1), Flatten()),
    "ReLU instead": Sequential(Conv2d(2, 5, 3), AdaptiveAvgPool2d(1), ReLU(), Flatten()),
}


@pytest.mark.parametrize("model", OTHER_HEADS.values(), ids=OTHER_HEADS)
def test_class_activation_map_refuses_other_heads_and_names_grad_cam(model, rng):
    with refused(ValueError, "class_activation_map: model", "average pooling", "grad_cam"):
        class_activation_map(model, small_images(rng))


# ── stretched maps ───────────────────────────────────────────────────────────────────────────


def test_stretched_keeps_constants_and_the_centres_of_positions():
    maps = np.arange(6.0).reshape(1, 2, 3)
    large = stretched(maps, (6, 9))  # each position becomes 3x3 and its middle keeps the value
    np.testing.assert_allclose(large[0, 1::3, 1::3], maps[0])
    np.testing.assert_allclose(stretched(np.full((2, 1, 1), 7.0), (3, 4)), np.full((2, 3, 4), 7))
    # Between two middles it is a straight line.
    np.testing.assert_allclose(large[0, 1, 1:5], [0, 1 / 3, 2 / 3, 1])
