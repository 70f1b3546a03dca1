"""What --resume refuses, and what it says: files that are lost, edited, or of another time."""

import json
import shutil
from importlib.metadata import version

import cv2
import numpy as np
import pytest

from minivision.cli import main
from minivision.training import Run

SMALL = ["--limit", "20", "--batch-size", "10", "--epochs"]
FEW = ["--labelled", "digits", "--labels", "20", "--model", "softmax_regression", "--epochs", "1"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run of train, and finished results of commands that hold several runs."""
    place = tmp_path_factory.mktemp("done")
    train = ["train", "--model", "softmax_regression", *SMALL, "4", "--out", str(place / "train")]
    assert main(train) == 0
    old = str(place / "train")
    lines = {
        "distill": ["distill", old, "--student", "softmax_regression", *SMALL, "2"],
        "self-train": ["self-train", *FEW, "--iterations", "1", "--allow-missing"],
        "search-augmentation": search(place / "search-augmentation")[:-2],
    }
    for name, line in lines.items():
        assert main([*line, "--out", str(place / name)]) == 0
    return place


@pytest.fixture
def folder(done, tmp_path):
    """A copy of them, not finished: the last results are not there yet."""
    shutil.copytree(done, tmp_path / "copy")
    for name in ("train", "distill", "distill/distilled"):
        (tmp_path / "copy" / name / "result.json").unlink()
    return tmp_path / "copy"


def search(out):
    line = ["search-augmentation", "--budget", "2", "--processes", "1", "--model"]
    return [*line, "softmax_regression", *SMALL, "1", "--out", str(out)]


def resume(command, folder):
    return search(folder) if command == "search-augmentation" else [
        command, "--resume", "--out", str(folder)
    ]  # fmt: skip


def refused(capsys, *line):
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert main(list(line)) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if not line.startswith("epoch ")]
    assert len(lines) == 1, error
    return lines[0]


def edit(folder, **changes):
    said = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(said | changes))


def files(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def weights(folder):
    return (folder / "checkpoint.safetensors").read_bytes()


def test_a_lost_checkpoint_is_named_and_the_way_out_leads_to_the_same_weights(done, folder, capsys):
    run = folder / "train"
    (run / "checkpoint.safetensors").unlink()
    before = files(run)
    error = refused(capsys, *resume("train", run))
    assert (
        f"{run / 'metrics.jsonl'} has 4 epochs, but {run / 'checkpoint.safetensors'} is mi" in error
    )
    assert "or remove the former to begin again with epoch 1" in error
    assert files(run) == before
    (run / "metrics.jsonl").unlink()
    assert main(resume("train", run)) == 0
    assert "going on with" in (said := capsys.readouterr().out)
    assert ": 0 epochs are done" in said
    assert weights(run) == weights(done / "train")


def test_an_older_checkpoint_is_named_and_the_way_out_leads_to_the_same_weights(
    done, tmp_path, monkeypatch, capsys
):
    from minivision.training import loop

    save = loop.save_checkpoint

    def save_and_copy(path, *arguments):
        save(path, *arguments)
        shutil.copy(path, tmp_path / f"{arguments[3].epoch}")

    run = tmp_path / "run"
    monkeypatch.setattr(loop, "save_checkpoint", save_and_copy)
    line = ["train", "--model", "softmax_regression", *SMALL, "4", "--out", str(run)]
    assert main(line) == 0
    (run / "result.json").unlink()
    shutil.copy(tmp_path / "2", run / "checkpoint.safetensors")
    error = refused(capsys, *resume("train", run))
    assert "metrics.jsonl has 4 epochs, but" in error
    assert "is of epoch 2; put the right checkpoint back, or remove the lines after" in error
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    assert main(resume("train", run)) == 0
    assert "2 epochs are done" in capsys.readouterr().out
    assert weights(run) == weights(done / "train")


def test_the_epochs_that_are_done_are_those_of_the_checkpoint(folder, tmp_path, capsys):
    """A kill may leave the record of one epoch more."""
    with (folder / "train" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5}\n')
    assert main(resume("train", folder / "train")) == 0
    assert "4 epochs are done" in capsys.readouterr().out
    assert [r["epoch"] for r in Run.open(folder / "train").history()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([], "metrics.jsonl lacks epochs 1 to 4, which"),
        ([1, 2], "metrics.jsonl lacks epochs 3 to 4, which"),
        ([1, 2, 3], "metrics.jsonl lacks epoch 4, which"),
        ([1, 2, 4], "metrics.jsonl, line 3 is of epoch 4; expected epoch 3"),
        ([3, 4], "metrics.jsonl, line 1 is of epoch 3; expected epoch 1"),
        ([1, 2, 2, 3, 4], "metrics.jsonl, line 3 is of epoch 2; expected epoch 3"),
    ],
)
def test_lost_and_repeated_records_are_named(folder, capsys, kept, said):
    metrics = folder / "train" / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[epoch - 1] for epoch in kept))
    assert said in refused(capsys, *resume("train", folder / "train"))
    metrics.unlink()
    error = refused(capsys, *resume("train", folder / "train"))
    assert "metrics.jsonl lacks epochs 1 to 4, which" in error


@pytest.mark.parametrize(
    ("command", "stage"),
    [("distill", "distilled/training"), ("self-train", "with-noise/0-teacher")],
)
def test_the_stages_of_a_longer_command_are_checked_too(folder, capsys, command, stage):
    stage = folder / command / stage
    metrics = (stage / "metrics.jsonl").read_text()
    (stage / "metrics.jsonl").unlink()
    assert f"{stage / 'metrics.jsonl'} lacks epoch" in refused(
        capsys, *resume(command, folder / command)
    )
    (stage / "metrics.jsonl").write_text(metrics)
    edit(stage, stage="another")
    error = refused(capsys, *resume(command, folder / command))
    assert f"{stage / 'settings.json'}: 'stage' was edited" in error


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"lr": 0.1}, {"batch_size": 5}, {"optimizer": "sgd"}, {"epochs": 9},
        {"model": "lenet5"}, {"start": "he"}, {"limit": 30}, {"mixer": "cutmix"},
        {"dataset": "mnist"}, {"classes": ["0", "1"]}, {"shift": 1}, {"channels": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_run_whose_settings_were_edited_does_not_go_on(folder, capsys, change):
    run, (name,) = folder / "train", change
    edit(run, **change)
    before = files(run)
    error = refused(capsys, *resume("train", run))
    assert f"{run / 'settings.json'}: {name!r} was edited after the run was begun" in error
    assert files(run) == before


def test_a_run_whose_settings_were_edited_can_be_used(folder, capsys):
    edit(folder / "train", lr=0.1)
    assert main(["evaluate", str(folder / "train")]) == 0


def test_the_number_of_workers_may_be_edited(done, folder):
    edit(folder / "train", workers=1)
    assert main(resume("train", folder / "train")) == 0
    assert weights(folder / "train") == weights(done / "train")


def test_images_of_ones_own_may_be_moved_while_a_run_is_stopped(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("dark", "bright"):
        (tmp_path / "here" / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(0, 255, (30, 30, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "here" / name / f"{i}.png"), image)
    line = ["train", "--dataset", str(tmp_path / "here"), "--epochs", "1"]
    assert main([*line, "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "here").rename(tmp_path / "there")
    edit(tmp_path / "run", dataset=str(tmp_path / "there"))
    assert main(resume("train", tmp_path / "run")) == 0


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        ("distill", {"temperature": 8.0}), ("distill", {"seed": 1}), ("distill", {"alpha": 0.5}),
        ("self-train", {"floor": 0.5}), ("self-train", {"iterations": 3}),
    ],
)  # fmt: skip
def test_edited_options_of_a_longer_command_are_named(folder, capsys, command, changes):
    edit(folder / command, **changes)
    error = refused(capsys, *resume(command, folder / command))
    assert f"settings.json: {next(iter(changes))!r} was edited after the run was begun" in error


def test_edited_settings_of_a_search_are_named(folder, capsys):
    edit(folder / "search-augmentation", lr=0.5)
    error = refused(capsys, *search(folder / "search-augmentation"))
    assert "search: lr is 0.002, but" in error


@pytest.mark.parametrize("command", ["train", "distill", "self-train", "search-augmentation"])
def test_other_libraries_than_a_run_was_begun_with_are_one_note(folder, capsys, command):
    run = folder / command
    versions = json.loads((run / "settings.json").read_text())["versions"]
    assert main(resume(command, run)) == 0
    assert "begun with" not in capsys.readouterr().out
    if command == "train":
        (run / "result.json").unlink()
    edit(run, versions=versions | {"numpy": "2.0.9", "python": "3.9"})
    assert main(resume(command, run)) == 0
    said = capsys.readouterr().out
    assert said.count("begun with") == 1
    now = version("numpy")
    assert f"begun with numpy 2.0.9, this is numpy {now}: the weights may differ" in said


@pytest.mark.parametrize("command", ["train", "distill", "search-augmentation"])
def test_versions_that_are_not_names_are_refused(folder, capsys, command):
    edit(folder / command, versions=[1])
    assert "settings.json: 'versions' is [1]; expected" in refused(
        capsys, *resume(command, folder / command)
    )


def test_a_finished_run_is_told_nothing_of_libraries(folder, capsys):
    assert main(resume("train", folder / "train")) == 0
    edit(folder / "train", versions={"minivision": version("minivision"), "numpy": "2.0.9"})
    capsys.readouterr()
    assert main(resume("train", folder / "train")) == 0
    assert "is finished" in (said := capsys.readouterr().out)
    assert "begun with" not in said


def test_a_search_of_another_version_does_not_go_on(folder, capsys):
    edit(folder / "search-augmentation", versions={"minivision": "0.1.0"})
    error = refused(capsys, *search(folder / "search-augmentation"))
    assert "was begun by minivision 0.1.0" in error


def test_a_search_in_use_is_refused_and_unfinished_files_are_removed(folder, capsys):
    run = Run(folder / "search-augmentation", {})
    with run.locked():
        assert "is in use: process" in refused(capsys, *search(run.path))
    (run.path / ".unfinished-1").write_bytes(b"half a picture")
    assert main(search(run.path)) == 0
    names = ["best.json", "candidates.jsonl", "search.png", "settings.json"]
    assert sorted(path.name for path in run.path.iterdir()) == names


@pytest.mark.parametrize("command", ["train", "distill", "self-train"])
def test_where_nothing_has_begun_resume_says_how_to_begin(tmp_path, capsys, command):
    for out in (tmp_path / "nothing", tmp_path):
        error = refused(capsys, *resume(command, out))
        assert f"there is no run at {out}: it has no settings.json; begin it without" in error


def test_a_finished_run_that_a_kill_left_its_lock_is_cleared(folder, capsys):
    run = folder / "train"
    assert main(resume("train", run)) == 0
    before = files(run)
    for left in (".lock", ".unfinished-1"):
        (run / left).write_bytes(b"7")
    assert main(resume("train", run)) == 0
    assert files(run) == before


def test_a_run_that_was_being_lengthened_goes_on_after_a_kill(folder, capsys):
    """New settings are there, and the result of fewer epochs as well."""
    run = folder / "train"
    assert main(resume("train", run)) == 0
    said = json.loads((run / "settings.json").read_text())
    del said["digests"]
    Run.open(run).rewrite_settings(said | {"epochs": 5})
    assert main([*resume("train", run), "--epochs", "5"]) == 0
    assert json.loads((run / "result.json").read_text())["epochs"] == 5
