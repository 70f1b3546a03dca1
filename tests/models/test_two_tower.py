"""Two towers are one network in groups; and what crosses between them, and where."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import MODELS, alexnet, alexnet_two_tower
from minivision.nn import Conv2d, LocalResponseNorm, Sequential, skip_init
from tests.models.checks import counted, rng, totals
from tests.refusals import refused

WIDTH = 1 / 16  # 6, 16, 24, 24 and 16 filters, 256 hidden units
LABELS = [3, 0]


def grouped(seed=0, alpha=1.0, width=WIDTH):
    """A narrow AlexNet in float64; α = 1, so that a wrong normalisation is noticed."""
    model = alexnet(classes=5, width=width).to(dtype=np.float64).eval()
    for layer in model.modules():
        if isinstance(layer, LocalResponseNorm):
            layer.alpha = alpha
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # they start at 0, which would hide a lost bias
            parameter.data = rng(9).normal(size=parameter.shape)
    return model


def in_towers(model, norm_across=True):
    """The two towers with the weights and the normalisation of a whole network."""
    towers = alexnet_two_tower(5, width=WIDTH, norm_across=norm_across)
    towers.to(dtype=np.float64).eval().load_state_dict(model.state_dict())
    norms, theirs = (
        [layer for layer in network.modules() if isinstance(layer, LocalResponseNorm)]
        for network in (towers, model)
    )
    for layer in norms:
        layer.alpha = theirs[0].alpha
    return towers


def photos(seed=1, size=227, C=3):
    return Tensor(rng(seed).normal(size=(2, C, size, size)), requires_grad=True)


def block_diagonal(model):
    """The same network with groups=1: the weights between the halves are 0."""
    dense = []
    for layer in model.features:
        if isinstance(layer, Conv2d) and layer.groups == 2:
            O, I, KH, KW = layer.weight.shape
            weight = np.zeros((O, 2 * I, KH, KW))
            weight[: O // 2, :I] = layer.weight.data[: O // 2]
            weight[O // 2 :, I:] = layer.weight.data[O // 2 :]
            _, stride, padding, _ = layer.window
            whole = Conv2d(2 * I, O, (KH, KW), stride, padding)
            whole.to(dtype=np.float64)
            whole.weight.data, whole.bias.data = weight, layer.bias.data.copy()
            layer = whole
        dense.append(layer)
    return Sequential(*dense)


def loss_and_gradients(model, x):
    logits = model(x)
    F.cross_entropy(logits, LABELS).backward()
    return logits.data, x.grad


def gradients_of(towers):
    """The towers' gradients under the names of the whole network."""
    copy = in_towers(grouped(), towers.norm_across)
    for mine, theirs in zip(copy.parameters(), towers.parameters(), strict=True):
        mine.data = theirs.grad
    return copy.state_dict()


def close(one, other):
    assert abs(other).max() > 1e-4
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_two_tower_equals_the_grouped_network_and_all_its_gradients():
    model, x, y = grouped(), photos(), photos()
    towers = in_towers(model)
    (logits, dx), (expected, expected_dx) = (
        loss_and_gradients(towers, x),
        loss_and_gradients(model, y),
    )
    close(logits, expected)
    close(dx, expected_dx)
    found = gradients_of(towers)
    assert list(found) == list(model.state_dict())
    for name, parameter in model.named_parameters():
        close(found[name], parameter.grad)


def test_two_tower_equals_a_dense_network_with_zero_weights_between_the_halves():
    model, x, y = grouped(), photos(), photos()
    backbone = block_diagonal(model)
    upstream = rng(4).normal(size=(2, 16, 6, 6))
    dense, halves = backbone(x), in_towers(model).through((y, y))
    maps = F.concatenate(halves, axis=1)
    close(maps.data, dense.data)
    (dense * upstream).sum().backward()
    (maps * upstream).sum().backward()
    close(y.grad, x.grad)
    close(model.features(photos()).data, dense.data)


# ── what crosses ─────────────────────────────────────────────────────────────────────────────


def test_two_tower_change_after_pool1_reaches_the_other_tower_in_conv3_and_no_earlier():
    towers = in_towers(grouped())
    x = photos()
    first, second = towers.through((x, x), 0, 4)
    changed = Tensor(second.data + rng(5).normal(size=second.shape))
    before, after = (towers.through((first, half), 4, 5) for half in (second, changed))
    np.testing.assert_array_equal(after[0].data, before[0].data)
    assert (abs(after[1].data - before[1].data).max(axis=(0, 2, 3)) > 1e-6).all()
    before, after = (towers.through((first, half), 4, 9) for half in (second, changed))
    for tower in (0, 1):  # every map of conv3
        assert (abs(after[tower].data - before[tower].data).max(axis=(0, 2, 3)) > 1e-6).all()


def test_two_tower_counts_the_bytes_of_the_maps_that_cross():
    """At full width, in float32: two maps on each side of the border, otherwise all of a tower."""
    with skip_init():
        towers = alexnet_two_tower().eval()
    for count in (1, 2):
        towers(Tensor(np.zeros((count, 3, 227, 227), np.float32)))
        assert towers.crossed == {
            "norm1": 4 * count * 2 * 2 * 55 * 55,
            "norm2": 4 * count * 2 * 2 * 27 * 27,
            "conv3": 4 * count * 2 * 128 * 13 * 13,
            "fc6": 4 * count * 2 * 128 * 6 * 6,
            "fc7": 4 * count * 2 * 2048,
            "fc8": 4 * count * 2048,
        }


def test_two_tower_with_separate_normalization_communicates_where_the_paper_says():
    model = grouped(alpha=0.01)
    alone, across = in_towers(model, norm_across=False), in_towers(model)
    x = photos()
    alone(x)
    assert list(alone.crossed) == ["conv3", "fc6", "fc7", "fc8"]
    halves, whole = (
        np.concatenate([half.data for half in towers.through((x, x), 0, 3)], axis=1)
        for towers in (alone, across)
    )
    differing = abs(halves - whole).max(axis=(0, 2, 3)) > 0
    assert differing.tolist() == [False, True, True, True, True, False]  # three maps per tower


def test_two_tower_has_the_parameters_and_work_of_alexnet():
    with skip_init():
        model = alexnet_two_tower()
    assert model.parameter_count() == 60_965_224
    assert totals(counted(model)) == (60_965_224, 724_406_816)


@pytest.mark.parametrize("norm_across", [True, False])
def test_two_tower_units_have_the_receptive_fields_of_alexnet(norm_across):
    pytest.importorskip("matplotlib")  # minivision.analysis imports it
    from minivision.analysis.receptive_field import receptive_fields

    with skip_init():
        model = alexnet_two_tower(3, width=WIDTH, norm_across=norm_across)
    fields = [f for f in receptive_fields(model).values() if f.kind in ("Conv2d", "MaxPool2d")]
    assert [field.size[0] for field in fields] == [
        size for size in (11, 19, 51, 67, 99, 131, 163, 195) for _ in range(2)
    ]


# ── weights ──────────────────────────────────────────────────────────────────────────────────


def test_two_tower_draws_the_weights_of_alexnet_from_the_same_seed():
    settings = {"classes": 3, "width": WIDTH}
    with manual_seed(7):
        whole = alexnet(**settings).state_dict()
    with manual_seed(7):
        halves = alexnet_two_tower(**settings).state_dict()
    assert list(halves) == list(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(halves[name], array)


def test_two_tower_exchanges_weights_with_alexnet_in_both_directions():
    settings = {"classes": 3, "width": WIDTH}
    source, towers = alexnet(**settings), alexnet_two_tower(**settings)
    towers.load_state_dict(source.state_dict())
    with skip_init():
        back = alexnet(**settings)
    back.load_state_dict(towers.state_dict())
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], array)


def test_two_tower_copies_the_weights_it_loads():
    model = grouped()
    towers = in_towers(model)
    before = model.state_dict()
    for parameter in towers.parameters():
        parameter.data += 1
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (
            lambda s: s.pop("classifier.3.bias"),
            ["missing", "towers.0.classifier.3.bias", "towers.1.classifier.3.bias"],
        ),
        (lambda s: s.update(extra=np.zeros(2)), ["extra"]),
        (
            lambda s: s.update({"features.0.bias": np.zeros(5)}),
            ["towers.0.features.0.bias", "(2,)", "(3,)"],
        ),
    ],
    ids=["missing", "unknown", "of another shape"],
)
def test_two_tower_is_unchanged_if_a_state_does_not_fit(change, fragments):
    towers = alexnet_two_tower(classes=3, width=WIDTH)
    before = towers.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with refused(ValueError, "load_state_dict", "TwoTower", *fragments):
        towers.load_state_dict(state)
    for name, array in towers.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ── the command line ─────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("undrawn")
def test_models_has_alexnet_two_tower_for_the_command_line():
    net = MODELS["alexnet_two_tower"](7, in_channels=1).eval()
    assert net.input_shape == (1, 227, 227)
    assert net(Tensor(np.zeros((0, 1, 227, 227), np.float32))).shape == (0, 7)
