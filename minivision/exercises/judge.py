"""Judge a function: find the smallest example on which it is wrong, and recognise the mistake.

First the function is tried on the examples. If it is wrong on one of them, Hypothesis searches for
an example that is as small as possible. If its numbers are those of a typical mistake on all
examples, the mistake is named.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import getfile
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minivision.exercises.examples import Example, drawn, in_float64, smallest
from minivision.exercises.exercise import Exercise, Function, Mistake
from minivision.exercises.outcomes import Fault, agree, fault, outcomes

DECISIVE = 3  # a mistake is named only if it shows on this many examples
CHANGES = (
    "the result changes from call to call, with the same arguments (perhaps the function draws "
    "random numbers, or keeps something from one call to the next)"
)
PACKAGE = str(Path(__file__).parent.parent)
OURS = {__file__, getfile(Example), getfile(Fault)}  # the files that do the checking


class Verdict(NamedTuple):
    """The result of a check; `mistake` is the name of the mistake if it was recognised."""

    exercise: str
    right: bool
    text: str
    mistake: str = ""
    seconds: float = 0.0


def judge(exercise: Exercise, function: Function) -> Verdict:
    """Whether the function solves the exercise, and if not, why."""
    begun = time.perf_counter()
    verdict = _judged(exercise, function)
    return verdict._replace(seconds=round(time.perf_counter() - begun, 2))


def _judged(exercise: Exercise, function: Function) -> Verdict:
    name, examples = exercise.name, drawn(exercise)
    with calls_into_minivision() as called:
        first = fault(exercise, function, examples[0])
    if called:
        return Verdict(
            name, False,
            f"{name} calls {called[0]} from minivision. Write it yourself: the exercise is what "
            "that function does.", "calls the engine",
        )  # fmt: skip
    if first and first.name == "empty":
        return Verdict(name, False, first.sentence, "empty")
    wrong = next((e for e in examples if fault(exercise, function, e)), None)
    if wrong is None:
        return Verdict(
            name, True,
            f"{name} is right: it agrees with the solution on {len(examples)} examples.",
        )  # fmt: skip
    example = smallest(exercise, lambda e: fault(exercise, function, e) is not None, wrong)
    found = fault(exercise, function, example) or Fault(CHANGES)
    mistake = recognised(exercise, function)
    lines = [f"{name} is not right yet."]
    if mistake:
        lines += ["", f"This is what you get if {mistake.name}.", f"  {mistake.question}"]
        named = mistake.name
    else:
        named = constant_result(exercise, function) or ""
        lines += ["", f"Your function {named}."] if named else []
        broken = broken_laws(exercise, function)
        if broken:
            lines += ["", "This should hold for your function, but does not:"]
            lines += [f"  {law}." for law in broken]
    lines += [
        "",
        "The smallest example on which it is wrong:",
        *described(exercise, example, found),
    ]
    return Verdict(name, False, "\n".join(lines), named)


# ── what the mistake is ──────────────────────────────────────────────────────────────────────────


@cache
def decisive(exercise: Exercise, mistake: Mistake) -> list[Example]:
    """The examples on which a mistake shows."""
    wrong = exercise.with_mistake(mistake)
    return [e for e in in_float64(exercise) if not agree(exercise, exercise.solution, wrong, e)]


def recognised(exercise: Exercise, function: Function) -> Mistake | None:
    """The mistake whose numbers are those of the function, on every example."""
    for mistake in exercise.mistakes:
        wrong, shown_by = exercise.with_mistake(mistake), decisive(exercise, mistake)
        examples = [*shown_by, *in_float64(exercise)]  # those that decide first
        if len(shown_by) >= DECISIVE and all(agree(exercise, wrong, function, e) for e in examples):
            return mistake
    return None


def constant_result(exercise: Exercise, function: Function) -> str | None:
    """Whether the function returns only zeros, or one of its inputs."""

    def first(example: Example) -> Any:
        try:
            return next(outcomes(exercise, function, example))[1]
        except Exception:
            return None

    results = [(first(e), e.arguments()) for e in drawn(exercise)[:20]]
    if not all(isinstance(y, np.ndarray | np.floating | float) for y, _ in results):
        return None
    if all(not np.any(y) for y, _ in results):
        return "returns zeros"
    for i, name in enumerate(exercise.arguments):
        if all(np.array_equal(y, inputs[i]) for y, inputs in results):
            return f"returns its input {name}"
    return None


def broken_laws(exercise: Exercise, function: Function) -> list[str]:
    """The laws that do not hold for the function on some example."""

    def broken(holds: Callable[..., bool]) -> bool:
        for example in drawn(exercise)[:20]:
            try:
                if not holds(function, example._replace(dtype=np.float64).arguments()):
                    return True
            except Exception:
                return False
        return False

    return [law.says for law in exercise.laws if broken(law.holds)]


@contextmanager
def calls_into_minivision() -> Iterator[list[str]]:
    """Collect the names of minivision's functions that are called meanwhile, except our own."""
    names: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        file, caller = frame.f_code.co_filename, frame.f_back
        from_outside = caller and not caller.f_code.co_filename.startswith(PACKAGE)
        if event == "call" and from_outside and file.startswith(PACKAGE) and file not in OURS:
            names.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield names
    finally:
        sys.setprofile(before)


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def described(exercise: Exercise, example: Example, found: Fault) -> list[str]:
    """The lines that show an example and what is wrong with it."""
    lines = []
    for name, value in zip(exercise.arguments, example.arguments(), strict=True):
        lines += shown(name, value)
    if found.name in exercise.gradients:
        y = next(outcomes(exercise, exercise.solution, example))[1]
        lines += shown("dy", example.upstream(np.shape(y)))
    if np.shape(found.expected) != np.shape(found.got) or found.expected is None:
        return [*lines, f"  {found.sentence}."]
    lines += shown(f"{found.name}, expected", found.expected)
    lines += shown(f"{found.name}, yours", found.got)
    if np.ndim(found.expected):
        far = ~np.isclose(found.got, found.expected, rtol=1e-3, atol=1e-6)
        if far.any():
            place = tuple(int(i) for i in np.argwhere(far)[0])
            lines += [f"  {int(far.sum())} of {far.size} differ, the first at {list(place)}"]
        else:
            lines += [f"  {found.sentence}."]
    return lines


def shown(name: str, value: Any) -> list[str]:
    """A value under its name; arrays with their shape."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        number = isinstance(value, float | np.floating | np.ndarray)
        return [f"  {name} = {float(value):.6g}" if number else f"  {name} = {value}"]
    text = np.array2string(value + 0, precision=4, suppress_small=True, threshold=200)
    lines = [f"      {line}" for line in text.split("\n") if line.strip()]
    return [f"  {name} {value.shape}", *lines]
