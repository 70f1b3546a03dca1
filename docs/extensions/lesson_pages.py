"""What a lesson gets on the site beyond its script: folded answers, the source it uses, a link on.

sphinx-gallery turns a script into a page; the functions here rewrite that page's text before
Sphinx reads it. They need no Sphinx, so they can be tested without it.
"""

import ast
import re
from pathlib import Path

PLAN = ".. The plan of the course is put here when the site is built.\n"
TRY = "Three things to try\n-------------------\n"
NEXT = re.compile(r"^\*\*Next lesson:\*\* (.*)$", re.M)


def modules_used(script):
    """Names of the minivision modules and packages that a script imports from, in its order.

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


def fold_answers(text):
    """Each thing to try as it stands, its expected answer in a box that opens on a click."""
    before, heading, after = text.partition(TRY)
    if not heading:
        return text
    end = NEXT.search(after)
    tasks = after[: end.start()] if end else after
    folded = []
    for number, task in re.findall(r"^(\d)\. (.*?)(?=^\d\. |\Z)", tasks, re.M | re.S):
        if "\n\n" in task.strip():  # with code of its own: left as it stands
            folded.append(f"{number}. {task.rstrip()}\n")
            continue
        question, answer = question_and_answer(" ".join(task.split()))
        folded.append(f"{number}. {question}\n")
        if answer:
            folded.append(f"   .. dropdown:: What to expect\n\n      {answer}\n")
    return before + heading + "\n" + "\n".join(folded) + "\n" + after[len(tasks) :]


def question_and_answer(task):
    """What to do, and what will come of it: from "Expect" on, or after the first sentence.

    >>> question_and_answer("Set it to 2. The loss grows. Why? Expect a 4.")
    ('Set it to 2. The loss grows. Why?', 'Expect a 4.')
    >>> question_and_answer("Set it to 2. The loss grows.")
    ('Set it to 2.', 'The loss grows.')
    """
    question, found, answer = task.partition(" Expect ")
    if found:
        return question, f"Expect {answer}"
    first, found, rest = task.partition(". ")
    return (f"{first}.", rest) if found else (task, "")


def lesson_page(text, script, lessons, source_pages):
    """The page of a lesson: answers folded, its source and the next lesson linked.

    lessons: {number: document} of all lessons; source_pages: {module: document}.
    """
    text = fold_answers(text)
    used = [name for name in modules_used(script) if name in source_pages]
    links = ", ".join(f":doc:`{name} </{source_pages[name]}>`" for name in used)

    def onward(match):
        number, _, title = match[1].partition(" · ")
        following = lessons.get(int(number)) if number.isdigit() else None
        title = f"{number} · :doc:`{title} </{following}>`" if following else match[1]
        source = f"**The source it uses:** {links}\n\n" if links else ""
        return f"{source}**Next lesson:** {title}"

    return NEXT.sub(onward, text)


def plan(scripts):
    """The course as a table: every lesson, its minutes and what it needs; in reStructuredText.

    scripts: {document: text of the script}, in order.
    """
    lines = [".. list-table:: The plan", "   :header-rows: 1", ""]
    minutes = 0
    rows = [("lesson", "minutes", "needs")]
    for name, script in scripts.items():
        head = ast.get_docstring(ast.parse(script))
        said = {
            key: " ".join(re.search(rf"\*\*{key}:\*\* (.*?)\n\n", head, re.S)[1].split())
            for key in ("Minutes", "Prerequisites")
        }
        minutes += int(re.match(r"\d+", said["Minutes"])[0])
        title = head.splitlines()[0]
        rows.append((f":doc:`{title} </{name}>`", said["Minutes"], said["Prerequisites"]))
    for row in rows:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    told = f"About {minutes / 60:.0f} hours of reading, without the things to try."
    return "\n".join([*lines, "", told, ""])


def setup(app):
    def rewrite(app, docname, source):
        if docname == "course/index":
            names = sorted(n for n in app.env.found_docs if n.startswith("course/plot_"))
            scripts = {name: Path(app.srcdir, name + ".py").read_text("utf-8") for name in names}
            source[0] = source[0].replace(PLAN, plan(scripts))
        if not re.match(r"course/plot_\d\d_", docname):
            return
        found = app.env.found_docs
        lessons = {int(name[12:14]): name for name in found if name.startswith("course/plot_")}
        pages = {name[7:]: name for name in found if name.startswith("source/minivision")}
        script = Path(app.srcdir, docname + ".py").read_text("utf-8")
        source[0] = lesson_page(source[0], script, lessons, pages)

    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
