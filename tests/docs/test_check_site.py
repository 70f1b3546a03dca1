"""The checks of a built site notice each fault, and the settings of the site pass them."""

import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import check_site  # noqa: E402

ROW = "<table><tr><th>claim</th></tr><tr><td>1</td><td>a claim</td><td>{}</td></tr></table>"
CARD = '<img alt="a" class="sd-card-img-top" src="../_images/sphx_glr_plot_{:02}_a_001.png">'


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def notebooks(folder, first):
    for number in range(check_site.LESSONS):
        cells = {"cells": [{"source": [first]}]}
        written(folder / f"_downloads/{number}/plot_{number:02}_a.ipynb", json.dumps(cells))


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # conf.py adds to it
    return runpy.run_path(str(ROOT / "docs" / "conf.py"))


def test_conf_installs_minivision_from_the_clone_in_every_notebook(settings, tmp_path):
    notebooks(tmp_path, settings["sphinx_gallery_conf"]["first_notebook_cell"])
    assert list(check_site.check_notebooks(tmp_path)) == []


def test_check_notebooks_notices_an_installation_from_an_index(tmp_path):
    notebooks(tmp_path, "%pip install -q minivision")
    assert len(list(check_site.check_notebooks(tmp_path))) == check_site.LESSONS
    assert list(check_site.check_notebooks(tmp_path / "empty"))


def test_conf_names_the_copyright_holder_of_the_license(settings, tmp_path):
    written(tmp_path / "index.html", f"Copyright &#169; {settings['copyright']}\n")
    assert list(check_site.check_footer(tmp_path)) == []
    written(tmp_path / "index.html", "Copyright &#169; \n")
    assert list(check_site.check_footer(tmp_path))


@pytest.mark.parametrize(
    ("measured", "faults"),
    [('<a href="index.html#record-a">a</a>: seen', 0), ("seen", 1), ('<a href="a.html">a</a>', 1)],
)
def test_check_claims_notices_a_row_without_a_link_to_its_numbers(measured, faults, tmp_path):
    written(tmp_path / "measured/claims.html", ROW.format(measured))
    assert len(list(check_site.check_claims(tmp_path))) == faults


def test_check_course_notices_a_card_without_a_picture_of_its_own(tmp_path):
    page = tmp_path / "course/index.html"
    cards = [CARD.format(number) for number in range(check_site.LESSONS)]
    written(page, "\n".join(cards))
    assert list(check_site.check_course(tmp_path)) == []
    for wrong in (cards[:-1], [*cards[:-1], cards[0]], [*cards[:-1], CARD.replace("plot", "no")]):
        written(page, "\n".join(wrong))
        assert list(check_site.check_course(tmp_path))


def test_check_links_notices_a_page_or_an_anchor_that_is_missing(tmp_path):
    path = tmp_path / "a.html"
    written(path, '<html lang="en"><h1 id="top">A</h1><a href="{}">b</a></html>')
    text = path.read_text("utf-8")
    for link, faults in (("#top", 0), ("a.html#top", 0), ("b.html", 1), ("#bottom", 1)):
        written(path, text.format(link))
        page = check_site.Page(path)
        assert page.faults == []
        assert len(list(check_site.check_links(page, {path: page}))) == faults, link
