"""Write results to docs/results/NAME.json: every round, a summary, and where it was measured.

A file is {"rows": [...], "runs": {...}}. A row says what was measured, and its "run" names the
entry with the machine, versions, settings, date and commit. New rows replace rows with the same
key, and all other rows are kept; a run to which no row refers any more is removed. A file can
therefore be measured one model at a time, and an interrupted measurement keeps its results.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, provenance
from minivision.nn.weights import write_atomically

RESULTS = Path(__file__).parent.parent / "docs" / "results"
Row = dict[str, Any]


def spread(values: list[float]) -> dict[str, Any]:
    """The median, the quartiles and all values, rounded to five digits."""
    low, _, high = (
        statistics.quantiles(values, n=4, method="inclusive") if values[1:] else values * 3
    )
    median = statistics.median(values)
    numbers = {"median": median, "quartiles": [low, high], "rounds": values}
    return {name: shortened(number) for name, number in numbers.items()}  # type: ignore[arg-type]


def shortened(number: float | list[float]) -> Any:
    """Round to five digits, more than the accuracy of any measurement here."""
    return [shortened(n) for n in number] if isinstance(number, list) else float(f"{number:.5g}")


def read(path: Path) -> dict[str, Any]:
    """The contents of the file, or empty contents."""
    if not path.exists():
        return {"rows": [], "runs": {}}
    content = json.loads(path.read_text("utf-8"))
    return (
        content if "runs" in content else {"rows": [], "runs": {}}
    )  # in the format of an older measurement


def merge(
    path: Path, rows: list[Row], key: tuple[str, ...], settings: Row, versions: Row
) -> dict[str, Any]:
    """Write rows into a file, replacing those with the same values under the names in `key`."""
    run = provenance() | {"settings": settings, "versions": versions, "machine": describe()}
    new = {tuple(row[name] for name in key): row | {"run": run["date"]} for row in rows}
    content = read(path)
    kept = [new.pop(tuple(row[name] for name in key), row) for row in content["rows"]]
    content["rows"] = kept + list(new.values())
    content["runs"][run["date"]] = run
    named = {row["run"] for row in content["rows"]}
    content["runs"] = {date: run for date, run in content["runs"].items() if date in named}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
    print(f"written to {path}")
    return content


def is_there(path: Path, **names: Any) -> bool:
    """True if such a row was measured at the current commit, without uncommitted changes."""
    content, now = read(path), provenance()
    runs = [
        content["runs"][row["run"]]
        for row in content["rows"]
        if all(row.get(name) == value for name, value in names.items())
    ]
    unchanged = now["commit"] and not now["changed_since_commit"]
    return bool(unchanged) and any(
        run["commit"] == now["commit"] and not run["changed_since_commit"] for run in runs
    )
