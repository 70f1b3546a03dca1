"""Saliency of a network on the device equals that on the host."""

import numpy as np
import pytest

from minivision import manual_seed
from minivision.analysis.activation_maps import class_activation_map, grad_cam
from minivision.analysis.embedding import embedding
from minivision.analysis.explanation import explain
from minivision.analysis.occlusion import occlusion
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency
from minivision.nn import AdaptiveAvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tests.gpu.device import where_needed

pytestmark = where_needed

LOOKS = {
    "saliency": lambda model, x: saliency(model, x),
    "saliency of one class": lambda model, x: saliency(model, x, 2),
    "feature maps": lambda model, x: feature_maps(model, x, "2"),
    "filters": lambda model, x: first_layer_filters(model),
    "class activation map": lambda model, x: class_activation_map(model, x, [0, 1, 2]),
    "Grad-CAM": lambda model, x: grad_cam(model, x, classes=1),
    "occlusion": lambda model, x: occlusion(model, x[0], 3, 2, 1).probabilities,
    "embedding": lambda model, x: embedding(model, x).points,
    "page": lambda model, x: explain(model, x[0]).grad_cam(),
}


def model():
    manual_seed(0)
    return Sequential(
        Conv2d(3, 4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 5, 3),
        ReLU(), AdaptiveAvgPool2d(1), Flatten(), Linear(5, 4),
    )  # fmt: skip


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_saliency_on_the_device_equals_that_on_the_host(look):
    x = np.random.default_rng(1).normal(size=(3, 3, 10, 12)).astype(np.float32)
    host, device = look(model(), x), look(model().to("gpu:0"), x)
    assert isinstance(device, np.ndarray)
    np.testing.assert_allclose(device, host, rtol=1e-3, atol=1e-5)
