"""The libraries that `python -m benchmarks steps` ran, with versions, dates and times, as a table.

Everything is read from docs/results/steps.json; the page `reference/comparison` shows the table.
"""

import json
from pathlib import Path
from typing import Any

STEPS = Path(__file__).resolve().parents[1] / "results" / "steps.json"


def ran(model: str = "lenet5") -> list[dict[str, Any]]:
    """One record for every library that ran the model, the fastest first."""
    content = json.loads(STEPS.read_text("utf-8"))
    found = []
    for row in content["rows"]:
        if row["model"] != model or "ms" not in row:  # the library lacks one of its layers
            continue
        run = content["runs"][row["run"]]
        versions = dict(run["versions"].get(row["peer"], {}))
        found.append(
            {
                "peer": row["peer"],
                "versions": ", ".join(f"{n} {v}" for n, v in versions.items() if n != "python"),
                "date": run["date"][:10],
                "ms": row["ms"]["median"],
                "machine": f"{run['machine']['cores']} cores, {run['machine']['processor']}",
            }
        )
    return sorted(found, key=lambda record: record["ms"])


def as_markdown(model: str = "lenet5") -> str:
    """The records as a table in Markdown."""
    lines = ["| library | versions | date | median time per step, ms |", "|---|---|---|--:|"]
    for r in ran(model):
        lines.append(f"| {r['peer']} | {r['versions']} | {r['date']} | {r['ms']:.3g} |")
    machines = "; ".join(sorted({r["machine"] for r in ran(model)}))
    return "\n".join([*lines, "", f"(One training step of `{model}`; {machines}.)"])
