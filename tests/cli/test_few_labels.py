"""pseudo-label and self-train: a few labelled images, and many without labels."""

import numpy as np

from minivision.cli import main
from minivision.datasets import WithoutLabels, digits, image_files, unlabelled_folder
from minivision.training import Run
from tests.cli.command_lines import records, refuses, result
from tests.refusals import refused


def own(place):
    return ["--labelled", str(place / "few"), "--unlabelled", str(place / "many")]


SHORT = ["--model", "lenet5_lecture", "--batch-size", "8", "--epochs", "2", "--lr", "0.005"]
HIDDEN = ["--labelled", "digits", "--labels", "40", "--model", "softmax_regression"]


def test_pseudo_label_compares_with_supervised_training_and_its_runs_can_be_used(
    place, tmp_path, capsys
):
    assert main(["pseudo-label", *own(place), *SHORT, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "28 labelled images of 3 classes, 90 unlabelled" in told
    assert list(result(tmp_path / "out")) == [
        "supervised",
        "supervised strong",
        "pseudo-labels",
        "fixmatch",
    ]
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5000
    image = next((place / "many").rglob("*.png"))
    assert main(["predict", str(tmp_path / "out" / "fixmatch"), str(image)]) == 0
    assert main(["evaluate", str(tmp_path / "out" / "pseudo-labels")]) == 0


def test_pseudo_label_with_hidden_labels_records_their_accuracy(tmp_path):
    out = tmp_path / "out"
    line = ["pseudo-label", *HIDDEN, "--epochs", "1", "--threshold", "0.3", "--out", str(out)]
    assert main(line) == 0
    (record,) = records(out / "fixmatch" / "training")
    assert 0 < record["mask_rate"] <= 1
    assert 0 < record["pseudo_label_accuracy"] <= 1
    assert "pseudo_label_accuracy" not in records(out / "supervised" / "training")[0]


def test_pseudo_label_reports_the_confidence_if_nothing_reaches_the_threshold(tmp_path, capsys):
    line = ["pseudo-label", *HIDDEN, "--epochs", "1", "--threshold", "1"]
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    assert "no prediction reached the threshold of 1.0" in capsys.readouterr().out


def test_self_train_reports_each_generation_with_and_without_noise(place, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["self-train", *own(place), *SHORT, "--iterations", "1", "--epochs", "8"]
    assert main([*line, "--student", "lenet5", "--out", str(out)]) == 0
    rows = result(out)
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


def test_self_train_can_allow_a_class_without_pseudo_labels(tmp_path, capsys):
    """A network that has learned nothing predicts hardly any class; options allow that."""
    line = ["self-train", "--labelled", "digits", "--labels", "40", "--model", "lenet5_lecture"]
    line += ["--epochs", "1", "--iterations", "1", "--floor", "0", "--lr", "1e-6"]
    fragments = "filter_and_balance", "--no-balance, --allow-missing"
    refuses(capsys, [*line, "--out", tmp_path / "stopped"], *fragments, after_epochs=True)
    kept = {}
    for more in (["--allow-missing", "--per-class", "2"], ["--no-balance"]):
        out = tmp_path / more[0]
        assert main([*line, *more, "--unlabelled-augment", "none", "--out", str(out)]) == 0
        row = result(out)["with noise, student 1"]
        kept[more[0]] = row["kept_fraction"]
    assert kept["--allow-missing"] < 0.05
    assert kept["--no-balance"] == 1


def test_unlabelled_folder_names_or_skips_a_broken_image(place, tmp_path, capsys):
    many = tmp_path / "many"
    many.mkdir()
    for n, path in enumerate(sorted((place / "many").rglob("*.png"))[:6]):
        (many / f"{n}.png").write_bytes(path.read_bytes())
    (many / "broken.jpg").write_bytes(b"no image")
    dataset, left_out = unlabelled_folder(many, (28, 28), 1, skip_unreadable=True)
    assert len(dataset) == 6
    assert list(left_out) == ["broken.jpg"]
    with refused(ValueError, "1 of the 7 images", "broken.jpg", "--skip-unreadable"):
        unlabelled_folder(many, (28, 28), 1)
    line = ["pseudo-label", "--labelled", place / "few", "--unlabelled", many]
    refuses(capsys, [*line, "--out", tmp_path / "out"], "broken.jpg")
    assert not (tmp_path / "out").exists()


def test_self_train_names_the_confidence_if_no_pseudo_label_reaches_the_floor(tmp_path, capsys):
    line = ["self-train", *HIDDEN, "--floor", "1", "--epochs", "1", "--out", tmp_path / "out"]
    refuses(capsys, line, "floor of 1.0", "highest probability", after_epochs=True)


def test_image_files_are_found_in_all_folders_except_hidden_ones(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/deep/d.bmp", ".hidden/e.png", ".f.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["a/c.JPG", "a/deep/d.bmp", "b.png"]


def test_without_labels_has_the_images_but_no_labels():
    data = digits().test
    hidden = WithoutLabels(data)
    assert np.array_equal(hidden[7][0], data[7][0])
    images, labels = hidden.batch(np.array([3, 1]))
    assert np.array_equal(images, data.batch(np.array([3, 1]))[0])
    assert labels.tolist() == [-1, -1]
    assert set(hidden.labels) == {-1}
