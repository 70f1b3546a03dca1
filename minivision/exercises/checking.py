"""Check a file in a process of its own, with limits on time and memory.

A function that never returns, or that uses up the memory, then ends only its own process. This is
not a sandbox: the file runs with all rights of the person who checks it.

You can skip this file on a first reading.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from minivision.exercises import exercise
from minivision.exercises.exercise import Exercise, Function
from minivision.exercises.judge import Verdict, judge

SECONDS, GIGABYTES = 30.0, 4.0


def check_file(
    path: Path, name: str, seconds: float = SECONDS, gigabytes: float = GIGABYTES,
    folder: Path | None = None,
) -> Verdict:  # fmt: skip
    """Judge the function `name` that the file defines.

    folder: the working folder of the process; by default, the current one.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist; `minivision exercise start {name}` writes it")
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "verdict.json"
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path.resolve()), name, str(result),
             str(gigabytes)],
            cwd=folder, env=os.environ | _surroundings(place), start_new_session=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return Verdict(
                name, False,
                f"{name} did not finish within {seconds:g} seconds. Is there a loop that never "
                "ends?", "too slow", seconds,
            )  # fmt: skip
        finally:
            _stop(process)
        if not result.exists():
            return Verdict(
                name, False, f"the process of {name} ended without a result (exit code "
                f"{process.returncode})", "crashed",
            )  # fmt: skip
        return Verdict(**json.loads(result.read_text("utf-8")))


def load_function(path: Path, task: Exercise) -> Function:
    """The function that a file defines; ValueError explains what is wrong with the file."""
    sys.path.insert(0, str(path.parent))  # so that it can import the learner's other files
    names: dict[str, Any] = {"__name__": task.name, "__file__": str(path)}
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not a text file in UTF-8") from None
    try:
        exec(compile(text, str(path), "exec"), names)
    except SyntaxError as error:
        raise ValueError(f"{path.name}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        raise ValueError(
            f"{path.name} raises {type(error).__name__} on line {line}: {error}"
        ) from None
    function = names.get(task.name)
    if not callable(function):
        raise ValueError(f"{path.name} defines no function {task.name}")
    return function


def _surroundings(place: str) -> dict[str, str]:
    """The process finds minivision, and Hypothesis leaves nothing in the working folder."""
    here = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "HYPOTHESIS_STORAGE_DIRECTORY": place}


def _stop(process: subprocess.Popen) -> None:
    """End the process and those that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, OSError):  # there are no process groups on Windows
        process.kill()
    process.wait()


def _limit_memory(gigabytes: float) -> None:
    try:
        import resource
    except ImportError:  # there are no such limits on Windows
        return
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _main(path: str, name: str, result: str, gigabytes: str) -> None:
    task = exercise(name)
    _limit_memory(float(gigabytes))
    try:
        verdict = judge(task, load_function(Path(path), task))
    except ValueError as error:
        verdict = Verdict(name, False, str(error), "does not run")
    except MemoryError:
        text = f"{name} needs more than {gigabytes} gigabytes of memory"
        verdict = Verdict(name, False, text, "too much memory")
    Path(result).write_text(json.dumps(verdict._asdict()), "utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
