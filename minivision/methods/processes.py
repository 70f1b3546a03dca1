"""Many calls of one function side by side, each in a new process with a thread of its own.

A training step on small images has little to share out among threads; several trainings at once
keep every core busy. A process is *spawned*: a new Python that imports what it needs, the same on
every system. So a script that does this is imported once more by each of them, and must keep its
own work under `if __name__ == "__main__":`.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import connection, get_context, parent_process
from typing import Any, NamedTuple

import cv2

# Set before a process starts, so before its NumPy is imported. With one worker each, the numbers
# do not depend on how many cores there are.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MINIVISION_WORKERS": "1"}
OF_THE_USER = (ValueError, OSError, FloatingPointError)  # what the command line tells in a line


class Fault(NamedTuple):
    """Why a call has no value: a sentence, the kind of error to raise, its traceback."""

    sentence: str
    kind: type[Exception] = RuntimeError
    story: str = ""


class Outcome(NamedTuple):
    """How a call went; `value` is None where there is a fault."""

    key: int
    value: Any
    seconds: float
    fault: Fault | None = None


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(
    function: Callable, arguments: Mapping[int, tuple], processes: int
) -> Iterator[Outcome]:
    """Yield the outcome of function(*arguments[key]) for every key, in the order they end.

    processes: how many at once; 0: one after the other in this process. What the function prints
    to stderr, such as progress bars, is not shown. Leaving the loop early ends the processes.
    """
    if processes == 0:
        for key, values in arguments.items():
            yield _attempt(key, function, values)
        return
    waiting = list(arguments.items())
    running: dict[Any, tuple[int, Any]] = {}  # by the pipe that the outcome comes from
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                key, values = waiting.pop(0)
                receiver, process = _start(key, function, values)
                running[receiver] = key, process
            for receiver in connection.wait(list(running)):
                key, process = running.pop(receiver)
                yield _received(key, receiver, process)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _start(key: int, function: Callable, values: tuple) -> tuple[Any, Any]:
    spawn = get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(sender, key, function, values), daemon=True)
    try:
        with _environment(ONE_THREAD), contextlib.suppress(BrokenPipeError):
            process.start()  # the pipe breaks where the process ends at once; _received tells why
    except Exception as error:
        raise TypeError(
            f"side_by_side: {function!r:.80} cannot be sent to another process ({error}); expected "
            "a function of a module, or an object of a class of a module; or use processes=0"
        ) from error
    sender.close()  # the process has its own end; when it dies, the receiver hears of it
    return receiver, process


def _received(key: int, receiver: Any, process: Any) -> Outcome:
    try:
        outcome = receiver.recv()
    except (EOFError, ConnectionError):
        process.join()
        advice = 'is the script\'s work under if __name__ == "__main__": ?'
        if process.exitcode is not None and process.exitcode < 0:
            advice = "it was killed; was there too little memory?"
        fault = Fault(f"its process ended with exit code {process.exitcode}; {advice}")
        outcome = Outcome(key, None, 0.0, fault)
    receiver.close()
    process.join()
    return outcome


def _serve(sender: Any, key: int, function: Callable, values: tuple) -> None:
    """What a process does: one call, and the outcome into the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    sender.send(_attempt(key, function, values))


def _end_with_parent() -> None:
    """A parent that was killed cannot end its processes; each looks after itself."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _attempt(key: int, function: Callable, values: tuple) -> Outcome:
    begun = time.perf_counter()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            value = function(*values)
    except Exception as error:
        kind = next((kind for kind in OF_THE_USER if isinstance(error, kind)), RuntimeError)
        fault = Fault(f"{type(error).__name__}: {error}", kind, traceback.format_exc())
        return Outcome(key, None, time.perf_counter() - begun, fault)
    return Outcome(key, value, time.perf_counter() - begun)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for the processes that are started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
