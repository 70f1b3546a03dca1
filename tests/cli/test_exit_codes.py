"""How a command ends: what it prints without arguments, on errors, and when stopped."""

import os
import signal
import subprocess
import sys
import time

import cv2
import pytest

from minivision import __version__
from minivision.cli import main, setup, summary, train
from minivision.datasets import digits


def test_main_without_a_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "minivision train" in capsys.readouterr().out


def test_main_prints_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"minivision {__version__}\n"


LIMITS = [OverflowError("too large"), ZeroDivisionError("by zero"), MemoryError(),
          RecursionError("too deep"), cv2.error("resize\n failed")]  # fmt: skip


@pytest.mark.parametrize("error", LIMITS, ids=lambda error: type(error).__name__)
def test_main_reports_a_limit_of_the_machine_in_one_line_or_with_its_traceback(
    error, monkeypatch, capsys
):
    def fails(arguments):
        raise error

    monkeypatch.setattr(summary, "run", fails)
    assert main(["summary", "lenet5"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"minivision summary: {type(error).__name__}")
    monkeypatch.setenv("MINIVISION_DEBUG", "1")
    with pytest.raises(type(error)):
        main(["summary", "lenet5"])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_train_stopped_by_a_signal_says_how_to_continue(name, tmp_path):
    number = getattr(signal, name)
    line = ["-m", "minivision", "train", "--epochs", "500", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, *line],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore it, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert "continue a training run with --resume" in said.splitlines()[-1]
    assert name == "SIGINT" or f"stopped by {name}" in said
    assert "Traceback" not in said
    done = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    again = [sys.executable, *line[:3], "--resume", *line[5:]]
    with subprocess.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as resumed:
        assert f"{done} epochs are done".encode() in resumed.stdout.readline()
        resumed.kill()


def test_main_restores_the_signal_handlers():
    before = signal.getsignal(signal.SIGTERM)
    assert main(["summary", "lenet5"]) == 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_train_killed_while_drawing_pictures_draws_them_when_resumed(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    line = ["--limit", "64", "--epochs", "1", "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(train.plots, "plot_confusion", interrupted)
        assert main(["train", *line]) == 130
    assert not (tmp_path / "run" / "result.json").exists()
    assert main(["train", "--resume", *line]) == 0
    assert {"result.json", "curves.png", "confusion.png"} <= set(os.listdir(tmp_path / "run"))


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_commands_work_with_a_run_that_is_read_only(command, tmp_path, monkeypatch, capsys):
    run, image = str(tmp_path / "run"), str(tmp_path / "seven.png")
    assert main(["train", "--limit", "64", "--epochs", "1", "--out", run]) == 0
    cv2.imwrite(image, digits().test[0][0])
    line = [command, run] + ([image] if command == "predict" else [])

    def read_only(figure, path):
        raise PermissionError(f"cannot write {path}: Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(setup, "save_figure", read_only)
        assert main(line) == 0
        assert "cannot write" in capsys.readouterr().out
        assert main([*line, "--out", str(tmp_path / "a.png")]) == 2
    assert main([*line, "--out", str(tmp_path / "a.png")]) == 0
    assert cv2.imread(str(tmp_path / "a.png")) is not None
