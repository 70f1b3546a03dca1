"""What a lesson's page gets beyond its script: folded answers, links, and nothing lost."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))

from lesson_pages import fold_answers, lesson_page, modules_used  # noqa: E402

LESSONS = sorted((ROOT / "examples").glob("plot_*.py"))
TEXT = """Three things to try
-------------------
1. Set the rate
   to 2. Expect it to diverge.
2. Take more. It gets slower.
3. Write

   .. code-block:: python

      x = 1

**Next lesson:** 3 · Is the gradient right?

rest
"""


def test_answers_are_folded_and_tasks_with_code_are_left_alone():
    folded = fold_answers(TEXT)
    assert (
        "1. Set the rate to 2.\n\n   .. dropdown:: What to expect\n\n      Expect it to" in folded
    )
    assert "2. Take more.\n\n   .. dropdown:: What to expect\n\n      It gets slower." in folded
    assert "3. Write\n\n   .. code-block:: python\n\n      x = 1\n" in folded
    assert folded.endswith("rest\n")


def test_the_next_lesson_and_the_source_are_linked():
    pages = {"minivision.optim": "source/minivision.optim"}
    page = lesson_page(TEXT, "from minivision.optim import SGD", {3: "course/plot_03"}, pages)
    assert "**The source it uses:** :doc:`minivision.optim </source/minivision.optim>`" in page
    assert "**Next lesson:** 3 · :doc:`Is the gradient right? </course/plot_03>`" in page


@pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])
def test_folding_loses_no_word_of_a_lesson(lesson):
    script = lesson.read_text("utf-8")
    prose = "\n".join(re.sub("^# ?", "", line) for line in script.splitlines())
    words = fold_answers(prose).replace(".. dropdown:: What to expect", "").split()
    assert sorted(words) == sorted(prose.split())
    assert modules_used(script)
