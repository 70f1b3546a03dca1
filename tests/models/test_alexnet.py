"""AlexNet in its three forms and the small one: every size and count, and the order of layers."""

import math
import sys

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.models import (
    MODELS,
    alexnet,
    alexnet_caffenet,
    alexnet_one_weird_trick,
    alexnet_small,
)
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Tanh,
    skip_init,
)
from tests.models.checks import check_gradients, counted, descend, images, rng, totals


def kinds(layers):
    short = {Conv2d: "conv", ReLU: "relu", Tanh: "tanh", LocalResponseNorm: "norm",
             BatchNorm2d: "batch_norm", MaxPool2d: "pool", Linear: "linear", Dropout: "dropout",
             AdaptiveAvgPool2d: "average"}  # fmt: skip
    return " ".join(short[type(layer)] for layer in layers)


# ── the networks of the papers ───────────────────────────────────────────────────────────────

# Output, parameters and multiply-adds of the layers that have weights; Krizhevsky et al. 2012,
# §3.5, with 227 pixels. Parameters by hand: 96·(3·121+1), 256·(48·25+1), 384·(256·9+1),
# 384·(192·9+1), 256·(192·9+1), 4096·(9216+1), 4096·(4096+1), 1000·(4096+1).
PAPER = [
    ((96, 55, 55), 34_944, 105_415_200),
    ((256, 27, 27), 307_456, 223_948_800),
    ((384, 13, 13), 885_120, 149_520_384),
    ((384, 13, 13), 663_936, 112_140_288),
    ((256, 13, 13), 442_624, 74_760_192),
    ((4096,), 37_752_832, 37_748_736),
    ((4096,), 16_781_312, 16_777_216),
    ((1000,), 4_097_000, 4_096_000),
]


@pytest.fixture(scope="module")
def table():
    with skip_init():
        return counted(alexnet())


def test_alexnet_layers_have_the_papers_sizes_parameters_and_work(table):
    found = [(row.output, row.parameters, row.multiply_adds) for row in table if row.parameters]
    assert found == PAPER
    assert totals(table) == (60_965_224, 724_406_816)


def test_alexnet_maps_between_the_convolutions_have_the_papers_sizes(table):
    pools = [row.output for row in table if row.kind == "MaxPool2d"]
    assert pools == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]
    assert [row.output for row in table if row.kind == "LocalResponseNorm"] == [
        (96, 55, 55),
        (256, 27, 27),
    ]


def test_alexnet_convolutions_hold_4_percent_of_the_weights_and_do_92_percent_of_the_work(table):
    rows = [row for row in table if row.kind == "Conv2d"]
    assert sum(row.parameters for row in rows) == 2_334_080
    assert sum(row.multiply_adds for row in rows) == 665_784_864


def test_alexnet_has_659_272_neurons(table):
    """The abstract says 650,000; the lecture's 605 thousand has two digits exchanged."""
    assert sum(math.prod(row.output) for row in table if row.parameters) == 659_272


def test_alexnet_without_groups_has_twice_the_weights_and_work_in_three_convolutions(table):
    with skip_init():
        model = alexnet()
    convolutions = [part for part in model.features if isinstance(part, Conv2d)]
    grouped = [
        (layer.weight.size, work)
        for layer, (_, _, work) in zip(convolutions, PAPER, strict=False)
        if layer.groups == 2
    ]
    assert len(grouped) == 3
    assert totals(table)[0] + sum(weights for weights, _ in grouped) == 62_378_344
    assert totals(table)[1] + sum(work for _, work in grouped) == 1_135_256_096


def test_alexnet_has_two_groups_where_the_papers_cards_do_not_communicate():
    with skip_init():
        features = alexnet().features
    assert [layer.groups for layer in features if isinstance(layer, Conv2d)] == [1, 2, 1, 2, 2]


FEATURES = "conv relu norm pool conv relu norm pool conv relu conv relu conv relu pool"
ORDERS = [
    (alexnet, FEATURES, "linear relu dropout linear relu dropout linear"),
    (
        alexnet_caffenet,
        FEATURES.replace("norm pool", "pool norm"),
        "linear relu dropout linear relu dropout linear",
    ),
    (
        alexnet_one_weird_trick,
        FEATURES.replace("norm ", "") + " average",
        "dropout linear relu dropout linear relu linear",
    ),
    (alexnet_small, FEATURES, "linear relu dropout linear relu dropout linear"),
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("model", "features", "classifier"), ORDERS)
def test_alexnet_layers_have_the_order_of_their_paper(model, features, classifier):
    net = model()
    assert kinds(net.features) == features
    assert kinds(net.classifier) == classifier


def test_alexnet_has_the_papers_constants_of_normalization_and_dropout():
    with skip_init():
        net = alexnet()
    for layer in net.modules():
        if isinstance(layer, LocalResponseNorm):
            assert (layer.size, layer.alpha, layer.beta, layer.k) == (5, 1e-4, 0.75, 2)
            assert not layer.alpha_over_size
        if isinstance(layer, Dropout):
            assert layer.p == 0.5


def test_alexnet_caffenet_normalizes_smaller_maps_with_the_same_weights():
    with skip_init():
        table = counted(alexnet_caffenet())
    assert [row.output for row in table if row.kind == "LocalResponseNorm"] == [
        (96, 27, 27),
        (256, 13, 13),
    ]
    assert totals(table) == (60_965_224, 724_406_816)


def test_alexnet_one_weird_trick_has_torchvisions_names_counts_and_work():
    with skip_init():
        net = alexnet_one_weird_trick()
    shapes = {name: array.shape for name, array in net.named_parameters()}
    assert shapes == {
        "features.0.weight": (64, 3, 11, 11), "features.0.bias": (64,),
        "features.3.weight": (192, 64, 5, 5), "features.3.bias": (192,),
        "features.6.weight": (384, 192, 3, 3), "features.6.bias": (384,),
        "features.8.weight": (256, 384, 3, 3), "features.8.bias": (256,),
        "features.10.weight": (256, 256, 3, 3), "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216), "classifier.1.bias": (4096,),
        "classifier.4.weight": (4096, 4096), "classifier.4.bias": (4096,),
        "classifier.6.weight": (1000, 4096), "classifier.6.bias": (1000,),
    }  # fmt: skip
    table = counted(net)
    assert totals(table) == (61_100_840, 714_188_480)


def test_alexnet_one_weird_trick_takes_images_of_63_pixels_and_more():
    with skip_init():
        features = alexnet_one_weird_trick(classes=3).features
    for size in (63, 64, 100):
        assert features(images(1, 3, size, size)).shape == (1, 256, 6, 6)


def test_alexnet_weights_and_biases_start_as_in_the_paper(monkeypatch):
    """§5; with fewer hidden units, so that the test is quick."""
    monkeypatch.setattr(sys.modules["minivision.models.alexnet"], "HIDDEN", 50)
    net = alexnet(classes=30)
    layers = [part for part in net.modules() if isinstance(part, Conv2d | Linear)]
    for layer in layers:
        draws = layer.weight.data
        assert draws.std() == pytest.approx(0.01, rel=4 / math.sqrt(2 * draws.size))
        assert abs(draws.mean()) < 4 * 0.01 / math.sqrt(draws.size)
    biases = [set(layer.bias.data.tolist()) for layer in layers]
    assert biases == [{0}, {1}, {0}, {1}, {1}, {1}, {1}, {0}]


def test_alexnet_of_another_width_starts_he_normal_with_even_numbers_of_filters():
    net = alexnet(classes=5, width=0.11)
    layers = [part for part in net.modules() if isinstance(part, Conv2d | Linear)]
    assert [len(layer.weight) for layer in layers] == [10, 28, 42, 42, 28, 450, 450, 5]
    for layer in layers:
        fan_in = layer.weight[0].size
        scale = math.sqrt(2 / fan_in)
        assert layer.weight.data.std() == pytest.approx(scale, rel=5 / math.sqrt(layer.weight.size))
        assert not layer.bias.data.any()


# ── the small one ────────────────────────────────────────────────────────────────────────────


def test_alexnet_small_is_counted_by_hand():
    """24·(3·25+1) + 48·(12·25+1) + 64·(48·9+1) + 64·(32·9+1) + 48·(32·9+1), then the layers."""
    table = counted(alexnet_small())
    convolutions = 1_824 + 14_448 + 27_712 + 18_496 + 13_872
    assert totals(table)[0] == convolutions + 256 * (768 + 1) + 256 * 257 + 10 * 257
    assert [row.output for row in table if row.kind == "MaxPool2d"] == [
        (24, 16, 16),
        (48, 8, 8),
        (48, 4, 4),
    ]


OPTIONS = [
    {},
    {"normalization": None},
    {"normalization": "batch_norm"},
    {"activation": "tanh"},
    {"pool": (2, 2)},
    {"dropout": 0.0},
    {"head": "average"},
    {"alpha": 1.0, "width": 0.5, "size": (12, 20), "in_channels": 1, "classes": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_alexnet_small_gradients_equal_differences_of_the_loss(options):
    """In float64, for every weight and for the images."""
    net = alexnet_small(**{"width": 0.25, "size": (16, 20)} | options)
    net.to(dtype=np.float64).seed(0, 0)
    x = Tensor(rng(2).normal(size=(3, *net.input_shape)), requires_grad=True)

    def loss():
        net.seed(0, 0)
        return F.cross_entropy(net(x), [3, 0, 6])

    check_gradients(loss, [*net.parameters(), x], 1e-7, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("options", OPTIONS[1:7], ids=str)
def test_alexnet_small_option_changes_only_what_it_names(options):
    usual, other = alexnet_small(), alexnet_small(**options)
    features, classifier = kinds(usual.features), kinds(usual.classifier)
    (name, value), *_ = options.items()
    if name == "normalization":
        features = features.replace("norm ", "" if value is None else "batch_norm ")
    elif name == "activation":
        features = features.replace("relu", "tanh")
        classifier = classifier.replace("relu", "tanh")
    elif name == "head":
        features += " average"
    assert (kinds(other.features), kinds(other.classifier)) == (features, classifier)
    pools = [layer.window[:2] for layer in other.features if isinstance(layer, MaxPool2d)]
    assert pools == [((2, 2), (2, 2)) if name == "pool" else ((3, 3), (2, 2))] * 3
    drops = [layer.p for layer in other.classifier if isinstance(layer, Dropout)]
    assert drops == [0.0 if name == "dropout" else 0.5] * 2


def test_alexnet_small_alpha_is_used_by_both_normalizations():
    for alpha in (1e-4, 0.5):
        layers = alexnet_small(alpha=alpha).features
        assert [n.alpha for n in layers if isinstance(n, LocalResponseNorm)] == [alpha, alpha]


def test_alexnet_small_maps_have_the_same_size_with_or_without_overlapping_windows():
    """So a difference in accuracy does not come from the number of parameters."""
    sizes = {
        pool: [row.output for row in counted(alexnet_small(pool=pool)) if row.kind == "MaxPool2d"]
        for pool in [(3, 2), (2, 2)]
    }
    assert sizes[3, 2] == sizes[2, 2]


def test_alexnet_small_average_head_has_a_sixteenth_of_the_weights_and_takes_any_size():
    flat = alexnet_small(head="flatten")
    average = alexnet_small(head="average")
    fc6 = [net.classifier[0].weight.size for net in (flat, average)]
    assert fc6[0] == 16 * fc6[1]
    average.eval()
    for H, W in [(32, 32), (40, 24), (64, 64)]:
        assert average(images(2, 3, H, W)).shape == (2, 10)


def test_alexnet_small_activation_determines_the_initial_weights():
    """fc7 has 256 inputs and 256 outputs: He's variance is 2/256, Glorot's 2/512."""
    relu, tanh = (
        alexnet_small(activation=name).classifier[3].weight.data.std() for name in ("relu", "tanh")
    )
    assert relu == pytest.approx(math.sqrt(2 / 256), rel=0.02)
    assert tanh == pytest.approx(math.sqrt(2 / 512), rel=0.02)


def test_alexnet_small_learns_four_images_by_heart():
    net = alexnet_small(width=0.5, dropout=0.1)
    x, labels = images(4, 3, 32, 32), [0, 1, 2, 3]
    before = F.cross_entropy(net.eval()(x), labels).item()
    descend(net.train(), x, labels, steps=100, lr=0.05)
    assert F.cross_entropy(net.eval()(x), labels).item() < 0.2 * before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "name", ["alexnet", "alexnet_caffenet", "alexnet_one_weird_trick", "alexnet_small"]
)
def test_models_has_every_alexnet_for_the_command_line(name):
    net = MODELS[name](7, in_channels=1).eval()
    C, H, W = net.input_shape
    assert net(Tensor(np.zeros((0, C, H, W), np.float32))).shape == (0, 7)
    assert C == 1
