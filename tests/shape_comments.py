"""Run the shape comments: `y = convolve(…)  # (N, F, OH, OW)` says what the array's shape is.

A shape comment is at the end of an assignment in a function. It consists of names that are bound
in that function, integers, ·, +, - and //. While `checking(paths)` is open, every such assignment
that runs is checked, and wrong or unreadable comments are collected.
"""

import ast
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

COMMENT = re.compile(r"#\s*\(([^()]*)\)\s*$")
ALLOWED = (ast.Expression, ast.BinOp, ast.Mult, ast.Add, ast.Sub, ast.FloorDiv,
           ast.Name, ast.Load, ast.Constant)  # fmt: skip


class Claim(NamedTuple):
    """The claim that the target of the assignment on these lines has this shape."""

    place: str  # file:line
    lines: range
    target: str
    sizes: tuple[str, ...]


class Findings(NamedTuple):
    """What running the code showed."""

    claims: set
    reached: set
    lies: list


def claims_in(path):
    """The shape comments of a file."""
    source = Path(path).read_text(encoding="utf-8")
    lines = source.splitlines()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                comment = COMMENT.search(lines[node.end_lineno - 1])
                if comment:
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    yield Claim(
                        f"{Path(path).name}:{node.lineno}",
                        range(node.lineno, node.end_lineno + 1),
                        ast.unparse(target),
                        tuple(size.strip() for size in comment.group(1).split(",") if size.strip()),
                    )


def evaluate(size, names):
    """The number that a size such as C·KH·KW stands for."""
    tree = ast.parse(size.replace("·", "*"), mode="eval")
    if not all(isinstance(node, ALLOWED) for node in ast.walk(tree)):
        raise SyntaxError(f"{size!r} is made of more than names, integers, ·, +, - and //")
    return eval(compile(tree, size, "eval"), {"__builtins__": {}}, names)


def fault(claim, names):
    """What is wrong with the claim, given the names of the function; None if it is true."""
    try:
        expected = tuple(evaluate(size, names) for size in claim.sizes)
    except (NameError, SyntaxError) as error:
        return f"{claim.place}: the comment cannot be read: {error}"
    found = eval(claim.target, {}, dict(names)).shape
    if found != expected:
        return f"{claim.place}: {claim.target} has shape {found}, not {expected} = {claim.sizes}"
    return None


@contextmanager
def checking(paths):
    """Check the shape comments of these files while the code in the block runs."""
    by_file = {str(path): list(claims_in(path)) for path in paths}
    findings = Findings({claim for claims in by_file.values() for claim in claims}, set(), [])

    def enter(frame, event, arg):
        claims = by_file.get(frame.f_code.co_filename)
        if not claims:
            return None
        at = {line: claim for claim in claims for line in claim.lines}
        waiting = None  # the assignment that is running

        def follow(frame, event, arg):
            nonlocal waiting
            if event == "exception":
                waiting = None
            elif waiting and (event == "return" or frame.f_lineno not in waiting.lines):
                findings.reached.add(waiting)
                wrong = fault(waiting, frame.f_locals)
                if wrong:
                    findings.lies.append(wrong)
                waiting = None
            if event == "line":
                waiting = at.get(frame.f_lineno, waiting)
            return follow

        return follow

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield findings
    finally:
        sys.settrace(before)
