"""Curves and single numbers of the site are those of the records."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "extensions"))
import line_charts
import rows

from tests.refusals import refused

ROWS = [
    {"way": "a", "seed": 0, "y": {"1": 0.5, "2": 0.75}},
    {"way": "a", "seed": 1, "y": {"1": 0.7, "2": 0.85}},
    {"way": "b", "seed": 0, "y": {"1": 0.1, "2": 0.2}},
    {"way": "a", "seed": 100, "y": {"1": 0.0, "2": 0.0}},  # it chose the settings: not drawn
]


def test_lines_have_the_values_of_every_seed_at_every_x():
    found = line_charts.lines(ROWS, ["way"], "y", "x")
    assert found == {"a": {1: [0.5, 0.7], 2: [0.75, 0.85]}, "b": {1: [0.1], 2: [0.2]}}


def test_in_words_describes_where_every_line_begins_and_ends():
    told = line_charts.in_words(line_charts.lines(ROWS, ["way"], "y", "x"), "y", "x")
    assert told == "y against x: a goes from 0.6 at 1 to 0.8 at 2; b goes from 0.1 at 1 to 0.2 at 2"


def test_drawn_uses_percent_and_a_legend():
    picture = line_charts.drawn(
        line_charts.lines(ROWS, ["way"], "y", "x"), "y", "x", False
    ).decode()
    assert picture.count("<!-- a -->") == 1
    assert "y, %" in picture


@pytest.fixture
def records(monkeypatch):
    monkeypatch.setattr(rows, "read", lambda name: ROWS)


def test_one_number_is_the_mean_over_the_seeds(records):
    assert rows.one_number("any", "y/1", "way=a") == "60.0 ± 14.1 %"
    assert rows.one_number("any", "y/2", "way=b") == "20 %"


@pytest.mark.parametrize("entries", [[], ["way=c"]])
def test_one_number_refuses_rows_that_are_not_one_per_seed(records, entries):
    with refused(ValueError, "one_number", "any", "expected one row per seed"):
        rows.one_number("any", "y/1", *entries)
