"""Augmentation search: sample policies, train with each, score it and record it; keep the best.

Candidate 0 is "none": it adds nothing to the baseline augmentation that all candidates share. All
candidates start from the same weights and see the same images in the same order, so that they
differ only in the policy. They are compared on the validation images; the test images are not used
in a search. (In the same way, Cubuk et al. 2020, §3, search a grid of N and M on the actual task.)

A search that has a folder can be stopped and resumed. The folder contains two files:

    settings.json      the settings that determine the scores
    candidates.jsonl   one JSON object per candidate, on a line that is written when it is done
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from minivision.backend import usable_cores
from minivision.methods.parallel_trials import run_trials
from minivision.methods.samplers import NONE, policy_name
from minivision.nn.weights import write_atomically
from minivision.training.plain_json import (
    append_line,
    json_bytes,
    parse_object,
    read_lines,
    read_object,
)
from minivision.training.run import Run
from minivision.transforms import describe

Sampler = Callable[[int, int], Any]  # candidate number (from 1), seed -> policy
TrainAndScore = Callable[[Any, int], float]  # policy, seed -> score, the higher the better


@dataclass(frozen=True)
class Candidate:
    """A policy that was tried."""

    number: int
    policy: Any
    score: float
    seconds: float


def search(
    sampler: Sampler,
    train_and_score: TrainAndScore,
    budget: int,
    seed: int = 0,
    *,
    folder: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    processes: int | None = None,
) -> list[Candidate]:
    """Train and score `budget` candidates: "none" and `budget - 1` policies. Returns all, in order.

    sampler(number, seed) -> the policy with this number (1, 2, …), such as `Grid()`.
    train_and_score(policy, seed) -> a number, the higher the better, such as a `Trial`.
    folder: receives a line for every finished candidate; a later call does not repeat these
        candidates. settings: everything that determines a score; it must equal the settings that
        are already in the folder.
    processes: how many candidates are trained at once, each in a process with one thread; the
        default is one per core. 0: one after the other in this process.

    The scores do not depend on the number of processes, nor do the policies depend on the budget. A
    process that is killed is replaced, and its candidate is tried again. If a candidate fails, the
    search stops with an error that names it. Finished candidates are kept.

    >>> from minivision.methods import Grid
    >>> found = search(Grid(), lambda policy, seed: 0.5, 4, processes=0)
    >>> [policy_name(candidate.policy) for candidate in found], best_of(found).number
    (['none', 'N=3 M=9', 'N=2 M=3', 'N=3 M=3'], 0)
    """
    if budget < 2:
        raise ValueError(
            f"search: budget is {budget}; expected at least 2, because the first is the baseline"
        )
    if processes is not None and processes < 0:
        raise ValueError(f"search: processes is {processes}; expected at least 0")
    policies = [NONE, *(sampler(number, seed) for number in range(1, budget))]
    at_once = usable_cores() if processes is None else processes
    lines, found = None, {}
    with ExitStack() as stack:
        if folder is not None:
            lines = _begin_or_return(Path(folder), {**(settings or {}), "seed": seed})
            stack.enter_context(Run(Path(folder), {}).locked())
            found = _candidates_in(lines, policies)
        waiting = {n: policy for n, policy in enumerate(policies) if n not in found}
        bar = tqdm(total=budget, initial=len(found), desc="candidates", unit="policy", disable=None)
        stack.enter_context(bar)
        trials = stack.enter_context(closing(run_trials(train_and_score, waiting, seed, at_once)))
        # This is the paper's loop. Several trials run at once; each is yielded when it is done.
        for number, score, seconds in trials:
            found[number] = candidate = Candidate(number, policies[number], score, seconds)
            if lines is not None:
                append_line(lines, json_bytes("search: candidate", _as_line(candidate)))
            _tell(bar, candidate, found.values())
    return [found[number] for number in range(budget)]


def best_of(candidates: Iterable[Candidate]) -> Candidate:
    """The candidate with the highest score; the earliest if several tie."""
    return max(candidates, key=lambda candidate: (candidate.score, -candidate.number))


def _begin_or_return(folder: Path, settings: Mapping[str, Any]) -> Path:
    """Make the folder, or check that its search has these settings; returns the candidates file."""
    file, data = folder / "settings.json", json_bytes("search: settings", settings, indent=2)
    if not file.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"cannot create the folder {folder}: {error.strerror}") from error
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise FileExistsError(
                f"{folder} is not empty but contains no search; choose another folder"
            )
        write_atomically(file, data)
    now, then = parse_object("settings", data), read_object(file)
    for name in {**then, **now}:
        if (name in now, now.get(name)) != (name in then, then.get(name)):
            came, was = (
                f"{part[name]!r:.60}" if name in part else "not given" for part in (now, then)
            )
            raise ValueError(
                f"search: {name} is {came}, but {folder} was started with {was}; continue "
                "with the same settings, or choose another folder"
            )
    return folder / "candidates.jsonl"


def _as_line(candidate: Candidate) -> dict[str, Any]:
    return {
        "candidate": candidate.number,
        "name": policy_name(candidate.policy),
        "policy": describe(candidate.policy),
        "score": candidate.score,
        "seconds": round(candidate.seconds, 1),
    }


def _candidates_in(file: Path, policies: list[Any]) -> dict[int, Candidate]:
    """The candidates recorded so far for these policies, by number."""
    found = {}
    for n, line in enumerate(read_lines(file), 1):
        kinds = {
            "candidate": int,
            "name": str,
            "policy": dict | list,
            "score": float,
            "seconds": float,
        }
        for name, kind in kinds.items():
            if not isinstance(line.get(name), kind):
                raise ValueError(f"{file}, line {n}: {name!r} is {line.get(name)!r}")
        number = line["candidate"]
        if number >= len(policies):  # from a search with a larger budget
            continue
        policy = policies[number]
        if line["policy"] != json.loads(json.dumps(describe(policy))):
            raise ValueError(
                f"search: candidate {number} of {file.parent} is {line['name']}, but would now be "
                f"{policy_name(policy)}: the folder was started with a different sampler"
            )
        found[number] = Candidate(number, policy, line["score"], line["seconds"])
    return found


def _tell(bar: Any, candidate: Candidate, found: Iterable[Candidate]) -> None:
    bar.update()
    best = best_of(found)
    bar.set_postfix_str(f"best {policy_name(best.policy)}: {best.score:.4g}")
    if bar.disable:
        name = policy_name(candidate.policy)
        done = f"candidate {candidate.number:>2}  {name:<40} {candidate.score:.4f}"
        print(f"{done}  ({bar.total} in all)", file=sys.stderr)
