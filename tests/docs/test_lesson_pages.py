"""What a lesson's page gets beyond its script: a picture, folded answers, links, and a card."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))

from lesson_pages import (  # noqa: E402
    cards,
    figure,
    fold_answers,
    head,
    lesson_page,
    modules_used,
    things_to_try,
    with_picture,
)

from tests.refusals import refused  # noqa: E402

LESSONS = sorted((ROOT / "examples").glob("plot_*.py"))
TEXT = """Three things to try
-------------------
1. Set the rate
   to 2. Expect it to diverge.
2. Take more. Does it get slower? Expect it to.
3. Write

   .. code-block:: python

      x = 1

   Expect nothing.

**Next lesson:** 3 · Is the gradient right?

rest
"""
SCRIPT = '''"""
2 · A lesson
============

**What is
it about?**

**Prerequisites:** lessons 0 (a LeNet-5) and 1.

**Minutes:** 20 to read.
"""

# sphinx_gallery_thumbnail_number = 2
'''
PAGE = """2 · A lesson
============

**What is
it about?**

**Prerequisites:** lessons 0 (seeing) and 1.

.. image-sg:: /course/images/sphx_glr_plot_02_a_001.png
   :alt: the first
.. image-sg:: /course/images/sphx_glr_plot_02_a_002.png
   :alt: the second
"""


def prose(lesson):
    return "\n".join(re.sub("^# ?", "", line) for line in lesson.read_text("utf-8").splitlines())


def test_fold_answers_hides_what_follows_expect():
    folded = fold_answers(TEXT)
    box = "\n\n   .. dropdown:: What to expect\n\n      "
    assert f"1. Set the rate\n   to 2.{box}Expect it to diverge." in folded
    assert f"2. Take more. Does it get slower?{box}Expect it to." in folded
    assert f"3. Write\n\n   .. code-block:: python\n\n      x = 1{box}Expect nothing." in folded
    assert folded.endswith("rest\n")


def test_lesson_page_links_the_next_lesson_and_the_source():
    pages = {"minivision.optim": "source/minivision.optim"}
    page = lesson_page(TEXT, "from minivision.optim import SGD", {3: "course/plot_03"}, pages)
    assert "**The source it uses:** :doc:`minivision.optim </source/minivision.optim>`" in page
    assert "**Next lesson:** 3 · :doc:`Is the gradient right? </course/plot_03>`" in page


def test_lesson_page_shows_code_without_notes_to_the_formatter():
    code = "   print(1,\n         2)  # fmt: skip\n   x = 1  # kept\n"
    assert lesson_page(code, "", {}, {}) == "   print(1,\n         2)\n   x = 1  # kept\n"


def test_with_picture_puts_the_figure_that_tells_the_lesson_below_the_question():
    page = with_picture(PAGE, head(SCRIPT).picture)
    picture = ".. image:: /course/images/sphx_glr_plot_02_a_002.png\n   :alt: the second\n"
    assert f"it about?**\n\n{picture}" in page
    assert page.index(picture) < page.index("**Prerequisites:**")


def test_figure_that_the_page_does_not_have_is_an_error():
    with refused(ValueError, "figure 3"):
        figure(PAGE, 3)


def test_cards_show_picture_title_question_and_what_a_lesson_takes():
    shown = cards({"course/plot_02_a": SCRIPT}, {"course/plot_02_a": PAGE})
    for part in (
        "grid-item-card:: 2 · A lesson",
        ":img-top: /course/images/sphx_glr_plot_02_a_002.png",
        ":link: /course/plot_02_a",
        "What is it about?",
        "20 minutes, after lessons 0 and 1",
    ):
        assert part in shown, part


each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])


@each_lesson
def test_fold_answers_loses_no_word_of_a_lesson(lesson):
    words = fold_answers(prose(lesson)).replace(".. dropdown:: What to expect", "").split()
    assert sorted(words) == sorted(prose(lesson).split())
    assert modules_used(lesson.read_text("utf-8"))


@each_lesson
def test_things_to_try_have_a_question_and_an_answer(lesson):
    found = things_to_try(prose(lesson))
    assert len(found) == 3
    for question, answer in found:
        assert len(answer.split()) >= 6, f"an answer shorter than a sentence: {answer!r}"
        assert answer.endswith("."), f"an answer without an end: {answer!r}"
        assert "?" not in answer, f"an answer that asks: {answer!r}"
        assert len(question.split()) >= 4, f"an answer without a question: {answer!r}"


@each_lesson
def test_head_has_a_question_and_a_picture(lesson):
    found = head(lesson.read_text("utf-8"))
    assert found.question.endswith("?")
    assert len(found.question) <= 100, "a card shows the question in two or three lines"
    assert found.picture >= 1
