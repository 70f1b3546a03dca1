"""OperationSequence: fixed operations, drawn signs, and their replay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import OperationSequence
from minivision.transforms.randaugment import MONOTONE, NOISY_STUDENT
from minivision.transforms.tables import posterize, solarize
from tests.strategies import seeds
from tests.transforms.examples import images, reference_image


@given(
    image=images, seed=seeds, probability=st.sampled_from([0.0, 0.5, 1.0]),
    operations=st.lists(st.tuples(st.sampled_from(list(MONOTONE)), st.floats(0, 30)), max_size=4),
)  # fmt: skip
def test_operation_sequence_can_be_replayed_and_keeps_its_input(
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


def test_operation_sequence_applies_operations_in_order():
    image, rng = reference_image(), np.random.default_rng(0)
    y = OperationSequence([("solarize", 15), ("posterize", 30)])(image, rng)
    np.testing.assert_array_equal(y, posterize(solarize(image, 128), 4))
    assert (y != solarize(posterize(image, 4), 128)).any()


def test_operation_sequence_draws_signs_and_operations_for_every_image():
    policy, rng = OperationSequence([("rotate", 12), ("color", 20)], 0.5), np.random.default_rng(0)
    drawn = [policy.draw((32, 32), rng) for _ in range(4000)]
    angles = [step.amount for steps in drawn for step in steps if step.name == "rotate"]
    assert len(angles) == pytest.approx(2000, abs=130)  # 4 sigma
    assert set(angles) == {12, -12}
    assert np.mean(np.array(angles) > 0) == pytest.approx(0.5, abs=0.05)
    both, none = (sum(len(steps) == n for steps in drawn) for n in (2, 0))
    assert (both, none) == (pytest.approx(1000, abs=110), pytest.approx(1000, abs=110))


def test_operation_sequence_describes_the_magnitude_of_each_operation():
    policy = OperationSequence([("translate_x", 30), ("equalize", 0), ("rotate", 3)])
    assert policy.describe((20, 40)).splitlines() == [
        "translate_x    ±18.13 pixels", "equalize", "rotate         ±3 degrees",
    ]  # fmt: skip


def test_operation_sequence_accepts_the_other_preset_including_cutout():
    policy = OperationSequence([("cutout", 1), ("invert", 0)], preset="noisy_student", fill=7)
    steps = policy.draw((9, 12), np.random.default_rng(0))
    assert 0 <= steps[0].place[0] < 9
    assert policy.apply(np.zeros((9, 12, 3), np.uint8), steps).min() == 255 - 7
    assert "cutout" in NOISY_STUDENT
