"""How images become a network's input, and which weights it starts with."""

import json
import math
from functools import partial

import numpy as np
import pytest

from minivision.cli.setup import (
    loader,
    new_network,
    open_run,
    pixel_statistics,
    preprocessing,
)
from minivision.datasets import ArrayDataset, Splits, digits
from minivision.models import MODELS, lenet5, lenet5_original, vgg_network
from minivision.nn.initializers import Weighted, fans
from minivision.random import manual_seed
from minivision.training import Run
from minivision.training.settings import RunSettings
from minivision.transforms import from_description
from minivision.transforms.handwriting import extents


def splits(H=28, W=28):
    images = np.random.default_rng(0).integers(0, 256, (20, H, W, 1), dtype=np.uint8)
    images[0] = 0
    images[1] = 255
    data = ArrayDataset(images, np.arange(20) % 10, tuple("0123456789"))
    return Splits(data, data, data)


def inputs(data, model, part="dataset"):
    transform = from_description(preprocessing(data, model())[part])
    rng = np.random.default_rng(0)
    return np.stack([transform(data.train[i][0], rng) for i in range(20)])


def test_preprocessing_gives_images_mean_0_and_variance_1():
    x = inputs(splits(), lenet5)
    assert x.shape == (20, 1, 28, 28)
    assert x.mean() == pytest.approx(0, abs=1e-3)
    assert x.std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("N", [1, 99, 101, 250])
def test_pixel_statistics_equal_those_of_all_images_at_once(N, C):
    rng = np.random.default_rng(N)
    images = rng.integers(0, 256, (N, 9, 7, C), dtype=np.uint8) // rng.integers(1, 4, (N, 1, 1, 1))
    images = images.astype(np.uint8)
    data = ArrayDataset(images, np.zeros(N, np.int64), ("a",))
    found = pixel_statistics(data)
    np.testing.assert_allclose(found.mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-12)
    np.testing.assert_allclose(found.std, images.std(axis=(0, 1, 2)) / 255, rtol=1e-12)
    if C == 1:
        assert found.extent == int(np.median(extents(images)))


def test_pixel_statistics_use_ten_thousand_images_a_few_at_a_time():
    class Noted:
        def __init__(self):
            self.asked = []

        def __len__(self):
            return 25_000

        def batch(self, indices):
            self.asked.append(indices)
            return np.repeat(np.uint8([0, 255]), 6).reshape(1, 2, 2, 3), None

    data = Noted()
    found = pixel_statistics(data)
    assert max(len(indices) for indices in data.asked) == 100
    assert np.concatenate(data.asked).tolist() == list(range(0, 25_000, 3))
    np.testing.assert_allclose([*found.mean, *found.std], 0.5)


def test_preprocessing_of_the_digits_is_what_runs_have_recorded():
    described = preprocessing(digits(), lenet5())
    frame, numbers = described["image"][0], described["dataset"][-1]
    assert frame == {"transform": "FrameDigit", "size": [28, 28], "extent": 26}
    assert numbers == {"transform": "Normalize", "mean": [0.2317], "std": [0.3312]}


@pytest.mark.parametrize(("size", "expected"), [(28, 250), (64, 244), (227, 19), (1200, 1)])
def test_loader_has_batches_that_suit_the_size_of_the_images(size, expected):
    data = ArrayDataset(np.zeros((2, 10, 10, 3), np.uint8), np.array([0, 1]), ("a", "b"))
    settings = RunSettings(
        model="lenet5", dataset="digits", classes=["a", "b"], channels=3, epochs=1, batch_size=7,
        lr=0.1, preprocessing=preprocessing(Splits(data, data, data), FakeModel(size)),
    )  # fmt: skip
    assert loader(data, settings, "dataset").batch_size == expected
    assert loader(data, settings, "training").batch_size == 7


class FakeModel:
    """What `preprocessing` needs to know of a network, for any input size."""

    pixel_range = None

    def __init__(self, size):
        self.input_shape = (3, size, size)


def test_preprocessing_for_the_original_lenet_maps_black_and_white_as_in_the_paper():
    x = inputs(splits(), lenet5_original)
    np.testing.assert_allclose(x[0], -0.1, atol=1e-6)
    np.testing.assert_allclose(x[1][:, 2:30, 2:30], 1.175, atol=1e-6)


def test_preprocessing_for_the_original_lenet_centres_small_images_and_resizes_large_ones():
    x = inputs(splits(), lenet5_original)
    border = np.ones((32, 32), bool)
    border[2:30, 2:30] = False
    np.testing.assert_allclose(x[:, 0, border], -0.1, atol=1e-6)
    assert inputs(splits(H=40, W=40), lenet5_original).shape == (20, 1, 32, 32)


def spreads(model):
    """For each layer: the standard deviation of its weights, that of He's rule, and the biases."""
    for layer in model.modules():
        if isinstance(layer, Weighted):
            weight, bias = layer.weight.data, layer.bias.data
            yield float(weight.std()), math.sqrt(2 / fans(weight.shape)[0]), bias


def begun(name, classes, channels, seed, start="paper"):
    with manual_seed(seed):
        return new_network(name, classes, channels, start)


@pytest.mark.parametrize(
    "name",
    ["softmax_regression", "lenet5", "lenet5_lecture", "alexnet_small", "vgg_small", "resnet20"],
)
def test_new_network_with_start_he_equals_networks_that_are_he_normal_already(name):
    with manual_seed(3):
        expected = MODELS[name](7, in_channels=3).state_dict()
    for start in ("he", "paper"):
        found = begun(name, 7, 3, 3, start).state_dict()
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, strict=True)


def test_new_network_alexnet_starts_as_in_its_paper_or_he_normal():
    for spread, _, _ in spreads(begun("alexnet", 10, 3, 0)):
        assert spread == pytest.approx(0.01, rel=0.05)
    for spread, he, bias in spreads(begun("alexnet", 10, 3, 0, "he")):
        assert spread == pytest.approx(he, rel=0.05)
        assert not bias.any()


def test_new_network_with_two_towers_can_start_he_normal(monkeypatch):
    monkeypatch.setitem(MODELS, "narrow", partial(MODELS["alexnet_two_tower"], width=0.1))
    layers = list(spreads(begun("narrow", 10, 3, 0, "he")))
    assert len(layers) == 15  # seven in each tower, and the last
    for spread, he, bias in layers:
        assert spread == pytest.approx(he, rel=0.2)
        assert not bias.any()


def test_new_network_lenet_of_1998_can_start_he_normal():
    page, he = (list(spreads(begun("lenet5_original", 10, 1, 0, s))) for s in ("paper", "he"))
    for (ours, _, _), (theirs, expected, _) in zip(page[::3], he[::3], strict=True):  # C1 and F6
        assert theirs == pytest.approx(expected, rel=0.2)
        assert ours != pytest.approx(theirs, rel=0.2)


def test_new_network_vgg_starts_as_on_its_page_or_he_normal(monkeypatch):
    monkeypatch.setitem(MODELS, "narrow", partial(vgg_network, "A", widths=[64] * 5))
    monkeypatch.setattr("minivision.models.vgg.HIDDEN", 64)
    for start in ("he", "paper"):
        layers = list(spreads(begun("narrow", 40, 3, 0, start)))
        for spread, he, _ in layers[-3:]:
            assert spread == pytest.approx(he if start == "he" else 0.01, rel=0.05)
        # The rule on the page uses fan-out: filters times taps.
        assert layers[0][0] == pytest.approx(
            math.sqrt(2 / (3 * 9 if start == "he" else 64 * 9)), rel=0.1
        )


def test_open_run_assumes_the_papers_start_if_none_is_recorded(tmp_path):
    settings = {
        "model": "alexnet", "dataset": "digits", "classes": ["0"], "channels": 3, "epochs": 1,
        "batch_size": 1, "lr": 0.1, "optimizer": "adam", "seed": 0, "limit": None, "workers": 0,
        "preprocessing": {"dataset": [], "training": [], "image": []},
    }  # fmt: skip
    Run.create(tmp_path / "run", json.loads(json.dumps(settings)))
    assert open_run(tmp_path / "run")[1].start == "paper"
