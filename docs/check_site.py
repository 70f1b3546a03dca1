"""Check a built site as a reader would trip over it: python docs/check_site.py docs/build/html

Every link and anchor inside the site leads somewhere, every image has its alternative text, every
page a language, a title and one main heading; nothing is loaded from elsewhere; and the lessons
show what they printed and drew.
"""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FROM_ELSEWHERE = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
LESSONS = 22


class Page(HTMLParser):
    """What a page links to, what can be linked in it, and what it lacks."""

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
    """Faults of the links that stay inside the site."""
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        if not target.exists():
            yield f"a link to nowhere: {link}"
        elif (
            parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
        ):
            yield f"a link to a missing place: {link}"


def check_lessons(folder):
    """Faults of the course: a lesson that is missing, or shows nothing of what it did."""
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
        ):
            if not re.search(sign, text):
                yield f"{path.name} has no {what}"


def check_backward(folder):
    """Faults of the stepped backward passes: none, or pages that have no story to tell."""
    pages = sorted(folder.glob("pages/*-backward-*.html"))
    if not pages:
        yield "no page of a backward pass"
    for path in pages:
        told = re.search(r'id="story"[^>]*>({.*?})</script>', path.read_text("utf-8"), re.DOTALL)
        if told is None or len(json.loads(told[1])["steps"]) < 2:
            yield f"{path.name} tells no steps"


def check(folder):
    """All faults of a built site, as sentences."""
    paths = [path.resolve() for path in sorted(folder.rglob("*.html"))]
    pages = {path: Page(path) for path in paths if "_static" not in path.parts}
    faults = [*check_lessons(folder), *check_backward(folder)]
    for path, page in pages.items():
        found = page.faults if path.stem not in ("search", "genindex") else []
        for fault in [*found, *check_links(page, pages)]:
            faults.append(f"{path.relative_to(folder.resolve())}: {fault}")
    return len(pages), faults


if __name__ == "__main__":
    number, faults = check(Path(sys.argv[1]))
    print("\n".join(faults) or f"{number} pages, no fault")
    sys.exit(bool(faults))
