"""The directive `run`: run a snippet when the site is built, and show it with its output.

    ```{run}                     Python; the snippets on a page share one namespace
    :error: words                it must raise an error containing these words, which is shown
    ```
    ```{run}
    :command:                    command lines, run in a temporary folder for this page
    :picture: runs/a/curves.png  show a picture that is now in that folder
    :alt: what the picture shows
    :page: a.html                show a page that is now in that folder, in a frame titled :alt:
    :hidden:                     run it and show nothing (or only the picture)
    :markdown:                   its output becomes part of the page; the code is not shown
    ```

The build fails if a snippet without `:error:` fails, or if one with `:error:` does not.
"""

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from snippets import ROOT, Page, SnippetError, each_command
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

pages: dict[str, Page] = {}  # of the documents being read


class Run(SphinxDirective):
    """Run the content of the directive, as described above."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "error": directives.unchanged_required,
        "command": directives.flag,
        "hidden": directives.flag,
        "markdown": directives.flag,
        "picture": directives.unchanged_required,
        "page": directives.unchanged_required,
        "alt": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        where = f"{self.env.docname}, line {self.lineno}"
        page = pages.setdefault(self.env.docname, Page())
        vars(self.env).setdefault("pages_with_snippets", set()).add(self.env.docname)
        code = "\n".join(self.content)
        error = self.options.get("error")
        try:
            if "command" in self.options:
                shown = [("console", each_command(page, code, error))]
            else:
                shown = [("python", code), ("text", page.python(code, error))]
        except SnippetError as failed:
            raise ExtensionError(f"{where}: {failed}") from failed
        if "markdown" in self.options:
            return self.parse_text_to_nodes(shown[1][1], allow_section_headings=True)
        if "hidden" in self.options:
            shown = []
        found: list[nodes.Node] = [
            block(text, language, error is not None) for language, text in shown if text
        ]
        if "picture" in self.options:
            found.append(picture(page.folder / self.options["picture"], self.options.get("alt")))
        if "page" in self.options:
            found.append(self.framed(page.folder / self.options["page"], self.options["alt"]))
        return found

    def framed(self, path: Path, title: str) -> nodes.Node:
        """Copy a page that a snippet made into the site, and show it in a frame, with a link."""
        place = f"pages/{self.env.docname.replace('/', '-')}-{path.name}"
        target = Path(self.env.app.outdir, place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        address, words = "../" * self.env.docname.count("/") + place, escape(title)
        frame = f'<iframe class="run-page" src="{address}" title="{words}"></iframe>'
        link = f'<p><a href="{address}">Open {words} on a separate page</a></p>'
        return nodes.raw("", frame + link, format="html")


def block(text: str, language: str, error: bool) -> nodes.Node:
    """A block of code, or of its output in a separate frame."""
    kind = {"python": "run-code", "text": "run-output", "console": "run-command"}[language]
    classes = [kind, "run-error"] if error and language != "python" else [kind]
    return nodes.literal_block(text, text, language=language, classes=classes)


def picture(path: Path, alt: str | None) -> nodes.Node:
    """A picture embedded in the page, because its folder will be deleted."""
    if alt is None:
        raise ExtensionError(f"run: the picture {path.name} has no :alt: text")
    if not path.exists():
        raise ExtensionError(f"run: the snippets on this page did not make {path.name}")
    encoded = base64.b64encode(path.read_bytes()).decode()
    return nodes.image(uri=f"data:image/png;base64,{encoded}", alt=alt, classes=["run-picture"])


def close(app: Sphinx, doctree: nodes.document) -> None:
    """At the end of a page, delete its folder and its namespace."""
    page = pages.pop(app.env.docname, None)
    if page is not None:
        page.__exit__()


def outdated(app: Sphinx, env: Any, added: set, changed: set, removed: set) -> list[str]:
    """The pages whose output may be outdated because the package has changed since."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "minivision").rglob("*.py")):
        digest.update(path.read_bytes())
    before, env.snippets_ran_with = getattr(env, "snippets_ran_with", None), digest.hexdigest()
    same = before == env.snippets_ran_with
    return [] if same else sorted(getattr(env, "pages_with_snippets", set()) & env.found_docs)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("run", Run)
    app.connect("doctree-read", close)
    app.connect("env-get-outdated", outdated)
    app.add_css_file("run_code.css")
    return {"parallel_read_safe": False, "parallel_write_safe": True}
