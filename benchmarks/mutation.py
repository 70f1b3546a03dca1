"""Can the tests fail? Write what `mutmut run` found to mutation.json and mutation.md.

mutmut changes the engine in one place at a time (it replaces a + with a -, changes a word in a
message or leaves out an argument) and runs the tests, which should fail. Run it first; if it is
interrupted, run it again and it resumes:

    HYPOTHESIS_PROFILE=ci mutmut run
    python -m benchmarks mutation

A survivor is a change that no test noticed. Each is recorded with the line before and after the
change. The reasons are written by hand for each function, in docs/results/mutation_reasons.toml.
Both results are in docs/results.
"""

import ast
import difflib
import json
import tomllib
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

from minivision.nn.weights import write_atomically

RESULT = Path(__file__).parent.parent / "docs" / "results" / "mutation.json"
PAGE = RESULT.with_suffix(".md")
REASONS = RESULT.with_name("mutation_reasons.toml")
MUTANTS = Path("mutants")  # where mutmut works, below the current folder
# mutmut's exit codes; all others mean that the tests timed out.
OUTCOMES = {0: "survived", 1: "killed", 3: "killed", 33: "no tests", None: "not checked"}


def measure() -> None:
    """Summarise the run in this folder, print a table and write docs/results/mutation.json."""
    outcomes: Counter[str] = Counter()
    by_file: defaultdict[str, Counter[str]] = defaultdict(Counter)
    survivors: defaultdict[str, list[list[str]]] = defaultdict(list)
    for record in sorted(MUTANTS.rglob("*.py.meta")):
        source = record.with_suffix("")
        module = ".".join(source.relative_to(MUTANTS).with_suffix("").parts)
        codes = json.loads(record.read_text("utf-8"))["exit_code_by_key"]
        functions = _functions(source) if 0 in codes.values() else {}
        for name, code in codes.items():
            outcome = OUTCOMES.get(code, "timeout")
            outcomes[outcome] += 1
            by_file[module][outcome] += 1
            if outcome == "survived":
                mutant = name.rpartition(".")[2]
                function = mutant.rpartition("__mutmut_")[0]
                changes = _changes(functions[f"{function}__mutmut_orig"], functions[mutant])
                survivors[f"{module}: {function[1:].strip('_ǁ')}"].append(changes)
    for module, counts in sorted(by_file.items()):
        print(f"{module:<45} killed {counts['killed']:5}  survived {counts['survived']:4}")
    score = outcomes["killed"] / max(1, outcomes["killed"] + outcomes["survived"])
    print(f"{dict(outcomes)}; killed {score:.1%} of those that were run")
    result = {
        "outcomes": outcomes,
        "killed_share_of_those_run": round(score, 4),
        "by_file": by_file,
        "survivors": survivors,
        "versions": {"mutmut": version("mutmut"), "minivision": version("minivision")},
    }
    write_atomically(RESULT, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
    write_atomically(PAGE, as_page(result, tomllib.loads(REASONS.read_text("utf-8"))).encode())
    print(f"written to {RESULT} and {PAGE}")


def as_page(result: dict, reasons: dict[str, dict[str, str]]) -> str:
    """The totals, the counts for every file, and the reasons for every function with survivors.

    reasons: {heading: {function: why}}; the introduction is {"about": {"text": …}}.
    """
    counts, score = result["outcomes"], result["killed_share_of_those_run"]
    reasons, waiting = dict(reasons), dict(result["survivors"])
    page = [
        reasons.pop("about")["text"],
        f"Of {sum(counts.values()):,} mutants, {counts['killed']:,} were killed, "
        f"{counts['survived']:,} survived, {counts['no tests']} are not called by any of the "
        f"selected tests, and {counts['timeout']} timed out. Of those that were killed or "
        f"survived, **{score:.1%}** were killed.",
        "| file | killed | survived |\n|---|---|---|",
    ]
    for module, found in sorted(result["by_file"].items()):
        page[-1] += f"\n| `{module}` | {found['killed']} | {found['survived']} |"
    for heading, of_functions in reasons.items():
        rows = [
            f"| `{function}` | {len(waiting.pop(function))} | {why} |"
            for function, why in of_functions.items()
            if function in waiting
        ]
        head = ["| function | mutants | why |", "|---|---|---|"]
        page += [f"## {heading}", "\n".join(head + rows)] if rows else []
    if waiting:
        rows = [f"* `{function}`: {len(changes)}" for function, changes in waiting.items()]
        page += ["## Not explained yet", "\n".join(rows)]
    return "# Can the tests fail? Mutation testing of the engine\n\n" + "\n\n".join(page) + "\n"


def _functions(source: Path) -> dict[str, list[str]]:
    """The lines of every function in a mutated file, which contains all the mutants."""
    text = source.read_text("utf-8")
    lines = text.splitlines()
    return {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }


def _changes(before: list[str], after: list[str]) -> list[str]:
    """The lines that differ, each with - or + in front; lines with function names are left out."""
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    return [
        f"{line[0]} {line[1:].strip()}"
        for line in lines
        if line[0] in "+-" and "__mutmut" not in line
    ]
