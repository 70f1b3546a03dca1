"""Every claim of the lecture is on the site, with a lesson, and its verdict is computed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from effects import Effect, by_chance, conditions, effect, told  # noqa: E402

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
    assert effect(specification) is not None


# Made-up records: they break no rule, and then each breaks one.

SPECIFICATION = {
    "value": "test_accuracy",
    "rows": {"way": "a"},
    "than": {"way": "b"},
    "choose": {"setting": "lr", "by": "validation_accuracy"},
}
FIVE = (0.03, 0.04, 0.05, 0.04, 0.03)


def rows(gains=FIVE, scores=(0.5, 0.6, 0.5), choosing=(100,), **columns):
    """Two variants at three learning rates; the choosing seeds score them as `scores` says."""
    made = []
    for way in ("a", "b"):
        for lr, score in zip((0.1, 0.2, 0.4), scores, strict=True):
            of = {"way": way, "lr": lr, "train_accuracy": 0.99, **columns}
            made += [of | {"seed": seed, "validation_accuracy": score} for seed in choosing]
            for seed, gain in enumerate(gains):
                right = 0.5 + (gain if way == "a" else 0) if score == max(scores) else 9.0
                made.append(of | {"seed": seed, "test_accuracy": right})
    return made


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        (FIVE, "seen"),
        ([-gain for gain in FIVE], "opposite"),
        ((0.10, -0.05, 0.01, 0.02, 0.03), "not seen"),
        # Two standard errors, but not 2.78:
        ((0.00, 0.01, 0.02, 0.03, 0.00), "not seen"),
    ],
)
def test_effect_gets_the_verdict_of_its_gains(gains, verdict):
    found = effect(SPECIFICATION, rows(gains))
    assert found.mean == pytest.approx(100 * sum(gains) / len(gains))
    assert found.verdict == verdict


def test_effect_of_exactly_its_half_width_is_not_seen():
    half_width = Effect(0.0, 1.0, 5).half_width
    assert half_width == pytest.approx(2.776, abs=1e-3)
    assert Effect(half_width, 1.0, 5).verdict == "not seen"


UNDECIDED = "cannot be decided at this size"


def doubled(change, once=0.6):
    """The same runs, and one that was trained twice as long, for each variant."""
    longer = {"lr": 0.2, "seed": 100, "validation_accuracy": once + change, "trained": "twice"}
    once = [row | {"trained": "once"} for row in rows()]
    return [*once, *({"way": way} | longer for way in ("a", "b"))]


@pytest.mark.parametrize(
    ("record", "more", "verdict", "reason"),
    [
        # The chosen setting is at an end of its grid.
        (rows(scores=(0.6, 0.5, 0.4)), {}, "grid too narrow", "lr = 0.1"),
        (rows(scores=(0.4, 0.5, 0.6)), {}, "grid too narrow", "lr = 0.4"),
        (
            rows(scores=(0.6, 0.5, 0.4)),
            {"choose": SPECIFICATION["choose"] | {"natural_ends": [0.1]}},
            "seen",
            "",
        ),
        # Five counted seeds are needed; three if all runs take more than half an hour.
        (rows(FIVE[:4]), {}, UNDECIDED, "4 seeds, but 5 are needed"),
        (rows(FIVE[:3], seconds=1700), {}, UNDECIDED, "3 seeds, but 5 are needed"),
        (rows(FIVE[:3], seconds=1900), {}, "seen", ""),
        (rows(FIVE[:2], seconds=1900), {}, UNDECIDED, "2 seeds, but 3 are needed"),
        # Three choosing seeds are needed where labels are few.
        (rows(labels=100), {}, UNDECIDED, "only 1 choosing seeds; 3 are needed"),
        (rows(labels=100, choosing=(100, 101, 102)), {}, "seen", ""),
        (rows(labels=600), {}, "seen", ""),
        # The network without the regularizer must fit its training images.
        (rows(train_accuracy=0.94), {"fits": "train_accuracy"}, UNDECIDED, "accuracy is 94 %"),
        (rows(train_accuracy=0.95), {"fits": "train_accuracy"}, "seen", ""),
        (rows(), {"fits": "no_such_column"}, UNDECIDED, "training accuracy is not recorded"),
        # Twice the epochs must change the accuracy by less than the effect.
        (rows(), {"doubled": {"trained": "twice"}}, UNDECIDED, "epochs are not recorded"),
        # An effect as small as the paper's must be visible.
        (rows((0.05, -0.05, 0.05, -0.05, 0.0)), {"paper": 0.4}, UNDECIDED, "smaller than ± 6.2"),
        (rows((0.05, -0.05, 0.05, -0.05, 0.0)), {"paper": 9.0}, "not seen", ""),
        (rows(), {"paper": 0.4}, "seen", ""),
    ],
)
def test_effect_that_breaks_a_rule_is_not_decided(record, more, verdict, reason):
    found = effect(SPECIFICATION | more, record)
    assert found.verdict == verdict
    assert reason in told(found)


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.03, "seen"), (0.05, UNDECIDED), (-0.05, UNDECIDED)]
)
def test_effect_of_an_architecture_is_judged_only_after_long_training(change, verdict):
    asked = SPECIFICATION | {"doubled": {"trained": "twice"}}
    asked["rows"], asked["than"] = ({"way": way, "trained": "once"} for way in ("a", "b"))
    found = effect(asked, doubled(change))
    assert found.verdict == verdict
    if found.against:
        assert f"by {100 * change:+.1f} points" in told(found)


def test_effect_of_two_settings_needs_both_of_them_inside_their_grids():
    grid = [(count, m) for count in (1, 2, 3) for m in (3, 5, 9)]
    record = [
        {"way": way, "N": count, "M": m, "seed": 100, "score": 1 - abs(count - 2) - abs(m - 5)}
        for way in ("a", "b")
        for count, m in grid
    ] + [
        {"way": way, "N": 2, "M": 5, "seed": seed, "test_accuracy": 0.5 + gain * (way == "a")}
        for way in ("a", "b")
        for seed, gain in enumerate(FIVE)
    ]
    asked = SPECIFICATION | {"choose": {"setting": ["N", "M"], "by": "score"}}
    assert effect(asked, record).verdict == "seen"
    fewer = [row for row in record if row["N"] < 3]
    assert effect(asked, fewer).against == "grid too narrow: N = 2 is at its end"


def test_by_chance_counts_one_verdict_in_twenty_decided_effects():
    decided, broken = Effect(1.0, 1.0, 5), Effect(1.0, 1.0, 3, "3 seeds")
    assert by_chance([decided] * 40 + [broken, None]) == pytest.approx(2.0)


def test_effect_of_nothing_is_called_seen_by_chance_in_one_case_of_twenty():
    """The rule of five seeds keeps its promise; two standard errors of three seeds would not."""
    rng = np.random.default_rng(0)
    verdicts = {5: 0, 3: 0}
    for _ in range(2000):
        for seeds in verdicts:
            gains = rng.normal(size=seeds)
            error = gains.std(ddof=1) / seeds**0.5
            if seeds == 5:
                verdicts[5] += Effect(gains.mean(), error, 5).verdict != "not seen"
            else:
                verdicts[3] += abs(gains.mean()) > 2 * error
    assert verdicts[5] / 2000 == pytest.approx(0.05, abs=0.015)
    assert verdicts[3] / 2000 == pytest.approx(0.18, abs=0.03)


def test_conditions_tell_the_updates_the_training_accuracy_and_the_work():
    record = rows(updates=1260, work=0.25)
    assert conditions(SPECIFICATION, record) == (
        "lr 0.2; updates 1,260; training accuracy 99.0%; multiply-adds 0.25·10¹²"
    )
