"""Options and results that were edited by hand are refused before they are used again."""

import json

import numpy as np
import pytest

from minivision.cli import main
from minivision.cli.recorded import check_options, result_of
from minivision.cli.setup import same_version
from minivision.nn import Linear
from minivision.optim import SGD
from minivision.training import Run, fit
from tests.cli.command_lines import refuses
from tests.damage import photograph, saved
from tests.refusals import refused

OPTIONS = {
    "epochs": 2, "lr": 0.1, "seed": 0, "augment": "crop", "skip_unreadable": False, "limit": None,
    "labels": None, "unlabelled": "photos",
}  # fmt: skip
NETWORK = ["--model", "softmax_regression", "--epochs", "1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "2"), ("epochs", 0), ("epochs", 2.0), ("epochs", None), ("epochs", True),
        ("lr", None), ("lr", "0.1"), ("lr", float("nan")), ("lr", -1), ("lr", float("inf")),
        ("seed", -1), ("seed", 0.5), ("augment", 5), ("augment", None), ("augment", ["crop"]),
        ("skip_unreadable", 0), ("skip_unreadable", "yes"), ("limit", 0), ("limit", "8"),
        ("skipped", {"a.png": 1}), ("versions", ["0.2"]), ("unlabelled_images", 5),
    ],
)  # fmt: skip
def test_check_options_names_a_value_that_the_command_line_would_refuse(tmp_path, name, value):
    file = tmp_path / "settings.json"
    check_options(file, OPTIONS, list(OPTIONS))
    with refused(ValueError, "settings.json", repr(name)) as caught:
        check_options(file, OPTIONS | {name: value}, list(OPTIONS))
    assert str(value)[1:-1] in str(caught.value) or name == "skipped"


@pytest.mark.parametrize("versions", [None, "0.2", ["0.2"], {"minivision": {"x": "0.2"}}])
def test_same_version_names_versions_that_are_not_strings(tmp_path, versions):
    with refused(ValueError, "settings.json", "'versions'"):
        same_version(tmp_path, versions)


@pytest.mark.parametrize("both", [{"labels": 4}, {"unlabelled": None}])
def test_check_options_needs_exactly_one_source_of_unlabelled_images(tmp_path, both):
    with refused(ValueError, "settings.json", "'labels'", "'unlabelled'"):
        check_options(tmp_path / "settings.json", OPTIONS | both, list(OPTIONS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test_accuracy", None), ("test_accuracy", [0.5]), ("test_accuracy", "0.5"),
        ("test_loss", {}), ("curve", 0.5), ("curve", ["a"]), ("untested_classes", [5]),
        ("untested_classes", "cat"),
    ],
)  # fmt: skip
def test_result_of_names_an_entry_that_is_not_a_result(tmp_path, name, value):
    run = Run.create(tmp_path / "run", {})
    good = {"test_accuracy": 0.5, "test_loss": None, "curve": [0.5, None], "untested_classes": []}
    run.write_result(good)
    assert result_of(run, "test_accuracy") == good
    run.write_result(good | {name: value})
    with refused(ValueError, "result.json", repr(name)):
        result_of(run, "test_accuracy")
    run.write_result({"test_loss": 0.5})
    with refused(ValueError, "result.json", "'test_accuracy'", "missing"):
        result_of(run, "test_accuracy")


@pytest.mark.parametrize("edit", [{"seconds": None}, {"seconds": "1"}, {"train_loss": [1]}])
def test_fit_refuses_to_resume_from_records_that_are_not_numbers(tmp_path, edit):
    run = Run.create(tmp_path / "run", {})
    model = Linear(2, 1)
    optimizer = SGD(model.parameters(), 0.1)
    batches = [(np.ones((1, 2), np.float32), np.zeros(1, np.int64))]

    def train(epochs):
        loss = lambda model, batch: model(batch.images).sum()  # noqa: E731
        return fit(model, lambda epoch: batches, loss, optimizer, epochs, run=run)

    (record,) = train(1)
    run.metrics_path.write_text(json.dumps(record | edit) + "\n")
    with refused(ValueError, "metrics.jsonl", "epoch 1", repr(*edit)):
        train(2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images, the result of a comparison on them, and a finished run."""
    folder = tmp_path_factory.mktemp("place")
    for i in range(12):
        path = folder / "photos" / ("cat" if i % 2 else "dog") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(photograph(9, 12, seed=i), "PNG"))
    photos, run = str(folder / "photos"), str(folder / "run")
    assert main(["train", "--dataset", photos, *NETWORK, "--out", run]) == 0
    moved = ["--approach", "frozen", "--epochs", "1", "--out", str(folder / "moved")]
    assert main(["transfer", run, "--dataset", photos, *moved]) == 0
    return folder


@pytest.mark.parametrize(
    ("command", "out", "file", "edit"),
    [
        ("transfer", "moved", "settings.json", {"layers": "1"}),
        ("transfer", "moved", "frozen/result.json", {"test_accuracy": "high"}),
        ("train", "run", "result.json", {"test_accuracy": None}),
    ],
)
def test_commands_name_edited_results_when_resumed(place, capsys, command, out, file, edit):
    path = place / out / file
    whole = path.read_text()
    path.write_text(json.dumps(json.loads(whole) | edit))
    try:
        refuses(capsys, [command, "--resume", "--out", place / out], path.name, repr(*edit))
    finally:
        path.write_text(whole)
    assert main([command, "--resume", "--out", str(place / out)]) == 0
