"""Directives that show the records of docs/results, so that no number is typed by hand.

```{record} pseudo_labels           what the file holds: command, seeds, time, versions; and a
:by: way, labels                    table of means ± standard deviations, one row for each
:show: test_accuracy                combination of the columns in `by`
```
{measured}`NAME test_accuracy model=lenet5`     one number in a sentence: the mean ± sd of the rows
                                    that have these entries
```{claims}                         the lecture's claims and what was measured of each
```
"""

import json
import shlex
import statistics
from collections import Counter
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from effects import CHOOSING, at, effect, read, told
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).resolve().parents[1]


def names(text):
    return [name.strip() for name in text.split(",")]


def grouped(rows, by, show):
    """Rows of a table: the columns in `by`, mean ± sd of those in `show`, and how many seeds."""
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
    """97.4 ± 0.2 % of shares, 41.2 ± 3.0 of other numbers; one number, or one only, stands alone.

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
    """One line on where a table comes from."""
    seconds = sum(row["seconds"] for row in rows if isinstance(row.get("seconds"), int | float))
    versions = next((row["versions"] for row in rows if "versions" in row), {})
    said = ", ".join(f"{library} {version}" for library, version in versions.items())
    time = f", {seconds / 60:.0f} minutes in all" if seconds else ""
    return f"docs/results/{name}.json: {len(rows)} rows{time}{'; ' + said if said else ''}"


def table(header, body, classes=()):
    """A docutils table of texts and nodes, in a box that scrolls."""
    whole = nodes.table(classes=["measured", *classes])
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, rest = nodes.thead(), nodes.tbody()
    for part, rows in ((head, [header]), (rest, body)):
        for cells in rows:
            row = nodes.row()
            for cell in cells:
                filled = cell if isinstance(cell, list) else [nodes.paragraph(text=cell)]
                row += nodes.entry("", *filled)
            part += row
    group += [head, rest]
    whole += group
    return whole


class Record(SphinxDirective):
    required_arguments = 1
    option_spec: ClassVar = {
        "by": directives.unchanged_required,
        "show": directives.unchanged_required,
    }

    def run(self):
        name = self.arguments[0]
        path = DOCS / "results" / f"{name}.json"
        self.env.note_dependency(str(path))
        rows = read(name)
        if not rows:
            return [nodes.paragraph(text=f"docs/results/{name}.json is not recorded yet.")]
        by, show = names(self.options["by"]), names(self.options["show"])
        body = list(grouped(rows, by, show))
        if not body:
            raise self.error(f"{name}: no row has {', '.join(by + show)}")
        header = [text.replace("_", " ").replace("/", " at ") for text in [*by, *show]]
        said = provenance(name, rows)
        return [table([*header, "seeds"], body), nodes.caption(said, said)]


def measured(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role: `NAME COLUMN KEY=VALUE …` becomes mean ± sd over the seeds."""
    try:
        said = one_number(*shlex.split(text))
    except (ValueError, IndexError) as error:
        fault = inliner.reporter.error(f"measured: {text}: {error}", line=lineno)
        return [inliner.problematic(rawtext, rawtext, fault)], [fault]
    return [nodes.inline(said, said, classes=["measured-number"])], []


def one_number(file, column, *entries):
    """Mean ± sd of a column over the seeds, for the rows with these entries ("model=lenet5")."""
    where = dict(entry.split("=", 1) for entry in entries)
    rows = [row for row in read(file) if all(str(row.get(k)) == v for k, v in where.items())]
    found = [row for row in rows if at(row, column) is not None and row["seed"] not in CHOOSING]
    seeds = [row["seed"] for row in found]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"{len(seeds)} rows of seeds {seeds}; expected one a seed, 1 or more")
    (cells,) = grouped(found, list(where), [column])
    return cells[-2]


class Claims(SphinxDirective):
    def run(self):
        self.env.note_dependency(str(DOCS / "claims.json"))
        counts, body = Counter(), []
        for claim in json.loads((DOCS / "claims.json").read_text("utf-8")):
            found = [(one["effect"], effect(one)) for one in claim.get("effects", [])]
            for _, one in found:
                counts[one.verdict if one else "not recorded"] += 1
            body.append(
                [str(claim["number"]), claim["claim"], self.lessons(claim), said(claim, found)]
            )
            counts["shown"] += not found and "not_recorded" not in claim
        told_all = "; ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
        summary = nodes.paragraph(
            text=f"{len(body)} claims. Effects and demonstrations: {told_all}."
        )
        return [summary, table(["#", "claim", "lesson", "what was measured"], body, ["claims"])]

    def lessons(self, claim):
        """Links to the lessons of a claim."""
        line = nodes.paragraph()
        for number in claim["lessons"]:
            (path,) = (DOCS.parent / "examples").glob(f"plot_{number:02}_*.py")
            depth = "../" * self.env.docname.count("/")
            link = nodes.reference("", str(number), refuri=f"{depth}course/{path.stem}.html")
            line += [link, nodes.Text(" ")]
        return [line]


def said(claim, found):
    """What a claim's last column says."""
    if found:
        lines = [nodes.paragraph(text=f"{name}: {told(one)}") for name, one in found]
        for line, (_, one) in zip(lines, found, strict=True):
            line["classes"].append((one.verdict if one else "not recorded").replace(" ", "-"))
        return lines
    return claim.get("not_recorded", "shown in the lesson")


def setup(app):
    app.add_directive("record", Record)
    app.add_directive("claims", Claims)
    app.add_role("measured", measured)
    app.add_css_file("measured.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
