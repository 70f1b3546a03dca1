"""Looking at a model changes neither the model nor the images."""

import numpy as np
import pytest

from minivision import Tensor
from minivision.analysis.activation_maps import class_activation_map, grad_cam
from minivision.analysis.embedding import embedding
from minivision.analysis.explanation import explain
from minivision.analysis.occlusion import occlusion
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency
from minivision.nn import AdaptiveAvgPool2d, Flatten, Linear, Sequential
from tests.analysis.models import awkward_model

X = np.random.default_rng(0).normal(size=(4, 3, 5, 6)).astype(np.float32)


def state_of(model):
    """Everything that looking at a model must not change."""
    return (
        {name: array.copy() for name, array in model.state_dict().items()},
        [module.training for module in model.modules()],
        [getattr(module, "key", None) for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if p.grad is None else p.grad.copy() for p in model.parameters()],
    )


def check_unchanged(model, look):
    x, before = X.copy(), state_of(model)
    look(model, x)
    np.testing.assert_equal(state_of(model), before)
    np.testing.assert_array_equal(x, X)


LOOKS = {
    "saliency": lambda model, x: saliency(model, x),
    "feature_maps": lambda model, x: feature_maps(model, x, "2"),
    "first_layer_filters": lambda model, x: first_layer_filters(model),
    "grad_cam": lambda model, x: grad_cam(model, x),
    "occlusion": lambda model, x: occlusion(model, x[0], 2),
    "embedding": lambda model, x: embedding(model, x),
    "explain": lambda model, x: explain(model, x[0]),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_analysis_leaves_the_model_and_the_images_unchanged(look, rng):
    check_unchanged(awkward_model(rng), look)


def test_class_activation_map_leaves_the_model_and_the_images_unchanged(rng):
    layers = [*awkward_model(rng)[:4], AdaptiveAvgPool2d(1), Flatten(), Linear(4, 5)]
    check_unchanged(Sequential(*layers), class_activation_map)


SPOILS = {
    "mode": lambda model, x: model.eval(),
    "keys": lambda model, x: model.seed(0, 0),
    "frozen": lambda model, x: model.requires_grad_(True),
    "gradients": lambda model, x: model.zero_grad(),
    "statistics": lambda model, x: model(Tensor(x)).sum().backward(),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_check_unchanged_notices_a_change(spoil, rng):
    with pytest.raises(AssertionError):
        check_unchanged(awkward_model(rng), spoil)
