"""How images become a network's input: standardised, or as its paper says."""

import numpy as np
import pytest

from minivision.cli.setup import preprocessing
from minivision.datasets import ArrayDataset, Splits
from minivision.models import lenet5, lenet5_original
from minivision.transforms import from_description


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


def test_a_usual_network_gets_images_of_mean_0_and_variance_1():
    x = inputs(splits(), lenet5)
    assert x.shape == (20, 1, 28, 28)
    assert x.mean() == pytest.approx(0, abs=1e-3)
    assert x.std() == pytest.approx(1, abs=1e-3)


def test_the_original_lenet_gets_black_as_minus_a_tenth_and_white_as_1_175():
    x = inputs(splits(), lenet5_original)
    np.testing.assert_allclose(x[0], -0.1, atol=1e-6)
    np.testing.assert_allclose(x[1][:, 2:30, 2:30], 1.175, atol=1e-6)


def test_it_gets_smaller_images_in_the_middle_of_32_pixels_and_larger_ones_resized():
    x = inputs(splits(), lenet5_original)
    border = np.ones((32, 32), bool)
    border[2:30, 2:30] = False
    np.testing.assert_allclose(x[:, 0, border], -0.1, atol=1e-6)
    assert inputs(splits(H=40, W=40), lenet5_original).shape == (20, 1, 32, 32)
