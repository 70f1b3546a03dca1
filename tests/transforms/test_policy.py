"""OperationSequence: fixed operations, drawn signs, and that a draw can be done again."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import Compose, OperationSequence, describe, from_description
from minivision.transforms.randaugment import MONOTONE, NOISY_STUDENT, Step
from minivision.transforms.tables import posterize, solarize
from tests.strategies import seeds
from tests.transforms.test_light_and_tables import images, reference_image


@given(
    image=images, seed=seeds, probability=st.sampled_from([0.0, 0.5, 1.0]),
    operations=st.lists(st.tuples(st.sampled_from(list(MONOTONE)), st.floats(0, 30)), max_size=4),
)  # fmt: skip
def test_a_draw_can_be_done_again_and_the_image_that_came_stays(
    image, seed, probability, operations
):
    image.flags.writeable = False
    policy = OperationSequence(operations, probability)
    steps = policy.draw(image.shape[:2], np.random.default_rng(seed))
    y = policy.apply(image, steps)
    assert (y.shape, y.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(policy(image, np.random.default_rng(seed)), y)
    assert not np.shares_memory(y, image)
    if probability == 1:
        assert [step.name for step in steps] == [name for name, _ in operations]
    if probability == 0:
        np.testing.assert_array_equal(y, image)


def test_the_operations_are_done_in_their_order():
    image, rng = reference_image(), np.random.default_rng(0)
    y = OperationSequence([("solarize", 15), ("posterize", 30)])(image, rng)
    np.testing.assert_array_equal(y, posterize(solarize(image, 128), 4))
    assert (y != solarize(posterize(image, 4), 128)).any()


def test_signs_and_operations_are_drawn_for_every_image():
    policy, rng = OperationSequence([("rotate", 12), ("color", 20)], 0.5), np.random.default_rng(0)
    drawn = [policy.draw((32, 32), rng) for _ in range(4000)]
    angles = [step.amount for steps in drawn for step in steps if step.name == "rotate"]
    assert len(angles) == pytest.approx(2000, abs=130)  # 4 sigma
    assert set(angles) == {12, -12}
    assert np.mean(np.array(angles) > 0) == pytest.approx(0.5, abs=0.05)
    both, none = (sum(len(steps) == n for steps in drawn) for n in (2, 0))
    assert (both, none) == (pytest.approx(1000, abs=110), pytest.approx(1000, abs=110))


def test_each_operation_has_a_magnitude_of_its_own_and_says_what_it_means():
    policy = OperationSequence([("translate_x", 30), ("equalize", 0), ("rotate", 3)])
    assert policy.describe((20, 40)).splitlines() == [
        "translate_x    ±18.13 pixels", "equalize", "rotate         ±3 degrees",
    ]  # fmt: skip


def test_the_other_presets_operations_can_be_used_cutout_among_them():
    policy = OperationSequence([("cutout", 1), ("invert", 0)], preset="noisy_student", fill=7)
    steps = policy.draw((9, 12), np.random.default_rng(0))
    assert 0 <= steps[0].place[0] < 9
    assert policy.apply(np.zeros((9, 12, 3), np.uint8), steps).min() == 255 - 7
    assert "cutout" in NOISY_STUDENT


def test_it_comes_back_from_the_settings_of_a_run():
    transform = Compose([OperationSequence([["rotate", 9], ("color", 2.5)], 0.5, fill=0)])
    assert from_description(json.loads(json.dumps(describe(transform)))) == transform


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"operations": [("invert", 9)]}, r"preset 'monotone' has no operation 'invert'; expected"),
        ({"operations": [("rotate", 31)]}, r"the magnitude of 'rotate' is 31; expected a number"),
        ({"operations": [("rotate", "9")]}, r"the magnitude of 'rotate' is '9'"),
        ({"operations": ["rotate"]}, r"operations is \['rotate'\]; expected pairs of a name and"),
        ({"operations": ("rotate", 9)}, r"operations is \('rotate', 9\); expected pairs"),
        ({"operations": 3}, r"operations is 3; expected pairs"),
        ({"operations": [], "probability": 1.5}, r"probability is 1.5; expected a number from 0"),
        ({"operations": [], "preset": "timm"}, r"preset is 'timm'; expected one of monotone"),
        ({"operations": [], "fill": -1}, r"fill is -1"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, sentence):
    with pytest.raises(ValueError, match="^OperationSequence: " + sentence):
        OperationSequence(**settings)


def test_a_step_of_another_preset_and_a_missing_generator_are_named():
    policy = OperationSequence([("rotate", 9)])
    with pytest.raises(ValueError, match=r"^OperationSequence: preset 'monotone' has no operation"):
        policy.apply(reference_image(), [Step("invert")])
    with pytest.raises(ValueError, match=r"^OperationSequence: no rng came"):
        policy(reference_image())
