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


def test_all_59_claims_are_there_once():
    assert [claim["number"] for claim in CLAIMS] == list(range(1, 60))


def test_every_claim_ends_in_a_lesson_that_exists():
    for claim in CLAIMS:
        assert claim["lessons"], claim
        for number in claim["lessons"]:
            assert list((ROOT / "examples").glob(f"plot_{number:02}_*.py")), claim


@pytest.mark.parametrize("specification", SPECIFICATIONS.values(), ids=SPECIFICATIONS)
def test_every_effect_can_be_computed_from_its_record(specification):
    if specification["file"] == "noisy_student" and not any(
        row["data"] == specification["rows"]["data"] for row in read("noisy_student")
    ):
        pytest.skip("not recorded yet")
    assert effect(specification) is not None


def rows(gains):
    """Two ways, at two rates, of which the choosing seed prefers the second."""
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
def test_the_verdict_follows_the_rule(gains, verdict):
    found = effect(
        {"value": "test_accuracy", "rows": {"way": "a"}, "than": {"way": "b"},
         "choose": {"setting": "lr", "by": "validation_accuracy"}},
        rows(gains),
    )  # fmt: skip
    assert found.mean == pytest.approx(100 * sum(gains) / len(gains))
    assert found.verdict == verdict


def test_an_effect_of_exactly_two_standard_errors_is_not_seen():
    assert Effect(2.0, 1.0, 3).verdict == "not seen"
