"""Transfer: the frozen backbone does not change, recorded features agree, rates differ by layer."""

from functools import partial

import numpy as np
import pytest

from minivision import functional as F
from minivision.datasets import DataLoader
from minivision.methods import RecordedBatches, rate_groups, record_responses
from minivision.methods.transfer import layers_with_weights
from minivision.models import BackboneAndHead, lenet5, new_head, resnet20, vgg_small, with_new_head
from minivision.optim import SGD, Adam, step_decay
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods.old_network import FEATURES, backbone, network, weights
from tests.methods.unlabelled import stripes
from tests.refusals import refused

MOMENTUM = partial(SGD, momentum=0.9, weight_decay=0.01)
DRAWS = Compose([RandomTranslate(1), ToArray()])


def loader(transform=None):
    return DataLoader(stripes(22, 1), 5, shuffle=True, seed=4, transform=transform)


def extracted(model, *, recorded=False, make_optimizer=MOMENTUM, batches=None, **options):
    """Approach 1, as on the page."""
    batches = loader() if batches is None else batches
    network = model
    model.backbone.freeze()
    if recorded:
        network = model.head
        batches = RecordedBatches(record_responses(model.backbone, batches), batches)
    rule = make_optimizer(model.head.parameters(), 0.1)
    history = fit(network, batches, classification_loss, rule, 3, device="cpu", **options)
    model.unfreeze()
    return history


def tuned(model, *, make_optimizer=MOMENTUM, batches=None, epochs=3, lr=0.1, **options):
    """Approach 2, as on the page."""
    names = ("backbone_rate", "layer_decay")
    rates = {name: options.pop(name) for name in names if name in options}
    batches = loader() if batches is None else batches
    rule = make_optimizer(rate_groups(model, lr, **rates), lr)
    return fit(model, batches, classification_loss, rule, epochs, device="cpu", **options)


# ── approach 1 ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("recorded", [False, True])
def test_transfer_with_a_frozen_backbone_changes_only_the_head(recorded):
    """Weights, and the running statistics that a forward pass in training mode would move."""
    model = network()
    kept, head = weights(model.backbone), weights(model.head)
    history = extracted(model, recorded=recorded)
    assert weights(model.backbone) == kept
    assert all(array != head[name] for name, array in weights(model.head).items())
    assert history["train_loss"][-1] < history["train_loss"][0]


def test_recorded_batches_train_as_running_the_backbone_in_every_step():
    slow, fast = network(), network()
    validate = partial(evaluate, batches=loader())
    schedule = step_decay(every=1, factor=0.5)
    expected = extracted(slow, schedule=schedule, validate=validate)
    found = extracted(fast, schedule=schedule, validate=lambda _: validate(fast), recorded=True)
    for name, array in slow.head.state_dict().items():
        np.testing.assert_allclose(fast.head.state_dict()[name], array, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name in set(ours) - {"seconds"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4), name


def test_record_responses_runs_the_backbone_once_per_image():
    looks = []

    class Watched(type(backbone())):
        def forward(self, x):
            looks.append(len(x.data))
            return super().forward(x)

    for recorded, expected in ((True, 22), (False, 3 * 22)):
        model = BackboneAndHead(Watched(*backbone()), new_head(FEATURES, 3))
        looks.clear()
        extracted(model, recorded=recorded)
        assert sum(looks) == expected


def test_transfer_with_a_frozen_backbone_is_softmax_regression_on_its_features():
    """Three epochs of SGD by hand, on features computed beforehand."""
    model = network()
    model.eval()
    weight, bias = (p.data.astype(np.float64) for p in model.head.parameters())
    batches = loader()
    for epoch in range(3):
        for images, labels in batches(epoch):
            h = model.backbone(images).data.astype(np.float64)
            q = F.softmax(h @ weight.T + bias).data
            q[np.arange(len(labels)), labels] -= 1
            weight -= 0.1 * q.T @ h / len(labels)
            bias -= 0.1 * q.sum(axis=0) / len(labels)
    extracted(model, make_optimizer=SGD)
    np.testing.assert_allclose(model.head[0].weight.data, weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.head[0].bias.data, bias, rtol=1e-4, atol=1e-5)


def test_record_responses_refuses_augmented_images():
    model = network()
    before = weights(model)
    with refused(ValueError, "record_responses: the loader's transform", "random"):
        extracted(model, recorded=True, batches=loader(DRAWS))
    assert weights(model) == before
    extracted(model, batches=loader(DRAWS))


# ── approach 2 ───────────────────────────────────────────────────────────────────────────────


def test_rate_groups_with_one_rate_are_plain_training_to_the_bit():
    model, plain = network(), network()
    found = tuned(model, backbone_rate=1, batches=loader(DRAWS))
    rule = MOMENTUM(plain.parameters(), lr=0.1)

    def cross_entropy(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets)

    expected = fit(plain, loader(DRAWS), cross_entropy, rule, 3, device="cpu")
    assert weights(model) == weights(plain)
    assert found["train_loss"] == expected["train_loss"]


def test_rate_groups_scale_the_first_step_of_each_part():
    model, reference = network(), network()
    before = model.state_dict()
    one_step = {"epochs": 1, "make_optimizer": SGD, "batches": DataLoader(stripes(22, 1), 22)}
    tuned(model, backbone_rate=0.25, **one_step)
    tuned(reference, backbone_rate=1, **one_step)
    for name, _ in model.named_parameters():
        ours, theirs = (m.state_dict()[name] - before[name] for m in (model, reference))
        rate = 0.25 if name.startswith("backbone") else 1
        np.testing.assert_allclose(ours, rate * theirs, rtol=1e-3, atol=1e-7, err_msg=name)
        # A bias before batch normalization has no gradient.
        assert np.abs(theirs).max() > 1e-4 or name == "backbone.1.bias"


def test_rate_groups_keep_their_ratios_under_a_schedule():
    made = []

    def rule(groups, lr):
        made.append(SGD(groups, lr))
        return made[0]

    tuned(network(), make_optimizer=rule, epochs=2, schedule=lambda t: 0.5 if t >= 1 else 1.0)
    assert [group["lr"] for group in made[0].param_groups] == pytest.approx([0.005, 0.05])


@pytest.mark.parametrize(
    "model",
    [
        lambda: with_new_head(lenet5(), 5),
        lambda: with_new_head(lenet5(), 5, layers=3, hidden=(7,)),
        lambda: with_new_head(vgg_small(), 5),
        lambda: with_new_head(resnet20(), 5),
        network,
    ],
    ids=["lenet5", "lenet5 with adaptation layers", "vgg_small", "resnet20", "small"],
)
def test_rate_groups_hold_every_parameter_exactly_once(model):
    model = model()
    groups = rate_groups(model, 0.2, 0.1, 0.75)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    assert {id(p) for p in groups[-1]["params"]} == {id(p) for p in model.head.parameters()}
    assert groups[-1]["lr"] == 0.2
    Adam(groups, 0.2)  # which refuses a parameter that occurs twice


def test_rate_groups_have_lower_rates_closer_to_the_image():
    model = with_new_head(lenet5(), 5)
    groups = rate_groups(model, 0.2, 0.1, 0.75)
    sizes = [group["params"][0].shape for group in groups]
    assert sizes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (5, 84)]
    expected = [0.02 * 0.75**3, 0.02 * 0.75**2, 0.02 * 0.75, 0.02, 0.2]
    assert [group["lr"] for group in groups] == pytest.approx(expected)
    rates = [group["lr"] for group in rate_groups(model, 0.2)]
    assert rates == pytest.approx([0.02] * 4 + [0.2])


def test_layers_with_weights_put_a_normalization_into_the_layer_before_it():
    model = with_new_head(resnet20(), 5)
    layers = layers_with_weights(model.backbone)
    assert len(layers) == 19
    assert all(len(layer) == 3 for layer in layers)
    for convolution, scale, shift in layers:
        assert convolution.shape[0] == scale.size == shift.size


def test_rate_groups_with_rate_0_keep_the_weights_to_the_bit():
    model = network()
    before = weights(model)
    tuned(model, backbone_rate=0, make_optimizer=partial(Adam, weight_decay=0.1))
    moved = {name for name, _ in model.named_parameters() if weights(model)[name] != before[name]}
    assert moved == {"head.0.weight", "head.0.bias"}
    deep = with_new_head(lenet5(), 5)
    groups = rate_groups(deep, 0.1, 0.1, layer_decay=0.0)  # 0⁰ is 1: the last layer learns
    assert [group["params"][0].shape for group in groups] == [(84, 120), (5, 84)]


@pytest.mark.parametrize("value", [-0.1, float("nan")])
@pytest.mark.parametrize("name", ["lr", "backbone_rate", "layer_decay"])
def test_rate_groups_refuse_a_rate_below_0(name, value):
    model = network()
    before = weights(model)
    with refused(ValueError, f"rate_groups: {name}", str(value), "at least 0"):
        tuned(model, **{name: value})
    assert weights(model) == before
