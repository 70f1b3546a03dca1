"""Compare peers: check that their numbers agree, time them in turn, and compute ratios.

A ratio is minivision's time divided by the peer's time in the same round, so a slowdown of the
machine affects both. If it is below 1, minivision is faster. A peer whose numbers differ from
minivision's is not timed.
"""

from __future__ import annotations

import contextlib
import math
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.processes import PAUSE, alternate, prepare
from benchmarks.report import Row

OURS = ("minivision", "minivision-tuned")
TOLERANCE = 1e-4  # relative; used if a measurement does not set its own


def print_nothing_more(rows: list[Row]) -> None:
    """The default for `conclude`, which adds nothing."""


def compare(
    path: Path,
    model: str,
    settings: dict[str, Any],
    options: Namespace,
    conclude: Callable[[list[Row]], None] = print_nothing_more,
) -> None:
    """Measure one model (or layer) with the peers, print its table and write its rows.

    conclude may change the rows, and print, before they are written.
    """
    names = list(dict.fromkeys([OURS[0], *options.peer]))
    if options.missing and report.is_there(path, model=model):
        print(f"{model}: already measured at this commit")
        return
    settings = {"seconds": options.seconds, "least": 3, "tolerance": TOLERANCE, **settings}
    with contextlib.ExitStack() as stack:
        processes, said = prepare(names, settings, stack)
        if OURS[0] not in processes:
            raise SystemExit(f"{model}: {said[OURS[0]]['unavailable']}")
        refuse_other_numbers(model, settings["tolerance"], processes, said)
        gave = alternate(processes, options.rounds)
    rows = [row_of(model, name, said[name], gave) for name in names]
    print_rows(rows)
    conclude(rows)
    settings = {**settings, "rounds": options.rounds, "pause_s": PAUSE}
    versions = {name: facts["versions"] for name, facts in said.items() if "versions" in facts}
    report.merge(path, rows, ("model", "peer"), settings, versions)


def refuse_other_numbers(
    model: str, tolerance: float | list[float], processes: dict[str, Any], said: dict[str, Any]
) -> None:
    """Remove every peer whose numbers differ from minivision's, and print both."""
    ours = said[OURS[0]]["check"]
    for name in list(processes):
        theirs = said[name]["check"]
        allowed = tolerance if isinstance(tolerance, list) else [tolerance] * len(ours)
        numbers = zip(ours, theirs, allowed, strict=True)
        if not all(math.isclose(a, b, rel_tol=t) for a, b, t in numbers):
            said[name]["unavailable"] = f"different numbers: {theirs}; minivision has {ours}"
            print(f"{model}: {name} is left out: {said[name]['unavailable']}")
            del processes[name]


def row_of(model: str, name: str, facts: dict[str, Any], gave: dict[str, Any]) -> dict[str, Any]:
    """One peer's times in ms, and the ratios of minivision's times to them."""
    row = {"model": model, "peer": name, "check": report.shortened(facts.get("check", []))}
    if name not in gave:
        return row | {"unavailable": facts["unavailable"]}
    wrong = [r["value"] for r in gave[name] if r["value"] and not math.isfinite(r["value"])]
    if wrong:
        return row | {"unavailable": f"the loss became {wrong[0]}"}
    times = {peer: [r["ms"] for r in rounds] for peer, rounds in gave.items()}
    row |= {"steps_a_round": facts["repeat"], "ms": report.spread(times[name])}
    for our in OURS:
        if our in times and name not in OURS:
            ratios = [a / b for a, b in zip(times[our], times[name], strict=True)]
            row[f"ratio_of_{our}"] = report.spread(ratios)
    return row


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print one line per peer, and the ratio to the faster of the tuned PyTorch peers."""
    print(f"\n{'model':<22} {'peer':<22} {'ms':>9} {'quartiles':>19} {'ratio':>7} {'upper':>6}")
    for row in rows:
        head = f"{row['model']:<22} {row['peer']:<22}"
        if "ms" not in row:
            print(f"{head} not available: {row['unavailable']:.80}")
            continue
        low, high = row["ms"]["quartiles"]
        ratio = row.get("ratio_of_minivision")
        ratios = f" {ratio['median']:7.2f} {ratio['quartiles'][1]:6.2f}" if ratio else ""
        print(f"{head} {row['ms']['median']:9.3f} {low:9.3f} {high:9.3f}{ratios}")
    timed = {row["peer"]: row for row in rows if "ms" in row}
    tuned = [timed[n] for n in ("pytorch-tuned", "pytorch-channels-last") if n in timed]
    if tuned and OURS[1] in timed:
        best = min(tuned, key=lambda row: row["ms"]["median"])
        ratio = best["ratio_of_minivision-tuned"]
        print(
            f"{'':<22} both tuned, {best['peer']}: ratio {ratio['median']:.2f}, "
            f"upper quartile {ratio['quartiles'][1]:.2f}"
        )
