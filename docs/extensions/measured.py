"""Directives that show the records in docs/results, so that no number is typed by hand.

```{record} pseudo_labels           what the file contains (time, versions) and a
:by: way, labels                    table of means ± standard deviations, with a row for each
:show: test_accuracy                combination of the columns in `by`
```
{measured}`NAME test_accuracy model=lenet5`     one number in a sentence: mean ± sd over the rows
                                    that have these entries
```{claims}                         the lecture course's claims, with our measurements
```
"""

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from effects import by_chance, conditions, effect, read, told
from rows import grouped, names, one_number, provenance
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).resolve().parents[1]


def table(header, body, classes=()):
    """A docutils table of texts and nodes, in a scrollable box."""
    whole = nodes.table(classes=["measured", *classes])
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, rest = nodes.thead(), nodes.tbody()
    for part, rows in ((head, [header]), (rest, body)):
        for cells in rows:
            row = nodes.row()
            for cell in cells:
                filled = [nodes.paragraph(text=cell)] if isinstance(cell, str) else cell
                row += nodes.entry("", *filled)
            part += row
    group += [head, rest]
    whole += group
    return whole


def record_id(name):
    """The anchor of a record's table on the page of results."""
    return f"record-{name.replace('_', '-')}"


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
        shown = self.env.temp_data.setdefault("records", set())  # on this page
        anchor = nodes.target(ids=[] if name in shown else [record_id(name)])
        shown.add(name)
        return [anchor, table([*header, "seeds"], body), nodes.caption(said, said)]


def measured(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role `measured`: `NAME COLUMN KEY=VALUE …` becomes the mean ± sd over the seeds."""
    try:
        said = one_number(*shlex.split(text))
    except (ValueError, IndexError) as error:
        fault = inliner.reporter.error(f"measured: {text}: {error}", line=lineno)
        return [inliner.problematic(rawtext, rawtext, fault)], [fault]
    return [nodes.inline(said, said, classes=["measured-number"])], []


class Claims(SphinxDirective):
    def run(self):
        self.env.note_dependency(str(DOCS / "claims.json"))
        counts, everything, body = Counter(), [], []
        for claim in json.loads((DOCS / "claims.json").read_text("utf-8")):
            found = [(one, effect(one)) for one in claim.get("effects", [])]
            everything += [one for _, one in found]
            counts["shown"] += not found
            lessons = nodes.paragraph()
            for number in claim["lessons"]:
                lessons += [self.link(str(number), lesson_page(number)), nodes.Text(" ")]
            where = self.effects(found) if found else [self.shown(claim)]
            body.append([str(claim["number"]), claim["claim"], [lessons], where])
        shown = counts.pop("shown")
        counts.update(one.verdict if one else "not recorded" for one in everything)
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
        summary = nodes.paragraph(
            text=f"{shown} of the {len(body)} claims are shown in a lesson. For the others, "
            f"{counts.total()} effects were measured: {verdicts}. If no effect were real, "
            f"chance alone would decide about {by_chance(everything):.1f} of them."
        )
        return [summary, table(["#", "claim", "lesson", "what was measured"], body, ["claims"])]

    def link(self, text, page, anchor=""):
        """A link to a page of the site, given by its path from the root."""
        depth = "../" * self.env.docname.count("/")
        return nodes.reference("", text, refuri=f"{depth}{page}{anchor and '#' + anchor}")

    def effects(self, found):
        """One line per effect, with a link to the table of its record."""
        for specification, one in found:
            line = nodes.paragraph(
                classes=[(one.verdict if one else "not recorded").replace(" ", "-")]
            )
            anchor = record_id(specification["file"])
            line += self.link(specification["effect"], "measured/index.html", anchor)
            line += nodes.Text(f": {told(one)}")
            details = [conditions(specification), specification.get("in_the_paper", "")]
            text = ". ".join(filter(None, details))
            line += nodes.inline(text, text, classes=["conditions"])
            yield line

    def shown(self, claim):
        """A link to the section of a lesson that shows the claim."""
        line, title = nodes.paragraph(text="shown in "), claim["shown_in"]
        line += self.link(title, lesson_page(claim["lessons"][0]), nodes.make_id(title))
        return line


def lesson_page(number):
    """course/plot_05_convolution.html for 5."""
    (path,) = (DOCS.parent / "examples").glob(f"plot_{number:02}_*.py")
    return f"course/{path.stem}.html"


def setup(app):
    app.add_directive("record", Record)
    app.add_directive("claims", Claims)
    app.add_role("measured", measured)
    app.add_css_file("measured.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
