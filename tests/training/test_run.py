"""A run's folder survives kills, refuses to be overwritten, and reads back what was written."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.training.run import FILES, Run, next_run_path

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


def test_a_run_opened_again_is_the_run_that_was_created(tmp_path):
    run = Run.create(tmp_path / "runs" / "first", {**SETTINGS, "pair": (1, 2), "k": np.int64(5)})
    again = Run.open(str(tmp_path / "runs" / "first"))
    assert run.settings == again.settings == {**SETTINGS, "pair": [1, 2], "k": 5}
    assert again.path == run.path
    assert again.history() == []
    assert repr(run) == f"Run({str(run.path)!r})"
    assert [p.name for p in run.path.iterdir()] == ["settings.json"]


def test_the_paths_of_a_run_are_its_files():
    run = Run(Path("runs/x"), {})
    paths = [run.metrics_path, run.checkpoint_path, run.result_path]
    assert paths == [Path("runs/x") / name for name in FILES[1:]]


def test_an_empty_folder_or_one_with_other_files_can_become_a_run(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, SETTINGS)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
def test_a_folder_that_holds_a_run_is_refused_with_both_ways_out(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=f"already holds a run .*{name}.*--resume.*--out"):
        Run.create(tmp_path, SETTINGS)
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("way", [Run.open, lambda path: Run.create(path, SETTINGS)])
@pytest.mark.parametrize("below", ["", "below", "further/below"])
def test_a_file_where_the_folder_should_be_is_named(tmp_path, way, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=f"{tmp_path}/file is a file; expected"):
        way(tmp_path / "file" / below)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"lr": float("inf")}, ValueError, r"settings\['lr'\] is inf; JSON has no word"),
        ({"a": [1, np.float32("nan")]}, ValueError, r"settings\['a'\]\[1\] is nan"),
        ({"data": Path("x")}, TypeError, r"settings\['data'\] is a PosixPath; expected numbers"),
        ({"sizes": {1: 2}}, TypeError, r"settings\['sizes'\] has the key 1; JSON needs strings"),
    ],
)
def test_settings_that_json_would_change_are_refused_before_the_folder_is_made(
    tmp_path, settings, error, words
):
    if "data" in settings:
        words = words.replace("PosixPath", type(Path()).__name__)
    with pytest.raises(error, match=words):
        Run.create(tmp_path / "run", settings)
    assert list(tmp_path.iterdir()) == []


def test_opening_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run at .*absent: the folder does not exist"):
        Run.open(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} is not a run's folder: it has no set"):
        Run.open(tmp_path)


def edit(run, **changes):
    """Settings edited by hand; None takes an entry out."""
    said = json.loads((run.path / "settings.json").read_text()) | changes
    said = {name: value for name, value in said.items() if value is not None}
    (run.path / "settings.json").write_text(json.dumps(said))
    return Run.open(run.path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lr": 0.2}, "lr"), ({"model": "lenet"}, "model"), ({"model": None}, "model"),
        ({"new": 1}, "new"), ({"preprocessing": {"mean": [0.13], "size": [28, 29]}}, "preproc"),
        ({"dataset": "there"}, "dataset"),
    ],
)  # fmt: skip
def test_an_edited_setting_is_named(tmp_path, changes, named):
    run = Run.create(tmp_path / "run", {**SETTINGS, "dataset": "here"})
    Run.open(run.path).check_settings()
    edited = edit(run, **changes)
    with pytest.raises(
        ValueError, match=rf"settings\.json: '{named}.* was edited after the run was"
    ):
        edited.check_settings()


def test_settings_that_do_not_decide_the_weights_may_be_edited(tmp_path):
    begun = {**SETTINGS, "workers": 0, "versions": {"numpy": "2.1"}, "images": {"count": 3}}
    run = Run.create(tmp_path / "run", begun | {"dataset": "here"})
    # Images that have moved are compared with their record.
    edit(run, workers=2, versions={}, dataset="there").check_settings()
    edited = edit(run, images={"count": 4})
    with pytest.raises(ValueError, match="'images' was edited"):
        edited.check_settings()
    edit(run, images={"count": 4}, digests=None).check_settings()  # as of an older version


def test_digests_that_were_edited_are_named(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    for edited in ([1], "none", 7):
        with pytest.raises(ValueError, match="'digests' was edited"):
            edit(run, digests=edited).check_settings()


def test_settings_that_a_run_rewrites_itself_are_not_edited(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.rewrite_settings({**SETTINGS, "lr": 0.2})
    again = Run.open(run.path)
    again.check_settings()
    assert again.settings == {**SETTINGS, "lr": 0.2}


@pytest.mark.parametrize("content", [b"", b'{"lr": 0.', b"\xff\xfe", b"[1, 2]", b"null", DEEP])
def test_opening_a_run_with_broken_settings_names_the_file(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"settings\.json: (not valid JSON|expected a JSON obj)"):
        Run.open(tmp_path)


# Metrics


def test_each_record_is_one_line_in_the_file_as_soon_as_it_is_logged(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    for epoch in (1, 2, 3):
        run.log({"epoch": epoch, "train_loss": np.float32(0.5), "note": "two\nlines"})
        lines = run.metrics_path.read_text().splitlines()
        assert len(lines) == epoch
        assert json.loads(lines[-1]) == {"epoch": epoch, "train_loss": 0.5, "note": "two\nlines"}
    assert run.history() == [json.loads(line) for line in lines]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_a_measurement_that_failed_is_null_and_none(tmp_path, number):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.log({"epoch": 1, "train_loss": number, "parts": {"kd": [number, 1.0]}})
    assert b"null" in run.metrics_path.read_bytes()
    assert run.history() == [{"epoch": 1, "train_loss": None, "parts": {"kd": [None, 1.0]}}]
    run.write_result({"test_accuracy": number})
    assert run.read_result() == {"test_accuracy": None}


@given(data=st.data())
def test_a_kill_at_any_byte_costs_at_most_the_last_record(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("kill")
    run = run_with_epochs(folder, 3)
    whole = run.metrics_path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    run.metrics_path.write_bytes(whole[:cut])
    # A line counts when all of it is there, with or without its newline.
    complete = [line for line in whole[:cut].split(b"\n") if line.endswith(b"}")]
    assert run.history() == [json.loads(line) for line in complete]
    run.log({"epoch": len(complete) + 1})
    assert epochs(run) == [*range(1, len(complete) + 2)]
    line = b'{"epoch": %d}\n' % (len(complete) + 1)
    assert run.metrics_path.read_bytes().endswith(b"\n" + line if complete else line)


def test_zeros_that_a_power_cut_left_at_the_end_are_ignored(tmp_path):
    run = run_with_epochs(tmp_path, 2)
    with run.metrics_path.open("ab") as file:
        file.write(bytes(7))
    assert epochs(run) == [1, 2]


@pytest.mark.parametrize("broken", [b'{"epoch": 2, "tr', b"", b"17", b"\xff"])
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_broken_line_that_no_kill_explains_is_named_by_its_number(tmp_path, broken, position):
    run = run_with_epochs(tmp_path, 3)
    lines = run.metrics_path.read_bytes().splitlines()
    lines.insert(position, broken)
    run.metrics_path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line {position + 1}: "):
        run.history()


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_truncating_removes_the_one_record_that_a_kill_left_beyond_the_checkpoint(
    tmp_path, epoch, beyond
):
    run = run_with_epochs(tmp_path, epoch + beyond)
    before = run.history()
    assert run.truncate(epoch) == run.history() == before[:epoch]
    assert sorted(p.name for p in run.path.iterdir()) == ["metrics.jsonl", "settings.json"]


@given(last=st.integers(0, 6), epoch=st.integers(0, 6))
def test_truncating_refuses_records_that_no_kill_leaves_beside_the_checkpoint(
    tmp_path_factory, last, epoch
):
    run = run_with_epochs(tmp_path_factory.mktemp("truncate"), last)
    if epoch:
        run.checkpoint_path.write_bytes(b"")
    if last in (epoch, epoch + 1):
        run.truncate(epoch)
        return
    first = last + 1
    missing = f"epoch {epoch}" if first == epoch else f"epochs {first} to {epoch}"
    expected = f"{run.metrics_path} lacks {missing}, which {run.checkpoint_path} has; "
    if last > epoch:
        wrong = f"is of epoch {epoch}" if epoch else "is missing"
        expected = f"{run.metrics_path} has {last} epochs, but {run.checkpoint_path} {wrong}; "
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        run.truncate(epoch)
    assert len(run.history()) == last


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([1, 2, 4], "line 3 is of epoch 4; expected epoch 3"),
        ([1, 2, 2, 3], "line 3 is of epoch 2; expected epoch 3"),
        ([2, 3], "line 1 is of epoch 2; expected epoch 1"),
        ([1, 3, 2], "line 2 is of epoch 3; expected epoch 2"),
        ([0, 1], "line 1 is of epoch 0; expected epoch 1"),
        ([1, None], 'line 2 needs an integer "epoch"'),
    ],
)
def test_the_history_refuses_epochs_that_do_not_rise_by_one(tmp_path, lines, said):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.metrics_path.write_text("".join(json.dumps({"epoch": n}) + "\n" for n in lines))
    for read in (run.history, lambda: run.truncate(1), lambda: run.log({"epoch": 3})):
        with pytest.raises(ValueError, match=rf"metrics\.jsonl, {said}"):
            read()


@pytest.mark.parametrize("epoch", [0, 1, 3, 9])
def test_an_epoch_that_does_not_follow_the_last_is_not_logged(tmp_path, epoch):
    run = run_with_epochs(tmp_path, 1)
    with pytest.raises(ValueError, match=f"the record is of epoch {epoch}; expected epoch 2"):
        run.log({"epoch": epoch})
    assert epochs(run) == [1]


def test_truncating_that_fails_keeps_every_record(tmp_path, monkeypatch):
    run = run_with_epochs(tmp_path, 3)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*metrics\.jsonl: No space left"):
        run.truncate(2)
    assert epochs(run) == [1, 2, 3]


@pytest.mark.parametrize("record", [{}, {"epoch": None}, {"epoch": 1.0}, {"epoch": True}])
def test_a_record_without_an_epoch_is_refused(tmp_path, record):
    run = run_with_epochs(tmp_path, 1)
    with pytest.raises(ValueError, match=r'Run\.log: the record needs an integer "epoch"'):
        run.log(record)
    assert epochs(run) == [1]


def test_a_record_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    run = run_with_epochs(tmp_path, 1)
    with pytest.raises(TypeError, match=r"Run.log: record\['loss'\] is a ndarray"):
        run.log({"epoch": 2, "loss": np.ones(2)})
    assert epochs(run) == [1]


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_disk_that_fills_up_while_logging_costs_only_that_record(tmp_path):
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


def test_the_result_reads_back_and_is_missing_before_the_end(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    with pytest.raises(FileNotFoundError, match=r"has no result\.json yet: the run is not finis"):
        run.read_result()
    run.write_result({"test_accuracy": np.float64(0.975), "images": np.int64(360)})
    assert run.read_result() == {"test_accuracy": 0.975, "images": 360}


# Names


def test_the_next_run_has_the_number_after_the_highest(tmp_path):
    assert next_run_path("lenet5-digits", tmp_path / "runs") == tmp_path / "runs/lenet5-digits-1"
    for taken in ("lenet5-digits-1", "lenet5-digits-9", "lenet5-digits-10", "lenet5-digits-x"):
        (tmp_path / taken).mkdir()
    (tmp_path / "lenet5-digits-12").touch()
    (tmp_path / "lenet5-99").mkdir()
    assert next_run_path("lenet5-digits", tmp_path).name == "lenet5-digits-13"
    assert next_run_path("lenet5", tmp_path).name == "lenet5-100"


def test_next_run_paths_are_free_one_after_the_other(tmp_path):
    for number in (1, 2, 3):
        run = Run.create(next_run_path("vgg-shapes", tmp_path), SETTINGS)
        assert run.path.name == f"vgg-shapes-{number}"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("lenet5-my cats/dogs", "lenet5-my-cats-dogs-1"), ("../..", "run-1"), ("", "run-1")],
)
def test_names_become_one_plain_folder_name(tmp_path, name, folder):
    assert next_run_path(name, tmp_path) == tmp_path / folder


# Stages


def test_a_stage_is_a_run_of_its_own_in_a_folder_inside(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    stage = run.stage("warm-up")
    assert stage.path == tmp_path / "run" / "warm-up"
    assert stage.settings == {"stage": "warm-up"}
    stage.log({"epoch": 1})
    assert run.history() == []
    assert run.stage("training").history() == []
    assert run.stage("generation-1", {"noise": True}).settings == {"noise": True}


def test_a_stage_asked_for_again_is_returned_to(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    run.stage("warm-up").log({"epoch": 1})
    again = Run.open(run.path).stage("warm-up")
    assert epochs(again) == [1]
    assert run.stage("warm-up", {"other": 1}).settings == {"stage": "warm-up"}


def test_a_stage_whose_settings_were_edited_is_not_returned_to(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    edit(run.stage("warm-up", {"lr": 0.1}), lr=0.2)
    with pytest.raises(ValueError, match=r"warm-up/settings\.json: 'lr' was edited"):
        run.stage("warm-up")


def test_a_stage_is_not_begun_over_what_lies_in_its_folder(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    (run.path / "warm-up").mkdir()
    (run.path / "warm-up" / "metrics.jsonl").write_text("precious")
    with pytest.raises(FileExistsError, match=r"already holds a run \(it has a metrics\.jsonl\)"):
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
def test_a_run_is_trained_by_one_process_at_a_time_and_a_kill_frees_it(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    with subprocess.Popen([sys.executable, "-c", TAKES, str(run.path)], stdout=-1) as other:
        assert other.stdout.readline() == b"mine\n"
        said = rf"is in use: process {other.pid} trains in it"
        with pytest.raises(BlockingIOError, match=said), run.locked():
            pass
        other.kill()
    (run.path / "stage").mkdir()
    for left in (".unfinished-1", "stage/.unfinished-2"):
        (run.path / left).write_bytes(b"half a checkpoint")
    with run.locked():
        files = sorted(path.name for path in run.path.rglob("*") if path.is_file())
        assert files == [".lock", "settings.json"]
    assert [path.name for path in run.path.iterdir() if path.is_file()] == ["settings.json"]
