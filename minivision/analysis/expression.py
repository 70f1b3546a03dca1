"""A reader's own expression, such as `relu(w * x + b).sum()`, evaluated on Tensors.

Python's `ast` module parses the text, and we evaluate the resulting tree with Tensors in place of
names. An expression may contain arithmetic, the functions of minivision.functional, the methods of
a Tensor, indices, and several statements separated by `;`, but nothing else. Nothing is passed to
`eval`, so text from an untrusted source is safe.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from minivision import functional
from minivision.tensor import Tensor

FUNCTIONS = {name: getattr(functional, name) for name in functional.__all__}
METHODS = (
    "exp", "log", "sqrt", "sum", "mean", "var", "max", "min", "reshape", "flatten",
    "transpose", "T",
)  # fmt: skip
OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow, ast.MatMult: operator.matmul,
}  # fmt: skip


TOO_DEEP = "{:.20}… is nested too deeply; name the parts, as in h = x + x; h + h"


class Evaluation:
    """The results of an expression: its last value, and every Tensor computed along the way.

    >>> x = Tensor([1.0, -2.0], requires_grad=True)
    >>> found = Evaluation("h = 3 * x; (h * h).sum()", {"x": x})
    >>> found.value
    Tensor(45., float32, from sum)
    >>> list(found.names)
    ['x', '3', 'h']

    Raises ValueError if the text is not an expression, if a name is unknown, or if a function
    rejects its arguments.
    """

    def __init__(self, text: str, given: Mapping[str, Tensor]):
        self.names = dict(given)  # later also intermediate values and the numbers in the text
        self.met: list[Tensor] = list(given.values())
        value: Any = None
        try:
            for line in _lines(text):
                match line:
                    case ast.Assign(targets=[ast.Name(id=name)]):
                        value = self.names[name] = self._tensor(self._of(line.value))
                    case ast.Expr():
                        value = self._of(line.value)
                    case _:
                        said = ast.unparse(line)
                        raise ValueError(f"{said!r}: expected an expression or NAME = EXPRESSION")
        except RecursionError as error:
            raise ValueError(TOO_DEEP.format(text)) from error
        except OverflowError as error:
            raise ValueError(f"{text:.60}: {error}; expected smaller numbers") from error
        if not any(value is computed for computed in self.met[len(given) :]):
            raise ValueError(f"{text!r} computes nothing; expected a Tensor, as in (x * x).sum()")
        self.value = value

    def _of(self, tree: ast.expr) -> Any:
        """The value of a subexpression: a Tensor, or a number, text or slice for an argument."""
        match tree:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return tree.value
            case ast.Name(id=name):
                return self._named(name)
            case ast.List(elts=parts):
                return [self._of(part) for part in parts]
            case ast.Tuple(elts=parts):
                return tuple(self._of(part) for part in parts)
            case ast.Slice():
                ends = (tree.lower, tree.upper, tree.step)
                return slice(*[None if end is None else self._of(end) for end in ends])
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return self._computed(tree, operator.neg, self._of(part))
            case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in OPERATORS:
                a, b = self._of(left), self._of(right)
                for part in (a, b):
                    if not isinstance(part, int | float | Tensor):
                        raise ValueError(f"{ast.unparse(tree)}: {part!r:.40} is not a number")
                if isinstance(symbol, ast.Pow):
                    a = float(a) if isinstance(a, int) else a  # 10**10**10 has too many digits
                else:
                    a, b = self._number(a, b), self._number(b, a)
                return self._computed(tree, OPERATORS[type(symbol)], a, b)
            case ast.Subscript(value=part, slice=index):
                return self._computed(tree, operator.getitem, self._of(part), self._of(index))
            case ast.Attribute(value=part, attr="T"):
                return self._computed(tree, operator.attrgetter("T"), self._of(part))
            case ast.Call(func=called, args=parts, keywords=named):
                if any(name.arg is None for name in named):
                    raise ValueError(f"{ast.unparse(tree)}: ** is not supported here")
                arguments = [self._of(part) for part in parts]
                keywords = {str(name.arg): self._of(name.value) for name in named}
                return self._computed(tree, self._function(called), *arguments, **keywords)
        raise ValueError(f"{ast.unparse(tree)!r} is not supported here")

    def _named(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        if name in FUNCTIONS:
            raise ValueError(f"{name} is a function; write {name}(…)")
        raise ValueError(f"{name} has no value; give one after the expression, as in {name}=2")

    def _function(self, called: ast.expr) -> Callable:
        """The function named in a call: one of the engine's, or a method of a Tensor."""
        if isinstance(called, ast.Attribute):
            owner = self._of(called.value)
            if isinstance(owner, Tensor) and called.attr in METHODS:
                return getattr(owner, called.attr)
            raise ValueError(
                f"no method is called {called.attr!r}; expected one of {', '.join(METHODS)}"
            )
        name = called.id if isinstance(called, ast.Name) else ast.unparse(called)
        if name not in FUNCTIONS:
            near = get_close_matches(name, FUNCTIONS, 1)
            meant = (
                f"did you mean {near[0]}?" if near else f"expected one of {', '.join(FUNCTIONS)}"
            )
            raise ValueError(f"no function is called {name!r}; {meant}")
        return FUNCTIONS[name]

    def _tensor(self, value: Any) -> Any:
        """The value to store under a name; a number becomes a Tensor."""
        return Tensor(np.float32(value)) if isinstance(value, int | float) else value

    def _number(self, value: Any, other: Any) -> Any:
        """Turn a number used with a Tensor into a Tensor, so that the graph has a node for it."""
        if isinstance(value, int | float) and isinstance(other, Tensor):
            number = Tensor(np.asarray(value, other.dtype))
            self.met.append(number)
            self.names[str(value)] = number
            return number
        return value

    def _computed(self, tree: ast.expr, function: Callable, *arguments: Any, **named: Any) -> Any:
        try:
            value = function(*arguments, **named)
        except (TypeError, AttributeError, IndexError, ArithmeticError) as error:
            raise ValueError(f"{ast.unparse(tree)}: {error}") from error
        if isinstance(value, Tensor):
            self.met.append(value)
        return value


def _lines(text: str) -> list[ast.stmt]:
    """Parse the text into Python statements."""
    try:
        return ast.parse(text.strip()).body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is not an expression: {error.msg}") from error
    except MemoryError as error:  # raised by Python's parser if the nesting is deep
        raise ValueError(TOO_DEEP.format(text)) from error
