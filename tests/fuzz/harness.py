"""Run cases in a separate process with limits on time, memory, files and the network.

This works only on Linux, because the operating system enforces the limits.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

MEMORY = 1_000_000_000  # bytes that a case may take beyond its decoded input
SECONDS = 10.0  # of CPU time; on a busy machine the elapsed time may be CLOCK times as long
CLOCK = 12
NO_MEMORY = re.compile("MemoryError|nsufficient memory|bad_alloc|nable to allocate")


class Target(NamedTuple):
    """What is fuzzed: `make` draws an input, and `check` runs the code on it in a folder.

    check returns normally if the result is right. It raises ValueError or OSError if the code
    reports an error, and AssertionError if the result is wrong. named: what an error message must
    contain, such as the file's name. decoded: the size in bytes of the decoded input.
    """

    weight: float  # its share of the cases
    make: Callable[[Random], Any]
    check: Callable[[Any, Path], None]
    named: str = ""
    decoded: Callable[[Any], int] = lambda made: 0


class Outcome(NamedTuple):
    number: int
    kind: str  # "accepted", "refused" or "finding"
    said: str  # the error message, or what was found and where
    trace: str = ""


class TooLongError(BaseException):
    """A case takes too long."""


class OutsideError(BaseException):
    """A case writes outside its folder."""


def outcomes(
    name: str, target: Target, numbers: Iterable[int], seed: int = 0, seconds: float = SECONDS
) -> Iterator[Outcome]:
    """The outcomes of the cases with these numbers, in order.

    If a case kills its process, or hangs, it is a finding; a new process runs the remaining cases.
    """
    left = list(numbers)
    memory = Path("/dev/shm")  # files here are not written to disk
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None)).resolve()
    before = Path.cwd()
    try:
        os.chdir(root)
        target.make(Random(0))  # prepare and cache what all cases need
        yield from _in_processes(name, target, left, seed, seconds, root)
    finally:
        os.chdir(before)
        shutil.rmtree(root)


def _in_processes(
    name: str, target: Target, left: list[int], seed: int, seconds: float, root: Path
) -> Iterator[Outcome]:
    while left:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(out)
                with os.fdopen(into, "w") as file:
                    _work(name, target, left, seed, seconds, root, file)
            finally:  # whatever happens, this process must not continue like its parent
                os._exit(0)
        os.close(into)
        try:
            with os.fdopen(out) as file:
                while left and select.select([file], [], [], CLOCK * seconds)[0]:
                    line = file.readline()
                    if not line:
                        break
                    yield Outcome(*json.loads(line))
                    del left[0]
        finally:
            os.kill(child, signal.SIGKILL)  # in case it hangs; harmless if it has ended
            status = os.waitpid(child, 0)[1]
        if left:
            said = f"the process hung, or ended with {os.waitstatus_to_exitcode(status)}"
            yield Outcome(left.pop(0), "finding", said)


def _work(
    name: str,
    target: Target,
    numbers: list[int],
    seed: int,
    seconds: float,
    root: Path,
    file: Any,
) -> None:
    """Run the cases in this process, which cannot be used for anything else afterwards."""
    sys.dont_write_bytecode = True
    quiet = os.open(os.devnull, os.O_WRONLY)  # C libraries print messages
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    guard = _Guard()
    sys.addaudithook(guard)
    signal.signal(signal.SIGPROF, guard.too_long)
    for number in numbers:
        rng = Random(f"{seed} {name} {number}")
        made = target.make(rng)
        folder = root / "case"
        shutil.rmtree(folder, ignore_errors=True)  # left by a process that died
        folder.mkdir()
        os.chdir(folder)
        _limit_memory(MEMORY + target.decoded(made))
        guard.begin(folder)
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.1)
        try:
            outcome = _outcome(number, target, made, folder)
        except TooLongError as error:  # raised just after the case ended
            outcome = Outcome(number, "finding", repr(error))
        signal.setitimer(signal.ITIMER_PROF, 0)
        guard.end()
        _limit_memory(None)
        if guard.broken:  # also if the code caught the exception
            outcome = outcome._replace(kind="finding", said=f"{guard.broken}; {outcome.said}")
        os.chdir(root)
        file.write(json.dumps(outcome) + "\n")
        file.flush()


def _outcome(number: int, target: Target, made: Any, folder: Path) -> Outcome:
    try:
        target.check(made, folder)
        return Outcome(number, "accepted", "")
    except BaseException as error:
        trace = traceback.format_exc()
        said = f"{type(error).__name__}: {str(error)[:300]}"
        if NO_MEMORY.search(trace):
            said = f"too much memory: {said}"
        elif isinstance(error, ValueError | OSError):
            if target.named in str(error) and str(error).strip():
                return Outcome(number, "refused", said)
            said = f"the message does not name the input: {said}"
        trace += f"Input: {made!r:.2000}"
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if "minivision" in f.filename
        ]
        at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return Outcome(number, "finding", said + at, trace)


def _limit_memory(more: int | None) -> None:
    """Allow this many bytes beyond the current use; None removes the limit."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if more is None:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))


class _Guard:
    """Blocks writing outside a folder, and the network, using Python's audit events."""

    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    CHANGING = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link",
                "os.truncate", "os.chmod")  # fmt: skip

    def __init__(self) -> None:
        self.folder = ""
        self.broken = ""  # the limit that the case exceeded

    def begin(self, folder: Path) -> None:
        self.folder, self.broken = f"{folder}/", ""

    def end(self) -> None:
        self.folder = ""

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.folder:
            return
        if event in ("socket.connect", "socket.getaddrinfo"):
            raise OSError("the network is blocked")
        if event == "open":
            paths: tuple = arguments[:1] if arguments[2] & self.WRITING else ()
        else:
            paths = arguments if event in self.CHANGING else ()
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and os.fspath(path) != os.devnull:
                place = os.path.abspath(os.fsdecode(path))
                if not f"{place}/".startswith(self.folder):
                    self.broken = f"{event} outside the folder: {place}"
                    raise OutsideError(self.broken)

    def too_long(self, *_: Any) -> None:
        if self.folder:
            self.broken = "took too long"
            raise TooLongError(self.broken)
