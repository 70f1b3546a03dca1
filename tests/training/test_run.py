"""A run's folder survives kills, refuses to be overwritten, and returns what was written."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.training.run import FILES, Run, next_run_path
from tests.refusals import refused

DEEP = b"[" * 100_000
SETTINGS = {"model": "lenet5", "lr": 0.1, "preprocessing": {"mean": [0.13], "size": [28, 28]}}


def epochs(run):
    return [record["epoch"] for record in run.history()]


def run_with_epochs(folder, last):
    run = Run.create(folder / "run", SETTINGS)
    for epoch in range(1, last + 1):
        run.log({"epoch": epoch, "train_loss": 1 / epoch})
    return run


# Creating and opening


def test_run_opened_again_is_the_run_that_was_created(tmp_path):
    run = Run.create(tmp_path / "runs" / "first", {**SETTINGS, "pair": (1, 2), "k": np.int64(5)})
    again = Run.open(str(tmp_path / "runs" / "first"))
    assert run.settings == again.settings == {**SETTINGS, "pair": [1, 2], "k": 5}
    assert again.path == run.path
    assert again.history() == []
    assert repr(run) == f"Run({str(run.path)!r})"
    assert [p.name for p in run.path.iterdir()] == ["settings.json"]


def test_run_paths_are_its_files():
    run = Run(Path("runs/x"), {})
    paths = [run.metrics_path, run.checkpoint_path, run.result_path]
    assert paths == [Path("runs/x") / name for name in FILES[1:]]


def test_run_create_accepts_an_empty_folder_or_one_with_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, SETTINGS)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
def test_run_create_refuses_a_folder_with_a_run_and_names_both_ways_out(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with refused(FileExistsError, str(tmp_path), name, "--resume", "--out"):
        Run.create(tmp_path, SETTINGS)
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("way", [Run.open, lambda path: Run.create(path, SETTINGS)])
@pytest.mark.parametrize("below", ["", "below", "further/below"])
def test_run_names_a_file_in_place_of_the_folder(tmp_path, way, below):
    (tmp_path / "file").write_text("")
    with refused(NotADirectoryError, "Run.", f"{tmp_path}/file", "folder"):
        way(tmp_path / "file" / below)


@pytest.mark.parametrize(
    ("settings", "error", "fragments"),
    [
        ({"lr": float("inf")}, ValueError, ("settings['lr']", "inf", "JSON", "finite")),
        ({"a": [1, np.float32("nan")]}, ValueError, ("settings['a'][1]", "nan")),
        ({"data": Path("x")}, TypeError, ("settings['data']", type(Path()).__name__, "numbers")),
        ({"sizes": {1: 2}}, TypeError, ("settings['sizes']", "key 1", "strings")),
    ],
)
def test_run_create_refuses_settings_that_json_would_change_and_creates_nothing(
    tmp_path, settings, error, fragments
):
    with refused(error, *fragments):
        Run.create(tmp_path / "run", settings)
    assert list(tmp_path.iterdir()) == []


def test_run_open_names_what_is_missing(tmp_path):
    with refused(FileNotFoundError, str(tmp_path / "absent"), "does not exist"):
        Run.open(tmp_path / "absent")
    with refused(FileNotFoundError, str(tmp_path), "settings.json"):
        Run.open(tmp_path)


def edit(run, **changes):
    """Edit settings.json by hand; None removes an entry."""
    said = json.loads((run.path / "settings.json").read_text()) | changes
    said = {name: value for name, value in said.items() if value is not None}
    (run.path / "settings.json").write_text(json.dumps(said))
    return Run.open(run.path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lr": 0.2}, "'lr'"), ({"model": "lenet"}, "'model'"), ({"model": None}, "'model'"),
        ({"preprocessing": {"mean": [0.13], "size": [28, 29]}}, "'preprocessing'"),
        ({"new": 1}, "'new'"), ({"dataset": "there"}, "'dataset'"),
    ],
)  # fmt: skip
def test_check_settings_names_an_edited_setting(tmp_path, changes, named):
    run = Run.create(tmp_path / "run", {**SETTINGS, "dataset": "here"})
    Run.open(run.path).check_settings()
    edited = edit(run, **changes)
    with refused(ValueError, "settings.json", named, "edited"):
        edited.check_settings()


def test_check_settings_allows_edits_that_do_not_affect_the_weights(tmp_path):
    begun = {**SETTINGS, "workers": 0, "versions": {"numpy": "2.1"}, "images": {"count": 3}}
    run = Run.create(tmp_path / "run", begun | {"dataset": "here"})
    # Images that have moved are compared with their record.
    edit(run, workers=2, versions={}, dataset="there").check_settings()
    edited = edit(run, images={"count": 4})
    with refused(ValueError, "settings.json", "'images'", "edited"):
        edited.check_settings()
    edit(run, images={"count": 4}, digests=None).check_settings()  # as of an older version


def test_check_settings_names_edited_digests(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    for edited in ([1], "none", 7):
        with refused(ValueError, "settings.json", "'digests'", "edited"):
            edit(run, digests=edited).check_settings()


def test_rewrite_settings_does_not_count_as_an_edit(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.rewrite_settings({**SETTINGS, "lr": 0.2})
    again = Run.open(run.path)
    again.check_settings()
    assert again.settings == {**SETTINGS, "lr": 0.2}


@pytest.mark.parametrize("content", [b"", b'{"lr": 0.', b"\xff\xfe", b"[1, 2]", b"null", DEEP])
def test_run_open_names_a_broken_settings_file(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with refused(ValueError, "settings.json", "JSON"):
        Run.open(tmp_path)


# Metrics


def test_run_log_writes_one_line_per_record_at_once(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    for epoch in (1, 2, 3):
        run.log({"epoch": epoch, "train_loss": np.float32(0.5), "note": "two\nlines"})
        lines = run.metrics_path.read_text().splitlines()
        assert len(lines) == epoch
        assert json.loads(lines[-1]) == {"epoch": epoch, "train_loss": 0.5, "note": "two\nlines"}
    assert run.history() == [json.loads(line) for line in lines]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_run_writes_a_failed_measurement_as_null_and_reads_none(tmp_path, number):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.log({"epoch": 1, "train_loss": number, "parts": {"kd": [number, 1.0]}})
    assert b"null" in run.metrics_path.read_bytes()
    assert run.history() == [{"epoch": 1, "train_loss": None, "parts": {"kd": [None, 1.0]}}]
    run.write_result({"test_accuracy": number})
    assert run.read_result() == {"test_accuracy": None}


@given(data=st.data())
def test_run_killed_at_any_byte_loses_at_most_the_last_record(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("kill")
    run = run_with_epochs(folder, 3)
    whole = run.metrics_path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    run.metrics_path.write_bytes(whole[:cut])
    # A line counts if it is complete, with or without its newline.
    complete = [line for line in whole[:cut].split(b"\n") if line.endswith(b"}")]
    assert run.history() == [json.loads(line) for line in complete]
    run.log({"epoch": len(complete) + 1})
    assert epochs(run) == [*range(1, len(complete) + 2)]
    line = b'{"epoch": %d}\n' % (len(complete) + 1)
    assert run.metrics_path.read_bytes().endswith(b"\n" + line if complete else line)


def test_history_ignores_zeros_that_a_power_cut_left_at_the_end(tmp_path):
    run = run_with_epochs(tmp_path, 2)
    with run.metrics_path.open("ab") as file:
        file.write(bytes(7))
    assert epochs(run) == [1, 2]


@pytest.mark.parametrize("broken", [b'{"epoch": 2, "tr', b"", b"17", b"\xff"])
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_history_names_the_number_of_a_broken_line_that_no_kill_explains(
    tmp_path, broken, position
):
    run = run_with_epochs(tmp_path, 3)
    lines = run.metrics_path.read_bytes().splitlines()
    lines.insert(position, broken)
    run.metrics_path.write_bytes(b"\n".join(lines) + b"\n")
    with refused(ValueError, "metrics.jsonl", f"line {position + 1}:"):
        run.history()


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_truncate_removes_the_one_record_that_a_kill_left_beyond_the_checkpoint(
    tmp_path, epoch, beyond
):
    run = run_with_epochs(tmp_path, epoch + beyond)
    before = run.history()
    assert run.truncate(epoch) == run.history() == before[:epoch]
    assert sorted(p.name for p in run.path.iterdir()) == ["metrics.jsonl", "settings.json"]


@given(last=st.integers(0, 6), epoch=st.integers(0, 6))
def test_truncate_refuses_records_that_no_kill_leaves_next_to_the_checkpoint(
    tmp_path_factory, last, epoch
):
    run = run_with_epochs(tmp_path_factory.mktemp("truncate"), last)
    if epoch:
        run.checkpoint_path.write_bytes(b"")
    if last in (epoch, epoch + 1):
        run.truncate(epoch)
        return
    if last < epoch:
        first = last + 1
        which = (f"epoch {epoch}" if first == epoch else f"epochs {first} to {epoch}",)
    else:
        which = f"{last} epochs", f"epoch {epoch}" if epoch else "missing"
    with refused(ValueError, str(run.metrics_path), str(run.checkpoint_path), *which):
        run.truncate(epoch)
    assert len(run.history()) == last


@pytest.mark.parametrize(
    ("lines", "fragments"),
    [
        ([1, 2, 4], ("line 3 is for epoch 4", "epoch 3")),
        ([1, 2, 2, 3], ("line 3 is for epoch 2", "epoch 3")),
        ([2, 3], ("line 1 is for epoch 2", "epoch 1")),
        ([1, 3, 2], ("line 2 is for epoch 3", "epoch 2")),
        ([0, 1], ("line 1 is for epoch 0", "epoch 1")),
        ([1, None], ("line 2", '"epoch"', "None", "integer")),
    ],
)
def test_history_refuses_epochs_that_do_not_rise_by_one(tmp_path, lines, fragments):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.metrics_path.write_text("".join(json.dumps({"epoch": n}) + "\n" for n in lines))
    for read in (run.history, lambda: run.truncate(1), lambda: run.log({"epoch": 3})):
        with refused(ValueError, "metrics.jsonl", *fragments):
            read()


@pytest.mark.parametrize("epoch", [0, 1, 3, 9])
def test_run_log_refuses_an_epoch_that_does_not_follow_the_last(tmp_path, epoch):
    run = run_with_epochs(tmp_path, 1)
    with refused(ValueError, "Run.log: the record", f"for epoch {epoch}", "expected epoch 2"):
        run.log({"epoch": epoch})
    assert epochs(run) == [1]


def test_truncate_that_fails_keeps_every_record(tmp_path, monkeypatch):
    run = run_with_epochs(tmp_path, 3)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refused(OSError, "metrics.jsonl", "No space left"):
        run.truncate(2)
    assert epochs(run) == [1, 2, 3]


@pytest.mark.parametrize("record", [{}, {"epoch": None}, {"epoch": 1.0}, {"epoch": True}])
def test_run_log_refuses_a_record_without_an_epoch(tmp_path, record):
    run = run_with_epochs(tmp_path, 1)
    with refused(ValueError, "Run.log: the record", '"epoch"', "integer"):
        run.log(record)
    assert epochs(run) == [1]


def test_run_log_refuses_a_record_that_json_cannot_express_and_writes_nothing(tmp_path):
    run = run_with_epochs(tmp_path, 1)
    with refused(TypeError, "Run.log: record['loss']", "ndarray"):
        run.log({"epoch": 2, "loss": np.ones(2)})
    assert epochs(run) == [1]


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_run_log_on_a_full_disk_loses_only_that_record(tmp_path):
    run = run_with_epochs(tmp_path, 2)
    program = f"""
        import resource, signal
        from minivision.training.run import Run

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        run = Run.open({str(run.path)!r})
        size = run.metrics_path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, size + 5))
        try:
            run.log({{"epoch": 3, "train_loss": 0.25}})
        except OSError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.strip() == f"cannot write {run.metrics_path}: File too large"
    assert run.metrics_path.read_bytes().endswith(b'\n{"epo')  # half a line was written
    assert epochs(run) == [1, 2]
    run.log({"epoch": 3})
    assert epochs(run) == [1, 2, 3]


# Results


def test_read_result_returns_what_was_written_and_raises_before_the_end(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    with refused(FileNotFoundError, str(run.path), "result.json"):
        run.read_result()
    run.write_result({"test_accuracy": np.float64(0.975), "images": np.int64(360)})
    assert run.read_result() == {"test_accuracy": 0.975, "images": 360}


# Names


def test_next_run_path_has_the_number_after_the_highest(tmp_path):
    assert next_run_path("lenet5-digits", tmp_path / "runs") == tmp_path / "runs/lenet5-digits-1"
    for taken in ("lenet5-digits-1", "lenet5-digits-9", "lenet5-digits-10", "lenet5-digits-x"):
        (tmp_path / taken).mkdir()
    (tmp_path / "lenet5-digits-12").touch()
    (tmp_path / "lenet5-99").mkdir()
    assert next_run_path("lenet5-digits", tmp_path).name == "lenet5-digits-13"
    assert next_run_path("lenet5", tmp_path).name == "lenet5-100"


def test_next_run_path_is_free_for_one_run_after_the_other(tmp_path):
    for number in (1, 2, 3):
        run = Run.create(next_run_path("vgg-shapes", tmp_path), SETTINGS)
        assert run.path.name == f"vgg-shapes-{number}"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("lenet5-my cats/dogs", "lenet5-my-cats-dogs-1"), ("../..", "run-1"), ("", "run-1")],
)
def test_next_run_path_turns_any_name_into_a_plain_folder_name(tmp_path, name, folder):
    assert next_run_path(name, tmp_path) == tmp_path / folder


# Stages


def test_stage_is_a_separate_run_in_a_folder_inside(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    stage = run.stage("warm-up")
    assert stage.path == tmp_path / "run" / "warm-up"
    assert stage.settings == {"stage": "warm-up"}
    stage.log({"epoch": 1})
    assert run.history() == []
    assert run.stage("training").history() == []
    assert run.stage("generation-1", {"noise": True}).settings == {"noise": True}


def test_stage_requested_again_is_reopened(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.stage("warm-up").log({"epoch": 1})
    again = Run.open(run.path).stage("warm-up")
    assert epochs(again) == [1]
    assert run.stage("warm-up", {"other": 1}).settings == {"stage": "warm-up"}


def test_stage_with_edited_settings_is_not_reopened(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    edit(run.stage("warm-up", {"lr": 0.1}), lr=0.2)
    with refused(ValueError, "warm-up/settings.json", "'lr'", "edited"):
        run.stage("warm-up")


def test_stage_does_not_overwrite_a_run_in_its_folder(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    (run.path / "warm-up").mkdir()
    (run.path / "warm-up" / "metrics.jsonl").write_text("precious")
    with refused(FileExistsError, str(run.path / "warm-up"), "metrics.jsonl"):
        run.stage("warm-up")


# Two processes at once

TAKES = """
import sys, time
from minivision.training import Run
with Run.open(sys.argv[1]).locked():
    print("mine", flush=True)
    time.sleep(100)
"""


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_run_is_locked_by_one_process_at_a_time_and_freed_by_a_kill(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    with subprocess.Popen([sys.executable, "-c", TAKES, str(run.path)], stdout=-1) as other:
        assert other.stdout.readline() == b"mine\n"
        with refused(BlockingIOError, str(run.path), f"process {other.pid}"), run.locked():
            pass
        other.kill()
    (run.path / "stage").mkdir()
    for left in (".unfinished-1", "stage/.unfinished-2"):
        (run.path / left).write_bytes(b"half a checkpoint")
    with run.locked():
        files = sorted(path.name for path in run.path.rglob("*") if path.is_file())
        assert files == [".lock", "settings.json"]
    assert [path.name for path in run.path.iterdir() if path.is_file()] == ["settings.json"]
