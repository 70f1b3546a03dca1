"""The loop of every peer's script: prepare, then time a round at every "go".

The argument is a JSON object of settings; "task" names the function that prepares. It returns a
`step` to be timed and facts to report: `check`, numbers that must be equal for all peers, and
memory. The script prints one JSON line when it is warm, and one after every round. Lines go to a
copy of the standard output, so that a library that prints cannot corrupt them.
"""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.networks import batch

Step = Callable[[], Any]
Task = Callable[[dict[str, Any]], tuple[Step, dict[str, Any]]]

CHECK_STEPS = 3


class NotAvailableError(Exception):
    """The library has no such layer; the message says which."""


def serve(tasks: dict[str, Task], *libraries: str) -> None:
    """Prepare the task that the argument names, and reply to every line of the standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**facts: Any) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    settings = json.loads(sys.argv[1])
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in (*libraries, "numpy")}
    try:
        step, facts = tasks[settings["task"]](settings)
    except NotAvailableError as reason:
        say(unavailable=str(reason), versions=versions)
        return
    repeat = settings.get("repeat") or warm_up(step, settings["seconds"], settings["least"])
    say(**facts, repeat=repeat, versions=versions)
    for _ in sys.stdin:
        if not settings.get("repeat"):
            step()  # another process had the caches: one step that is not timed
        start = time.perf_counter()
        for _ in range(repeat):
            value = step()
        seconds = (time.perf_counter() - start) / repeat
        value = None if value is None else float(value)
        say(ms=1000 * seconds, value=value, resident_mb=memory_mb("VmRSS"))


def warm_up(step: Step, seconds: float, least: int) -> int:
    """Run for about twice as long as a round, and return the number of steps per round."""
    fastest, began, count = math.inf, time.perf_counter(), 0
    while count < least or time.perf_counter() - began < 2 * seconds:
        start = time.perf_counter()
        step()
        fastest, count = min(fastest, time.perf_counter() - start), count + 1
    return max(least, math.ceil(seconds / fastest))


def memory_mb(field: str) -> float:
    """This process's memory from the kernel: "VmRSS" is resident now, "VmHWM" was the most."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024
    except OSError:  # not Linux; only the peak is known, in bytes on macOS
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / (1024**2 if sys.platform == "darwin" else 1024)


def training(make_step: Callable[..., Callable[[bool], Any]], product: Callable[[], Any]) -> Task:
    """The task of whole training steps, given a library's function that makes one.

    make_step(network, x, labels, settings) -> step(dropping) -> loss. The first three steps have
    no dropout; their losses are the check. product() is a matrix product, which makes the library's
    BLAS allocate its workspaces before memory is counted.
    """

    def prepare(settings: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
        network = settings["network"]
        x, labels = batch(network)
        product()
        before = memory_mb("VmHWM")
        step = make_step(network, x, labels, settings)
        losses = [float(step(False)) for _ in range(CHECK_STEPS)]
        return lambda: step(True), {"check": losses, "mb": memory_mb("VmHWM") - before}

    return prepare


def forward_backward(
    forward: Callable[[], Any],
    leaves: list[Any],
    dy: Any,
    array_of: Callable[[Any], np.ndarray],
    checked: bool = True,
) -> tuple[Step, dict[str, Any]]:
    """The step `forward().backward(dy)`, for libraries whose leaves keep a `.grad`."""

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        forward().backward(dy)

    step()
    values = [forward(), *[leaf.grad for leaf in leaves if leaf.grad is not None]]
    return step, {"check": fingerprint(*map(array_of, values)) if checked else []}


def fingerprint(*arrays: np.ndarray) -> list[float]:
    """Three numbers per array, in float64, that another layout, sign or order would change."""
    numbers = []
    for array in arrays:
        a = np.ravel(array).astype(np.float64)
        numbers += [np.linalg.norm(part) for part in (a, np.maximum(a, 0), a[::3])]
    return [float(number) for number in numbers]
