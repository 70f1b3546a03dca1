"""Check a built site for faults that readers notice: python docs/check_site.py docs/build/html

Every link inside the site must have a target, every image an alternative text, and every page a
language, a title and one main heading. Nothing may be loaded from other sites. Lessons must show
their output and figures, each claim must link to its numbers, and notebooks must install
minivision from the clone. Text must have enough contrast in the light and the dark theme.
"""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

from contrast import site_faults  # noqa: E402

FROM_ELSEWHERE = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
LESSONS = 22


class Page(HTMLParser):
    """What a page links to, which anchors it has, and its faults."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.ids, self.faults = path, [], set(), []
        self.headings, self.language = 0, None
        self.feed(path.read_text("utf-8"))
        if not self.language:
            self.faults.append("the page does not say its language")
        if self.headings != 1:
            self.faults.append(f"{self.headings} main headings; expected one")

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        self.language = found.get("lang", self.language) if tag == "html" else self.language
        self.headings += tag == "h1"
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "img" and "alt" not in found:
            self.faults.append(f"an image without alternative text: {found.get('src')}")
        if tag == "iframe" and not found.get("title"):
            self.faults.append(f"a frame without a title: {found.get('src')}")
        loaded = found.get(FROM_ELSEWHERE.get(tag, "")) or ""
        if urlsplit(loaded).netloc and found.get("rel") != "canonical":
            self.faults.append(f"{tag} is loaded from elsewhere: {loaded}")
        elif loaded and not loaded.startswith("data:"):
            self.links.append(loaded)


def check_links(page, pages):
    """Faults in the links inside the site."""
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        if not target.exists():
            yield f"a link to a missing page: {link}"
        elif (
            parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
        ):
            yield f"a link to a missing anchor: {link}"


def check_lessons(folder):
    """Faults in the course: a missing lesson, or one that shows no output."""
    lessons = sorted(folder.glob("course/plot_*.html"))
    if len(lessons) != LESSONS:
        yield f"{len(lessons)} lessons; expected {LESSONS}"
    for path in lessons:
        text = path.read_text("utf-8")
        for what, sign in (
            ("printed text", r"sphx-glr-script-out"),
            ("a figure", r"sphx_glr_plot_\d\d_\w+_001"),
            ("folded answers", r"What to expect"),
            ("a download as a notebook", r"\.ipynb"),
            ("a picture below its question", r"lesson-picture"),
        ):
            if not re.search(sign, text):
                yield f"{path.name} has no {what}"


def check_course(folder):
    """Faults in the gallery of lessons: a missing card, or one without a picture of its lesson."""
    text = (folder / "course" / "index.html").read_text("utf-8")
    pictures = re.findall(r'<img[^>]*sd-card-img-top[^>]*src="([^"]+)"', text)
    pictures += re.findall(r'<img[^>]*src="([^"]+)"[^>]*sd-card-img-top', text)
    own = {re.search(r"plot_\d\d", picture)[0] for picture in pictures if "plot_" in picture}
    if len(own) != LESSONS or len(pictures) != LESSONS:
        yield f"course/index.html: {len(own)} cards with pictures of a lesson; expected {LESSONS}"


def check_notebooks(folder):
    """Faults in the notebooks: a missing one, or one that does not install from the clone."""
    notebooks = sorted(folder.glob("_downloads/*/plot_*.ipynb"))
    if len(notebooks) != LESSONS:
        yield f"{len(notebooks)} notebooks; expected {LESSONS}"
    for path in notebooks:
        first = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"])
        if "%pip install -q -e .." not in first or "clone" not in first:
            yield f"{path.name} does not begin with an installation from a clone: {first!r}"


def check_claims(folder):
    """Faults in the page of claims: a row that does not link to its numbers."""
    text = (folder / "measured" / "claims.html").read_text("utf-8")
    rows = re.findall(r"<tr.*?</tr>", text, re.S)[1:]
    if not rows:
        yield "measured/claims.html has no claims"
    for row in rows:
        number, *_, measured = re.findall(r"<td.*?</td>", row, re.S)
        if not re.search(r'href="[^"]+#[^"]+"', measured):
            yield f"claim {re.sub('<.*?>', '', number)} does not link to what was measured"


def check_footer(folder):
    """Faults in the copyright line: it does not name the holder in LICENSE."""
    (holder,) = re.findall(r"Copyright \(c\) (.*)", (HERE.parent / "LICENSE").read_text("utf-8"))
    text = (folder / "index.html").read_text("utf-8")
    (line,) = re.findall(r"Copyright &#169;\s*([^<]*)", text)
    if line.strip() != holder:
        yield f"the copyright line is {line.strip()!r}; expected {holder!r}, as in LICENSE"


def check_backward(folder):
    """Faults in the pages that step through a backward pass: no page, or one without steps."""
    pages = sorted(folder.glob("pages/*-backward-*.html"))
    if not pages:
        yield "there is no page that steps through a backward pass"
    for path in pages:
        told = re.search(r'id="story"[^>]*>({.*?})</script>', path.read_text("utf-8"), re.DOTALL)
        if told is None or len(json.loads(told[1])["steps"]) < 2:
            yield f"{path.name} has no steps"


def check(folder):
    """Describe all faults of a built site."""
    paths = [path.resolve() for path in sorted(folder.rglob("*.html"))]
    pages = {path: Page(path) for path in paths if "_static" not in path.parts}
    checks = (check_lessons, check_course, check_notebooks, check_claims, check_footer)
    faults = [fault for one in (*checks, check_backward, site_faults) for fault in one(folder)]
    for path, page in pages.items():
        found = page.faults if path.stem not in ("search", "genindex") else []
        for fault in [*found, *check_links(page, pages)]:
            faults.append(f"{path.relative_to(folder.resolve())}: {fault}")
    return len(pages), faults


if __name__ == "__main__":
    number, faults = check(Path(sys.argv[1]))
    print("\n".join(faults) or f"{number} pages, no faults")
    sys.exit(bool(faults))
