"""VGG: its table, its counts and sizes, how it starts, and how it is slid over larger images."""

import math

import numpy as np
import pytest

from minivision import Tensor, manual_seed, no_grad
from minivision.models import (
    MODELS,
    fully_convolutional,
    lenet5_lecture,
    vgg_network,
    vgg_small,
)
from minivision.models.vgg import PAPERS_START, he_normal_fan_out
from minivision.nn import AdaptiveAvgPool2d, Conv2d, Linear, initialize, skip_init
from minivision.nn.initializers import he_normal, normal
from tests.models.checks import counted, descend, images, rng, totals

# name: layers with weights, parameters of the convolutions and of all, multiply-adds
NETWORKS = {
    "vgg11": (11, 9_220_480, 132_863_336, 7_609_090_048),
    "vgg11_lrn": (11, 9_220_480, 132_863_336, 7_609_090_048),
    "vgg13": (13, 9_404_992, 133_047_848, 11_308_466_176),
    "vgg16_c": (16, 9_996_096, 133_638_952, 11_770_888_192),
    "vgg16": (16, 14_714_688, 138_357_544, 15_470_264_320),
    "vgg19": (19, 20_024_384, 143_667_240, 19_632_062_464),
}
each = pytest.mark.parametrize("name", NETWORKS)
WITH_BATCH_NORM = {
    "vgg11_bn": 132_868_840,
    "vgg11_lrn_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}


# ── the table ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("undrawn")
@each
def test_vgg_has_the_papers_counts(name):
    layers, convolutions, parameters, _ = NETWORKS[name]
    model = MODELS[name]()
    assert sum(p.ndim > 1 for p in model.parameters()) == layers
    assert model.features.parameter_count() == convolutions
    # 512·7·7·4096 + 4096, 4096·4096 + 4096, 4096·1000 + 1000
    assert model.classifier.parameter_count() == 102_764_544 + 16_781_312 + 4_097_000
    assert model.parameter_count() == parameters == convolutions + 123_642_856


@pytest.mark.usefixtures("undrawn")
@each
def test_vgg_does_the_work_of_the_table(name):
    _, work = totals(counted(MODELS[name]()))
    assert work == NETWORKS[name][3]


@pytest.mark.usefixtures("undrawn")
@each
def test_vgg_blocks_halve_the_image(name):
    rows = counted(MODELS[name]())
    pooled = [row.output for row in rows if row.kind == "MaxPool2d"]
    assert pooled == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7),
    ]  # fmt: skip
    assert rows[-1].output == (1000,)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_vgg_with_batch_norm_has_two_more_parameters_per_filter(name):
    model = MODELS[name]()
    assert model.parameter_count() == WITH_BATCH_NORM[name]
    kinds = [type(layer).__name__ for layer in model.features][:4]
    assert kinds[:3] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds[3] == ("LocalResponseNorm" if "lrn" in name else kinds[3])
    convolutions = [layer for layer in model.features if isinstance(layer, Conv2d)]
    filters = sum(layer.out_channels for layer in convolutions)
    plain = NETWORKS[name.removesuffix("_bn")][2]
    assert model.parameter_count() - plain == 2 * filters


@pytest.mark.usefixtures("undrawn")
def test_vgg16_c_differs_from_vgg16_by_1x1_kernels_in_the_last_three_blocks():
    c, d = (MODELS[name]().features for name in ("vgg16_c", "vgg16"))
    kernels = [
        [layer.window.kernel[0] for layer in features if isinstance(layer, Conv2d)]
        for features in (c, d)
    ]
    assert kernels == [[3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1], [3] * 13]


@pytest.mark.usefixtures("undrawn")
def test_vgg_with_lrn_normalizes_once_after_the_first_relu():
    kinds = [type(layer).__name__ for layer in MODELS["vgg11_lrn"]().features]
    assert kinds[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds.count("LocalResponseNorm") == 1


# Where torchvision's networks have their weights.
INDICES = {
    "vgg11": [0, 3, 6, 8, 11, 13, 16, 18],
    "vgg13": [0, 2, 5, 7, 10, 12, 15, 17, 20, 22],
    "vgg16": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "vgg19": [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
    "vgg11_bn": [0, 4, 8, 11, 15, 18, 22, 25],
    "vgg16_bn": [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40],
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", INDICES)
def test_vgg_names_follow_torchvision(name):
    model, norm = MODELS[name](), name.endswith("_bn")
    parts = [f"features.{i + n}" for i in INDICES[name] for n in range(1 + norm)]
    parts += [f"classifier.{i}" for i in (0, 3, 6)]
    expected = [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    assert [key for key, _ in model.named_parameters()] == expected
    buffers = [
        f"features.{i + 1}.{kind}" for i in INDICES[name] if norm
        for kind in ("running_mean", "running_var", "num_batches_tracked")
    ]  # fmt: skip
    assert [key for key, _ in model.named_buffers()] == buffers


# ── heads and starts ─────────────────────────────────────────────────────────────────────────


def test_vgg_average_head_has_few_weights_and_takes_images_of_any_size():
    model = MODELS["vgg11"](7, head="average").eval()
    assert model.parameter_count() == 9_220_480 + 512 * 7 + 7
    assert model(images(N=1)).shape == (1, 7)
    assert model(images(N=2, H=32, W=70)).shape == (2, 7)


def test_he_normal_fan_out_keeps_the_variance_of_the_gradients():
    model = vgg_network("A", head="average")
    for layer in model.features:
        if isinstance(layer, Conv2d):
            assert layer.weight.data.std() == pytest.approx(
                math.sqrt(2 / (9 * layer.out_channels)), rel=0.05
            )
            assert not layer.bias.data.any()
    assert model.classifier[0].weight.data.std() == pytest.approx(0.01, rel=0.01)
    assert he_normal_fan_out((8, 2, 3, 5), rng()).dtype == np.float32


@pytest.mark.parametrize(("start", "deviation"), [(PAPERS_START, 0.1), (he_normal, None)])
def test_initialize_draws_every_layer_of_vgg(start, deviation):
    with skip_init():
        model = vgg_network("A", head="average")
    initialize(model, start)
    layers = [layer for layer in model.modules() if isinstance(layer, Conv2d | Linear)]
    assert len(layers) == 9
    for layer in layers:
        inputs = math.prod(layer.weight.shape[1:])
        expected = deviation or math.sqrt(2 / inputs)
        assert layer.weight.data.std() == pytest.approx(expected, rel=0.05)


def test_vgg_explodes_from_the_papers_start_vanishes_from_a_tenth_of_it_and_holds_from_hes():
    """N(0, 10⁻²) as printed has σ = 0.1; it is often read as σ = 0.01."""
    sizes = {}
    starts = {"0.1": PAPERS_START, "0.01": normal(0.01), "he": he_normal}
    with no_grad():
        for name, start in starts.items():
            model = vgg_network("A", head="average").eval()
            initialize(model, start)
            sizes[name] = model.features[:-1](images(N=1)).data.std()
    assert sizes["0.1"] > 1e3
    assert 0.1 < sizes["he"] < 10
    assert sizes["0.01"] < 1e-4


# ── vgg_small ────────────────────────────────────────────────────────────────────────────────


def test_vgg_small_is_counted_by_hand():
    convolutions = 32 * 28 + 32 * 289 + 64 * 289 + 64 * 577 + 128 * 577 + 128 * 1153
    for head, last in (("flatten", 256 * 2049 + 10 * 257), ("average", 10 * 129)):
        model = vgg_small(head=head)
        assert model.parameter_count() == convolutions + last
        bn = vgg_small(head=head, batch_norm=True)
        assert bn.parameter_count() == convolutions + last + 4 * (32 + 64 + 128)
    kinds = [type(layer).__name__ for layer in vgg_small().features]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"] * 3


@pytest.mark.parametrize("widths", [(4,), (4, 6), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("head", ["flatten", "average"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg_small_learns_four_images_by_heart_in_every_form(widths, head, batch_norm):
    model = vgg_small(4, in_channels=1, widths=widths, head=head, batch_norm=batch_norm)
    assert [p.shape[0] for p in model.features.parameters() if p.ndim == 4] == [
        width for width in widths for _ in range(2)
    ]
    losses = descend(model, images(N=4, C=1), [0, 1, 2, 3], steps=3, lr=0.02)
    assert losses[2] < losses[0]


def test_vgg_small_starts_he_normal_and_by_its_seed():
    def drawn():
        with manual_seed(3):
            return vgg_small().state_dict()

    one, two = drawn(), drawn()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
        if array.ndim > 1:
            assert array.std() == pytest.approx(math.sqrt(2 / math.prod(array.shape[1:])), rel=0.1)


# ── dense evaluation ─────────────────────────────────────────────────────────────────────────


def with_biases(model):
    """In float64 and evaluation, its biases moved away from 0."""
    for name, parameter in model.to(dtype=np.float64).eval().named_parameters():
        if name.endswith("bias"):
            parameter.data = rng(5).normal(size=parameter.shape)
    return model


@pytest.mark.parametrize("head", ["flatten", "average"])
def test_fully_convolutional_scores_of_the_training_size_are_the_logits(head):
    model = with_biases(vgg_small(head=head, batch_norm=True))
    x = images(dtype=np.float64)
    scores = fully_convolutional(model)(x)
    assert scores.shape == ((2, 10, 1, 1) if head == "flatten" else (2, 10, 4, 4))
    np.testing.assert_allclose(scores.data.mean(axis=(2, 3)), model(x).data, rtol=0, atol=1e-13)


def test_fully_convolutional_without_padding_scores_every_window_of_the_image():
    """lenet5_lecture does not pad: position (i, j) scores the window at pixel (4·i, 4·j)."""
    model = with_biases(lenet5_lecture())
    x = images(C=1, H=40, W=36, dtype=np.float64)
    scores = fully_convolutional(model)(x).data
    assert scores.shape == (2, 10, 4, 3)
    for i in range(4):
        for j in range(3):
            window = Tensor(x.data[:, :, 4 * i : 4 * i + 28, 4 * j : 4 * j + 28])
            np.testing.assert_allclose(scores[:, :, i, j], model(window).data, rtol=0, atol=1e-13)


def test_fully_convolutional_slides_the_classifier_over_the_maps():
    model = with_biases(vgg_small(widths=(4, 6)))
    x = images(H=40, W=48, dtype=np.float64)
    maps = model.features(x).data
    scores = fully_convolutional(model)(x).data
    assert scores.shape == (2, 10, 3, 5)
    for i in range(3):
        for j in range(5):
            window = Tensor(maps[:, :, i : i + 8, j : j + 8].reshape(2, -1))
            expected = model.classifier(window).data
            np.testing.assert_allclose(scores[:, :, i, j], expected, rtol=0, atol=1e-13)


def test_fully_convolutional_scores_average_to_the_logits_of_the_average_head():
    model = with_biases(vgg_small(head="average"))
    x = images(H=24, W=56, dtype=np.float64)
    scores = fully_convolutional(model)(x)
    assert scores.shape == (2, 10, 3, 7)
    np.testing.assert_allclose(scores.mean(axis=(2, 3)).data, model(x).data, rtol=0, atol=1e-13)


@pytest.mark.usefixtures("undrawn")
def test_fully_convolutional_vgg16_has_the_papers_7x7_and_1x1_convolutions():
    model = MODELS["vgg16"]().eval()
    dense = fully_convolutional(model)
    shapes = [layer.weight.shape for layer in dense if isinstance(layer, Conv2d)][-3:]
    assert shapes == [(4096, 512, 7, 7), (4096, 4096, 1, 1), (1000, 4096, 1, 1)]
    assert np.shares_memory(
        [layer for layer in dense if isinstance(layer, Conv2d)][-3].weight.data,
        model.classifier[0].weight.data,
    )
    assert dense(Tensor(np.zeros((0, 3, 384, 256), np.float32))).shape == (0, 1000, 6, 2)


def test_fully_convolutional_leaves_the_model_unchanged():
    model = vgg_small(head="average")
    layers = len(model.features)
    fully_convolutional(model)
    assert len(model.features) == layers
    assert model.training


def test_fully_convolutional_omits_a_pooling_that_keeps_the_training_size():
    model = with_biases(vgg_small(widths=(4, 6)))
    model.features._modules.append(AdaptiveAvgPool2d(8))
    x = images(dtype=np.float64)
    dense = fully_convolutional(model)
    np.testing.assert_allclose(dense(x).data[:, :, 0, 0], model(x).data, rtol=0, atol=1e-13)
    assert dense(images(H=40, W=40, dtype=np.float64)).shape == (2, 10, 3, 3)
