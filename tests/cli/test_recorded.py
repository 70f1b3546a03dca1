"""Options and results that were edited by hand are named before they are used again."""

import json

import numpy as np
import pytest

from minivision.cli import main
from minivision.cli.recorded import check_options, result_of
from minivision.cli.setup import same_version
from minivision.nn import Linear
from minivision.optim import SGD
from minivision.training import Run, fit
from tests.damage import photograph, saved

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
def test_an_option_that_the_command_line_would_not_take_is_named(tmp_path, name, value):
    file = tmp_path / "settings.json"
    check_options(file, OPTIONS, list(OPTIONS))
    with pytest.raises(ValueError, match=rf"settings\.json: .*'?{name}'?") as caught:
        check_options(file, OPTIONS | {name: value}, list(OPTIONS))
    assert str(value)[1:-1] in str(caught.value) or name == "skipped"


@pytest.mark.parametrize("versions", [None, "0.2", ["0.2"], {"minivision": {"x": "0.2"}}])
def test_versions_that_are_not_names_with_texts_are_named(tmp_path, versions):
    with pytest.raises(ValueError, match=r"'versions' is |'minivision' in .*'versions' is "):
        same_version(tmp_path, versions)


@pytest.mark.parametrize("both", [{"labels": 4}, {"unlabelled": None}])
def test_unlabelled_images_come_from_one_place(tmp_path, both):
    with pytest.raises(ValueError, match="either 'labels' or 'unlabelled'"):
        check_options(tmp_path / "settings.json", OPTIONS | both, list(OPTIONS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test_accuracy", None), ("test_accuracy", [0.5]), ("test_accuracy", "0.5"),
        ("test_loss", {}), ("curve", 0.5), ("curve", ["a"]), ("untested_classes", [5]),
        ("untested_classes", "cat"),
    ],
)  # fmt: skip
def test_an_entry_that_is_not_a_result_is_named(tmp_path, name, value):
    run = Run.create(tmp_path / "run", {})
    good = {"test_accuracy": 0.5, "test_loss": None, "curve": [0.5, None], "untested_classes": []}
    run.write_result(good)
    assert result_of(run, "test_accuracy") == good
    run.write_result(good | {name: value})
    with pytest.raises(ValueError, match=rf"result\.json: '{name}' is "):
        result_of(run, "test_accuracy")
    run.write_result({"test_loss": 0.5})
    with pytest.raises(ValueError, match=r"result\.json: 'test_accuracy' is missing"):
        result_of(run, "test_accuracy")


@pytest.mark.parametrize("edit", [{"seconds": None}, {"seconds": "1"}, {"train_loss": [1]}])
def test_a_run_does_not_go_on_with_records_that_are_not_numbers(tmp_path, edit):
    run = Run.create(tmp_path / "run", {})
    model = Linear(2, 1)
    optimizer = SGD(model.parameters(), 0.1)
    batches = [(np.ones((1, 2), np.float32), np.zeros(1, np.int64))]

    def train(epochs):
        loss = lambda model, batch: model(batch.images).sum()  # noqa: E731
        return fit(model, lambda epoch: batches, loss, optimizer, epochs, run=run)

    (record,) = train(1)
    run.metrics_path.write_text(json.dumps(record | edit) + "\n")
    with pytest.raises(ValueError, match=rf"metrics\.jsonl: .* epoch 1 '{next(iter(edit))}' is"):
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
def test_a_command_that_goes_on_names_what_was_edited(place, capsys, command, out, file, edit):
    path = place / out / file
    whole = path.read_text()
    path.write_text(json.dumps(json.loads(whole) | edit))
    try:
        assert main([command, "--resume", "--out", str(place / out)]) == 2
    finally:
        path.write_text(whole)
    ((name, _),) = edit.items()
    assert f"{path.name}: '{name}'" in capsys.readouterr().err
    assert main([command, "--resume", "--out", str(place / out)]) == 0
