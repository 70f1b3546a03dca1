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
from minivision.models import lenet5, lenet5_original, softmax_regression
from minivision.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from tests.analysis.test_saliency import assert_left_alone, awkward_model


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def averaging(rng, pool=None, last=None, size=(6, 5)):
    """Convolutions, global average pooling, one linear layer; maps as large as the image."""
    return Sequential(
        Conv2d(2, 3, 3, padding=1), BatchNorm2d(3), ReLU(),
        Conv2d(3, 4, 3, padding=1), ReLU(),
        pool or AdaptiveAvgPool2d(1), Flatten(), last or Linear(4, 5),
    )  # fmt: skip


def small_images(rng, N=3):
    return rng.normal(size=(N, 2, 6, 5)).astype(np.float32)


# ── Grad-CAM ─────────────────────────────────────────────────────────────────────────────────


def test_grad_cam_equals_its_definition_written_as_loops(rng):
    """Two networks in one: up to the maps, and from the maps on, where the gradient is counted."""
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


def test_grad_cam_is_the_class_activation_map_over_the_number_of_places(rng):
    model, x = averaging(rng), small_images(rng)
    cam = class_activation_map(model, x, [0, 3, 4])
    assert cam.min() < 0 < cam.max()
    found = grad_cam(model, x, classes=[0, 3, 4])
    np.testing.assert_allclose(found, np.maximum(cam, 0) / (6 * 5), rtol=1e-4, atol=1e-6)


def test_without_a_layer_it_takes_the_last_convolutions_maps_behind_their_relu(rng):
    x = small_images(rng)
    assert grad_cam_evidence(averaging(rng), x).layer == "4"
    digit = np.zeros((1, 1, 28, 28), np.float32)
    assert grad_cam_evidence(lenet5(), digit).layer == "features.4"
    old = np.zeros((1, 1, 32, 32), np.float32)
    evidence = grad_cam_evidence(lenet5_original(), old)
    assert evidence.maps.shape[1:] == (16, 10, 10)


def test_a_convolution_in_a_branch_does_not_hide_the_sum_behind_it(rng):
    class Residual(Module):
        def __init__(self):
            self.convolution = Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return x + self.convolution(x)

    model = Sequential(Residual(), MaxPool2d(2), Flatten(), Linear(12, 3))
    assert grad_cam_evidence(model, small_images(rng)).layer == "0"


def test_every_layer_with_maps_can_be_asked_and_gives_a_map_as_large_as_the_image(rng):
    x = rng.normal(size=(2, 1, 28, 28)).astype(np.float32)
    for i in range(6):
        found = grad_cam(lenet5(), x, f"features.{i}")
        assert found.shape == (2, 28, 28)
        assert found.min() >= 0


def test_maps_that_are_constant_or_silent_give_numbers(rng):
    model = averaging(rng)
    for parameter in model.parameters():
        parameter.data[...] = 0
    model[3].bias.data[...] = 2
    x = small_images(rng)
    for found in (grad_cam(model, x), class_activation_map(model, x)):
        np.testing.assert_array_equal(found, 0)
    model[-1].weight.data[...] = 1
    np.testing.assert_allclose(class_activation_map(model, x), 4 * 2)


def test_an_unknown_layer_one_without_places_and_a_class_out_of_range_are_refused(rng):
    model, x = averaging(rng), small_images(rng)
    with pytest.raises(ValueError, match="grad_cam: no layer is called 'conv'; there are 0, 1, 2"):
        grad_cam(model, x, "conv")
    with pytest.raises(ValueError, match=r"grad_cam: 7 \(Linear\) returns \(5,\) .*one of 0, 1, 2"):
        grad_cam(model, x, "7")
    with pytest.raises(ValueError, match="grad_cam: classes is 5; expected None, a class from 0"):
        grad_cam(model, x, classes=5)
    with pytest.raises(ValueError, match="grad_cam: model has no convolution"):
        grad_cam(softmax_regression(), np.zeros((1, 1, 28, 28), np.float32))


def test_a_layer_that_the_logits_do_not_depend_on_is_refused(rng):
    class Aside(Module):
        def __init__(self):
            self.used, self.unused = Linear(60, 3), Conv2d(2, 2, 3)
            self.flat = Flatten()

        def forward(self, x):
            self.unused(x)
            return self.used(self.flat(x))

    with pytest.raises(ValueError, match="the logits do not depend on unused"):
        grad_cam(Aside(), small_images(rng))


# ── the class activation map ─────────────────────────────────────────────────────────────────


def test_the_mean_of_the_class_activation_map_is_the_logit_without_bias(rng):
    model, x = averaging(rng), small_images(rng)
    found = class_activation_map(model, x, [1, 0, 4])
    model.eval()
    with no_grad():
        logits = model(Tensor(x)).data - model[-1].bias.data
    np.testing.assert_allclose(found.mean(axis=(1, 2)), logits[range(3), [1, 0, 4]], rtol=1e-4)


def test_the_class_activation_map_equals_its_definition_written_as_loops(rng):
    model, x = averaging(rng), small_images(rng)
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


class MeanHead(Module):
    """Global average pooling written as a mean, in a forward() of its own."""

    def __init__(self, rng, axis):
        self.axis = axis
        self.body, self.head = Conv2d(2, 4, 3, padding=1), Linear(4, 5)

    def forward(self, x):
        return self.head(self.body(x).mean(axis=self.axis))


def test_every_way_of_averaging_all_places_is_recognised(rng):
    x = small_images(rng)
    for model, layer in (
        (averaging(rng), "4"),
        (averaging(rng, AvgPool2d((6, 5))), "4"),
        (MeanHead(rng, (2, 3)), "body"),
        (Sequential(averaging(rng)[:5], AdaptiveAvgPool2d(1), Dropout(), Flatten(),
                    Linear(4, 5)), "0.4"),
    ):  # fmt: skip
        assert class_activation_evidence(model, x).layer == layer


def test_any_other_head_is_refused_and_told_of_grad_cam(rng):
    x = small_images(rng)
    for model in (
        averaging(rng, MaxPool2d((6, 5))),
        averaging(rng, AvgPool2d(3, 4)),  # one place, but not a mean of all
        averaging(rng, AdaptiveAvgPool2d((2, 1)), Linear(8, 5)),
        averaging(rng, last=Sequential(Linear(4, 4), ReLU(), Linear(4, 5))),
        averaging(rng, last=Sequential(Linear(4, 5), ReLU())),
        Sequential(Flatten(), Linear(60, 5)),
        Sequential(Conv2d(2, 5, 3), AdaptiveAvgPool2d(1), Flatten()),
        Sequential(Conv2d(2, 5, 3), AdaptiveAvgPool2d(1), ReLU(), Flatten()),
    ):
        with pytest.raises(ValueError, match="expected a network that ends with global average"):
            class_activation_map(model, x)


def test_a_class_out_of_range_is_refused(rng):
    with pytest.raises(ValueError, match="class_activation_map: classes is 5"):
        class_activation_map(averaging(rng), small_images(rng), 5)


# ── both ─────────────────────────────────────────────────────────────────────────────────────


def test_they_leave_the_model_and_the_images_as_they_were(rng):
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    assert_left_alone(awkward_model(rng), lambda model, x: grad_cam(model, x), x)
    model = awkward_model(rng)
    model = Sequential(*model[:4], AdaptiveAvgPool2d(1), Flatten(), Linear(4, 5))
    assert_left_alone(model, lambda model, x: class_activation_map(model, x), x)


def test_a_stretched_map_keeps_constants_and_the_middle_of_its_places():
    maps = np.arange(6.0).reshape(1, 2, 3)
    large = stretched(maps, (6, 9))  # each place becomes 3x3, its middle keeps the value
    np.testing.assert_allclose(large[0, 1::3, 1::3], maps[0])
    np.testing.assert_allclose(stretched(np.full((2, 1, 1), 7.0), (3, 4)), np.full((2, 3, 4), 7))
    # Between two middles it is a straight line.
    np.testing.assert_allclose(large[0, 1, 1:5], [0, 1 / 3, 2 / 3, 1])
