"""Augmentation search: sample a policy, train with it, evaluate it, keep the best.

Candidate 0 is "none": nothing is added to the baseline that every candidate has. All candidates
start from the same weights and see the same images in the same order, so that nothing but the
policy tells them apart. They are compared on the validation images; the test images are no part
of a search. (Cubuk et al. 2020, §3, search a grid over N and M on the real task in this way.)
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from minivision.methods.processes import Fault, side_by_side, usable_cores
from minivision.methods.samplers import NONE, policy_name
from minivision.methods.search_folder import SearchFolder
from minivision.transforms import describe

Sampler = Callable[[int, int], Any]  # number of the candidate from 1 up, seed -> policy
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
    """Train and score no augmentation and `budget - 1` policies; returns all, in their order.

    sampler(number, seed) -> the policy of this number, 1, 2, …: `Grid()` or `RandomSequences()`.
    train_and_score(policy, seed) -> a number, the higher the better: a `Trial`.
    folder: is given a line for every candidate when it is done; called again, the search goes on
        after them. settings: what decides a score; those of a folder that has begun must agree.
    processes: how many candidates are trained at once, each in a process with one thread; the
        default is one for each core. 0: one after the other in this process.

    The scores do not depend on the number of processes, nor the policies on the budget. A
    candidate that fails stops the search with its name; what is done is kept.

    >>> from minivision.methods import Grid
    >>> found = search(Grid(), lambda policy, seed: 0.5, 4, processes=0)
    >>> [policy_name(candidate.policy) for candidate in found], best_of(found).number
    (['none', 'N=3 M=9', 'N=2 M=3', 'N=3 M=3'], 0)
    """
    if budget < 2:
        raise ValueError(f"search: budget is {budget}; expected 2 or more, the first is no policy")
    if processes is not None and processes < 0:
        raise ValueError(f"search: processes is {processes}; expected 0 or more")
    policies = [NONE, *(sampler(number, seed) for number in range(1, budget))]
    kept = None
    if folder is not None:
        kept = SearchFolder.open(folder, {**(settings or {}), "seed": seed})
    found = _already_done(kept, policies)
    waiting = {n: (policies[n], seed) for n in range(budget) if n not in found}
    count = min(usable_cores() if processes is None else processes, len(waiting))
    bar = tqdm(total=budget, initial=len(found), desc="candidates", unit="policy", disable=None)
    with bar:
        for number, score, seconds, fault in side_by_side(train_and_score, waiting, count):
            score = _checked(number, policies[number], score, fault)
            found[number] = candidate = Candidate(number, policies[number], score, seconds)
            if kept is not None:
                kept.append(_record(candidate))
            _tell(bar, candidate, found.values())
    return [found[number] for number in range(budget)]


def best_of(candidates: Iterable[Candidate]) -> Candidate:
    """The candidate with the highest score; of equal ones the earlier."""
    return max(candidates, key=lambda candidate: (candidate.score, -candidate.number))


def _record(candidate: Candidate) -> dict[str, Any]:
    """A candidate as a line of candidates.jsonl."""
    return {
        "candidate": candidate.number,
        "name": policy_name(candidate.policy),
        "policy": describe(candidate.policy),
        "score": candidate.score,
        "seconds": round(candidate.seconds, 1),
    }


def _already_done(kept: SearchFolder | None, policies: list[Any]) -> dict[int, Candidate]:
    """What the folder's lines say about these policies."""
    found = {}
    for record in kept.records() if kept is not None else []:
        number = record["candidate"]
        if number >= len(policies):  # of a search with a larger budget
            continue
        policy = policies[number]
        if record["policy"] != json.loads(json.dumps(describe(policy))):
            raise ValueError(
                f"search: candidate {number} of {kept} is {record['name']}, but would now be "
                f"{policy_name(policy)}: the folder was begun with another sampler"
            )
        found[number] = Candidate(number, policy, record["score"], record["seconds"])
    return found


def _checked(number: int, policy: Any, score: Any, fault: Fault | None) -> float:
    """The score; an error that names the candidate where there is none."""
    who = f"search: candidate {number} ({policy_name(policy)})"
    if fault is not None:
        error = fault.kind(f"{who} failed: {fault.sentence}")
        if fault.story:
            error.add_note(fault.story)
        raise error
    if not isinstance(score, int | float | np.integer | np.floating) or not math.isfinite(score):
        raise ValueError(f"{who} scored {score!r}; expected a finite number")
    return float(score)


def _tell(bar: Any, candidate: Candidate, found: Iterable[Candidate]) -> None:
    bar.update()
    best = best_of(found)
    words = f"best {policy_name(best.policy)}: {best.score:.4g}"
    bar.set_postfix_str(words)
    if bar.disable:
        name = policy_name(candidate.policy)
        done = f"candidate {candidate.number:>2}  {name:<40} {candidate.score:.4f}"
        print(f"{done}  ({bar.total} in all)", file=sys.stderr)
