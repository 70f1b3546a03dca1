"""Kill a command at each of its steps in the file system, resume it, and compare the files.

  python -m tests.crash                 every command, once for each distinct state of the disk
  python -m tests.crash train distill   only these commands
  python -m tests.crash --all           before and after each step, and in the resumed commands too

A command runs in a forked process and dies without any cleanup, before or after a step or in the
middle of a write (tests/crash_watch.py). Then the same command is run again, with --resume if there
are settings to resume from. Afterwards the folder must equal that of an undisturbed run, byte for
byte. To make this possible, the clock advances by a thousandth of a second whenever it is read.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process with threads cannot fork safely
os.environ.setdefault("MINIVISION_WORKERS", "1")

import numpy as np

from minivision.analysis import plots
from minivision.cli import comparison, forget_less, main, search_augmentation
from minivision.datasets import DATASETS, digits, stratified_split
from minivision.fast import one_blas_thread
from minivision.methods import augmentation_search
from tests.crash_sabotage import SABOTAGE
from tests.crash_watch import DIED, Watch, content, digest

SMALL = ["--limit", "20", "--batch-size", "10", "--epochs"]
FEW = ["--labelled", "digits", "--labels", "20", "--model", "softmax_regression", "--epochs", "1"]
# A command that runs first, undisturbed, and the command to kill. TEACHER is a finished run.
COMMANDS = {
    "train": ([], ["train", "--model", "softmax_regression", *SMALL, "2"]),
    "longer": (
        ["train", "--model", "softmax_regression", *SMALL, "1"],
        ["train", "--resume", "--epochs", "2"],
    ),
    "distill": ([], ["distill", "TEACHER", "--student", "softmax_regression", *SMALL, "1"]),
    "transfer": ([], ["transfer", "TEACHER", "--dataset", "digits", *SMALL, "1"]),
    "forget-less": ([], ["forget-less", "TEACHER", "--dataset", "digits", *SMALL, "1"]),
    "pseudo-label": ([], ["pseudo-label", *FEW]),
    "self-train": ([], ["self-train", *FEW, "--iterations", "1", "--allow-missing"]),
    "search-augmentation": (
        [],
        ["search-augmentation", "--budget", "2", "--model", "softmax_regression", *SMALL, "1"],
    ),
}  # fmt: skip
FIGURES = (
    (plots, "plot_history"), (plots, "plot_confusion"), (comparison, "plot_comparison"),
    (forget_less, "plot_two_tasks"), (search_augmentation, "plot_search"),
)  # fmt: skip


class Drawn:
    """Stands in for a figure, for speed: it saves only the numbers that the figure would show."""

    def __init__(self, *given):
        self.given = given

    def savefig(self, buffer, **_):
        with np.printoptions(threshold=np.inf):
            buffer.write(repr(self.given).encode())


def forked(argv, root, *, watched=True, deadly=None, store=None, sabotage=None, draw=False):
    """Run a command in a forked process: returns its exit code, its points, and what it printed."""
    read, write = os.pipe()
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
                clock = itertools.count(0, 2**-10)
                time.perf_counter = lambda: next(clock)
                os.getpid = lambda: 1
                os.fsync = lambda number: None  # only a power failure would show the difference
                for module, figure in () if draw else FIGURES:
                    setattr(module, figure, Drawn)
                augmentation_search.usable_cores = lambda: 0
                if sabotage is not None:
                    SABOTAGE[sabotage]()
                watch = Watch(root, deadly, store)
                if watched:
                    watch.begin()
                code = main(argv)
                watch.point("at the end", changed=not watched)
                with watch.real_open(write, "w") as pipe:
                    json.dump(watch.points, pipe)
            except BaseException as error:
                print(type(error).__name__, error)
                code = 98
            os._exit(code)
        os.close(write)
        with open(read) as pipe:
            points = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return code, json.loads(points or "[]"), said.read()


def next_command(argv, root):
    """What a user runs next: the command with --resume, or as before if nothing was saved."""
    if argv[0] == "search-augmentation" or "--resume" in argv:
        return argv
    resumed = [*argv, "--resume"]
    if (root / "settings.json").exists():
        return resumed
    before = content(root)
    code, _, said = forked(resumed, root, watched=False)
    assert code == 2, said
    assert "start it without --resume" in said
    assert content(root) == before
    return argv


def compare(expected, found):
    """Describe the differences in words; the list is empty if the folders are equal."""
    left, right = dict(expected), dict(found)
    told = [f"{name} is missing" for name in left if name not in right]
    told += [f"{name} is left over" for name in right if name not in left]
    return told + [f"{n} differs" for n in left if n in right and left[n] != right[n]]


def restore(state, root):
    shutil.rmtree(root, ignore_errors=True)
    if state is not None and state.exists():
        shutil.copytree(state, root)


def crash(name, place, every=False, one_in=1, sabotage=None, draw=False):
    """Kill a command at its points; returns the faults, and how many deaths and states there were.

    every: kill at all points, including those of resumed commands. Otherwise, kill at one point per
    state, for one state out of every `one_in`.
    """
    place = place.resolve()
    root, store, begun = place / "run", place / "states", place / "begun"
    store.mkdir()
    teacher = str(place / "teacher")
    first, argv = ([teacher if w == "TEACHER" else w for w in words] for words in COMMANDS[name])
    argv += ["--out", str(root)]
    how = {"sabotage": sabotage, "draw": draw}
    # Import the command and choose the images once, before all forks; 30 per split are enough.
    import_module(f"minivision.cli.{argv[0].replace('-', '_')}")
    with one_blas_thread():
        pass
    some = digits()._make(stratified_split(part, (30,))[0] for part in digits())
    DATASETS["digits"] = lambda data_dir=None: some
    if teacher in argv:
        assert forked([*COMMANDS["train"][1], "--out", teacher], root)[0] == 0
    if first:
        assert forked([*first, "--out", str(root)], root, watched=False)[0] == 0
        shutil.copytree(root, begun)
    code, _, said = forked(argv, root, watched=False, draw=draw)
    assert code == 0, said
    expected = content(root)

    faults, tried, deaths = [], set(), 0
    restore(begun, root)
    code, points, said = forked(argv, root, store=store, **how)
    if code or (wrong := compare(expected, content(root))):
        return [f"undisturbed: {said.splitlines()[-1] if code else '; '.join(wrong)}"], 0, 0
    # Each entry is a state, the command that starts from it, and the points that it passes.
    waiting = [(begun, argv, points)]
    while waiting:
        state, killed, points = waiting.pop(0)
        for k, (where, left) in enumerate(points):  # the command dies at one of these points
            new = left not in tried
            tried.add(left)
            if not (new or (every and state is begun)) or len(tried) % one_in:
                continue
            restore(state, root)
            code = forked(killed, root, deadly=k, **how)[0]
            deaths += 1
            assert code == DIED, f"{name}: survived {where}"
            assert digest(content(root)) == left, f"{name}: {where}, another state than before"
            command = next_command(argv, root)
            code, further, said = forked(command, root, watched=every, store=store, **how)
            wrong = compare(expected, content(root))
            if code or wrong:
                faults.append(f"{where}: {'; '.join(wrong)} {said.strip() if code else ''}")
            elif every and new:
                waiting.append((store / left, command, further))
            if sabotage and faults:  # one is enough
                return faults, deaths, len(tried)
    return faults, deaths, len(tried)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--all", action="store_true", help="every point, also of resumed runs")
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="only one state in N")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="stop at the first fault it causes")
    parser.add_argument("--pictures", action="store_true", help="draw them (slow)")
    arguments = parser.parse_args()
    broken = False
    for name in arguments.commands or COMMANDS:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            faults, deaths, states = crash(
                name, Path(place), arguments.all, arguments.one_in, arguments.sabotage,
                arguments.pictures,
            )  # fmt: skip
        seconds = time.perf_counter() - begun
        print(f"{name}: {deaths} deaths, {states} states, {len(faults)} faults, {seconds:.0f} s")
        print("".join(f"  {fault}\n" for fault in faults), end="", flush=True)
        broken = broken or bool(faults)
    sys.exit(broken)
