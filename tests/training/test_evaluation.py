"""Evaluation: how many images are in a batch, and that it makes no difference."""

import numpy as np
import pytest

from minivision import manual_seed
from minivision.datasets import ArrayDataset, DataLoader
from minivision.nn import Conv2d, Flatten, Linear, ReLU, Sequential
from minivision.training import evaluate, in_order
from minivision.training.evaluation import images_at_once
from minivision.transforms import Compose, Resize, ToArray


def images(N, side):
    pixels = np.random.default_rng(0).integers(0, 256, (N, side, side, 3), dtype=np.uint8)
    return ArrayDataset(pixels, np.arange(N) % 2, ("a", "b"))


@pytest.mark.parametrize(
    ("side", "batch"), [(1, 250), (28, 250), (63, 250), (64, 244), (224, 19), (1000, 1), (4000, 1)]
)
def test_images_at_once_are_many_small_ones_or_few_large_ones(side, batch):
    assert images_at_once(side, side) == batch
    assert batch in (1, 250) or batch * side**2 <= 1_000_000 < (batch + 1) * side**2


def test_in_order_looks_at_the_images_behind_the_transform():
    data = images(3, 10)
    large = Compose([Resize((500, 400)), ToArray()])
    assert in_order(data).batch_size == 250
    assert in_order(data, large).batch_size == 5


def test_evaluate_does_not_depend_on_the_batch_size():
    manual_seed(0)
    model = Sequential(Conv2d(3, 4, 3), ReLU(), Flatten(), Linear(4 * 98 * 98, 2))
    data = images(120, 100)
    assert len(in_order(data)) == 2
    one, ours = evaluate(model, DataLoader(data, 120)), evaluate(model, in_order(data))
    assert ours["accuracy"] == one["accuracy"]
    assert ours["loss"] == pytest.approx(one["loss"], rel=1e-5)
