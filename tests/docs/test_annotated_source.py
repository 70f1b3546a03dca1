"""The annotated source shows every line of every module once, under its own number."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))
pytest.importorskip("pygments")

from annotated_source import PACKAGE, module_html, page, reading_order  # noqa: E402
from paragraphs import paragraphs  # noqa: E402

MODULES = reading_order()


def test_reading_order_has_every_module_once():
    everything = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert set(MODULES) == everything
    assert len(MODULES) == len(everything)


@pytest.mark.parametrize("path", MODULES)
def test_paragraphs_show_every_line_once(path):
    lines = (PACKAGE / path).read_text("utf-8").splitlines()
    shown = [n for part in paragraphs("\n".join(lines)) for n in part.prose_lines + part.code_lines]
    assert len(shown) == len(set(shown))
    missing = {n for n, line in enumerate(lines, 1) if line.strip()} - set(shown)
    assert not missing, f"lines {sorted(missing)} are not shown"


def test_module_html_numbers_lines_as_in_the_file():
    text = (
        '"""A module."""\n\n\ndef f(x):\n    """Twice x.\n\n        y = 2x\n\n    Ours.\n    """\n'
    )
    text += "    return 2 * x\n"
    page = module_html(text, lambda path: None)
    assert 'id="L4"' in page
    assert 'id="L11"' in page
    assert 'id="L5"' not in page  # the docstring is next to the code, not in it
    assert '<pre class="equation">y = 2x</pre>' in page


def test_paragraphs_take_a_comment_in_a_string_as_code():
    text = 'x = """\n# not a comment\n"""\n'
    (part,) = paragraphs(text)
    assert part.prose == ""
    assert part.code_lines == (1, 2, 3)


def test_page_links_to_the_next_file_of_a_first_reading():
    assert "minivision/gradcheck.py</a>" in page("models/lenet.py", MODULES)
    assert "Next: <a" not in page("nn/state.py", MODULES)
