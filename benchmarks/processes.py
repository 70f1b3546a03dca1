"""Run the peers as waiting processes: one round of the first, one of the second, and so on.

Each library runs in its own process, because within one process the threads of one BLAS would spin
while another library is timed, and memory freed by one library would be reused by another. All
peers prepare before the first round; while one is timed, the others wait for input and use no core.
The order rotates by one in every round.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.environments import ROOT, CannotInstallError, python_of
from benchmarks.peers import PEERS

PAUSE = 0.05  # seconds; OpenBLAS's threads keep spinning for about 26 ms after their last task
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
# Variables that may be set in the shell and would override the defaults.
FOREIGN = (
    "MALLOC_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "NUMEXPR_",
    "XLA_",
    "JAX_",
    "TORCH",
    "PYTHONPATH",
)


class PeerFailedError(Exception):
    """A peer ended before replying; the message contains the end of its output."""


class PeerProcess:
    """One library working in its own process: first `ready`, then any number of `round`s."""

    def __init__(self, name: str, settings: dict[str, Any]):
        peer = PEERS[name]
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in `close`)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        if peer.tuned:
            environment |= TUNED
        settings = {**settings, "channels_last": peer.channels_last}
        command = [python_of(peer.environment), "-m", f"benchmarks.peers.{peer.script}"]
        self.process = subprocess.Popen(
            [*command, json.dumps(settings)], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip

    def answer(self) -> dict[str, Any]:
        """Wait for the next line: the peer's facts when it is ready, or the result of a round."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines() or ["no message"]
            raise PeerFailedError(f"{self.name} ended with {self.process.returncode}: {lines[-1]}")
        return json.loads(line)

    def round(self) -> dict[str, Any]:
        """Run one round while all other peers wait."""
        assert self.process.stdin
        time.sleep(PAUSE)
        with contextlib.suppress(BrokenPipeError):  # `answer` reports why it ended
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """Close the input of the process, which makes it end."""
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


@contextlib.contextmanager
def running(name: str, settings: dict[str, Any]) -> Iterator[tuple[PeerProcess, dict[str, Any]]]:
    """A peer that is ready, with the facts it reported; it is stopped at the end of the block."""
    process = PeerProcess(name, settings)
    try:
        yield process, process.answer()
    finally:
        process.close()


def prepare(
    names: list[str], settings: dict[str, Any], stack: contextlib.ExitStack
) -> tuple[dict[str, PeerProcess], dict[str, dict[str, Any]]]:
    """Start the peers one after the other; return those that run, and what each one reported.

    A peer that cannot take part reports {"unavailable": why}.
    """
    processes, said = {}, {}
    for name in names:
        try:
            process, facts = stack.enter_context(running(name, settings))
        except (CannotInstallError, PeerFailedError) as reason:
            process, facts = None, {"unavailable": str(reason)}
        said[name] = facts
        if process and "unavailable" not in facts:
            processes[name] = process
        else:
            print(f"{name}: not available: {facts['unavailable']}", file=sys.stderr)
    return processes, said


def alternate(processes: dict[str, PeerProcess], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """The results of all rounds of all peers."""
    names = list(processes)
    gave: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            gave[name].append(processes[name].round())
    return gave
