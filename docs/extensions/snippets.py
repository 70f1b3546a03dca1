"""Run the snippets of a page in order: Python in one namespace, commands in one folder.

`run_code` shows them on the site. Nothing here needs Sphinx, so that the tests can use it.
"""

import io
import linecache
import os
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

NAME = "snippet.py"
ROOT = Path(__file__).resolve().parents[2]
# `minivision` and `python` are the ones that build the site, whatever else is installed.
SHELL = """\
minivision() { "$PYTHON" -m minivision "$@"; }
python() { "$PYTHON" "$@"; }
"""


class SnippetError(Exception):
    """A snippet failed, or was expected to fail and did not."""


class Page:
    """The namespace and the folder shared by the snippets of one page.

    >>> with Page() as page:
    ...     page.python("x = 2")
    ...     page.python("print(x + 1)")
    ''
    '3'
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="minivision-page-")
        self.folder = Path(self._folder.name).resolve()
        # A separate module, because the engine looks up a function's arguments in its module.
        self.module = ModuleType(self.folder.name)
        sys.modules[self.module.__name__] = self.module

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        sys.modules.pop(self.module.__name__, None)
        self._folder.cleanup()

    def python(self, code: str, error: str | None = None) -> str:
        """What the code printed and, if it should raise, the type and message of the error.

        error: words that the type and message must contain, so that a different error is not
        mistaken for the expected one. Raises SnippetError if the code raises although error is
        None, or does not raise although it is given.
        """
        linecache.cache[NAME] = (len(code), None, code.splitlines(True), NAME)  # for tracebacks
        printed = io.StringIO()
        try:
            with redirect_stdout(printed), redirect_stderr(printed), chdir(self.folder):
                exec(compile(code, NAME, "exec"), vars(self.module))
        except Exception as raised:
            message = f"{type(raised).__name__}: {raised}"
            if error is None:
                raise SnippetError(f"the snippet raised {message}; mark it :error:") from raised
            expect(error, message)
            return self.tidy(f"{printed.getvalue()}{message}")
        if error is not None:
            raise SnippetError("the snippet is marked :error:, but raised nothing")
        return self.tidy(printed.getvalue())

    def command(self, line: str, error: str | None = None) -> str:
        """What a command line printed when the shell ran it in the folder of the page.

        error: words that the command must print when it fails, as for `python`. Raises
        SnippetError if the command fails although error is None, or succeeds although it is given.
        """
        paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        settings = {
            "PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONUNBUFFERED": "1",  # so that the output stays in order
            "COLUMNS": "88",
            "MPLBACKEND": "Agg",
        }
        done = subprocess.run(
            ["sh", "-c", SHELL + line],
            cwd=self.folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        if (error is None) != (done.returncode == 0):
            expected = "0" if error is None else "a failure"
            raise SnippetError(
                f"{line!r} ended with exit code {done.returncode}, expected {expected}; "
                f"it printed:\n{done.stdout}"
            )
        expect(error or "", done.stdout)
        return self.tidy(done.stdout)

    def tidy(self, printed: str) -> str:
        """The text without the paths of the folder and the package, which differ between builds."""
        return printed.replace(f"{self.folder}/", "").replace(f"{ROOT}/", "").rstrip()


def expect(words: str, printed: str) -> None:
    """Raise SnippetError if the words do not occur in what was printed."""
    if words not in printed:
        raise SnippetError(f"expected an error with {words!r}, but it says:\n{printed}")


def each_command(page: Page, lines: str, error: str | None = None) -> str:
    """The commands as in a terminal, each after a "$ " and with its output; the last may fail.

    A line that ends in a backslash continues on the next line.
    """
    commands = [line for line in lines.replace("\\\n", "\0").splitlines() if line.strip()]
    shown = []
    for number, command in enumerate(commands, 1):
        expected = error if number == len(commands) else None
        output = page.command(command.replace("\0", ""), expected)
        shown.append("$ " + command.replace("\0", "\\\n") + (f"\n{output}" if output else ""))
    return "\n".join(shown)
