"""Effects computed from the records in docs/results, and the rules by which each is judged.

An effect is the mean difference between two variants, paired by seed. The setting of each variant
was chosen with seeds that do not count, usually by validation accuracy; `choose` in its
specification names the exceptions. An effect that passes the rules below is

    seen        if it lies above zero by more than the half-width of its 95 % interval
    opposite    if it lies below zero by more than that
    not seen    otherwise; an effect larger than |mean| + half-width is excluded

and one that does not pass them cannot be decided at this size. The half-width is t(0.975, n - 1)
standard errors for n seeds: 2.78 of them for five seeds. With three seeds, a threshold of two
standard errors would give a verdict in 18 % of cases even if there were no effect.
"""

import json
import math
import statistics
from pathlib import Path
from typing import NamedTuple

from scipy.stats import t as student

import minivision

DOCS = Path(minivision.__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results"
CHOOSING = (100, 101, 102)
SEEDS, SEEDS_OF_LONG_RUNS, LONG = 5, 3, 1800  # a long run takes more than LONG seconds
FEW_LABELS, CHOOSING_SEEDS = 100, 3  # with so few labels, so many seeds must choose
FITTED = 0.95  # the training accuracy that a regularizer needs without it
CHANCE = 0.05  # the share of effects of zero that get a verdict


class Effect(NamedTuple):
    """A mean difference, its standard error, the number of seeds, and the objection to it."""

    mean: float
    error: float
    seeds: int
    against: str = ""
    unit: str = "points"

    @property
    def half_width(self):
        """Half of the 95 % interval.

        >>> round(Effect(9.4, 1.0, 5).half_width, 2), round(Effect(9.4, 1.0, 3).half_width, 2)
        (2.78, 4.3)
        """
        return float(student.ppf(1 - CHANCE / 2, self.seeds - 1)) * self.error

    @property
    def verdict(self):
        """One of the four verdicts, or "grid too narrow".

        >>> [Effect(mean, 1.0, 5).verdict for mean in (2.8, 2.7, -2.7, -2.8)]
        ['seen', 'not seen', 'not seen', 'opposite']
        >>> Effect(9.0, 1.0, 4, "only 4 seeds").verdict
        'cannot be decided at this size'
        """
        if self.against:
            narrow = self.against.startswith("grid too narrow")
            return "grid too narrow" if narrow else "cannot be decided at this size"
        if abs(self.mean) <= self.half_width:
            return "not seen"
        return "seen" if self.mean > 0 else "opposite"


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


def selected(rows, where):
    """The rows that have these entries."""
    return [row for row in rows if all(row.get(name) == value for name, value in where.items())]


class Variant(NamedTuple):
    """One side of an effect: its counted rows at the chosen setting, and those that chose it."""

    rows: list
    choosing: list
    tried: dict  # a setting -> its scores with the choosing seeds
    best: tuple

    def values(self, value):
        """{seed: the value} of the counted rows."""
        found = {row["seed"]: at(row, value) for row in self.rows}
        return {seed: value for seed, value in found.items() if value is not None}

    def mean(self, column):
        """The mean of a column over the counted rows; None if a row lacks it."""
        found = [row.get(column) for row in self.rows]
        found = [one[-1] if isinstance(one, list) else one for one in found]
        return statistics.fmean(found) if found and None not in found else None


def variant(rows, where, choose=None):
    """The Variant with these entries.

    choose: {"setting": its name, or a list of names; "by": the column that is compared; "deciding":
    the entries in which the deciding rows differ; "natural_ends": settings that are an end without
    being too narrow}. None if nothing was chosen.
    """
    mine = selected(rows, where)
    counted = [row for row in mine if row.get("seed") not in CHOOSING]
    if not choose:
        return Variant(counted, [], {}, ())
    names, tried = names_of(choose), {}
    deciding = selected(rows, where | choose.get("deciding", {}))
    deciding = [row for row in deciding if row.get("seed") in CHOOSING and names[0] in row]
    for row in deciding:
        score = at(row, choose["by"])
        setting = tuple(row[name] for name in names)
        tried.setdefault(setting, []).append(-math.inf if score is None else score)
    if not tried:
        return Variant([], [], {}, ())
    best = max(sorted(tried), key=lambda setting: statistics.fmean(tried[setting]))
    counted = selected(counted, dict(zip(names, best, strict=True)))
    return Variant(counted, deciding, tried, best)


def names_of(choose):
    setting = choose["setting"]
    return setting if isinstance(setting, list) else [setting]


def too_narrow(one, choose):
    """The chosen setting is at an end of those that were tried."""
    natural = choose.get("natural_ends", [])
    for place, name in enumerate(names_of(choose)):
        values, best = [setting[place] for setting in one.tried], one.best[place]
        if best in (min(values), max(values)) and best not in natural:
            return f"grid too narrow: {name} = {best:g} is at its end"
    return ""


def too_few_seeds(seeds, rows):
    """There are fewer than five seeds, or than three if every run took more than half an hour."""
    long = bool(rows) and all(row.get("seconds", 0) > LONG for row in rows)
    least = SEEDS_OF_LONG_RUNS if long else SEEDS
    return f"{seeds} seeds, but {least} are needed" if seeds < least else ""


def too_few_choosing_seeds(one):
    """The setting was chosen with one or two seeds although labels are few."""
    few = any(row.get("labels", math.inf) <= FEW_LABELS for row in one.rows)
    seeds = min(map(len, one.tried.values()), default=CHOOSING_SEEDS)
    if few and seeds < CHOOSING_SEEDS:
        return f"few labels, but only {seeds} choosing seeds; {CHOOSING_SEEDS} are needed"
    return ""


def not_fitted(without, column):
    """The network without the regularizer has not learned its training images."""
    accuracy = without.mean(column)
    if accuracy is None or accuracy < FITTED:
        said = "not recorded" if accuracy is None else f"{100 * accuracy:.0f} %"
        return f"without it, the training accuracy is {said}, but {100 * FITTED:.0f} % is needed"
    return ""


def not_trained(rows, where, one, doubled, by, mean):
    """Twice as many epochs would change the accuracy by at least the effect."""
    longer = {row["seed"]: row[by] for row in selected(rows, where | doubled) if by in row}
    once = {row["seed"]: row[by] for row in selected(one.choosing, where) if by in row
            and (row.get("lr"),) == one.best}  # fmt: skip
    both = longer.keys() & once.keys()
    if not both:
        return "twice as many epochs are not recorded"
    change = 100 * statistics.fmean(longer[seed] - once[seed] for seed in both)
    if abs(change) >= abs(mean):
        return f"twice as many epochs change the accuracy by {change:+.1f} points"
    return ""


def sides(specification, rows=None):
    """The two Variants of a specification."""
    rows = read(specification["file"]) if rows is None else rows
    choose = specification.get("choose")
    return (
        variant(rows, specification["rows"], choose),
        variant(rows, specification["than"], specification.get("than_choose", choose)),
    )


def effect(specification, rows=None):
    """The effect of one specification; None if it is not recorded with at least two seeds.

    specification: "file", "rows" and "than": the entries of the two variants; "value": the column
    (and "than_value"); "choose" (and "than_choose"): see `variant`. "unit" and "scale" if the value
    is not a share. "fits": the column that must be 0.95 in `than`; "doubled": the entries of rows
    that were trained twice as long; "paper": the effect that the paper reports, in the same unit.
    """
    rows = read(specification["file"]) if rows is None else rows
    one, other = sides(specification, rows)
    value = specification["value"]
    mine, theirs = one.values(value), other.values(specification.get("than_value", value))
    seeds = sorted(mine.keys() & theirs.keys())
    if len(seeds) < 2:
        return None
    scale = specification.get("scale", 100)
    gains = [scale * (mine[seed] - theirs[seed]) for seed in seeds]
    mean, error = statistics.fmean(gains), statistics.stdev(gains) / math.sqrt(len(gains))
    found = Effect(mean, error, len(seeds), unit=specification.get("unit", "points"))
    return found._replace(against=objection(specification, rows, one, other, found))


def objection(specification, rows, one, other, found):
    """The first rule that an effect breaks; empty if it passes all of them."""
    choose = specification.get("choose")
    than_choose = specification.get("than_choose", choose)
    both = ((specification["rows"], one, choose), (specification["than"], other, than_choose))
    broken = [too_narrow(side, how) for _, side, how in both if how]
    broken += [too_few_choosing_seeds(side) for _, side, how in both if how]
    broken += [too_few_seeds(found.seeds, [*one.rows, *other.rows])]
    if "fits" in specification:
        broken += [not_fitted(other, specification["fits"])]
    if "doubled" in specification:
        broken += [
            not_trained(rows, where, side, specification["doubled"], how["by"], found.mean)
            for where, side, how in both
        ]
    if abs(found.mean) <= found.half_width and found.half_width > specification.get("paper", 1e9):
        broken += [
            f"the paper's effect of {specification['paper']:g} {found.unit} "
            f"is smaller than ± {found.half_width:.1f}"
        ]
    return next(filter(None, broken), "")


def told(found):
    """An effect in words, with its 95 % interval.

    >>> told(Effect(4.214, 0.7, 5))
    '+4.2 ± 1.9 points, 5 seeds: seen'
    >>> told(Effect(0.31, 0.012, 5))
    '+0.31 ± 0.03 points, 5 seeds: seen'
    >>> told(Effect(0.4, 0.5, 5))
    '+0.4 ± 1.4 points, 5 seeds: not seen; an effect above 1.8 points is excluded'
    >>> told(Effect(0.4, 0.5, 3, "3 seeds, but 5 are needed"))
    '+0.4 ± 2.2 points, 3 seeds: cannot be decided at this size (3 seeds, but 5 are needed)'
    """
    if found is None:
        return "not recorded"
    digits = 1 if found.half_width >= 0.3 else 2
    size = f"{found.mean:+.{digits}f} ± {found.half_width:.{digits}f} {found.unit}"
    words = f"{size}, {found.seeds} seeds: {found.verdict}"
    if found.verdict == "not seen":
        excluded = abs(found.mean) + found.half_width
        words += f"; an effect above {excluded:.{digits}f} {found.unit} is excluded"
    elif found.against:
        words += f" ({found.against.removeprefix('grid too narrow: ')})"
    return words


def conditions(specification, rows=None):
    """How the two variants were trained: settings, updates, training accuracy and work."""
    one, other = sides(specification, rows)
    parts = []
    if one.best or other.best:
        names = ", ".join(names_of(specification.get("choose") or specification["than_choose"]))
        best = [", ".join(f"{value:g}" for value in side.best) for side in (one, other)]
        parts.append((names, filter(None, best)))
    for column, said, unit in (
        ("updates", "updates", "{:,.0f}"),
        ("train_accuracy", "training accuracy", "{:.1%}"),
        ("work", "multiply-adds", "{:.3g}·10¹²"),
    ):
        numbers = [side.mean(column) for side in (one, other)]
        if None not in numbers:
            parts.append((said, [unit.format(number) for number in numbers]))
    return "; ".join(
        f"{said} {' and '.join(dict.fromkeys(map(str, values)))}"
        for said, values in parts
    )  # fmt: skip


def by_chance(found):
    """How many verdicts "seen" or "opposite" chance alone would give, if no effect were real.

    >>> by_chance([Effect(9.0, 1.0, 5), Effect(0.0, 1.0, 5), Effect(9.0, 1.0, 3, "3 seeds"), None])
    0.1
    """
    return CHANCE * sum(one is not None and not one.against for one in found)
