"""`train` has a default learning rate and initial weights with which every network learns."""

import json

import cv2
import numpy as np
import pytest

from minivision.cli import main
from minivision.cli.optimization import (
    LEARNING_RATES,
    learning_rate,
    make_optimizer,
    start_of,
)
from minivision.cli.setup import input_size, new_network
from minivision.datasets import DataLoader, digits, stratified_split
from minivision.datasets.shapes import CLASSES, ShapeDataset
from minivision.models import MODELS
from minivision.optim import cosine
from minivision.training import classification_loss, fit
from minivision.training.settings import RunSettings
from minivision.transforms import Compose, Normalize, Resize, ToArray

SMALL = ("softmax_regression", "lenet5", "lenet5_lecture", "alexnet_small", "vgg_small", "resnet20")


def losses(name, optimizer, images=100, epochs=4, batch=20, lr=None):
    """The loss of every step, on drawn shapes (or digits, for the network of 1998)."""
    classes, channels = (10, 1) if name == "lenet5_original" else (5, 3)
    model = new_network(name, classes, channels, start_of(name))
    if name == "lenet5_original":
        (data,) = stratified_split(digits().train, (images,))
        numbers = Normalize(0.1 / 1.275, 1 / 1.275)
    else:
        data = ShapeDataset(images)
        shown = data.images / 255
        numbers = Normalize(tuple(shown.mean(axis=(0, 1, 2))), tuple(shown.std(axis=(0, 1, 2))))
    resized = Compose([Resize(model.input_shape[1:]), ToArray(), numbers])
    steps = []

    def noted(model, batch):
        value, report = classification_loss(model, batch)
        steps.append(value.item())
        return value, report

    settings = RunSettings(
        model=name, dataset="shapes", classes=["a"], channels=channels, epochs=epochs,
        batch_size=batch, lr=lr or learning_rate(name, optimizer), optimizer=optimizer,
        preprocessing={"dataset": [], "training": [], "image": []},
    )  # fmt: skip
    rule = make_optimizer(settings, model)
    batches = DataLoader(data, batch, shuffle=True, transform=resized)
    fit(model, batches, noted, rule, epochs, schedule=cosine(epochs))
    return steps


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", [*SMALL, "lenet5_original"])
def test_learning_rate_of_small_networks_lets_them_learn(name, optimizer):
    found = losses(name, optimizer)
    epochs = np.reshape(found, (4, -1)).mean(axis=1)
    assert epochs[-1] < 0.9 * epochs[0]
    assert max(found) < 2.5 * found[0]


def test_learning_rate_of_alexnet_is_stable_and_that_of_lenet_is_not():
    assert max(losses("alexnet", "adam", images=16, epochs=2, batch=8)) < 10
    assert max(losses("alexnet", "adam", images=16, epochs=2, batch=8, lr=2e-3)) > 100


@pytest.mark.parametrize("name", MODELS)
def test_learning_rate_is_known_for_every_network_and_optimizer(name):
    adam, sgd = learning_rate(name, "adam"), learning_rate(name, "sgd")
    assert 0 < adam < sgd
    assert (adam < 2e-4) == (min(input_size(name)) > 200)


def test_learning_rate_of_recorded_results_stays():
    for name in ("lenet5", "lenet5_lecture", "lenet5_original", "alexnet_small", "resnet20"):
        assert learning_rate(name, "adam") == 2e-3
    assert all(any(n.startswith(family) for n in MODELS) for family in LEARNING_RATES)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of class folders with drawn shapes."""
    folder = tmp_path_factory.mktemp("drawn") / "photos"
    data = ShapeDataset(30)
    for i, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{i}.png"), image[:, :, ::-1])
    return folder


def settings_of(folder, *options):
    line = ["train", "--epochs", "1", "--limit", "10", "--out", str(folder), *map(str, options)]
    assert main(line) == 0
    return json.loads((folder / "settings.json").read_text())


def test_train_records_its_learning_rate_and_its_start(tmp_path, photos):
    shown = ("--dataset", photos, "--model")
    found = settings_of(tmp_path / "a", *shown, "vgg_small")
    assert (found["lr"], found["start"]) == (2e-4, "paper")
    found = settings_of(tmp_path / "b", *shown, "vgg_small", "--optimizer", "sgd", "--start", "he")
    assert (found["lr"], found["start"]) == (1e-3, "he")
    found = settings_of(tmp_path / "c", *shown, "lenet5", "--lr", "0.1")
    assert (found["lr"], found["start"]) == (0.1, "paper")
