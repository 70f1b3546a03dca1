"""How `train` learns: optimizer, schedule, class weights, early stopping, first weights."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
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

SETTINGS = RunSettings(
    model="lenet5", dataset="digits", classes=list("0123456789"), channels=1, epochs=6,
    batch_size=32, lr=0.1, preprocessing={"dataset": [], "training": [], "image": []},
)  # fmt: skip
QUICK = ["train", "--limit", "60", "--epochs", "2"]


def trained(folder, *options):
    assert main([*QUICK, "--out", str(folder), *map(str, options)]) == 0
    return json.loads((folder / "settings.json").read_text())


def refused(capsys, *argv):
    """The one line that a refused command prints, after checking that it is one and code 2."""
    capsys.readouterr()
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def weights(folder):
    """The network in a run's checkpoint, as it was after the last epoch."""
    arrays, _ = load_weights(folder / "checkpoint.safetensors")
    return {name: a.tobytes() for name, a in arrays.items() if name.startswith("model.")}


# ── optimizer and schedule ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_that_is_asked_for_leaves_out_biases_and_normalization(optimizer):
    with skip_init():
        model = resnet20()
    settings = replace(SETTINGS, optimizer=optimizer, weight_decay=0.01)
    decayed, rest = make_optimizer(settings, model).param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.01, 0)
    assert decayed["lr"] == rest["lr"] == 0.1
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in rest["params"]} == {1}


def test_without_options_the_optimizers_are_those_of_earlier_runs():
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
def test_schedules_have_the_factors_that_help_says(name, factors):
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
def test_an_option_changes_the_weights_and_is_recorded_and_resumed(option, tmp_path, capsys):
    value, *others = OPTIONS[option]
    trained(tmp_path / "usual", *others)
    kept = trained(tmp_path / "other", option, value, *others)
    assert str(kept[option[2:].replace("-", "_")]) == value
    assert weights(tmp_path / "usual") != weights(tmp_path / "other")
    # Killed before its last epoch was saved, it goes on as it was begun.
    (tmp_path / "other" / "result.json").unlink()
    resume = ["train", "--resume", "--out", tmp_path / "other"]
    assert main([*map(str, resume), option, value]) == 0
    (tmp_path / "usual" / "result.json").unlink()
    error = refused(capsys, "train", "--resume", "--out", tmp_path / "usual", option, value)
    assert f"{option} is {value}, but for {tmp_path / 'usual'} it was " in error


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--momentum", "0.9"], "'momentum' is 0.9, but the optimizer is adam"),
        (["--momentum", "2", "--optimizer", "sgd"], "'momentum' is 2.0; expected 0 to below 1"),
        (["--schedule", "plateau", "--patience", "3"], "'patience' is 3; expected 5 or more"),
        (["--class-weights", "balanced", "--model", "lenet5_original"], "with the loss of its pap"),
        (["--class-weights", "balanced", "--limit", "7"], " has no training image, and so no wei"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors: No such file"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_options_that_do_not_fit_are_refused_before_there_is_a_folder(argv, said, tmp_path, capsys):
    assert said in refused(capsys, *QUICK, "--out", tmp_path / "run", *argv)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["--patience", "0"], ["--momentum", "-1"], ["--weight-decay", "-0.1"],
        ["--weight-decay", "much"], ["--weight-decay", "inf"], ["--schedule", "linear"],
        ["--class-weights", "0.5"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_numbers_and_names_out_of_range_are_refused_by_name(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *argv])
    assert stopped.value.code == 2
    assert f"argument {argv[0]}" in capsys.readouterr().err


# ── class weights ────────────────────────────────────────────────────────────────────────────


def test_balanced_weights_have_mean_1_and_make_classes_count_alike():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    found = balanced(labels, "abc")
    assert found.mean() == pytest.approx(1)
    assert np.ptp(found * [60, 30, 10]) == pytest.approx(0)


def test_the_loss_with_class_weights_is_weighted_cross_entropy():
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
    trained(folder, *SHORT)
    return folder


def history(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_without_a_better_epoch_ends_and_is_tested_with_its_best(stopped, capsys):
    result, records = json.loads((stopped / "result.json").read_text()), history(stopped)
    losses = [record["validation_loss"] for record in records]
    best = 1 + int(np.argmin(losses))
    assert result["best_epoch"] == best
    assert result["epochs"] == len(records) == best + 3 < 40
    # evaluate uses the same weights, and they are not those of the last epoch.
    capsys.readouterr()
    assert main(["evaluate", str(stopped)]) == 0
    assert f"{result['test_loss']:.4f} nats" in capsys.readouterr().out
    arrays, _ = load_weights(stopped / "checkpoint.safetensors")
    name = "classifier.4.weight"
    assert not np.array_equal(arrays[f"best.{name}"], arrays[f"model.{name}"])


def test_the_best_weights_are_those_of_a_run_that_ends_there(stopped, tmp_path):
    best = json.loads((stopped / "result.json").read_text())["best_epoch"]
    trained(tmp_path / "run", *SHORT[:4], "--epochs", best)
    kept, _ = load_weights(stopped / "checkpoint.safetensors")
    kept = {n.replace("best.", "model."): a.tobytes() for n, a in kept.items() if n[:5] == "best."}
    assert kept == weights(tmp_path / "run")


def test_a_killed_run_with_patience_ends_with_the_same_bytes(stopped, tmp_path):
    """kill -9 after an epoch, then --resume, as often as it takes."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "minivision", *QUICK, *SHORT, "--out", str(out)]
    metrics, kills = out / "metrics.jsonl", 0
    for wait_for in (2, 4, len(history(stopped)) - 1):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not metrics.exists() or metrics.read_text().count("\n") < wait_for:
            assert time.monotonic() < deadline
            if process.poll() is not None:
                break
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        command = [*command[:4], "--out", str(out), "--resume"]
    assert kills >= 1
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = (f / "checkpoint.safetensors" for f in (out, stopped))
    assert ours.read_bytes() == theirs.read_bytes()
    results = [json.loads((f / "result.json").read_text()) for f in (out, stopped)]
    for result in results:
        del result["training_seconds"]
    assert results[0] == results[1]


def test_more_epochs_for_a_run_that_ended_early_are_refused(stopped, capsys):
    error = refused(capsys, "train", "--resume", "--epochs", "50", "--out", stopped)
    assert f"ended early, after epoch {len(history(stopped))}, as --patience 3 says" in error


def test_another_patience_is_refused_by_name(stopped, capsys):
    error = refused(capsys, "train", "--resume", "--patience", "4", "--out", stopped)
    assert f"--patience is 4, but for {stopped} it was 3" in error


def test_a_run_with_patience_that_does_not_end_early_keeps_its_best_epoch(tmp_path):
    trained(tmp_path / "run", "--patience", "9")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["epochs"], result["best_epoch"]) == (2, 2)


# ── weights from elsewhere ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A run, and its network in a file of arrays by name, as convert-weights writes it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    trained(folder / "run", "--seed", "5")
    arrays, _ = load_weights(folder / "run" / "checkpoint.safetensors")
    network = {n.removeprefix("model."): a for n, a in arrays.items() if n[:6] == "model."}
    save_weights(folder / "network.safetensors", network)
    return folder


def test_a_network_begins_with_the_weights_of_a_file_or_of_a_run(elsewhere, tmp_path, capsys):
    slow = ["--lr", "1e-9", "--limit", "20", "--epochs", "1"]
    run, file = elsewhere / "run", elsewhere / "network.safetensors"
    for name, source in (("a", run), ("b", run / "checkpoint.safetensors"), ("c", file)):
        kept = trained(tmp_path / name, *slow, "--weights", source)
        assert (
            f"begins with {kept['weights']}; its last layer is taken over"
            in capsys.readouterr().out
        )
        ours, _ = load_weights(tmp_path / name / "checkpoint.safetensors")
        for key, array in load_weights(file)[0].items():
            np.testing.assert_allclose(ours[f"model.{key}"], array, atol=1e-6)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") == weights(tmp_path / "c")


def test_another_number_of_classes_gets_a_new_head_on_the_old_body(elsewhere):
    settings = replace(SETTINGS, classes=["a", "b", "c"])
    model = optimization.build_model(settings)
    drawn = model.state_dict()
    said = begin_from(model, str(elsewhere / "network.safetensors"))
    assert said == "is drawn again, for other classes"
    theirs, _ = load_weights(elsewhere / "network.safetensors")
    for name, array in model.state_dict().items():
        source = drawn if name.startswith("classifier.4.") else theirs
        np.testing.assert_array_equal(array, source[name], err_msg=name)


def test_a_file_of_weights_with_a_best_epoch_gives_that(stopped):
    model = optimization.build_model(SETTINGS)
    begin_from(model, str(stopped / "checkpoint.safetensors"))
    arrays, _ = load_weights(stopped / "checkpoint.safetensors")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, arrays[f"best.{name}"])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("lenet5_lecture", "classifier.0.weight is (120, 400), expected (120, 256)"),
        ("softmax_regression", "not in this model: classifier.2.bias"),
    ],
)
def test_weights_of_another_network_are_refused_before_there_is_a_folder(
    model, said, elsewhere, tmp_path, capsys
):
    file = elsewhere / "network.safetensors"
    argv = [*QUICK, "--out", tmp_path / "run", "--model", model, "--weights", file]
    error = refused(capsys, *argv)
    assert f"--weights: {file} holds another network: " in error
    assert said in error
    assert not (tmp_path / "run").exists()


def test_weights_with_another_number_of_channels_are_another_network(elsewhere, tmp_path, capsys):
    argv = [*QUICK, "--dataset", "shapes", "--out", tmp_path / "run"]
    error = refused(capsys, *argv, "--weights", elsewhere / "network.safetensors")
    assert "features.0.weight is (6, 1, 5, 5), expected (6, 3, 5, 5)" in error


def test_a_network_that_cannot_be_cut_takes_weights_that_fit_and_refuses_others(tmp_path):
    narrow = dict(width=0.05)  # noqa: C408
    with skip_init():
        model, same, other = (
            MODELS["alexnet_two_tower"](K, **narrow) for K in (10, 10, 7)
        )  # fmt: skip
    save_model(tmp_path / "a.safetensors", model)
    assert begin_from(same, str(tmp_path / "a.safetensors")) == "is taken over"
    with pytest.raises(ValueError, match=r"holds another network: .*expected \(7"):
        begin_from(other, str(tmp_path / "a.safetensors"))


def test_a_run_killed_before_its_first_checkpoint_begins_with_the_same_file_again(
    elsewhere, tmp_path, capsys
):
    file = tmp_path / "w.safetensors"
    shutil.copy(elsewhere / "network.safetensors", file)
    trained(tmp_path / "whole", "--weights", file)
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
    assert "is not the file that the run was begun with; bring it back" in refused(capsys, *again)


def test_another_file_of_weights_is_refused_by_name(elsewhere, tmp_path, capsys):
    trained(tmp_path / "run")
    file = elsewhere / "network.safetensors"
    error = refused(capsys, "train", "--resume", "--out", tmp_path / "run", "--weights", file)
    assert f"--weights is {file}, but for {tmp_path / 'run'} it was not given" in error


def test_training_from_weights_that_know_the_digits_begins_better_than_from_scratch(
    elsewhere, tmp_path
):
    trained(tmp_path / "scratch", "--epochs", "1")
    trained(tmp_path / "begun", "--epochs", "1", "--weights", elsewhere / "run")
    scratch, begun = (history(tmp_path / name)[0]["train_loss"] for name in ("scratch", "begun"))
    assert begun < 0.8 * scratch
