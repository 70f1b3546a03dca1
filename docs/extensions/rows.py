"""Means and standard deviations over seeds of the rows in docs/results. It does not need Sphinx."""

import statistics

from effects import CHOOSING, at, read


def names(text):
    return [name.strip() for name in text.split(",")]


def grouped(rows, by, show):
    """Table rows: the columns in `by`, mean ± sd of those in `show`, and the number of seeds."""
    groups = {}
    for row in rows:
        known = all(isinstance(at(row, value), int | float) for value in show)
        if known and all(name in row for name in by) and row.get("seed") not in CHOOSING:
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
    for key, mine in groups.items():
        cells = [str(cell) for cell in key]
        for value in show:
            found = [at(row, value) for row in mine]
            percent = all(abs(number) <= 1 for number in found)
            cells.append(spread(found, percent))
        yield [*cells, str(len(mine))]


def spread(found, percent):
    """The mean ± sd of numbers, as in 97.4 ± 0.2 %; the ± is omitted if the numbers do not vary.

    >>> spread([0.97, 0.98], True), spread([0.9931, 0.9938], True), spread([80000, 80000], False)
    ('97.5 ± 0.7 %', '99.34 ± 0.05 %', '80,000')
    """
    scale, unit = (100, " %") if percent else (1, "")
    if len(set(found)) == 1:
        number = scale * found[0]
        return f"{number:,.0f}" if number >= 1e4 else f"{number:.4g}{unit}"
    mean, deviation = scale * statistics.fmean(found), scale * statistics.stdev(found)
    digits = 1 if deviation >= 0.1 else 2
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}{unit}"


def provenance(name, rows):
    """One line that says where a table comes from."""
    seconds = sum(row["seconds"] for row in rows if isinstance(row.get("seconds"), int | float))
    versions = next((row["versions"] for row in rows if "versions" in row), {})
    said = ", ".join(f"{library} {version}" for library, version in versions.items())
    time = f", {seconds / 60:.0f} minutes in total" if seconds else ""
    return f"docs/results/{name}.json: {len(rows)} rows{time}{'; ' + said if said else ''}"


def one_number(file, column, *entries):
    """Mean ± sd of a column over the seeds, for the rows with these entries ("model=lenet5")."""
    where = dict(entry.split("=", 1) for entry in entries)
    rows = [row for row in read(file) if all(str(row.get(k)) == v for k, v in where.items())]
    found = [row for row in rows if at(row, column) is not None and row["seed"] not in CHOOSING]
    seeds = [row["seed"] for row in found]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"one_number: {file} has {len(seeds)} rows, of seeds {seeds}; expected one row per seed"
        )
    (cells,) = grouped(found, list(where), [column])
    return cells[-2]
