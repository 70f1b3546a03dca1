"""How `train` learns: optimizer, schedule, class weights, early stopping, initial weights."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.cli import main, optimization
from minivision.cli.optimization import (
    balanced,
    begin_from,
    make_loss,
    make_optimizer,
    make_schedule,
)
from minivision.models import MODELS, resnet20
from minivision.nn import skip_init
from minivision.nn.weights import load_weights, save_weights
from minivision.optim import Adam
from minivision.training import Batch
from minivision.training.checkpoint import save_model
from minivision.training.settings import RunSettings
from tests.cli.command_lines import records, refuses, result, settings
from tests.refusals import refused

SETTINGS = RunSettings(
    model="lenet5", dataset="digits", classes=list("0123456789"), channels=1, epochs=6,
    batch_size=32, lr=0.1, preprocessing={"dataset": [], "training": [], "image": []},
)  # fmt: skip
QUICK = ["train", "--limit", "60", "--epochs", "2"]


def train(folder, *options):
    assert main([*QUICK, "--out", str(folder), *map(str, options)]) == 0
    return settings(folder)


def weights(folder):
    """The network in a run's checkpoint, as it was after the last epoch."""
    arrays, _ = load_weights(folder / "checkpoint.safetensors")
    return {name: a.tobytes() for name, a in arrays.items() if name.startswith("model.")}


# ── optimizer and schedule ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_make_optimizer_leaves_biases_and_normalization_out_of_weight_decay(optimizer):
    with skip_init():
        model = resnet20()
    settings = replace(SETTINGS, optimizer=optimizer, weight_decay=0.01)
    decayed, rest = make_optimizer(settings, model).param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.01, 0)
    assert decayed["lr"] == rest["lr"] == 0.1
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in rest["params"]} == {1}


def test_make_optimizer_has_the_defaults_of_earlier_runs():
    with skip_init():
        model = resnet20()
    (adam,) = make_optimizer(SETTINGS, model).param_groups
    assert isinstance(make_optimizer(SETTINGS, model), Adam)
    assert adam["weight_decay"] == 0
    for momentum in (None, 0.9):
        settings = replace(SETTINGS, optimizer="sgd", momentum=momentum)
        (sgd,) = make_optimizer(settings, model).param_groups
        assert (sgd["momentum"], sgd["weight_decay"], sgd["nesterov"]) == (0.9, 5e-4, True)


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("cosine", [1, 0.933, 0.75, 0.5, 0.25, 0.067]),
        ("step", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("plateau", [1, 1, 1, 1, 1, 0.1]),
    ],
)
def test_make_schedule_has_the_factors_that_the_help_describes(name, factors):
    schedule = make_schedule(replace(SETTINGS, schedule=name))
    found = []
    for epoch in range(6):
        found.append(round(schedule(epoch), 3))
        if name == "plateau":
            schedule.observe({"validation_loss": 1.0})
    assert found == pytest.approx(factors)
    assert make_schedule(replace(SETTINGS, schedule="constant")) is None


OPTIONS = {
    "--momentum": ["0.5", "--optimizer", "sgd"], "--weight-decay": ["0.3"],
    "--schedule": ["constant"], "--class-weights": ["balanced", "--limit", "63"],
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_train_options_change_the_weights_and_are_recorded_and_resumed(option, tmp_path, capsys):
    value, *others = OPTIONS[option]
    train(tmp_path / "usual", *others)
    kept = train(tmp_path / "other", option, value, *others)
    assert str(kept[option[2:].replace("-", "_")]) == value
    assert weights(tmp_path / "usual") != weights(tmp_path / "other")
    # As after a kill before the result was written: it resumes with the same option.
    (tmp_path / "other" / "result.json").unlink()
    resume = ["train", "--resume", "--out", tmp_path / "other"]
    assert main([*map(str, resume), option, value]) == 0
    (tmp_path / "usual" / "result.json").unlink()
    other = ["train", "--resume", "--out", tmp_path / "usual", option, value]
    refuses(capsys, other, f"{option} is {value}", tmp_path / "usual")


# ── class weights ────────────────────────────────────────────────────────────────────────────


def test_balanced_weights_have_mean_1_and_make_classes_count_equally():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    found = balanced(labels, "abc")
    assert found.mean() == pytest.approx(1)
    assert np.ptp(found * [60, 30, 10]) == pytest.approx(0)


def test_make_loss_with_class_weights_is_weighted_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    targets, labels = np.arange(8) % 3, np.repeat([0, 1, 2], [6, 3, 1])
    settings = replace(SETTINGS, classes=["a", "b", "c"], class_weights="balanced")
    value, report = make_loss(settings, labels)(lambda x: x, Batch(Tensor(logits), targets))
    each = F.cross_entropy(logits, targets, reduction="none").data
    weight = 1 / np.array([6, 3, 1])[targets]
    assert value.item() == pytest.approx(np.average(each, weights=weight), rel=1e-5)
    assert set(report) == {"train_accuracy"}


# ── early stopping ───────────────────────────────────────────────────────────────────────────

# The rate is so high that the validation loss soon rises.
SHORT = ["--lr", "0.02", "--schedule", "constant", "--epochs", "40", "--patience", "3"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped") / "run"
    train(folder, *SHORT)
    return folder


def test_train_with_patience_stops_early_and_tests_the_best_epoch(stopped, capsys):
    found, losses = result(stopped), [record["validation_loss"] for record in records(stopped)]
    best = 1 + int(np.argmin(losses))
    assert found["best_epoch"] == best
    assert found["epochs"] == len(losses) == best + 3 < 40
    # evaluate uses the same weights, and they are not those of the last epoch.
    capsys.readouterr()
    assert main(["evaluate", str(stopped)]) == 0
    assert f"{found['test_loss']:.4f} nats" in capsys.readouterr().out
    arrays, _ = load_weights(stopped / "checkpoint.safetensors")
    name = "classifier.4.weight"
    assert not np.array_equal(arrays[f"best.{name}"], arrays[f"model.{name}"])


def test_train_with_patience_keeps_the_weights_of_a_run_that_ends_there(stopped, tmp_path):
    best = result(stopped)["best_epoch"]
    train(tmp_path / "run", *SHORT[:4], "--epochs", best)
    kept, _ = load_weights(stopped / "checkpoint.safetensors")
    kept = {n.replace("best.", "model."): a.tobytes() for n, a in kept.items() if n[:5] == "best."}
    assert kept == weights(tmp_path / "run")


def test_train_refuses_more_epochs_for_a_run_that_stopped_early(stopped, capsys):
    line = ["train", "--resume", "--epochs", "50", "--out", stopped]
    refuses(capsys, line, stopped, f"epoch {len(records(stopped))}", "--patience 3")


def test_train_with_patience_that_does_not_stop_early_keeps_its_best_epoch(tmp_path):
    train(tmp_path / "run", "--patience", "9")
    found = result(tmp_path / "run")
    assert (found["epochs"], found["best_epoch"]) == (2, 2)


# ── weights from elsewhere ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A run, and its network in a file of arrays by name, as convert-weights writes it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    train(folder / "run", "--seed", "5")
    arrays, _ = load_weights(folder / "run" / "checkpoint.safetensors")
    network = {n.removeprefix("model."): a for n, a in arrays.items() if n[:6] == "model."}
    save_weights(folder / "network.safetensors", network)
    return folder


def test_train_starts_from_the_weights_of_a_file_or_a_run(elsewhere, tmp_path, capsys):
    slow = ["--lr", "1e-9", "--limit", "20", "--epochs", "1"]
    run, file = elsewhere / "run", elsewhere / "network.safetensors"
    for name, source in (("a", run), ("b", run / "checkpoint.safetensors"), ("c", file)):
        kept = train(tmp_path / name, *slow, "--weights", source)
        assert f"{kept['weights']}; the last layer is kept" in capsys.readouterr().out
        ours, _ = load_weights(tmp_path / name / "checkpoint.safetensors")
        for key, array in load_weights(file)[0].items():
            np.testing.assert_allclose(ours[f"model.{key}"], array, atol=1e-6)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") == weights(tmp_path / "c")


def test_begin_from_gives_another_number_of_classes_a_new_head(elsewhere):
    settings = replace(SETTINGS, classes=["a", "b", "c"])
    model = optimization.build_model(settings)
    drawn = model.state_dict()
    said = begin_from(model, str(elsewhere / "network.safetensors"))
    assert said == "starts fresh, for different classes"
    theirs, _ = load_weights(elsewhere / "network.safetensors")
    for name, array in model.state_dict().items():
        source = drawn if name.startswith("classifier.4.") else theirs
        np.testing.assert_array_equal(array, source[name], err_msg=name)


def test_begin_from_a_checkpoint_takes_its_best_epoch(stopped):
    model = optimization.build_model(SETTINGS)
    begin_from(model, str(stopped / "checkpoint.safetensors"))
    arrays, _ = load_weights(stopped / "checkpoint.safetensors")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, arrays[f"best.{name}"])


@pytest.mark.parametrize(
    ("option", "value", "fragments"),
    [
        ("--model", "lenet5_lecture", ("classifier.0.weight", "(120, 400)", "(120, 256)")),
        ("--model", "softmax_regression", ("classifier.2.bias",)),
        ("--dataset", "shapes", ("features.0.weight", "(6, 1, 5, 5)", "(6, 3, 5, 5)")),
    ],
)
def test_train_refuses_the_weights_of_another_network_before_it_creates_a_folder(
    option, value, fragments, elsewhere, tmp_path, capsys
):
    file = elsewhere / "network.safetensors"
    argv = [*QUICK, "--out", tmp_path / "run", option, value, "--weights", file]
    refuses(capsys, argv, f"--weights: {file}", *fragments)
    assert not (tmp_path / "run").exists()


def test_begin_from_takes_only_fitting_weights_if_a_network_cannot_be_cut(tmp_path):
    narrow = dict(width=0.05)  # noqa: C408
    with skip_init():
        model, same, other = (
            MODELS["alexnet_two_tower"](K, **narrow) for K in (10, 10, 7)
        )  # fmt: skip
    save_model(tmp_path / "a.safetensors", model)
    assert begin_from(same, str(tmp_path / "a.safetensors")) == "is kept"
    with refused(ValueError, "--weights: ", "a.safetensors", "expected (7"):
        begin_from(other, str(tmp_path / "a.safetensors"))


def test_train_killed_before_its_first_checkpoint_starts_from_the_same_weights(
    elsewhere, tmp_path, capsys
):
    file = tmp_path / "w.safetensors"
    shutil.copy(elsewhere / "network.safetensors", file)
    train(tmp_path / "whole", "--weights", file)
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    left = ("checkpoint.safetensors", "result.json", "metrics.jsonl")
    for name in left:
        (tmp_path / "killed" / name).unlink()
    again = ["train", "--resume", "--out", str(tmp_path / "killed")]
    assert main([*again, "--weights", str(file)]) == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    for name in left:
        (tmp_path / "killed" / name).unlink()
    save_weights(file, load_weights(file)[0], {"another": "file"})
    refuses(capsys, again, f"--weights: {file}", "was started with")


def test_train_from_trained_weights_starts_better_than_from_scratch(elsewhere, tmp_path):
    train(tmp_path / "scratch", "--epochs", "1")
    train(tmp_path / "begun", "--epochs", "1", "--weights", elsewhere / "run")
    scratch, begun = (records(tmp_path / name)[0]["train_loss"] for name in ("scratch", "begun"))
    assert begun < 0.8 * scratch
