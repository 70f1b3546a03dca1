"""pseudo-label and self-train as a user meets them: a few labelled images, and a heap of others."""

import json

import cv2
import numpy as np
import pytest

from minivision.cli import main
from minivision.datasets import WithoutLabels, digits, image_files, unlabelled_folder
from minivision.nn.weights import load_weights
from minivision.training import Run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Ten labelled images of each of three digits; and a hundred without labels, in any folders."""
    place = tmp_path_factory.mktemp("few")
    data = digits().train
    for k in range(3):
        labelled, other = place / "few" / str(k), place / "many" / f"camera {k}"
        labelled.mkdir(parents=True)
        other.mkdir(parents=True)
        for n, i in enumerate(np.flatnonzero(data.labels == k)[:44]):
            folder = labelled if n < 14 else other
            cv2.imwrite(str(folder / f"{i}.png"), data[i][0])
    return place


def own(place):
    return ["--labelled", str(place / "few"), "--unlabelled", str(place / "many")]


SHORT = ["--model", "lenet5_lecture", "--batch-size", "8", "--epochs", "2", "--lr", "0.005"]
HIDDEN = ["--labelled", "digits", "--labels", "40", "--model", "softmax_regression"]


def refused(capsys, *argv):
    assert main([str(word) for word in argv]) == 2
    *progress, error = capsys.readouterr().err.splitlines()
    assert all(line.startswith("epoch") for line in progress), progress
    return error


def weights(folder):
    return {
        (str(path.relative_to(folder)), name): array.tobytes()
        for path in sorted(folder.rglob("checkpoint.safetensors"))
        for name, array in load_weights(path)[0].items()
    }


def test_pseudo_label_compares_with_supervised_training_and_its_runs_can_be_used(
    place, tmp_path, capsys
):
    assert main(["pseudo-label", *own(place), *SHORT, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "28 labelled images of 3 classes, 90 unlabelled" in told
    results = json.loads((tmp_path / "out" / "result.json").read_text())
    assert list(results) == ["supervised", "supervised strong", "pseudo-labels", "fixmatch"]
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5000
    image = next((place / "many").rglob("*.png"))
    assert main(["predict", str(tmp_path / "out" / "fixmatch"), str(image)]) == 0
    assert main(["evaluate", str(tmp_path / "out" / "pseudo-labels")]) == 0


def test_where_labels_are_hidden_the_accuracy_of_pseudo_labels_is_known(tmp_path):
    out = tmp_path / "out"
    line = ["pseudo-label", *HIDDEN, "--epochs", "1", "--threshold", "0.3", "--out", str(out)]
    assert main(line) == 0
    record = json.loads((out / "fixmatch" / "training" / "metrics.jsonl").read_text())
    assert 0 < record["mask_rate"] <= 1
    assert 0 < record["pseudo_label_accuracy"] <= 1
    assert "pseudo_label_accuracy" not in json.loads(
        (out / "supervised" / "training" / "metrics.jsonl").read_text()
    )


def test_a_threshold_that_nothing_reaches_is_told_with_the_confidence(tmp_path, capsys):
    line = ["pseudo-label", *HIDDEN, "--epochs", "1", "--threshold", "1"]
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    assert "no prediction reached the threshold of 1.0: the highest" in capsys.readouterr().out


def test_self_train_tells_of_each_generation_with_and_without_noise(place, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["self-train", *own(place), *SHORT, "--iterations", "1", "--epochs", "8"]
    assert main([*line, "--student", "lenet5", "--out", str(out)]) == 0
    rows = json.loads((out / "result.json").read_text())
    assert list(rows) == [
        f"{chain}, {who}" for chain in ("with noise", "without noise")
        for who in ("teacher", "student 1")
    ]  # fmt: skip
    for row in rows.values():
        assert {"test_accuracy", "shifted_accuracy", "dark_accuracy", "turned_accuracy"} <= set(row)
    assert "with noise, student 1" in capsys.readouterr().out
    image = next((place / "many").rglob("*.png"))
    assert main(["predict", str(out / "student-with-noise"), str(image)]) == 0
    assert Run.open(out / "student-with-noise").settings["model"] == "lenet5"


def test_self_train_without_balance_may_leave_a_class_out(tmp_path, capsys):
    """A network that has learned nothing names hardly any class; how that goes on can be said."""
    line = ["self-train", "--labelled", "digits", "--labels", "40", "--model", "lenet5_lecture"]
    line += ["--epochs", "1", "--iterations", "1", "--floor", "0", "--lr", "1e-6"]
    error = refused(capsys, *line, "--out", tmp_path / "stopped")
    assert "is taken for" in error
    assert "--no-balance, --allow-missing" in error
    kept = {}
    for more in (["--allow-missing", "--per-class", "2"], ["--no-balance"]):
        out = tmp_path / more[0]
        assert main([*line, *more, "--unlabelled-augment", "none", "--out", str(out)]) == 0
        row = json.loads((out / "result.json").read_text())["with noise, student 1"]
        kept[more[0]] = row["kept_fraction"]
    assert kept["--allow-missing"] < 0.05
    assert kept["--no-balance"] == 1


@pytest.mark.parametrize("command", ["pseudo-label", "self-train"])
def test_an_interrupted_command_goes_on_and_ends_with_the_same_weights(
    place, tmp_path, monkeypatch, command
):
    line = [command, *own(place), *SHORT, "--epochs", "4"]
    line += ["--iterations", "1"] if command == "self-train" else []
    assert main([*line, "--out", str(tmp_path / "whole")]) == 0
    log, logged = Run.log, []

    def stopping(self, record):
        log(self, record)
        logged.append(1)
        if len(logged) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "log", stopping)
    assert main([*line, "--out", str(tmp_path / "parts")]) == 130
    monkeypatch.setattr(Run, "log", log)
    assert main([command, "--resume", "--out", str(tmp_path / "parts")]) == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_a_broken_image_is_named_and_left_out_where_asked(place, tmp_path, capsys):
    many = tmp_path / "many"
    many.mkdir()
    for n, path in enumerate(sorted((place / "many").rglob("*.png"))[:6]):
        (many / f"{n}.png").write_bytes(path.read_bytes())
    (many / "broken.jpg").write_bytes(b"no image")
    dataset, left_out = unlabelled_folder(many, (28, 28), 1, skip_unreadable=True)
    assert len(dataset) == 6
    assert list(left_out) == ["broken.jpg"]
    with pytest.raises(ValueError, match=r"1 of the 7 images .* broken\.jpg: .*--skip-unreadable"):
        unlabelled_folder(many, (28, 28), 1)
    error = refused(
        capsys, "pseudo-label", "--labelled", place / "few", "--unlabelled", many,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert "broken.jpg" in error
    assert not (tmp_path / "out").exists()


def test_image_files_are_found_in_all_folders_but_hidden_ones(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/deep/d.bmp", ".hidden/e.png", ".f.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["a/c.JPG", "a/deep/d.bmp", "b.png"]


def test_a_view_without_labels_has_the_images_and_nothing_else():
    data = digits().test
    hidden = WithoutLabels(data)
    assert np.array_equal(hidden[7][0], data[7][0])
    images, labels = hidden.batch(np.array([3, 1]))
    assert np.array_equal(images, data.batch(np.array([3, 1]))[0])
    assert labels.tolist() == [-1, -1]
    assert set(hidden.labels) == {-1}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pseudo-label"], "--unlabelled FOLDER, your own images, or --labels N"),
        (["pseudo-label", "--labels", "9"], "give --labelled NAME|PATH"),
        (["self-train", "--labelled", "digits", "--labels", "5"], "one for each of the 10"),
        (["pseudo-label", *HIDDEN, "--threshold", "1.5"], "--threshold is 1.5"),
        (["self-train", *HIDDEN, "--floor", "-1"], "--floor is -1.0"),
        (["self-train", *HIDDEN, "--floor", "1", "--epochs", "1"], "the highest probability is"),
        (["self-train", *HIDDEN, "--student", "resnet9"], "--student is 'resnet9'"),
        (["pseudo-label", *HIDDEN, "--augment", "cutmix"], "cutmix mixes labels"),
        (["pseudo-label", "--labelled", "digits", "--unlabelled", "nowhere"], "no folder nowhere"),
        (["self-train", "--resume"], "--resume needs --out"),
        (["self-train", "--resume", "--seed", "3", "--out", "x"], "there is no run at x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words).replace(str(tmp_path) + "/", "")
