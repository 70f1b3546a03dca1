"""What a function returns on an example, and what is wrong with it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minivision.exercises.examples import Example
from minivision.exercises.exercise import Exercise, Function

TOLERANCE: dict[Any, float] = {np.float64: 1e-8, np.float32: 1e-3}


class Fault(NamedTuple):
    """What is wrong on one example: a sentence, and the arrays if numbers differ."""

    sentence: str
    name: str = ""
    expected: Any = None
    got: Any = None


def outcomes(exercise: Exercise, function: Function, example: Example) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) for everything that the function returns; ValueError explains misuse.

    The values come one by one, so that backward is called only after y was found to be right.
    """
    inputs = example.arguments()
    result = function(*inputs)
    unchanged(exercise.arguments, inputs, example.arguments())
    if result is None or result is NotImplemented or result is ...:
        raise NotImplementedError(f"{exercise.name} returns {result}; did you forget `return`?")
    if not exercise.gradients:
        yield from zip(exercise.returns, several(exercise.returns, result), strict=True)
        return
    y, backward = several((*exercise.returns, "backward"), result)
    if not callable(backward):
        raise ValueError(f"backward is {kind(backward)}; expected a function")
    yield exercise.returns[0], y
    dy = example.upstream(np.shape(y))
    gradients = several(exercise.gradients, backward(dy))
    unchanged(("dy", *exercise.arguments), (dy, *inputs),
              (example.upstream(np.shape(y)), *example.arguments()))  # fmt: skip
    yield from zip(exercise.gradients, gradients, strict=True)


def several(names: tuple[str, ...], result: Any) -> tuple[Any, ...]:
    """The result as a tuple with one value per name."""
    if len(names) == 1:
        return (result,)
    if not isinstance(result, tuple | list) or len(result) != len(names):
        raise ValueError(f"the result is {kind(result)}; expected `return {', '.join(names)}`")
    return tuple(result)


def kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"{type(value).__name__}"


def unchanged(names: tuple[str, ...], used: tuple[Any, ...], fresh: tuple[Any, ...]) -> None:
    for name, one, other in zip(names, used, fresh, strict=True):
        array = isinstance(one, np.ndarray)
        if not (np.array_equal(one, other, equal_nan=True) if array else one == other):
            raise ValueError(f"the function has changed its input {name}; write into a new array")


@np.errstate(all="ignore")
def fault(exercise: Exercise, function: Function, example: Example) -> Fault | None:
    """What is wrong with the function on this example."""
    right = outcomes(exercise, exercise.solution, example)
    try:
        for name, got in outcomes(exercise, function, example):
            _, expected = next(right)
            sentence = difference(name, expected, got, example.dtype)
            if sentence:
                return Fault(sentence, name, expected, got)
    except NotImplementedError as error:
        return Fault(f"{error}", "empty")
    except MemoryError:
        raise
    except Exception as error:
        file = getattr(getattr(function, "__code__", None), "co_filename", None)
        lines = [step.lineno for step in traceback.extract_tb(error.__traceback__)
                 if step.filename == file]  # fmt: skip
        if not lines:  # the judge explains what the result should be
            return Fault(str(error))
        raised = f"{exercise.name} raises {type(error).__name__} on line {lines[-1]}"
        return Fault(f"{raised}: {error}")
    return None


def difference(name: str, expected: Any, got: Any, dtype: type) -> str:
    """A sentence if the value is not as expected, otherwise nothing."""
    if isinstance(expected, np.ndarray) and expected.ndim:
        if not isinstance(got, np.ndarray):
            return f"{name} is {kind(got)}; expected an array of shape {expected.shape}"
        if got.shape != expected.shape:
            return f"{name} has shape {got.shape}; expected {expected.shape}"
    elif np.shape(got) != ():
        return f"{name} is {kind(got)}; expected a number"
    try:
        ours, theirs = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    except (TypeError, ValueError):
        return f"{name} is {kind(got)}; expected a number"
    largest = np.abs(ours[np.isfinite(ours)]).max(initial=1)
    close = np.allclose(theirs, ours, rtol=0, atol=TOLERANCE[dtype] * largest, equal_nan=True)
    if not close:
        return f"{name} has wrong numbers"
    if isinstance(expected, np.ndarray) and expected.ndim and got.dtype != expected.dtype:
        return (
            f"the numbers of {name} are right, but they are {got.dtype}; expected "
            f"{expected.dtype}. (np.zeros and np.empty give float64 unless you pass x.dtype, and "
            "so does a NumPy number times an array; float(…) makes it a plain number)"
        )
    return ""


@np.errstate(all="ignore")
def agree(exercise: Exercise, one: Function, other: Function, example: Example) -> bool:
    """Whether two functions return the same numbers."""
    try:
        pairs = zip(
            outcomes(exercise, one, example), outcomes(exercise, other, example), strict=True
        )
        return all(not difference(name, a, b, example.dtype) for (name, a), (_, b) in pairs)
    except Exception:
        return False
