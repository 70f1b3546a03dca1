"""Several trials at once, each in a worker process with one thread of its own.

A training step on small images gains little from several threads, but several training runs at once
keep every core busy. loky, the part of joblib that starts the workers, closes its pool if one of
them dies; a new pool then runs the unfinished trials.

You can skip this file on a first reading.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import as_completed
from multiprocessing import Pipe
from pickle import PicklingError
from typing import Any

import cv2
import numpy as np
from joblib.externals.loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    TerminatedWorkerError,
)
from tqdm import tqdm

from minivision.methods.samplers import policy_name

# Set before a worker imports NumPy. With one thread each, the numbers do not depend on how many
# cores there are.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MINIVISION_WORKERS": "1"}
OF_THE_USER = (ValueError, OSError, FloatingPointError)  # the command line prints these in one line
ATTEMPTS = 3  # for a trial whose worker dies


def run_trials(
    train_and_score: Callable[[Any, int], float],
    policies: Mapping[int, Any],
    seed: int,
    processes: int,
) -> Generator[tuple[int, float, float]]:
    """Yield the number, the score and the seconds of every policy, in the order of completion.

    processes: how many trials run at once; 0: one after the other in this process. If the caller
    leaves the loop early, for example with Ctrl-C, the workers end immediately.

    Raises a trial's exception with the name of the candidate, and ChildProcessError, with the names
    of the candidates being tried, if workers died three times without finishing any trial.
    """
    names = {n: f"search: candidate {n} ({policy_name(policy)})" for n, policy in policies.items()}
    if processes == 0:
        for number, policy in policies.items():
            yield number, *_run_trial(names[number], train_and_score, policy, seed)
        return
    waiting, deaths = dict(policies), 0
    while waiting:
        theirs, ours = Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            processes, initializer=_begin, initargs=(theirs,), env=ONE_THREAD
        )
        try:
            trials = {
                pool.submit(_run_trial, names[number], train_and_score, policy, seed): number
                for number, policy in waiting.items()
            }
            for trial in as_completed(trials):
                number, outcome = trials[trial], trial.result()
                del waiting[number]
                deaths = 0
                yield number, *outcome
        except TerminatedWorkerError as error:  # a new pool tries the unfinished trials
            deaths += 1
            if deaths == ATTEMPTS:
                running = ", ".join([names[number] for number in waiting][:processes])
                raise ChildProcessError(
                    f"{running} failed: a process died {ATTEMPTS} times; was it killed for lack of "
                    "memory? With fewer processes, each has more memory"
                ) from error
        except (PicklingError, BrokenProcessPool) as error:
            raise TypeError(
                f"search: {train_and_score!r:.80} cannot be sent to another process (see the error "
                "above); use processes=0"
            ) from error
        finally:
            ours.close()  # ends every worker, even in the middle of a trial
            pool.shutdown()


def _begin(pipe: Any) -> None:
    """Set up a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends the workers
    cv2.setNumThreads(1)
    tqdm.set_lock(threading.RLock())  # tqdm's multiprocessing lock would outlive this process
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()


def _end_with_parent(pipe: Any) -> None:
    """End this worker when the parent closes its end of the pipe, or is killed.

    Otherwise loky's workers would finish their trial first and then wait forever.
    """
    pipe.poll(None)
    os._exit(1)


def _run_trial(
    name: str, train_and_score: Callable[[Any, int], float], policy: Any, seed: int
) -> tuple[float, float]:
    """The score and the seconds; an error is raised with the candidate's name."""
    begun = time.perf_counter()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # hide the progress bars of the trial
            score = train_and_score(policy, seed)
    except Exception as error:
        kind = next((kind for kind in OF_THE_USER if isinstance(error, kind)), RuntimeError)
        raise kind(f"{name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(score, int | float | np.integer | np.floating) or not math.isfinite(score):
        raise ValueError(f"{name} scored {score!r}; expected a finite number")
    return float(score), time.perf_counter() - begun
