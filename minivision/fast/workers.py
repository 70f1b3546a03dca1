"""Workers: the calling thread and a few helpers share one operation.

NumPy releases the GIL inside matrix products and long loops, so threads do run in parallel. An
operation is split into parts that write to different memory. Each worker is assigned its parts in
advance, and the caller, which is worker 0, waits for the others. Handing work over costs about as
much as a small product, so the caller does small operations alone (fast/choice.py decides).

BLAS, the library behind `@`, has its own threads, which spin for a while after each product and
slow down the helpers. It is limited to one thread while workers run.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeAlias

from threadpoolctl import ThreadpoolController

from minivision.backend import usable_cores

Work: TypeAlias = Callable[[int], None]  # does the work of the worker with this number

MOST_WORKERS = 8  # unless MINIVISION_WORKERS sets more, up to LIMIT
LIMIT = 1024
SMALL_FOR_BLAS = 2**18  # multiply-adds; OpenBLAS computes smaller products in the calling thread


@cache
def worker_count() -> int:
    """How many threads share an operation: MINIVISION_WORKERS, or one per usable core.

    The count is 1 if no thread can be started, as in a browser.
    """
    wanted = os.environ.get("MINIVISION_WORKERS", "")
    if wanted and not (wanted.isdecimal() and 1 <= int(wanted) <= LIMIT):
        raise ValueError(
            f"MINIVISION_WORKERS is {wanted!r}; expected a number of threads from 1 to {LIMIT}"
        )
    count = int(wanted or min(usable_cores(), MOST_WORKERS))
    try:
        probe = threading.Thread(target=int)
        probe.start()
        probe.join()
    except RuntimeError:
        return 1
    return count


def share(work: Work, workers: int) -> None:
    """Call work(0), …, work(workers - 1), each in its own thread, and wait for all of them.

    The parts must write to different memory. An exception in one of them is raised here, after all
    parts have ended. If this function is called from inside a part, or while another thread's parts
    are running, all parts run in the calling thread; they are the same, so the numbers are too.
    """
    if workers == 1:
        work(0)
        return
    with one_blas_thread():
        if not _helpers.lock.acquire(blocking=False):
            for worker in range(workers):
                work(worker)
            return
        try:
            _helpers.run(work, workers)
        finally:
            _helpers.lock.release()


def part(items: list, worker: int, workers: int) -> list:
    """The worker's share of the items: consecutive ones, divided as evenly as possible.

    >>> [part(list("abcde"), worker, 2) for worker in range(2)]
    [['a', 'b'], ['c', 'd', 'e']]
    """
    return items[worker * len(items) // workers : (worker + 1) * len(items) // workers]


class _Helpers:
    """Threads that wait for work. They start when first needed and end with the program."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inboxes: list[SimpleQueue] = []

    def run(self, work: Work, workers: int) -> None:
        self._start(workers - 1)
        ended: SimpleQueue = SimpleQueue()
        helping = self.inboxes[: workers - 1]
        for worker, inbox in enumerate(helping, 1):
            # NumPy's errstate is part of the context, and each thread has its own context.
            inbox.put((copy_context().run, work, worker, ended))
        try:
            for worker in (0, *range(1 + len(helping), workers)):
                work(worker)
        finally:
            faults = [ended.get() for _ in helping]
        for fault in faults:
            if fault is not None:
                raise fault

    def _start(self, count: int) -> None:
        while len(self.inboxes) < count:
            inbox: SimpleQueue = SimpleQueue()
            name = f"minivision-{len(self.inboxes) + 1}"
            try:
                threading.Thread(target=_help, args=(inbox,), name=name, daemon=True).start()
            except RuntimeError:  # no more threads: the caller does the remaining parts
                return
            self.inboxes.append(inbox)


def _help(inbox: SimpleQueue) -> None:
    while True:
        run, work, worker, ended = inbox.get()
        fault = None
        try:
            run(work, worker)
        except BaseException as error:
            fault = error
        del run, work  # before the caller continues, so that free blocks do not look used
        ended.put(fault)
        del fault


class _Blas:
    """How many callers limit BLAS to one thread, and how many threads BLAS had before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders = 0
        self.before: list[int] = []

    def enter(self) -> None:
        with self.lock:
            if self.holders == 0:
                self.before = [library.get_num_threads() for library in _blas_libraries()]
                _set_threads([1] * len(self.before))
            self.holders += 1

    def leave(self) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                _set_threads(self.before)


class one_blas_thread(ContextDecorator):  # noqa: N801
    """Limit BLAS to one thread, in all threads of the program; a context manager or decorator.

    multiply_adds: the size of the product, if known; BLAS runs small products in one thread anyway.
    """

    def __init__(self, multiply_adds: float = math.inf):
        self.needed = multiply_adds > SMALL_FOR_BLAS

    def __enter__(self) -> None:
        if self.needed:
            _blas.enter()

    def __exit__(self, *raised: object) -> None:
        if self.needed:
            _blas.leave()


@cache
def _blas_libraries() -> list[Any]:
    """The BLAS libraries loaded at the first call: NumPy's, which computes all products here."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(counts: list[int]) -> None:
    for library, count in zip(_blas_libraries(), counts, strict=True):
        if library.get_num_threads() != count:
            _release(library)
            library.set_num_threads(count)
            _release(library)


def _release(library: Any) -> None:
    """Lift threadpoolctl's rule that only the thread that set the number first may change it."""
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)


_helpers, _blas = _Helpers(), _Blas()


def _after_fork() -> None:
    """Make new locks: a forked process has none of the threads that could release the old ones."""
    global _helpers
    _helpers, _blas.lock = _Helpers(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
