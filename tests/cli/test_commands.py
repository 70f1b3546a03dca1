"""The commands as a user meets them: real processes, real files, real interruptions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from minivision.cli import COMMANDS, images, main
from minivision.datasets import digits, stratified_split
from minivision.nn.weights import load_weights
from tests.damage import DAMAGES, whole_file

QUICK = ["--limit", "256", "--epochs", "3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on all training digits: good enough to read most of them."""
    folder = tmp_path_factory.mktemp("runs") / "lenet5"
    assert main(["train", "--epochs", "5", "--out", str(folder)]) == 0
    return folder


def refused(capsys, *argv):
    """The one line that a refused command prints, after checking that it is one and code 2."""
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_train_leaves_a_complete_run_folder(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "checkpoint.safetensors",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "result.json",
        "settings.json",
    ]
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5]
    assert set(records[0]) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
    }
    result = json.loads((trained / "result.json").read_text())
    assert result["test_images"] == 360
    assert result["test_accuracy"] > 0.9
    assert cv2.imread(str(trained / "curves.png")).shape[1] > 800


def test_evaluate_agrees_with_the_result_of_training(trained, capsys):
    assert main(["evaluate", str(trained)]) == 0
    printed = capsys.readouterr().out
    result = json.loads((trained / "result.json").read_text())
    assert f"accuracy            {result['test_accuracy']:.2%}" in printed
    assert f"{result['test_loss']:.4f} nats" in printed


def test_predict_reads_any_size_and_polarity(trained, tmp_path, capsys):
    """Test digits as they are, black on white, and enlarged into the corner of a white page."""
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


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    """kill -9 in the middle of an epoch, then --resume: the weights of a run left in peace."""
    command = [sys.executable, "-m", "minivision", "train", "--limit", "256", "--epochs", "8"]
    peaceful, killed = tmp_path / "peaceful", tmp_path / "killed"
    subprocess.run([*command, "--out", str(peaceful)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "--out", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    metrics = killed / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_text().count("\n") < 2:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = metrics.read_text().count("\n")
    assert 2 <= done < 8
    assert not (killed / "result.json").exists()
    subprocess.run(
        [*command[:4], "--out", str(killed), "--resume"], check=True, capture_output=True
    )
    ours, theirs = (
        load_weights(folder / "checkpoint.safetensors") for folder in (killed, peaceful)
    )
    assert ours[1] == theirs[1]
    assert {k: a.tobytes() for k, a in ours[0].items()} == {
        k: a.tobytes() for k, a in theirs[0].items()
    }
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    result, peace = (json.loads((f / "result.json").read_text()) for f in (killed, peaceful))
    assert result["test_loss"] == peace["test_loss"]


def test_training_on_a_folder_of_class_folders(tmp_path, capsys):
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
    assert json.loads(Path(out, "result.json").read_text())["test_accuracy"] >= 0.9
    assert main(["predict", out, str(tmp_path / "photos" / "circle" / "0.png")]) == 0
    assert "circle" in capsys.readouterr().out


def test_gradcheck_prints_a_row_for_every_function(capsys):
    assert main(["gradcheck", "relu", "softmax", "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["function", "relu", "softmax", "every"]
    assert float(lines[1].split()[1]) < 1e-6
    assert lines[1].split()[2] == "3"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert f"  minivision {command} " in printed
    assert "Read next" not in printed


def test_bare_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


def test_unknown_names_list_the_known_ones(tmp_path, capsys):
    out = tmp_path / "run"
    assert "lenet5, lenet5_lecture" in refused(capsys, "train", "--model", "resnet", "--out", out)
    assert "neither a known dataset (digits, shapes, mnist," in refused(
        capsys, "train", "--dataset", "nowhere", "--out", out
    )
    assert 'expected "cpu", "gpu", "gpu:N" or "auto"' in refused(
        capsys, "train", "--device", "tpu", "--out", out
    )
    assert "there are add, subtract" in refused(capsys, "gradcheck", "conv3d")
    assert not out.exists()


def test_a_run_is_not_overwritten(trained, capsys):
    error = refused(capsys, "train", "--out", trained)
    assert "already holds a run" in error
    assert "--resume" in error


def test_a_file_where_the_run_folder_should_be(tmp_path, capsys):
    (tmp_path / "file").write_text("a letter")
    assert f"{tmp_path / 'file'} is a file" in refused(
        capsys, "train", *QUICK, "--out", tmp_path / "file"
    )
    assert (tmp_path / "file").read_text() == "a letter"


@pytest.mark.parametrize(
    ("option", "was"),
    [
        (["--dataset", "mnist"], "digits"), (["--seed", "7"], "0"), (["--epochs", "1"], "5"),
        (["--augment", "crop"], "none"), (["--shift", "3"], "2"), (["--limit", "9"], "not given"),
        (["--lr", "0.5"], "0.002"), (["--model", "vgg_small"], "lenet5"),
        (["--start", "he"], "paper"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_resume_refuses_another_option_and_names_both(trained, capsys, option, was):
    error = refused(capsys, "train", "--resume", "--out", trained, *option)
    assert f"{option[0]} is {option[1]}, but for {trained} it was {was}; leave it out" in error


def test_resume_accepts_the_runs_own_options(trained, capsys):
    own = ["--dataset", "digits", "--seed", "0", "--epochs", "5", "--shift", "2"]
    assert main(["train", "--resume", "--out", str(trained), *own]) == 0
    assert "is finished" in capsys.readouterr().out


def test_a_finished_run_goes_on_for_more_epochs(trained, tmp_path, capsys):
    run = tmp_path / "longer"
    shutil.copytree(trained, run)
    before = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert main(["train", "--resume", "--epochs", "6", "--out", str(run)]) == 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert records[:5] == before
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6]
    result, settings = (json.loads((run / f"{n}.json").read_text()) for n in ("result", "settings"))
    assert result["epochs"] == settings["epochs"] == 6
    capsys.readouterr()
    # It is finished again, and an unfinished one does not change its length.
    error = refused(capsys, "train", "--resume", "--epochs", "2", "--out", run)
    assert f"--epochs is 2, but for {run} it was 6" in error
    (run / "result.json").unlink()
    error = refused(capsys, "train", "--resume", "--epochs", "7", "--out", run)
    assert f"--epochs is 7, but for {run} it was 6" in error


def test_a_run_of_another_version_can_be_used_but_not_continued(trained, tmp_path, capsys):
    run = tmp_path / "first edition"
    shutil.copytree(trained, run)
    said = json.loads((run / "settings.json").read_text())
    first = (
        "model", "dataset", "classes", "channels", "epochs", "batch_size", "lr", "optimizer",
        "schedule", "seed", "limit", "skipped", "workers", "preprocessing", "mixer", "images",
    )  # fmt: skip
    old = {name: said[name] for name in first} | {"versions": {"minivision": "0.1.0"}}
    (run / "settings.json").write_text(json.dumps(old))
    error = refused(capsys, "train", "--resume", "--out", run)
    now = said["versions"]["minivision"]
    assert f"was begun by minivision 0.1.0, and this is {now}: only the version that began" in error
    assert main(["evaluate", str(run)]) == 0
    cv2.imwrite(str(tmp_path / "a.png"), digits().test[0][0])
    for command in ("predict", "explain"):
        assert main([command, str(run), str(tmp_path / "a.png")]) == 0


def test_a_finished_run_is_not_measured_again(trained, capsys):
    before = (trained / "result.json").stat().st_mtime_ns
    assert main(["train", "--resume", "--out", str(trained)]) == 0
    assert "is finished: test accuracy" in capsys.readouterr().out
    assert (trained / "result.json").stat().st_mtime_ns == before


def test_a_folder_whose_classes_changed_is_refused(tmp_path, capsys):
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
    error = refused(capsys, "evaluate", out)
    assert "was trained on the classes cat, dog, but" in error
    assert "has dog, zebra" in error


def test_a_limit_takes_images_of_all_classes(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "--limit", "20", "--epochs", "1", "--out", str(out)]) == 0
    settings = json.loads((out / "settings.json").read_text())
    (part,) = stratified_split(digits().train, (settings["limit"],))
    assert sorted(part.labels.tolist()) == sorted(list(range(10)) * 2)


def test_settings_that_were_not_written_by_train_are_named(trained, tmp_path, capsys):
    settings = json.loads((trained / "settings.json").read_text())
    for name, value in (("classes", 10), ("preprocessing", [1]), ("dataset", None)):
        (tmp_path / "settings.json").write_text(json.dumps({**settings, name: value}))
        for command in (["evaluate", tmp_path], ["train", "--resume", "--out", tmp_path]):
            assert f"settings.json: {name!r} is {value!r}" in refused(capsys, *command)


def test_output_that_cannot_show_blocks_gets_question_marks(trained, tmp_path):
    cv2.imwrite(str(tmp_path / "digit.png"), digits().test[0][0])
    command = [sys.executable, "-m", "minivision", "predict", str(trained)]
    result = subprocess.run(
        [*command, str(tmp_path / "digit.png")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert result.returncode == 0, result.stderr
    assert b"?" in result.stdout


def test_resume_needs_a_run(tmp_path, capsys):
    assert "--resume needs --out" in refused(capsys, "train", "--resume")
    assert "there is no run at" in refused(capsys, "train", "--resume", "--out", tmp_path / "x")


def test_predict_names_the_file_it_cannot_read(trained, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    cv2.imwrite(str(tmp_path / "white.png"), np.full((50, 50), 255, np.uint8))
    assert "none.png" in refused(capsys, "predict", trained, tmp_path / "none.png")
    assert "broken.png" in refused(capsys, "predict", trained, tmp_path / "broken.png")
    error = refused(capsys, "predict", trained, tmp_path / "white.png")
    assert "white.png: FrameDigit: image has grey levels" in error


def test_a_run_with_a_damaged_checkpoint_or_settings(trained, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("settings.json", "checkpoint.safetensors"):
        (copy / name).write_bytes((trained / name).read_bytes()[:-40])
    assert "settings.json: not valid JSON" in refused(capsys, "evaluate", copy)
    (copy / "settings.json").write_bytes((trained / "settings.json").read_bytes())
    assert "truncated or not a safetensors file" in refused(capsys, "evaluate", copy)
    (copy / "checkpoint.safetensors").write_bytes((trained / "checkpoint.safetensors").read_bytes())
    settings = json.loads((copy / "settings.json").read_text())
    (copy / "settings.json").write_text(json.dumps({**settings, "model": "lenet5_lecture"}))
    error = refused(capsys, "evaluate", copy)
    assert "is a checkpoint of another model" in error
    assert "classifier.0.weight is (120, 400), expected (120, 256)" in error


@pytest.fixture
def spoilt(tmp_path):
    """A folder of 24 images of two classes, and in it a cut one, a letter and an empty file."""
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
def test_broken_files_are_named_before_training_begins(spoilt, tmp_path, capsys, make):
    photos = make(spoilt)
    error = refused(capsys, "train", "--dataset", photos, "--out", tmp_path / "run")
    assert f"3 of the 26 images in {photos} cannot be read: bright/empty.png is empty; " in error
    assert "bright/letter.jpg begins with 44 65 61 72" in error
    assert "dark/5.jpg is truncated: it ends after" in error
    assert "leave them out with --skip-unreadable" in error
    assert not (tmp_path / "run").exists()


def test_a_long_list_of_broken_files_is_cut_short(spoilt, tmp_path, capsys):
    for i in range(4):
        (spoilt / "bright" / f"{i}.jpg").write_bytes(b"")
    error = refused(capsys, "train", "--dataset", spoilt, "--out", tmp_path / "run")
    assert "7 of the 26 images" in error
    assert "letter.jpg" not in error
    assert "; and 2 more. Repair" in error


def test_what_is_too_much_to_be_looked_at_is_named_when_it_is_met(
    spoilt, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(images, "CHECKED_BYTES", 100)
    error = refused(capsys, "train", "--dataset", spoilt, "--out", tmp_path / "run")
    assert "read_image: " in error
    assert "cannot be read: " not in error


@pytest.mark.parametrize("make", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_a_run_without_the_unreadable_files_is_repeated_without_them(
    spoilt, tmp_path, capsys, make
):
    photos, out = make(spoilt), tmp_path / "run"
    train = ["train", "--dataset", str(photos), "--epochs", "2", "--out", str(out)]
    assert main([*train, "--skip-unreadable"]) == 0
    printed = capsys.readouterr().out
    assert (
        "left out, because it cannot be read (3 in all):\n  bright/empty.png is empty\n" in printed
    )
    assert "17 training, 3 validation and 3 test images" in printed
    skipped = json.loads((out / "settings.json").read_text())["skipped"]
    assert list(skipped) == ["bright/empty.png", "bright/letter.jpg", "dark/5.jpg"]
    # A file that has been repaired since then does not change what was the test set.
    if photos.is_dir():
        (photos / "dark" / "5.jpg").write_bytes((photos / "dark" / "6.jpg").read_bytes())
    result = json.loads((out / "result.json").read_text())
    assert main(["evaluate", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "on 3 test images" in printed
    assert f"{result['test_loss']:.4f} nats" in printed
    # As after a kill: the result is not there yet, and all epochs are done.
    (out / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert json.loads((out / "result.json").read_text())["test_loss"] == result["test_loss"]


@pytest.mark.parametrize("make", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_no_damaged_image_becomes_training_data(spoilt, tmp_path, capsys, make):
    """Each damage alone is refused by name; all together are left out and listed."""
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
        error = refused(capsys, *train, make(spoilt))
        assert "1 of the 24 images" in error
        assert f"cannot be read: {name} is " in error
        (spoilt / name).unlink()
    assert not (tmp_path / "run").exists()
    for name, data in damaged.items():
        (spoilt / name).write_bytes(data)
    assert main([*train, str(make(spoilt)), "--skip-unreadable"]) == 0
    assert f"cannot be read ({len(damaged)} in all)" in capsys.readouterr().out
    skipped = json.loads((tmp_path / "run" / "settings.json").read_text())["skipped"]
    assert list(skipped) == sorted(damaged)


def test_a_run_from_before_files_could_be_skipped_is_still_read(trained, tmp_path, capsys):
    for name in ("settings.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings.pop("skipped") == {}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    assert main(["evaluate", str(tmp_path)]) == 0


def test_skipping_is_for_images_of_ones_own_and_decided_once(trained, tmp_path, capsys):
    error = refused(capsys, "train", "--skip-unreadable", "--out", tmp_path / "run")
    assert "--skip-unreadable is for images of your own; digits has a name" in error
    error = refused(capsys, "train", "--resume", "--skip-unreadable", "--out", trained)
    assert f"--skip-unreadable is given, but for {trained} it was not given" in error


@pytest.mark.parametrize(
    "argv",
    [
        ["--epochs", "0"],
        ["--lr", "-1"],
        ["--lr", "abc"],
        ["--seed", "x"],
        ["--lr", "nan"],
        ["--limit", "few"],
        ["--seed", "-1"],
    ],
    ids=" ".join,
)
def test_arguments_out_of_range_are_refused_by_name(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *argv])
    assert stopped.value.code == 2
    assert f"argument {argv[0]}" in capsys.readouterr().err
