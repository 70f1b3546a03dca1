"""The annotated source: a page for every module, with prose next to code, in reading order.

The pages are written to docs/source before Sphinx reads that folder. They are reStructuredText,
with the two columns as HTML. The link to a line is source/minivision.autograd.html#L12.
"""

import ast
import sys
from pathlib import Path

from paragraphs import paragraphs, prose_as_html
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

PACKAGE = Path(__file__).resolve().parents[2] / "minivision"
sys.path.insert(0, str(PACKAGE.parent))

from minivision.contents import CHAPTERS, SPINE, reading_order  # noqa: E402


def dotted(path):
    """The name of a module: minivision.nn.layers for nn/layers.py.

    >>> dotted("nn/__init__.py"), dotted("autograd.py")
    ('minivision.nn', 'minivision.autograd')
    """
    parts = ["minivision", *Path(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def short(path):
    """A short name for the narrow sidebar: functional.convolution for functional/convolution.py."""
    return dotted(path).removeprefix("minivision.")


def module_html(text, link):
    """Two columns: the prose of each paragraph, and its code with the line numbers of the file."""
    shown = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).split("\n")
    rows = []
    for part in paragraphs(text):
        code = "".join(
            f'<span class="line" id="L{n}"><a class="number" href="#L{n}" aria-label="line {n}">'
            f"{n}</a>{shown[n - 1]}\n</span>"
            for n in part.code_lines
        )
        code = f'<div class="highlight" tabindex="0"><pre>{code}</pre></div>' if code else ""
        prose = prose_as_html(part.prose, link)
        rows.append(f'<div class="prose">{prose}</div>\n<div class="code">{code}</div>')
    return '<div class="annotated">\n' + "\n".join(rows) + "\n</div>\n"


def page(path, order):
    """The page of a module, as reStructuredText."""
    name = dotted(path)
    pages = {other: f"{dotted(other)}.html" for other in order}
    body = module_html((PACKAGE / path).read_text("utf-8"), pages.get)
    first_reading = [file for chapter in CHAPTERS for file in chapter.files]
    if path in first_reading[:-1]:
        following = first_reading[first_reading.index(path) + 1]
        body += f'<p>Next: <a href="{pages[following]}">minivision/{following}</a></p>\n'
    indented = "\n".join("   " + line for line in body.split("\n"))
    return (
        f":hide-toc:\n\n.. _source-{name}:\n\n{name}\n{'=' * len(name)}\n\n"
        f"``minivision/{path}``\n\n.. raw:: html\n\n{indented}\n"
    )


def first_sentence(path):
    document = ast.get_docstring(ast.parse((PACKAGE / path).read_text("utf-8"))) or ""
    text = " ".join(document.split("\n\n")[0].split()).replace("*", r"\*").replace("`", "")
    return text.removesuffix(" You can skip this file on a first reading.")


def contents(order):
    """The first page: the chapters, and every module with its first sentence."""
    lines = [
        "Read the source", "===============", "",
        "These pages show every module of minivision in reading order, with the prose next to the "
        f"code. The first {len(SPINE)} chapters take about three evenings to read and lead from "
        "an array to a network that learns; the other chapters follow the lessons and can be read "
        "in any order. Line numbers are those of the files. :doc:`/guides/read_a_page` explains "
        "how a function is laid out.", "",
    ]  # fmt: skip
    for number, chapter in enumerate(CHAPTERS, 1):
        title = f"{number}. {chapter.title}"
        lines += [title, "-" * len(title), "", chapter.about, ""]
        lines += [f"* :doc:`{dotted(path)}`: {first_sentence(path)}" for path in chapter.files]
        lines.append("")
        if chapter.doors:
            lines += ["You can skip these files on a first reading:", ""]
            lines += [f"* :doc:`{dotted(path)}`: {first_sentence(path)}" for path in chapter.doors]
            lines.append("")
    lines += [
        ".. toctree::",
        "   :hidden:",
        "",
        *(f"   {short(path)} <{dotted(path)}>" for path in order),
        "",
    ]
    return "\n".join(lines)


def write_pages(folder):
    """Write all pages. Files whose text has not changed are left alone, so they are not rebuilt."""
    order = reading_order()
    wanted = {"index.rst": contents(order)}
    wanted |= {f"{dotted(path)}.rst": page(path, order) for path in order}
    folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for old in folder.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()


def setup(app):
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "source"), 100)
    app.add_css_file("annotated_source.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
