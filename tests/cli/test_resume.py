"""Commands that are stopped, killed, or resumed after something has changed.

There are three tables of cases: commands that are stopped at some point and resumed, commands that
the system kills, and commands that refuse to resume because of a change. The last section is about
files that are lost or left over.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import pytest

from minivision.cli import main
from minivision.training import Run, loop
from tests.cli.command_lines import (
    edit,
    files,
    printed,
    records,
    refuses,
    result,
    settings,
    weights,
)
from tests.cli.conftest import write_images

pytestmark = pytest.mark.usefixtures("no_pictures")

COMMANDS = (
    "train", "transfer", "distill", "forget-less", "pseudo-label", "self-train",
    "search-augmentation",
)  # fmt: skip


def resume(line, folder):
    """The command line that continues what this one started; a search is simply run again."""
    if line[0] == "search-augmentation":
        return [*line, "--out", str(folder)]
    return [line[0], "--resume", "--out", str(folder)]


def candidates(folder):
    """The candidates of a search in order, without the times."""
    lines = map(json.loads, (folder / "candidates.jsonl").read_text().splitlines())
    return sorted(({**line, "seconds": 0} for line in lines), key=lambda line: line["candidate"])


def outcome(folder):
    """All weights in a folder and its result, without measured times."""
    if (folder / "candidates.jsonl").exists():
        return candidates(folder)
    clocks = ("training_seconds", "milliseconds")

    def timeless(row):
        return (
            {k: timeless(v) for k, v in row.items() if k not in clocks}
            if isinstance(row, dict)
            else row
        )

    return weights(folder), timeless(result(folder))


# ── stopped ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "train", "transfer", "transfer, augmented", "distill", "distill, unlabelled",
        "forget-less", "pseudo-label", "self-train",
    ],
)  # fmt: skip
def test_commands_stopped_after_every_epoch_end_with_the_same_bits(
    done, lines, tmp_path, monkeypatch, name
):
    """The command is stopped after every epoch and resumed, until it has nothing left to do."""
    expected, save, stops = outcome(done(name)), loop.save_checkpoint, itertools.count()

    def save_and_stop(*arguments):
        save(*arguments)
        assert next(stops) < 50
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_and_stop)
    line, out = lines[name], tmp_path / "stopped"
    assert main([*line, "--out", str(out)]) == 130
    while main(resume(line, out)) == 130:
        pass
    assert next(stops) >= 2
    assert outcome(out) == expected


@pytest.mark.parametrize(
    ("name", "method", "count"),
    [
        ("train, cutmix", "log", 2), ("pseudo-label", "log", 6), ("self-train", "log", 6),
        ("train", "write_result", 1), ("distill", "write_result", 1),
        ("forget-less", "write_result", 2), ("self-train", "write_result", 1),
    ],
)  # fmt: skip
def test_commands_stopped_once_end_with_the_same_bits(
    done, lines, tmp_path, monkeypatch, name, method, count
):
    """The command is stopped once, before an epoch is logged or before a result is written."""
    expected, original, calls = outcome(done(name)), getattr(Run, method), itertools.count(1)

    def stopping(*arguments):
        if next(calls) == count:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Run, method, stopping)
        assert main([*lines[name], "--out", str(tmp_path / "stopped")]) == 130
    assert main(resume(lines[name], tmp_path / "stopped")) == 0
    assert outcome(tmp_path / "stopped") == expected


# ── killed ───────────────────────────────────────────────────────────────────────────────────

# A command line, and when it is killed: as soon as this file has this many lines.
KILLED = {
    "train": (
        ["train", "--limit", "256", "--epochs", "8"], [("metrics.jsonl", 2)],
    ),
    "train with patience": (
        ["train", "--limit", "60", "--lr", "0.02", "--schedule", "constant", "--epochs", "40",
         "--patience", "3"],
        [("metrics.jsonl", 2), ("metrics.jsonl", 4), ("metrics.jsonl", 6)],
    ),
    "transfer": (
        ["transfer", "OLD", "--dataset", "HIGH", "--epochs", "12", "--limit", "40", "--batch-size",
         "20", "--augment", "crop"],
        [("frozen/training/metrics.jsonl", 1)],
    ),
    "search-augmentation": (
        ["search-augmentation", "--limit", "100", "--epochs", "1", "--processes", "1", "--budget",
         "3"],
        [("candidates.jsonl", 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KILLED)
def test_commands_killed_by_the_system_end_with_the_same_bits(place, tmp_path, name):
    """The command is killed by kill -9 in the middle of an epoch, and then resumed."""
    line, moments = KILLED[name]
    places = {"OLD": str(place / "old"), "HIGH": str(place / "high")}
    line = [places.get(word, word) for word in line]
    assert main([*line, "--out", str(tmp_path / "peaceful")]) == 0
    killed, kills = tmp_path / "killed", 0
    command = [*line, "--out", str(killed)]
    for file, count in moments:
        process = subprocess.Popen(
            [sys.executable, "-m", "minivision", *command],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not ((killed / file).exists() and (killed / file).read_bytes().count(b"\n") >= count):
            assert time.monotonic() < deadline
            if process.poll() is not None:
                break
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        command = resume(line, killed)
    assert kills >= 1
    assert kills < len(moments) or not list(killed.glob("*t.json"))  # no result, no best policy
    subprocess.run([sys.executable, "-m", "minivision", *command], check=True, capture_output=True)
    assert outcome(killed) == outcome(tmp_path / "peaceful")
    if line[0] == "train":
        history = [records(tmp_path / folder) for folder in ("killed", "peaceful")]
        assert [[r["epoch"] for r in h] for h in history] == [
            [*range(1, len(h) + 1)] for h in history
        ]


# ── changed ──────────────────────────────────────────────────────────────────────────────────


def changes():
    """(command, change, fragments); a change is an option, or entries for settings.json.

    If an entry is None, it is removed.
    """
    for command in COMMANDS:
        search = command == "search-augmentation"
        data = "--labelled" if command in ("pseudo-label", "self-train") else "--dataset"
        was = "it was digits" if command == "train" else "it was /"
        seven = ("search: seed is 7", "with 0") if search else ("--seed is 7", "it was 0")
        yield command, "--seed 7", seven
        if not search:  # a search would have to read MNIST first
            yield command, f"{data} mnist", (f"{data} is mnist", was)
            yield command, {"seed": 7}, ("settings.json", "'seed'", "edited")
            yield command, {"epochs": None}, ("settings.json", "'epochs'")
            yield command, {"epochs": "2"}, ("settings.json", "'epochs'")
        yield (
            command,
            {"versions": {"minivision": "0.1.0"}},
            ("minivision 0.1.0", version("minivision")),
        )
        yield command, {"versions": [1]}, ("settings.json", "'versions'", "[1]")
        if not search:
            yield command, {"versions": {}}, ("minivision 0.1,", version("minivision"))
    for option, was in (
        ("--epochs 1", "4"), ("--augment crop", "none"), ("--shift 3", "2"), ("--limit 9", "20"),
        ("--lr 0.5", "0.002"), ("--model vgg_small", "softmax_regression"), ("--start he", "paper"),
        ("--patience 4", "not given"), ("--weight-decay 0.3", "not given"),
        ("--momentum 0.5", "not given"), ("--schedule constant", "cosine"),
        ("--class-weights balanced", "not given"),
    ):  # fmt: skip
        yield "train", option, (option.replace(" ", " is "), f"it was {was}")
    yield "train", "--skip-unreadable", ("--skip-unreadable is given", "not given")
    yield "train", "--weights w.safetensors", ("--weights is ", "w.safetensors", "not given")
    for entries in (
        {"lr": 0.1}, {"batch_size": 5}, {"optimizer": "sgd"}, {"epochs": 9}, {"model": "lenet5"},
        {"start": "he"}, {"limit": 30}, {"mixer": "cutmix"}, {"dataset": "mnist"}, {"shift": 1},
        {"classes": ["0", "1"]}, {"channels": 3},
    ):  # fmt: skip
        yield "train", entries, ("settings.json", repr(*entries), "edited")
    for option, was in (("--epochs 3", "2"), ("--layers 2", "1"), ("--hidden 9", "not given")):
        yield "transfer", option, (option.replace(" ", " is "), f"it was {was}")
    for name in ("images", "augment"):
        yield "transfer", {name: None}, ("settings.json", repr(name), "missing")
    for entries in ({"temperature": 8.0}, {"alpha": 0.5}):
        yield "distill", entries, ("settings.json", repr(*entries), "edited")
    for entries in ({"floor": 0.5}, {"iterations": 3}):
        yield "self-train", entries, ("settings.json", repr(*entries), "edited")
    yield "search-augmentation", {"lr": 0.5}, ("search: lr is 0.002", "with 0.5")
    yield "search-augmentation", "--epochs 2", ("search: epochs is 2", "with 1")
    yield "search-augmentation", "--space sequences", ("search: space is 'sequences'", "'grid'")


@pytest.mark.parametrize(
    ("command", "change", "fragments"),
    list(changes()),
    ids=[f"{command} {change}" for command, change, _ in changes()],
)
def test_commands_refuse_to_resume_after_a_change(
    done, lines, tmp_path, capsys, command, change, fragments
):
    folder = tmp_path / "copy"
    shutil.copytree(done(command), folder)
    (folder / "result.json").unlink(missing_ok=True)  # not finished yet
    line = resume(lines[command], folder)
    if isinstance(change, str):
        line += change.split()
    else:
        gone = [name for name, value in change.items() if value is None]
        edited = {n: v for n, v in (settings(folder) | change).items() if n not in gone}
        (folder / "settings.json").write_text(json.dumps(edited))
    before = files(folder)
    refuses(capsys, line, *fragments)
    assert files(folder) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_to_resume_what_another_command_began(
    done, lines, tmp_path, capsys, command
):
    other = "transfer" if command != "transfer" else "distill"
    shutil.copytree(done(other), tmp_path / "copy")
    before = files(tmp_path / "copy")
    named = "was started with" if command == "search-augmentation" else "not written by"
    refuses(capsys, resume(lines[command], tmp_path / "copy"), str(tmp_path / "copy"), named)
    assert files(tmp_path / "copy") == before


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_a_folder_in_use(done, lines, tmp_path, capsys, command):
    shutil.copytree(done(command), tmp_path / "copy")
    (tmp_path / "copy" / "result.json").unlink(missing_ok=True)
    with Run(tmp_path / "copy", {}).locked():
        line = resume(lines[command], tmp_path / "copy")
        refuses(capsys, line, str(tmp_path / "copy"), f"process {os.getpid()}")


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_commands_refuse_to_overwrite_results_or_to_resume_nothing(
    done, lines, tmp_path, capsys, command
):
    refuses(capsys, [*lines[command], "--out", done(command)], "already contains", "--resume")
    refuses(capsys, [command, "--resume"], "--resume", "--out FOLDER")
    for out in (tmp_path / "nothing", tmp_path):
        line = resume(lines[command], out)
        refuses(capsys, line, f"no run at {out}", "settings.json", "without --resume")


def test_commands_resumed_accept_their_own_options(done, lines, capsys):
    for command in COMMANDS[:-1]:
        folder = done(command)
        before = files(folder)
        printed(capsys, *lines[command], "--resume", "--out", folder)
        assert files(folder).keys() == before.keys()


# ── lost, left over, and out of date ─────────────────────────────────────────────────────────


@pytest.fixture
def unfinished(done, tmp_path):
    """unfinished(name) copies the folder that a command wrote, without its last results."""

    def copied(name):
        shutil.copytree(done(name), tmp_path / name)
        for part in ("", "distilled"):
            (tmp_path / name / part / "result.json").unlink(missing_ok=True)
        return tmp_path / name

    return copied


def test_train_names_a_lost_checkpoint_and_a_way_to_the_same_weights(
    done, lines, unfinished, capsys
):
    run = unfinished("train")
    (run / "checkpoint.safetensors").unlink()
    before = files(run)
    refuses(
        capsys, resume(lines["train"], run),
        f"{run / 'metrics.jsonl'} has 4 epochs", run / "checkpoint.safetensors", "epoch 1",
    )  # fmt: skip
    assert files(run) == before
    (run / "metrics.jsonl").unlink()
    assert f"{run}: 0 epochs are done" in printed(capsys, *resume(lines["train"], run))
    assert weights(run) == weights(done("train"))


def test_train_names_an_older_checkpoint_and_a_way_to_the_same_weights(
    done, lines, tmp_path, monkeypatch, capsys
):
    done("train")
    save = loop.save_checkpoint

    def save_and_copy(path, *arguments):
        save(path, *arguments)
        shutil.copy(path, tmp_path / f"{arguments[3].epoch}")

    run = tmp_path / "run"
    monkeypatch.setattr(loop, "save_checkpoint", save_and_copy)
    assert main([*lines["train"], "--out", str(run)]) == 0
    (run / "result.json").unlink()
    shutil.copy(tmp_path / "2", run / "checkpoint.safetensors")
    refuses(
        capsys, resume(lines["train"], run), "metrics.jsonl has 4 epochs", "from epoch 2",
        "the lines after epoch 2",
    )  # fmt: skip
    kept = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(kept[:2]))
    assert "2 epochs are done" in printed(capsys, *resume(lines["train"], run))
    assert weights(run) == weights(done("train"))


def test_train_resumed_counts_the_epochs_of_the_checkpoint(unfinished, lines, capsys):
    """If a run is killed, it may have one record more than the checkpoint has epochs."""
    run = unfinished("train")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5}\n')
    assert "4 epochs are done" in printed(capsys, *resume(lines["train"], run))
    assert [record["epoch"] for record in records(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kept", "fragments"),
    [
        ([], ("epochs 1 to 4", "checkpoint.safetensors")),
        ([1, 2], ("epochs 3 to 4", "checkpoint.safetensors")),
        ([1, 2, 3], ("epoch 4", "checkpoint.safetensors")),
        ([1, 2, 4], ("line 3 is for epoch 4", "epoch 3")),
        ([3, 4], ("line 1 is for epoch 3", "epoch 1")),
        ([1, 2, 2, 3, 4], ("line 3 is for epoch 2", "epoch 3")),
    ],
)
def test_train_names_lost_and_repeated_records(unfinished, lines, capsys, kept, fragments):
    run = unfinished("train")
    metrics = run / "metrics.jsonl"
    all_lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(all_lines[epoch - 1] for epoch in kept))
    refuses(capsys, resume(lines["train"], run), "metrics.jsonl", *fragments)
    metrics.unlink()
    refuses(capsys, resume(lines["train"], run), "metrics.jsonl", "epochs 1 to 4")


@pytest.mark.parametrize(
    ("command", "stage"),
    [("distill", "distilled/training"), ("self-train", "with-noise/0-teacher")],
)
def test_commands_resumed_check_their_stages(unfinished, lines, capsys, command, stage):
    folder = unfinished(command)
    stage = folder / stage
    metrics = (stage / "metrics.jsonl").read_text()
    (stage / "metrics.jsonl").unlink()
    line = resume(lines[command], folder)
    refuses(capsys, line, stage / "metrics.jsonl", "epochs 1 to")
    (stage / "metrics.jsonl").write_text(metrics)
    edit(stage, stage="another")
    refuses(capsys, line, stage / "settings.json", "'stage'", "edited")


def test_train_resumes_with_another_number_of_workers(done, unfinished, lines, capsys):
    run = unfinished("train")
    edit(run, workers=1)
    printed(capsys, *resume(lines["train"], run))
    assert weights(run) == weights(done("train"))


def test_evaluate_uses_a_run_whose_settings_were_edited(unfinished, capsys):
    run = unfinished("train")
    edit(run, lr=0.1)
    printed(capsys, "evaluate", run)


def test_train_resumes_with_images_that_have_moved(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("dark", "bright"):
        images = rng.integers(0, 255, (12, 30, 30, 3)).astype(np.uint8)
        write_images(tmp_path / "here" / name, images)
    line = ["train", "--dataset", str(tmp_path / "here"), "--epochs", "1"]
    printed(capsys, *line, "--out", tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "here").rename(tmp_path / "there")
    edit(tmp_path / "run", dataset=str(tmp_path / "there"))
    printed(capsys, *resume(line, tmp_path / "run"))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_resumed_note_other_versions_of_libraries_once(unfinished, lines, capsys, command):
    folder, note = unfinished(command), "the weights may differ"
    versions = settings(folder)["versions"]
    assert note not in printed(capsys, *resume(lines[command], folder))
    if command == "train":
        (folder / "result.json").unlink()
    edit(folder, versions=versions | {"numpy": "2.0.9", "python": "3.9"})
    (noted,) = (
        line
        for line in printed(capsys, *resume(lines[command], folder)).splitlines()
        if note in line
    )
    assert "numpy 2.0.9" in noted
    assert f"numpy {version('numpy')}" in noted
    assert "3.9" not in noted.replace("2.0.9", "")


def test_train_says_nothing_of_libraries_if_the_run_is_finished(unfinished, lines, capsys):
    run = unfinished("train")
    printed(capsys, *resume(lines["train"], run))
    edit(run, versions={"minivision": version("minivision"), "numpy": "2.0.9"})
    said = printed(capsys, *resume(lines["train"], run))
    assert "is finished" in said
    assert "2.0.9" not in said


def test_search_augmentation_removes_unfinished_files(unfinished, lines, capsys):
    folder = unfinished("search-augmentation")
    (folder / ".unfinished-1").write_bytes(b"half a picture")
    printed(capsys, *resume(lines["search-augmentation"], folder))
    names = ["best.json", "candidates.jsonl", "search.png", "settings.json"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_train_removes_a_lock_that_a_kill_left_in_a_finished_run(unfinished, lines, capsys):
    run = unfinished("train")
    printed(capsys, *resume(lines["train"], run))
    before = files(run)
    for left in (".lock", ".unfinished-1"):
        (run / left).write_bytes(b"7")
    printed(capsys, *resume(lines["train"], run))
    assert files(run) == before


def test_train_resumes_a_run_that_was_killed_while_it_was_lengthened(unfinished, lines, capsys):
    """The settings are already the new ones, but the result is still that of fewer epochs."""
    run = unfinished("train")
    printed(capsys, *resume(lines["train"], run))
    said = settings(run)
    del said["digests"]
    Run.open(run).rewrite_settings(said | {"epochs": 5})
    printed(capsys, *resume(lines["train"], run), "--epochs", "5")
    assert result(run)["epochs"] == 5
