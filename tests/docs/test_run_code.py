"""Snippets on the site: what they print is shown, and a surprise stops the build."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "extensions"))
from snippets import Page, SnippetError, each_command

from tests.refusals import refused


@pytest.fixture
def page():
    with Page() as page:
        yield page


def test_page_shares_names_between_its_snippets(page):
    assert page.python("x = 2") == ""
    assert page.python("print(x + 1)") == "3"


def test_pages_share_nothing(page):
    page.python("x = 2")
    with Page() as other, refused(SnippetError, "NameError"):
        other.python("print(x)")


def test_page_fails_if_a_snippet_raises(page):
    with refused(SnippetError, "ValueError: too small", ":error:"):
        page.python("raise ValueError('too small')")


def test_page_shows_an_expected_error_after_the_output(page):
    shown = page.python("print('before')\nraise ValueError('too small')", error="too small")
    assert shown == "before\nValueError: too small"


def test_page_fails_if_an_expected_error_is_not_raised(page):
    with refused(SnippetError, ":error:", "nothing"):
        page.python("x = 1", error="")


def test_page_fails_if_another_error_is_raised(page):
    with refused(SnippetError, "'too large'", "too small"):
        page.python("raise ValueError('too small')", error="too large")
    with refused(SnippetError, "'too large'", "too small"):
        page.command("echo too small; exit 1", error="too large")


def test_page_lets_an_engine_error_name_the_argument_of_a_snippet(page):
    page.python(
        "import numpy as np\n"
        "from minivision import Tensor, record\n"
        "def cube(base):\n"
        "    def backward(dy):\n"
        "        return (dy[:1],)\n"
        "    return record(base.data**3, (base,), backward)\n"
    )
    shown = page.python(
        "cube(Tensor(np.ones(2), requires_grad=True)).sum().backward()", error="base"
    )
    assert shown.startswith("ValueError: cube: the gradient of base is (1,) float64")


def test_page_shares_a_folder_between_its_commands(page):
    page.command("echo seven > a.txt")
    page.python("from pathlib import Path\nassert Path('a.txt').read_text() == 'seven\\n'")
    assert each_command(page, "cat a.txt\nls") == "$ cat a.txt\nseven\n$ ls\na.txt"


def test_each_command_continues_after_a_backslash(page):
    assert each_command(page, "echo a \\\n  b") == "$ echo a \\\n  b\na b"


def test_each_command_runs_the_minivision_of_this_checkout(page):
    shown = each_command(page, "minivision train --model lenet6", error="expected one of")
    assert "minivision train:" in shown
    assert "lenet6" in shown


def test_page_fails_if_a_command_fails_unexpectedly_or_not_as_expected(page):
    with refused(SnippetError, "exit code 3", "expected 0", "half"):
        page.command("echo half; exit 3")
    with refused(SnippetError, "exit code 0", "failure"):
        page.command("true", error="")


def test_page_does_not_show_the_path_of_its_folder(page):
    shown = page.python("from pathlib import Path\nprint(Path('a.png').resolve())")
    assert shown == "a.png"


def test_run_code_shows_the_output_and_fails_on_a_surprise(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    from subprocess import PIPE, STDOUT, run

    extensions = Path(__file__).parents[2] / "docs" / "extensions"
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(extensions)!r})\n"
        "extensions = ['myst_parser', 'run_code']\n"
    )

    def build(text):
        (tmp_path / "index.md").write_text(text)
        command = [sys.executable, "-m", "sphinx", "-q", tmp_path, tmp_path / "html"]
        done = run(command, stdout=PIPE, stderr=STDOUT, text=True)
        return done.returncode, done.stdout

    good = "# A\n\n```{run}\nprint(6 * 7)\n```\n\n```{run}\n:error: by zero\n1 / 0\n```\n"
    code, printed = build(good)
    assert code == 0, printed
    html = (tmp_path / "html" / "index.html").read_text("utf-8")
    assert "<span></span>42\n" in html
    assert "ZeroDivisionError: division by zero" in html
    code, printed = build("# A\n\n```{run}\n1 / 0\n```\n")
    assert code != 0
    assert "index, line 3: the snippet raised ZeroDivisionError" in printed
