"""A table of the recorded results for `guides/reproduce`, generated only from the files.

The command is the first usage line in the docstring of the script that says it writes the file.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"


def records() -> list[dict[str, Any]]:
    """One record per file, sorted by name: name, command, rows, seconds (or None), versions."""
    commands = commands_by_file()
    return [record(path, commands) for path in sorted(RESULTS.glob("*.json"))]


def record(path: Path, commands: dict[str, str]) -> dict[str, Any]:
    content = json.loads(path.read_text("utf-8"))
    rows = content if isinstance(content, list) else content.get("rows", [])
    if path.name not in commands:
        raise ValueError(f"{path.name}: no script says that it writes docs/results/{path.name}")
    taken = [row.get("seconds", row.get("training_seconds")) for row in rows]
    known = [seconds for seconds in taken if seconds is not None]
    return {
        "name": path.stem,
        "command": commands[path.name],
        "rows": len(rows),
        "seconds": sum(known) if known else None,
        "all timed": len(known) == len(rows),
        "versions": versions_in(content),
    }


def commands_by_file() -> dict[str, str]:
    """The command that writes a file of results, by the file's name."""
    found = {"mutation.json": "HYPOTHESIS_PROFILE=ci mutmut run && python -m benchmarks mutation"}
    for script in sorted((ROOT / "examples").glob("*.py")):
        text = script.read_text("utf-8").split('"""')[1]
        usage = re.search(r"^ +(python examples/.*?)(?:  .*)?$", text, re.MULTILINE)
        for name in re.findall(r"docs/results/(\w+\.json)", text) if usage else []:
            found[name] = usage[1]
    names = re.search(
        r"MEASUREMENTS = \{(.*?)\n\}", (ROOT / "benchmarks" / "__main__.py").read_text(), re.DOTALL
    )
    for name in re.findall(r'"(\w+)":', names[1]):
        found[f"{name}.json"] = f"python -m benchmarks {name}"
    return found


def versions_in(content: Any) -> dict[str, set[str]]:
    """Every library named in a "versions" entry anywhere in the file, with all its versions."""
    found: dict[str, set[str]] = {}
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for name, version in _leaves(value.get("versions", {})):
                found.setdefault(name, set()).add(version)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def _leaves(versions: Any) -> list[tuple[str, str]]:
    leaves = []
    for name, version in versions.items():
        leaves += _leaves(version) if isinstance(version, dict) else [(name, version)]
    return leaves


def duration(seconds: float) -> str:
    """A time in readable form.

    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def as_markdown() -> str:
    """The table in Markdown. A + after a time means that some rows do not record their time."""
    lines = ["| results | command | rows | time | versions |", "|---|---|--:|--:|---|"]
    for r in records():
        time = "not recorded" if r["seconds"] is None else duration(r["seconds"])
        time += "" if r["seconds"] is None or r["all timed"] else " +"
        versions = ", ".join(
            f"{name} {', '.join(sorted(all_of))}" for name, all_of in sorted(r["versions"].items())
        )
        lines.append(
            f"| `{r['name']}` | `{r['command']}` | {r['rows'] or ''} | {time} | {versions} |"
        )
    return "\n".join(lines)
