"""Compute effects from the records in docs/results, and decide whether an effect is "seen".

An effect is the mean difference between two variants, paired by seed. Some seeds are used only to
choose the settings of each variant, by validation accuracy; the effect is computed from the other
seeds. It is seen if there are at least three of them and it exceeds two standard errors.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).resolve().parents[1] / "results"
CHOOSING = (100, 101, 102)


class Effect(NamedTuple):
    """A mean difference in points, its standard error, and the number of seeds."""

    mean: float
    error: float
    seeds: int

    @property
    def verdict(self):
        """Whether the effect is seen, not seen, or its opposite is seen.

        >>> Effect(3.0, 1.0, 3).verdict, Effect(1.9, 1.0, 3).verdict, Effect(9.0, 1.0, 2).verdict
        ('seen', 'not seen', 'not seen')
        """
        if self.seeds < 3 or abs(self.mean) <= 2 * self.error:
            return "not seen"
        return "seen" if self.mean > 0 else "the opposite is seen"


def read(name):
    """The rows of docs/results/NAME.json; none if it has not been recorded yet."""
    path = RESULTS / f"{name}.json"
    recorded = json.loads(path.read_text("utf-8")) if path.exists() else []
    return recorded["rows"] if isinstance(recorded, dict) else recorded


def at(row, path):
    """row["test_accuracy_by_factor"]["0.4"] for "test_accuracy_by_factor/0.4"; None if absent."""
    for key in path.split("/"):
        row = row.get(key) if isinstance(row, dict) else None
    return row


def by_seed(rows, where, value, choose=None):
    """{seed: value} for one variant, at the setting that is best on the choosing seeds.

    choose: {"setting": its name, "by": the column to compare, "among": the settings, "deciding":
    the entries in which the deciding rows differ, "seeds": how many}; None if there is nothing
    to choose.
    """
    mine = [row for row in rows if all(row.get(name) == v for name, v in where.items())]
    if choose:
        deciding = where | choose.get("deciding", {})
        tried = {}
        for row in rows:
            score = at(row, choose["by"])
            allowed = "among" not in choose or row.get(choose["setting"]) in choose["among"]
            same = all(row.get(name) == v for name, v in deciding.items())
            if (
                row.get("seed") in CHOOSING[: choose.get("seeds", 1)]
                and same
                and allowed
                and choose["setting"] in row
            ):
                tried.setdefault(row[choose["setting"]], []).append(
                    -math.inf if score is None else score
                )
        if not tried:
            return {}
        best = max(sorted(tried), key=lambda setting: sum(tried[setting]) / len(tried[setting]))
        mine = [row for row in mine if row.get(choose["setting"]) == best]
    found = {row["seed"]: at(row, value) for row in mine if row.get("seed") not in CHOOSING}
    return {seed: value for seed, value in found.items() if value is not None}


def effect(specification, rows=None):
    """The effect of one specification in percentage points; None if it is not recorded."""
    rows = read(specification["file"]) if rows is None else rows
    value, choose = specification["value"], specification.get("choose")
    other = specification.get("other_choose", choose)
    mine = by_seed(rows, specification["rows"], value, choose)
    theirs = by_seed(rows, specification["than"], specification.get("than_value", value), other)
    seeds = sorted(mine.keys() & theirs.keys())
    if len(seeds) < 2:
        return None
    gains = [100 * (mine[seed] - theirs[seed]) for seed in seeds]
    mean = sum(gains) / len(gains)
    variance = sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return Effect(mean, math.sqrt(variance / len(gains)), len(gains))


def told(found):
    """An effect in words.

    >>> told(Effect(3.214, 0.7, 3))
    '+3.2 ± 0.7 points, 3 seeds: seen'
    >>> told(Effect(1.6, 0.04, 5))
    '+1.60 ± 0.04 points, 5 seeds: seen'
    """
    if found is None:
        return "not recorded"
    digits = 1 if found.error >= 0.05 else 2
    size = f"{found.mean:+.{digits}f} ± {found.error:.{digits}f}"
    return f"{size} points, {found.seeds} seeds: {found.verdict}"
