"""Every claim of the lecture is on the site, with a lesson, and its verdict is computed."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))

from effects import Effect, effect, read  # noqa: E402

CLAIMS = json.loads((ROOT / "docs" / "claims.json").read_text("utf-8"))
SPECIFICATIONS = {
    f"claim {claim['number']}, {place}": one
    for claim in CLAIMS
    for place, one in enumerate(claim.get("effects", []), 1)
}


def test_claims_are_numbered_from_1_to_59():
    assert [claim["number"] for claim in CLAIMS] == list(range(1, 60))


def test_claims_name_lessons_that_exist():
    for claim in CLAIMS:
        assert claim["lessons"], claim
        for number in claim["lessons"]:
            assert list((ROOT / "examples").glob(f"plot_{number:02}_*.py")), claim


def test_claims_without_an_effect_name_a_part_of_their_lesson():
    for claim in CLAIMS:
        assert ("effects" in claim) != ("shown_in" in claim), claim["number"]
        if "shown_in" in claim:
            (lesson,) = (ROOT / "examples").glob(f"plot_{claim['lessons'][0]:02}_*.py")
            title = claim["shown_in"]
            assert f"# {title}\n# {'-' * len(title)}\n" in lesson.read_text("utf-8"), title


def test_claims_take_their_effects_from_records_that_the_page_of_results_shows():
    page = (ROOT / "docs" / "measured" / "index.md").read_text("utf-8")
    files = {one["file"] for one in SPECIFICATIONS.values()}
    assert {name for name in files if f"{{record}} {name}\n" not in page} == set()


@pytest.mark.parametrize("specification", SPECIFICATIONS.values(), ids=SPECIFICATIONS)
def test_effect_can_be_computed_from_its_record(specification):
    if specification["file"] == "noisy_student" and not any(
        row["data"] == specification["rows"]["data"] for row in read("noisy_student")
    ):
        pytest.skip("not recorded yet")
    assert effect(specification) is not None


def rows(gains):
    """Two variants at two learning rates; the choosing seed prefers the second rate."""
    made = []
    for way in ("a", "b"):
        for lr, score in ((0.1, 0.5), (0.2, 0.6)):
            made.append({"way": way, "lr": lr, "seed": 100, "validation_accuracy": score})
            for seed, gain in enumerate(gains):
                right = 0.5 + (gain if way == "a" else 0) if lr == 0.2 else 9.0
                made.append({"way": way, "lr": lr, "seed": seed, "test_accuracy": right})
    return made


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.03, 0.04, 0.05), "seen"),
        ((-0.03, -0.04, -0.05), "the opposite is seen"),
        ((0.10, -0.05, 0.01), "not seen"),
        ((0.10, 0.10), "not seen"),  # two seeds are not enough
    ],
)
def test_effect_gets_the_verdict_of_its_gains(gains, verdict):
    found = effect(
        {"value": "test_accuracy", "rows": {"way": "a"}, "than": {"way": "b"},
         "choose": {"setting": "lr", "by": "validation_accuracy"}},
        rows(gains),
    )  # fmt: skip
    assert found.mean == pytest.approx(100 * sum(gains) / len(gains))
    assert found.verdict == verdict


def test_effect_of_exactly_two_standard_errors_is_not_seen():
    assert Effect(2.0, 1.0, 3).verdict == "not seen"
