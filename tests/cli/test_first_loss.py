"""The note about a first loss far above log K: when it is printed, and that it changes nothing."""

import math

import numpy as np
import pytest

from minivision.cli import main
from minivision.cli import train as train_command
from minivision.cli.first_loss import FAR, tell, watched
from minivision.cli.setup import build_model, new_network
from minivision.datasets import DataLoader, digits
from minivision.models import alexnet_small
from minivision.nn.weights import load_weights
from minivision.optim import SGD
from minivision.random import manual_seed
from minivision.tensor import Tensor
from minivision.training import Batch, classification_loss, fit
from minivision.transforms import Compose, Normalize, ToArray

NOTE = "note: the first loss is"


def first_batch(scale=1.0, step=0, channels=1):
    """Images (32, C, 28, 28) of mean 0 and variance 1, times a scale."""
    rng = np.random.default_rng(0)
    images = scale * rng.normal(size=(32, channels, 28, 28)).astype(np.float32)
    return Batch(Tensor(images.astype(np.float32)), np.arange(32) % 10, step=step)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_tell_prints_the_note_from_ten_above_log_k(classes, capsys):
    for loss in (0.1, math.log(classes), math.log(classes) + FAR - 0.01, math.inf, math.nan):
        tell(loss, classes)
    assert capsys.readouterr().out == ""
    tell(math.log(classes) + FAR + 0.01, classes)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    for fragment in (NOTE, f"log {classes} = {math.log(classes):.2f}", "--start he", "--lr"):
        assert fragment in printed


@pytest.mark.parametrize("name", ["softmax_regression", "lenet5", "lenet5_lecture"])
def test_watched_notices_images_that_are_not_standardised(name, capsys):
    model = new_network(name, 10, 1)
    loss = watched(classification_loss, 10)
    loss(model, first_batch())
    assert capsys.readouterr().out == ""
    loss(model, first_batch(scale=100))
    assert NOTE in capsys.readouterr().out
    loss(model, first_batch(scale=100, step=1))  # a resumed run
    assert capsys.readouterr().out == ""


def test_watched_notices_an_overconfident_network(capsys):
    with manual_seed(0):
        model = alexnet_small(9, in_channels=1, size=28)
    for weight in model.parameters():
        weight.data *= 4
    images = first_batch()
    watched(classification_loss, 9)(model, Batch(images.images, images.targets % 9))
    assert "guessing among 9 classes" in capsys.readouterr().out


def test_watched_does_not_compare_another_loss_with_log_k(capsys):
    model = new_network("lenet5_original", 10, 1)
    images = np.zeros((4, 1, 32, 32), np.float32)
    batch = Batch(Tensor(images), np.arange(4))
    value, _ = watched(classification_loss, 10)(model, batch)
    assert value.item() > math.log(10) + FAR  # distances to the pictures of the characters
    assert capsys.readouterr().out == ""


def test_watched_changes_no_bit_of_the_training():
    weights = []
    for loss in (classification_loss, watched(classification_loss, 10)):
        with manual_seed(0):
            model = new_network("lenet5", 10, 1)
        # 0 to 255 instead of 0 to 1, so the note is printed.
        shown = Compose([ToArray(), Normalize(0, 1 / 255)])
        batches = DataLoader(digits().validation, 32, shuffle=True, transform=shown)
        history = fit(model, batches, loss, SGD(model.parameters(), 1e-6), 2)
        weights.append([p.data.tobytes() for p in model.parameters()] + history["train_loss"])
    assert weights[0] == weights[1]


def test_train_prints_the_note_once_when_resumed(tmp_path, capsys, monkeypatch):
    def far_too_large(*settings):
        model = build_model(*settings)
        model.classifier[-1].weight.data *= 100
        return model

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "build_model", far_too_large)
    line = ["train", "--limit", "64", "--epochs", "2"]
    assert main([*line, "--out", str(tmp_path / "whole")]) == 0
    assert capsys.readouterr().out.count(NOTE) == 1
    evaluate = train_command.evaluate
    looks = []

    def stopped_in_the_second_epoch(*arguments):
        looks.append(arguments)
        return interrupted() if len(looks) == 2 else evaluate(*arguments)

    monkeypatch.setattr(train_command, "evaluate", stopped_in_the_second_epoch)
    assert main([*line, "--out", str(tmp_path / "halved")]) == 130
    assert capsys.readouterr().out.count(NOTE) == 1
    assert main(["train", "--resume", "--out", str(tmp_path / "halved")]) == 0
    assert NOTE not in capsys.readouterr().out
    files = [tmp_path / name / "checkpoint.safetensors" for name in ("whole", "halved")]
    ours, theirs = (load_weights(file)[0] for file in files)
    assert {k: a.tobytes() for k, a in ours.items()} == {k: a.tobytes() for k, a in theirs.items()}
