"""Commands from the command line: train, evaluate, predict and their folders."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from minivision.cli import COMMANDS, images, main
from minivision.datasets import digits, stratified_split
from tests.cli.command_lines import records, refuses, result, settings
from tests.damage import DAMAGES, whole_file

QUICK = ["--limit", "256", "--epochs", "3"]


def test_train_leaves_a_complete_run_folder(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "checkpoint.safetensors",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "result.json",
        "settings.json",
    ]
    assert [record["epoch"] for record in records(trained)] == [1, 2, 3, 4, 5]
    assert set(records(trained)[0]) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
    }
    assert result(trained)["test_images"] == 360
    assert result(trained)["test_accuracy"] > 0.9
    assert cv2.imread(str(trained / "curves.png")).shape[1] > 800


def test_evaluate_agrees_with_the_result_of_training(trained, capsys):
    assert main(["evaluate", str(trained)]) == 0
    printed = capsys.readouterr().out
    assert f"accuracy            {result(trained)['test_accuracy']:.2%}" in printed
    assert f"{result(trained)['test_loss']:.4f} nats" in printed


def test_predict_reads_any_size_and_polarity(trained, tmp_path, capsys):
    """Test digits as they are, inverted, and enlarged in the corner of a white page."""
    test = digits().test
    right = {"plain": 0, "inverted": 0, "large": 0}
    count = 20
    paths, expected = [], []
    for i in range(count):
        image, label = test[i]
        page = np.full((300, 260, 1), 235, np.uint8)
        big = cv2.resize(image, (160, 160), interpolation=cv2.INTER_CUBIC)
        page[100:260, 40:200, 0] -= (big * 0.8).astype(np.uint8)
        for kind, picture in (("plain", image), ("inverted", 255 - image), ("large", page)):
            path = tmp_path / f"{kind}-{i}.png"
            cv2.imwrite(str(path), picture)
            paths.append(path)
            expected.append((kind, label))
    assert main(["predict", str(trained), *map(str, paths), "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [
        line.split()[0]
        for line in lines
        if line.startswith("  ") and "%" in line and "|" not in line
    ]
    assert len(answers) == len(paths)
    for (kind, label), answer in zip(expected, answers, strict=True):
        right[kind] += answer == str(label)
    assert right["plain"] == right["inverted"] >= 0.9 * count
    assert right["large"] >= 0.8 * count
    assert (trained / "predictions.png").exists()


def test_predict_shows_what_it_fed(trained, tmp_path, capsys):
    image = digits().test[0][0]
    cv2.imwrite(str(tmp_path / "digit.png"), 255 - image)
    assert main(["predict", str(trained), str(tmp_path / "digit.png")]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  |")]
    assert len(rows) == 14
    assert {len(row) for row in rows} == {28 + 4}
    assert "@" in "".join(rows)


def test_train_learns_from_a_folder_of_class_folders(tmp_path, capsys):
    """Colour photographs of two classes, of different sizes: dark circles and bright squares."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("circle", "square")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(30):
            H, W = rng.integers(40, 90, 2)
            image = rng.integers(90, 110, (H, W, 3)).astype(np.uint8)
            if k == 0:
                cv2.circle(image, (int(W) // 2, int(H) // 2), int(min(H, W)) // 3, (10, 30, 20), -1)
            else:
                cv2.rectangle(image, (10, 10), (int(W) - 10, int(H) - 10), (250, 220, 230), -1)
            cv2.imwrite(str(tmp_path / "photos" / name / f"{i}.png"), image)
    photos, out = str(tmp_path / "photos"), str(tmp_path / "run")
    assert main(["train", "--dataset", photos, "--epochs", "5", "--out", out, "--lr", "0.001"]) == 0
    assert result(Path(out))["test_accuracy"] >= 0.9
    assert main(["predict", out, str(tmp_path / "photos" / "circle" / "0.png")]) == 0
    assert "circle" in capsys.readouterr().out


def test_gradcheck_prints_a_row_for_every_function(capsys):
    assert main(["gradcheck", "relu", "softmax", "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["function", "relu", "softmax", "every"]
    assert float(lines[1].split()[1]) < 1e-6
    assert lines[1].split()[2] == "3"


@pytest.mark.parametrize("command", COMMANDS)
def test_main_help_shows_an_example_of_each_command(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert f"  minivision {command} " in printed
    assert "Read next" not in printed


def test_main_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


def test_train_refuses_a_file_in_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("a letter")
    refuses(capsys, ["train", *QUICK, "--out", tmp_path / "file"], tmp_path / "file", "is a file")
    assert (tmp_path / "file").read_text() == "a letter"


def test_train_resumed_accepts_its_own_options(trained, capsys):
    own = ["--dataset", "digits", "--seed", "0", "--epochs", "5", "--shift", "2"]
    assert main(["train", "--resume", "--out", str(trained), *own]) == 0
    assert "is finished" in capsys.readouterr().out


def test_train_continues_a_finished_run_for_more_epochs(trained, tmp_path, capsys):
    run = tmp_path / "longer"
    shutil.copytree(trained, run)
    before = records(run)
    assert main(["train", "--resume", "--epochs", "6", "--out", str(run)]) == 0
    assert records(run)[:5] == before
    assert [record["epoch"] for record in records(run)] == [1, 2, 3, 4, 5, 6]
    assert result(run)["epochs"] == settings(run)["epochs"] == 6
    capsys.readouterr()
    # It is finished again; an unfinished run cannot be lengthened.
    resume = ["train", "--resume", "--out", run, "--epochs"]
    refuses(capsys, [*resume, "2"], "--epochs is 2", run, "it was 6")
    (run / "result.json").unlink()
    refuses(capsys, [*resume, "7"], "--epochs is 7", run, "it was 6")


def test_commands_use_a_run_of_another_version_but_do_not_resume_it(trained, tmp_path, capsys):
    run = tmp_path / "first edition"
    shutil.copytree(trained, run)
    said = settings(run)
    first = (
        "model", "dataset", "classes", "channels", "epochs", "batch_size", "lr", "optimizer",
        "schedule", "seed", "limit", "skipped", "workers", "preprocessing", "mixer", "images",
    )  # fmt: skip
    old = {name: said[name] for name in first} | {"versions": {"minivision": "0.1.0"}}
    (run / "settings.json").write_text(json.dumps(old))
    versions = "minivision 0.1.0", said["versions"]["minivision"]
    refuses(capsys, ["train", "--resume", "--out", run], run, *versions)
    assert main(["evaluate", str(run)]) == 0
    cv2.imwrite(str(tmp_path / "a.png"), digits().test[0][0])
    for command in ("predict", "explain"):
        assert main([command, str(run), str(tmp_path / "a.png")]) == 0


def test_train_does_not_measure_a_finished_run_again(trained, capsys):
    before = (trained / "result.json").stat().st_mtime_ns
    assert main(["train", "--resume", "--out", str(trained)]) == 0
    assert "is finished: test accuracy" in capsys.readouterr().out
    assert (trained / "result.json").stat().st_mtime_ns == before


def test_evaluate_refuses_a_dataset_whose_classes_changed(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(0, 255, (30, 30, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "pets" / name / f"{i}.png"), image)
    pets, out = str(tmp_path / "pets"), str(tmp_path / "run")
    limited = ["train", "--dataset", pets, "--epochs", "1", "--limit", "4", "--out", out]
    assert main(limited) == 0
    (tmp_path / "pets" / "cat").rename(tmp_path / "pets" / "zebra")
    capsys.readouterr()
    refuses(capsys, ["evaluate", out], out, "classes cat, dog", "dog, zebra")


def test_train_limit_takes_images_of_all_classes(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "--limit", "20", "--epochs", "1", "--out", str(out)]) == 0
    (part,) = stratified_split(digits().train, (settings(out)["limit"],))
    assert sorted(part.labels.tolist()) == sorted(list(range(10)) * 2)


def test_commands_name_settings_that_train_did_not_write(trained, tmp_path, capsys):
    for name, value in (("classes", 10), ("preprocessing", [1]), ("dataset", None)):
        (tmp_path / "settings.json").write_text(json.dumps(settings(trained) | {name: value}))
        for command in (["evaluate", tmp_path], ["train", "--resume", "--out", tmp_path]):
            refuses(capsys, command, "settings.json", repr(name), repr(value))


def test_predict_prints_question_marks_if_the_terminal_has_no_blocks(trained, tmp_path):
    cv2.imwrite(str(tmp_path / "digit.png"), digits().test[0][0])
    command = [sys.executable, "-m", "minivision", "predict", str(trained)]
    done = subprocess.run(
        [*command, str(tmp_path / "digit.png")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


@pytest.fixture
def spoilt(tmp_path):
    """A folder of 24 images of two classes, with a truncated one, a text file and an empty one."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("dark", "bright")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(100 * k, 100 * k + 90, (30, 30, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / name / f"{i}.jpg"), image)
    cut = tmp_path / "photos" / "dark" / "5.jpg"
    cut.write_bytes(cut.read_bytes()[:-50])
    (tmp_path / "photos" / "bright" / "letter.jpg").write_text("Dear Sir or Madam")
    (tmp_path / "photos" / "bright" / "empty.png").write_bytes(b"")
    return tmp_path / "photos"


def as_tar(folder):
    path = folder.parent / "photos.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, "photos")
    return path


@pytest.mark.parametrize("make", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_train_names_broken_files_before_it_starts(spoilt, tmp_path, capsys, make):
    photos = make(spoilt)
    refuses(
        capsys, ["train", "--dataset", photos, "--out", tmp_path / "run"],
        "3 of the 26 images", photos, "bright/empty.png is empty",
        "bright/letter.jpg begins with 44 65 61 72", "dark/5.jpg is truncated", "--skip-unreadable",
    )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_train_shortens_a_long_list_of_broken_files(spoilt, tmp_path, capsys):
    for i in range(4):
        (spoilt / "bright" / f"{i}.jpg").write_bytes(b"")
    line = ["train", "--dataset", spoilt, "--out", tmp_path / "run"]
    error = refuses(capsys, line, "7 of the 26 images", "and 2 more")
    assert "letter.jpg" not in error


def test_train_names_a_broken_file_of_a_large_dataset_when_it_reads_it(
    spoilt, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(images, "CHECKED_BYTES", 100)
    line = ["train", "--dataset", spoilt, "--out", tmp_path / "run"]
    assert "--skip-unreadable" not in refuses(capsys, line, "read_image: ")


@pytest.mark.parametrize("make", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_train_that_skipped_unreadable_files_is_repeated_without_them(
    spoilt, tmp_path, capsys, make
):
    photos, out = make(spoilt), tmp_path / "run"
    train = ["train", "--dataset", str(photos), "--epochs", "2", "--out", str(out)]
    assert main([*train, "--skip-unreadable"]) == 0
    printed = capsys.readouterr().out
    assert "cannot be read (3 in all):\n  bright/empty.png is empty\n" in printed
    assert "17 training, 3 validation and 3 test images" in printed
    skipped = settings(out)["skipped"]
    assert list(skipped) == ["bright/empty.png", "bright/letter.jpg", "dark/5.jpg"]
    # A file that has been repaired since then does not change what was the test set.
    if photos.is_dir():
        (photos / "dark" / "5.jpg").write_bytes((photos / "dark" / "6.jpg").read_bytes())
    test_loss = result(out)["test_loss"]
    assert main(["evaluate", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "on 3 test images" in printed
    assert f"{test_loss:.4f} nats" in printed
    # As after a kill: all epochs are done, but there is no result yet.
    (out / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert result(out)["test_loss"] == test_loss


@pytest.mark.parametrize("make", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_train_never_uses_a_damaged_image(spoilt, tmp_path, capsys, make):
    """Each damaged file alone is refused by name; all together are skipped and listed."""
    for name in ("dark/5.jpg", "bright/letter.jpg", "bright/empty.png"):
        (spoilt / name).unlink()
    train = ["train", "--epochs", "1", "--out", str(tmp_path / "run"), "--dataset"]
    damaged = {
        f"dark/{name}{suffix}": damage(whole_file(suffix))
        for suffix, damages in DAMAGES.items()
        for name, damage in damages.items()
    }
    for name, data in damaged.items():
        (spoilt / name).write_bytes(data)
        refuses(capsys, [*train, make(spoilt)], "1 of the 24 images", f"{name} is ")
        (spoilt / name).unlink()
    assert not (tmp_path / "run").exists()
    for name, data in damaged.items():
        (spoilt / name).write_bytes(data)
    assert main([*train, str(make(spoilt)), "--skip-unreadable"]) == 0
    assert f"cannot be read ({len(damaged)} in all)" in capsys.readouterr().out
    skipped = settings(tmp_path / "run")["skipped"]
    assert list(skipped) == sorted(damaged)


def test_evaluate_reads_a_run_from_before_files_could_be_skipped(trained, tmp_path, capsys):
    for name in ("settings.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    said = settings(tmp_path)
    assert said.pop("skipped") == {}
    (tmp_path / "settings.json").write_text(json.dumps(said))
    assert main(["evaluate", str(tmp_path)]) == 0
