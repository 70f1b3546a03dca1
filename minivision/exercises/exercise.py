"""An exercise: a function to write, examples that test it, and the mistakes people make.

The learner reads the docstring of the exercise's file, and writes a function with the signature and
the docstring of the `solution` below it. A mistake is the solution with one piece of its text
replaced, so a catalogue of mistakes reads like a list of corrections. A function that gives the
same numbers as such a wrong version contains the same mistake.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Function = Callable[..., Any]
DTYPE = """\
The results have the dtype of the arguments, and some examples are float32. np.zeros(shape) is
float64; write np.zeros(shape, x.dtype).

"""


@dataclass(frozen=True)
class Mistake:
    """A typical wrong version: `wrong` in place of `right` in the text of the solution.

    name: what is wrong, to complete "This is what you get if …".
    question: leads to the correction without giving it away.
    """

    name: str
    right: str
    wrong: str
    question: str


@dataclass(frozen=True)
class Law:
    """Something that is true of every right solution; `holds` is given a function and its inputs.

    says: the law, to complete "This should hold for your function: …".
    """

    says: str
    holds: Callable[[Function, tuple[Any, ...]], bool]


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    returns: the names of what the function returns.
    gradients: if given, the function returns (y, backward), and these are the names of what
        backward(dy) returns.
    inputs: draws the arguments of the function, a tuple; float arrays are float64.
    page: the file of the engine, or the part of one, that does the same.
    """

    solution: Function
    lesson: int
    page: str
    inputs: SearchStrategy[tuple[Any, ...]]
    returns: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    gradients: tuple[str, ...] = ()
    laws: tuple[Law, ...] = ()
    keeps_dtype: bool = True  # the result has the dtype of the arguments

    @property
    def name(self) -> str:
        return self.solution.__name__

    @property
    def statement(self) -> str:
        return inspect.cleandoc(inspect.getmodule(self.solution).__doc__ or "")

    @property
    def title(self) -> str:
        return self.statement.split("\n")[0].rstrip(".")

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.solution).parameters)

    def starting_file(self) -> str:
        """The text of the file in which a learner writes the function."""
        docstring = textwrap.indent(inspect.cleandoc(self.solution.__doc__ or ""), "    ").strip()
        signature = f"def {self.name}{inspect.signature(self.solution)}:"
        return (
            f'"""{self.statement}\n\n{DTYPE if self.keeps_dtype else ""}'
            f"Lesson {self.lesson}. Check your function with\n\n"
            f"    minivision exercise check {self.name}\n\n"
            f"and ask for a hint with `minivision exercise hint {self.name}`.\n"
            f'"""\n\nimport numpy as np\n\n\n'
            f'{signature}\n    """{docstring}\n    """\n'
            f'    raise NotImplementedError("{self.name} is not written yet")\n'
        )

    def with_mistake(self, mistake: Mistake) -> Function:
        """The solution with one of its typical mistakes."""
        module = inspect.getmodule(self.solution)
        text = inspect.getsource(self.solution)
        if mistake.right not in text:
            raise ValueError(f"{self.name}: the solution does not contain {mistake.right!r}")
        names = dict(vars(module))
        exec(text.replace(mistake.right, mistake.wrong), names)
        return names[self.name]


def numbers(shape: tuple[int, ...] = (), largest: int = 20, ties: bool = False) -> SearchStrategy:
    """An array of numbers with one decimal, such as -1.3; with ties, of integers from -2 to 2."""

    def of(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if ties:
            return rng.integers(-2, 3, shape).astype(np.float64)
        return rng.integers(-largest, largest + 1, shape) / 10

    return st.integers(0, 999).map(of)


def shapes(*most: int) -> SearchStrategy[tuple[int, ...]]:
    """A shape with one size per argument, each from 1 to this number."""
    return st.tuples(*[st.integers(1, n) for n in most])
