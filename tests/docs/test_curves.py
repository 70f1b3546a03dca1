"""Curves and single numbers of the site are those of the records."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "extensions"))
import line_charts
import rows

ROWS = [
    {"way": "a", "seed": 0, "y": {"1": 0.5, "2": 0.75}},
    {"way": "a", "seed": 1, "y": {"1": 0.7, "2": 0.85}},
    {"way": "b", "seed": 0, "y": {"1": 0.1, "2": 0.2}},
    {"way": "a", "seed": 100, "y": {"1": 0.0, "2": 0.0}},  # it chose the settings: not drawn
]


def test_a_line_has_the_values_of_every_seed_at_every_x():
    found = line_charts.lines(ROWS, ["way"], "y", "x")
    assert found == {"a": {1: [0.5, 0.7], 2: [0.75, 0.85]}, "b": {1: [0.1], 2: [0.2]}}


def test_the_picture_is_told_to_those_who_do_not_see_it():
    told = line_charts.in_words(line_charts.lines(ROWS, ["way"], "y", "x"), "y", "x")
    assert told == "y against x: a goes from 0.6 at 1 to 0.8 at 2; b goes from 0.1 at 1 to 0.2 at 2"


def test_a_curve_is_drawn_in_percent_with_a_legend():
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
def test_rows_that_are_not_one_a_seed_are_refused(records, entries):
    with pytest.raises(ValueError, match="expected one a seed"):
        rows.one_number("any", "y/1", *entries)
