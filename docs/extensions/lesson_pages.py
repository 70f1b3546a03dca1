"""Add to the page of each lesson: a picture at the top, folded answers, links to the source.

sphinx-gallery turns a script into a page. The functions here rewrite the text of that page before
Sphinx reads it, and turn the first page of the course into a gallery of cards. All of them except
`setup` can be tested without Sphinx.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

CARDS = ".. The cards of the lessons are put here when the site is built.\n"
THUMBNAILS = re.compile(r"\.\. raw:: html\n\n *<div id='sg-tag-list'.*(?=\.\. toctree::)", re.S)
QUESTION = re.compile(r"^=+\n\n(\*\*[^*]+\*\*\n)", re.M)
TRY = "Three things to try\n-------------------\n"
NEXT = re.compile(r"^\*\*Next lesson:\*\* (.*)$", re.M)
AFTER = re.compile(r"^\*\*(Write it yourself|Next lesson):\*\*", re.M)  # what follows the tasks


class Head(NamedTuple):
    """The information in the first lines of a lesson."""

    title: str
    question: str
    minutes: int
    needs: list[int]  # the lessons to read first
    picture: int  # the figure that represents the lesson, counted from 1


def head(script):
    """Read the head of a lesson's script.

    >>> head('''\"\"\"
    ... 5 · Convolution
    ... ===============
    ...
    ... **What is
    ... a convolution?**
    ...
    ... **Prerequisites:** lessons 1 (nearest neighbours) and 6 (LeNet-5).
    ...
    ... **Minutes:** 20 to read.
    ... \"\"\"
    ... # sphinx_gallery_thumbnail_number = 3
    ... ''')
    Head(title='5 · Convolution', question='What is a convolution?', minutes=20, needs=[1, 6], picture=3)
    """  # noqa: E501
    text = ast.get_docstring(ast.parse(script))
    question = " ".join(QUESTION.search(text)[1].strip("*\n").split())
    needs = re.search(r"\*\*Prerequisites:\*\* (.*?)\n\n", text, re.S)[1]
    return Head(
        text.splitlines()[0],
        question,
        int(re.search(r"\*\*Minutes:\*\* (\d+)", text)[1]),
        sorted({int(number) for number in re.findall(r"(?<!-)\b\d+\b", needs)}),
        int(re.search(r"^# sphinx_gallery_thumbnail_number = (\d+)", script, re.M)[1]),
    )


def modules_used(script):
    """The minivision modules and packages that a script imports from, sorted by name.

    >>> modules_used("from minivision import nn\\nfrom minivision.optim import Adam, SGD")
    ['minivision.nn', 'minivision.optim']
    """
    names = []
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "minivision":
            names += [f"minivision.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return sorted({name for name in names if name.startswith("minivision.")})


# ── The things to try, their answers folded ──────────────────────────────────────────────────────


def things_to_try(text):
    """The (question, answer) of every thing to try, as written in the text of a lesson.

    The answer starts with the sentence "Expect …".

    >>> things_to_try(TRY + "1. Set it to 2. Does it\\n   grow? Expect a 4.\\n")
    [('Set it to 2. Does it\\n   grow?', 'Expect a 4.')]
    """
    tasks = AFTER.split(text.partition(TRY)[2])[0]
    found = re.findall(r"^\d\. (.*?)(?=^\d\. |\Z)", tasks, re.M | re.S)
    parts = (re.split(r"\b(?=Expect\b)", task, maxsplit=1) for task in found)
    return [(question.rstrip(), answer.rstrip()) for question, answer in parts]


def fold_answers(text):
    """Put the answer to each thing to try into a box that opens when clicked."""
    before, heading, after = text.partition(TRY)
    if not heading:
        return text
    end = AFTER.search(after)
    folded = []
    for number, (question, answer) in enumerate(things_to_try(text), 1):
        answer = " ".join(answer.split())
        folded.append(f"{number}. {question}\n\n   .. dropdown:: What to expect\n")
        folded.append(f"      {answer}\n")
    rest = after[end.start() :] if end else ""
    return before + heading + "\n" + "\n".join(folded) + "\n" + rest


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


def figure(text, number):
    """Path and alternative text of a figure that sphinx-gallery wrote; figures count from 1."""
    found = re.search(rf"image-sg:: (\S+_{number:03}\.png)\n +:alt: (.*)$", text, re.M)
    if found is None:
        raise ValueError(f"the page has no figure {number}")
    return found[1], found[2]


def with_picture(text, number):
    """The page, with the figure that represents the lesson inserted below its question."""
    path, alt = figure(text, number)
    picture = f"\n.. image:: {path}\n   :alt: {alt}\n   :class: lesson-picture\n"
    return QUESTION.sub(lambda found: found[0] + picture, text, 1)


def lesson_page(text, script, lessons, source_pages):
    """The page of a lesson, with folded answers and links to the source and the next lesson.

    lessons: {number: document} for all lessons; source_pages: {module: document}.
    """
    text = fold_answers(re.sub(r"  # fmt: skip$", "", text, flags=re.M))  # a note to ruff
    used = [name for name in modules_used(script) if name in source_pages]
    links = ", ".join(f":doc:`{name} </{source_pages[name]}>`" for name in used)

    def onward(match):
        number, _, title = match[1].partition(" · ")
        following = lessons.get(int(number)) if number.isdigit() else None
        title = f"{number} · :doc:`{title} </{following}>`" if following else match[1]
        source = f"**The source it uses:** {links}\n\n" if links else ""
        return f"{source}**Next lesson:** {title}"

    return NEXT.sub(onward, text)


def cards(scripts, pages):
    """The course as cards, in reStructuredText: picture, title, question, time and prerequisites.

    scripts: {document: text of the script}, in order; pages: {document: text of its page}.
    """
    lines = [".. grid:: 1 1 2 2", "   :gutter: 3", "   :class-container: lessons", ""]
    minutes = 0
    for name, script in scripts.items():
        title, question, needed, needs, picture = head(script)
        path, alt = figure(pages[name], picture)
        minutes += needed
        takes = f"{needed} minutes"
        if needs:
            *others, last = map(str, needs)
            takes += f", after lessons {', '.join(others)} and " if others else ", after lesson "
            takes += last
        lines += [
            f"   .. grid-item-card:: {title}",
            f"      :img-top: {path}",
            f"      :img-alt: {alt}",
            f"      :link: /{name}",
            "      :link-type: doc",
            "",
            f"      {question}",
            "",
            "      .. card-footer::",
            "",
            f"         {takes}",
            "",
        ]
    told = f"Reading all lessons takes about {minutes / 60:.0f} hours, without the things to try."
    return "\n".join([*lines, told, ""])


def setup(app):
    def rewrite(app, docname, source):
        found = sorted(app.env.found_docs)
        names = [name for name in found if name.startswith("course/plot_")]
        if docname == "course/index":
            scripts = {name: Path(app.srcdir, name + ".py").read_text("utf-8") for name in names}
            texts = {name: Path(app.srcdir, name + ".rst").read_text("utf-8") for name in names}
            text = THUMBNAILS.sub("", source[0])
            source[0] = ":hide-toc:\n" + text.replace(CARDS, cards(scripts, texts))
        if docname in names:
            lessons = {int(name[12:14]): name for name in names}
            pages = {name[7:]: name for name in found if name.startswith("source/minivision")}
            script = Path(app.srcdir, docname + ".py").read_text("utf-8")
            text = with_picture(source[0], head(script).picture)
            source[0] = lesson_page(text, script, lessons, pages)

    app.connect("source-read", rewrite)
    app.add_css_file("lesson_pages.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
