"""Backbones and heads: a network cut in two is the network; other heads share the backbone."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed, no_grad
from minivision.models import (
    MODELS,
    MultiHead,
    ResNet,
    cut,
    lenet5,
    new_head,
    resnet20,
    with_new_head,
)
from minivision.models.heads import features_into
from minivision.models.network import Network
from minivision.nn import Flatten, Linear, ReLU, Sequential
from tests.refusals import refused


def images(model, N=2):
    """Noise in the shape that the network takes."""
    return Tensor(np.random.default_rng(5).normal(size=(N, *model.input_shape)).astype("f"))


def small_networks():
    manual_seed(0)
    return {
        name: MODELS[name]().eval()
        for name in ("softmax_regression", "lenet5", "alexnet_small", "vgg_small", "resnet20")
    }


def test_cut_gives_a_backbone_and_a_head_that_are_the_network_to_the_bit():
    for name, model in small_networks().items():
        fully_connected = 1
        if isinstance(model, Network):
            fully_connected = sum(isinstance(part, Linear) for part in model.classifier)
        x = images(model)
        with no_grad():
            expected = model(x).data
            for layers in range(1, fully_connected + 1):
                backbone, head, features = cut(model, layers)
                h = backbone(x)
                assert h.shape == (2, features), (name, layers)
                assert np.array_equal(head(h).data, expected), (name, layers)
                assert sum(isinstance(part, Linear) for part in head) == layers


def test_cut_shares_the_weights_and_leaves_the_network_unchanged():
    for name, model in small_networks().items():
        before, text = list(model.named_parameters()), repr(model)
        backbone, head, _ = cut(model)
        shared = [*backbone.parameters(), *head.parameters()]
        assert [id(p) for p in shared] == [id(p) for _, p in before], name
        assert [n for n, _ in model.named_parameters()] == [n for n, _ in before]
        assert repr(model) == text


@pytest.mark.usefixtures("undrawn")
def test_cut_takes_every_network_of_the_table_or_says_why_not():
    """The features that a cut counts are those that the head it cuts off expects."""
    for name, make in MODELS.items():
        model = make()
        if not isinstance(model, Network | ResNet):
            with refused(TypeError, "cut: model", type(model).__name__, "Network"):
                cut(model)
            continue
        features = cut(model).features
        assert features == features_into(cut(model).head), name
        assert with_new_head(model, 3).head[0].weight.shape == (3, features)


def test_cut_can_be_applied_to_a_network_with_a_new_head():
    manual_seed(0)
    model = with_new_head(lenet5(), 3)
    backbone, head, features = cut(model)
    assert (backbone, head, features) == (model.backbone, model.head, 84)
    manual_seed(2)
    other = with_new_head(model, 7)
    assert other.backbone is model.backbone
    assert other(images(model)).shape == (2, 7)
    assert model(images(model)).shape == (2, 3)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_with_new_head_removes_as_many_linear_layers_as_layers_says(layers):
    model = lenet5()
    new = with_new_head(model, 4, layers=layers, hidden=(6,))
    sizes = [part.weight.shape for part in new.modules() if isinstance(part, Linear)]
    kept, features = [(120, 400), (84, 120), (10, 84)][: 3 - layers], [84, 120, 400][layers - 1]
    assert sizes == [*kept, (6, features), (4, 6)]


def test_new_head_has_a_relu_after_every_layer_but_the_last():
    manual_seed(0)
    head = new_head(5, 3, (7, 6))
    assert [type(part) for part in head] == [Linear, ReLU, Linear, ReLU, Linear]
    assert [p.weight.shape for p in head if isinstance(p, Linear)] == [(7, 5), (6, 7), (3, 6)]
    x = np.random.default_rng(1).normal(size=(2, 5)).astype("f")
    h = x
    for part in (head[0], head[2]):
        h = np.maximum(h @ part.weight.data.T + part.bias.data, 0)
    expected = h @ head[4].weight.data.T + head[4].bias.data
    np.testing.assert_allclose(head(Tensor(x)).data, expected, rtol=1e-5, atol=1e-6)


def test_with_new_head_draws_its_weights_from_the_seed():
    model = lenet5()

    def weights(seed):
        with manual_seed(seed):
            return with_new_head(model, 3).head[0].weight.data

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_with_new_head_keeps_input_shape_and_pixel_range():
    for model in (lenet5(), resnet20()):
        new = with_new_head(model, 3)
        both = MultiHead(new.backbone, {"old": cut(model).head, "new": new.head})
        for part in (new, both, both.task("new")):
            assert part.input_shape == model.input_shape
            assert part.pixel_range == model.pixel_range


def two_heads():
    manual_seed(0)
    backbone = Sequential(Flatten(), Linear(12, 5), ReLU())
    return MultiHead(backbone, {name: new_head(5, K) for name, K in (("a", 3), ("b", 2))})


def test_multi_head_has_the_outputs_of_each_task():
    model = two_heads()
    x = Tensor(np.random.default_rng(1).normal(size=(4, 3, 4, 1)).astype("f"))
    outputs = model(x)
    assert {name: logits.shape for name, logits in outputs.items()} == {"a": (4, 3), "b": (4, 2)}
    for name, logits in outputs.items():
        one = model.task(name)
        assert np.array_equal(one(x).data, logits.data)
        assert one.head is model.heads[name]
        assert one.backbone is model.backbone


def test_multi_head_names_weights_by_task():
    assert [name for name, _ in two_heads().named_parameters()] == [
        "backbone.1.weight", "backbone.1.bias", "heads.a.0.weight", "heads.a.0.bias",
        "heads.b.0.weight", "heads.b.0.bias",
    ]  # fmt: skip


def test_multi_head_loads_a_file_of_version_0_1():
    """There, the backbone was called body."""
    manual_seed(3)
    old, model = two_heads(), two_heads()
    renamed = {n.replace("backbone.", "body."): array for n, array in old.state_dict().items()}
    assert "body.1.weight" in renamed
    model.load_state_dict(renamed)
    for name, array in old.state_dict().items():
        assert np.array_equal(model.state_dict()[name], array)


def test_multi_head_copies_the_dict_of_heads():
    heads = dict(two_heads().heads)
    model = MultiHead(two_heads().backbone, heads)
    heads["c"] = new_head(5, 4)
    assert list(model.heads) == ["a", "b"]


def test_backbone_and_head_is_unchanged_if_a_state_does_not_fit():
    manual_seed(0)
    model = with_new_head(lenet5(), 3)
    before = model.state_dict()
    wider = with_new_head(lenet5(), 4).state_dict()
    with refused(ValueError, "load_state_dict", "head.0.weight", "(4, 84)", "(3, 84)"):
        model.load_state_dict(wider)
    with refused(ValueError, "missing: backbone.features.0.weight", ": features.0.weight"):
        model.load_state_dict(lenet5().state_dict())
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name])


@pytest.mark.parametrize("training", [True, False])
def test_multi_head_task_keeps_the_mode_of_the_backbone(training):
    """`task` builds a new network, which takes its mode from the backbone that it shares."""
    model = two_heads().train(training)
    manual_seed(0)
    other = with_new_head(model.task("a"), 2)
    for one in (model.task("b"), other, MultiHead(model.backbone, model.heads)):
        was_training = one.training  # what predict_logits does
        one.eval()
        one.train(was_training)
        assert {part.training for part in model.backbone.modules()} == {training}
