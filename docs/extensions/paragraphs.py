"""Split a module into paragraphs of prose, each with the numbered lines of code it belongs to.

Docstrings and comments on lines of their own are prose; everything else is code. A docstring,
including its equations, is shown next to the body of its function.
"""

import ast
import html
import re
from typing import NamedTuple


class Paragraph(NamedTuple):
    """Prose, its line numbers in the file, and those of the code next to it, counted from 1."""

    prose: str
    prose_lines: tuple[int, ...]
    code_lines: tuple[int, ...]
    comment: bool = False


def paragraphs(text):
    """The paragraphs of a module, in order; every non-blank line belongs to exactly one of them.

    >>> for part in paragraphs('\"\"\"What it is.\"\"\"\\n\\nx = 1\\n# Why.\\ny = 2\\n'):
    ...     print(part.prose, part.code_lines)
    What it is. (3,)
    Why. (5,)
    """
    lines = text.splitlines()
    documents, starts = docstrings(text)
    inside = {n for first, last, _ in documents.values() for n in range(first, last + 1)}
    in_strings = lines_inside_strings(text)

    def is_comment(n):
        return lines[n - 1].lstrip().startswith("#") and n not in in_strings

    found, n = [], 1
    prose, prose_lines, code, of_comment = "", [], [], False

    def close():
        if prose or any(lines[k - 1].strip() for k in code):
            found.append(Paragraph(prose, tuple(prose_lines), tuple(trim(code, lines)), of_comment))

    while n <= len(lines):
        if n in starts or (is_comment(n) and not is_comment(n - 1 or 1)) or n == 1:
            close()
            prose, prose_lines, code, of_comment = "", [], [], False
            if n in starts:
                first, last, prose = documents[starts[n]]
                prose_lines = list(range(first, last + 1))
            elif is_comment(n):
                of_comment = True
        if of_comment and is_comment(n) and not code:
            prose = f"{prose} {lines[n - 1].strip().lstrip('#').strip()}".strip()
            prose_lines.append(n)
        elif n not in inside:
            code.append(n)
        n += 1
    close()
    return found


def docstrings(text):
    """{line of a def: (first, last, text)}, and {start of its paragraph: line of the def}."""
    documents, starts = {}, {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        document = ast.get_docstring(node)
        if document is None:
            continue
        expression = node.body[0]
        at = getattr(node, "lineno", 1)
        decorators = getattr(node, "decorator_list", [])
        begin = min([at, *(d.lineno for d in decorators)])
        documents[at] = (expression.lineno, expression.end_lineno, document)
        starts[begin] = at
    return documents, starts


def lines_inside_strings(text):
    """The lines inside multi-line strings, where a # does not start a comment."""
    return {
        n
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for n in range(node.lineno + 1, node.end_lineno + 1)
    }


def trim(code, lines):
    """The line numbers, without blank lines at either end."""
    filled = [n for n in code if lines[n - 1].strip()]
    return [n for n in code if filled and filled[0] <= n <= filled[-1]]


def prose_as_html(prose, link=lambda path: None):
    """Prose as HTML: paragraphs, equations, doctests; link(path) -> the next page, or None."""
    parts = []
    for block in re.split(r"\n *\n", prose):
        if block.startswith((" ", ">>>")):
            kind = "doctest" if block.lstrip().startswith(">>>") else "equation"
            parts.append(f'<pre class="{kind}">{html.escape(dedented(block))}</pre>')
        else:
            # An indented line continues the argument above it; any other line starts a new one.
            text = html.escape(block)
            text = re.sub(r"\n(?=\S+( \([^)]*\))?: )", "<br>", text)
            parts.append("<p>" + re.sub(r"``?([^`\n]+)``?", r"<code>\1</code>", text) + "</p>")
    return "\n".join(parts)


def dedented(block):
    """A block without the indentation common to all its lines."""
    lines = block.splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)
