"""Check the exercises of a whole class: one folder per person, one file per exercise.

    class/
        ada/     relu.py  conv2d.py
        grace/   relu.py

You can skip this file on a first reading.
"""

from __future__ import annotations

import csv
import html
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from minivision.exercises import EXERCISES
from minivision.exercises.checking import GIGABYTES, SECONDS, check_file
from minivision.exercises.judge import Verdict

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Exercises</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ border: 1px solid #bbb; padding: .3rem .6rem; text-align: left; vertical-align: top }}
pre {{ white-space: pre-wrap }}
.right {{ background: #dff0d8 }}
</style>
<h1>Exercises</h1>
<p>{summary}</p>
<h2>Points</h2>
{points}
<h2>What goes wrong most often</h2>
{mistakes}
<h2>Every answer that is not right yet</h2>
{answers}
</html>
"""


class Answer(NamedTuple):
    """One person's file for one exercise, and what came of it."""

    person: str
    verdict: Verdict

    @property
    def result(self) -> str:
        return "right" if self.verdict.right else self.verdict.mistake or "wrong"


def grade(
    folder: Path, seconds: float = SECONDS, gigabytes: float = GIGABYTES, jobs: int | None = None
) -> Iterator[Answer]:
    """Check every file; each runs in its own process, in an empty working folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    files = [
        (person, path)
        for person in sorted(p for p in folder.iterdir() if p.is_dir())
        for path in sorted(person.glob("*.py"))
        if path.stem in EXERCISES
    ]
    if not files:
        raise ValueError(
            f"{folder} contains no exercises; expected one folder per person with files such as "
            "relu.py"
        )

    def answer(file: tuple[Path, Path]) -> Answer:
        person, path = file
        with tempfile.TemporaryDirectory() as empty:
            verdict = check_file(path, path.stem, seconds, gigabytes, Path(empty))
        return Answer(person.name, verdict)

    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        yield from pool.map(answer, files)


def write_grades(answers: list[Answer], folder: Path) -> tuple[Path, Path]:
    """Write grades.csv and grades.html; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, page = folder / "grades.csv", folder / "grades.html"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "exercise", "points", "result", "seconds"])
        for a in answers:
            row = [a.person, a.verdict.exercise, int(a.verdict.right), a.result, a.verdict.seconds]
            writer.writerow(row)
    page.write_text(as_page(answers), "utf-8")
    return table, page


def as_page(answers: list[Answer]) -> str:
    """The grades as HTML: the points, the most frequent mistakes, and every wrong answer."""
    people = sorted({a.person for a in answers})
    names = [name for name in EXERCISES if any(a.verdict.exercise == name for a in answers)]
    found = {(a.person, a.verdict.exercise): a for a in answers}
    rows = [["", *names, "points"]]
    for person in people:
        mine = [found.get((person, name)) for name in names]
        points = sum(a.verdict.right for a in mine if a)
        rows.append([person, *[a.result if a else "" for a in mine], str(points)])
    wrong = [a for a in answers if not a.verdict.right]
    often = Counter((a.verdict.exercise, a.result) for a in wrong).most_common()
    mistakes = [["exercise", "what went wrong", "people"]]
    mistakes += [[name, result, str(count)] for (name, result), count in often]
    right = len(answers) - len(wrong)
    return PAGE.format(
        summary=f"{len(people)} people, {len(answers)} answers, {right} of them right.",
        points=_table(rows),
        mistakes=_table(mistakes) if often else "<p>Nothing.</p>",
        answers="\n".join(
            f"<h3>{html.escape(a.person)}: {a.verdict.exercise}</h3>\n"
            f"<pre>{html.escape(a.verdict.text)}</pre>"
            for a in wrong
        )
        or "<p>None.</p>",
    )


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in body:
        cells = [
            f'<td class="right">{cell}</td>' if cell == "right" else f"<td>{html.escape(cell)}</td>"
            for cell in row
        ]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"
