"""RandAugment: what its strengths mean, what it draws, and its replay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import RandAugment
from minivision.transforms.randaugment import MONOTONE, NOISY_STUDENT, Step
from tests.strategies import seeds
from tests.transforms.examples import images, reference_image

# How far an operation of the monotone table is from changing nothing.
DISTANCE = {"solarize": lambda amount: 256 - amount, "posterize": lambda amount: 8 - amount}
WITH_A_STRENGTH = [name for name, operation in MONOTONE.items() if operation.amount]


def amount(table, name, magnitude, length=32):
    return table[name].amount(magnitude, length)


def test_randaugment_has_the_14_operations_of_the_paper():
    assert set(MONOTONE) == {
        "identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize",
        "contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
    }  # fmt: skip


@pytest.mark.parametrize("name", WITH_A_STRENGTH)
def test_randaugment_strength_grows_from_0_with_the_magnitude(name):
    distance = DISTANCE.get(name, lambda amount: amount)
    distances = [distance(amount(MONOTONE, name, M)) for M in range(31)]
    assert distances[0] == 0
    assert (np.diff(distances) >= 0).all()
    assert distances[30] > 0


@pytest.mark.parametrize("name", WITH_A_STRENGTH)
@given(image=images, seed=seeds)
def test_randaugment_at_magnitude_0_changes_nothing(name, image, seed):
    transform = RandAugment(1, 0)
    rng = np.random.default_rng(seed)
    while (steps := transform.draw(image.shape[:2], rng))[0].name != name:
        pass
    np.testing.assert_array_equal(transform.apply(image, steps), image)


@pytest.mark.parametrize(
    ("name", "at_9", "at_30"),
    [
        ("rotate", 9, 30), ("shear_x", 0.09, 0.3), ("shear_y", 0.09, 0.3),
        ("brightness", 0.27, 0.9), ("color", 0.27, 0.9), ("posterize", 7, 4),
        ("solarize", 179.2, 0), ("translate_x", 32 * 0.13595, 32 * 0.45317),
    ],
)  # fmt: skip
def test_randaugment_has_the_strengths_of_torchvision_except_for_solarize(name, at_9, at_30):
    assert amount(MONOTONE, name, 9) == pytest.approx(at_9, rel=1e-4)
    assert amount(MONOTONE, name, 30) == pytest.approx(at_30, rel=1e-4)


def test_randaugment_removes_up_to_4_bits_by_posterize():
    bits = [amount(MONOTONE, "posterize", M) for M in range(31)]
    assert bits == [8] * 4 + [7] * 8 + [6] * 7 + [5] * 8 + [4] * 4


@pytest.mark.parametrize(
    ("name", "at_27"),
    [
        ("rotate", 81), ("shear_x", 0.81), ("color", 4.96), ("translate_y", 270),
        ("posterize", 8), ("solarize", 691), ("solarize_add", 255), ("cutout", 108),
    ],
)  # fmt: skip
def test_randaugment_has_the_strengths_of_noisy_student_at_27(name, at_27):
    assert amount(NOISY_STUDENT, name, 27, 224) == pytest.approx(at_27)


def test_randaugment_copies_the_oddities_of_noisy_students_code():
    image = reference_image()
    for name in ("color", "brightness", "sharpness", "contrast"):
        assert amount(NOISY_STUDENT, name, 5) == pytest.approx(1)
    flat = RandAugment(1, 0, "noisy_student").apply(image, [Step("contrast", 0.0)])
    assert (flat == 16 * 20 // 256).all()  # the number of pixels / 256


def test_randaugment_draws_operations_and_signs_equally_often():
    rng, transform = np.random.default_rng(0), RandAugment(2, 15)
    steps = [step for _ in range(7_000) for step in transform.draw((32, 32), rng)]
    for name in MONOTONE:
        amounts = [step.amount for step in steps if step.name == name]
        assert len(amounts) == pytest.approx(1_000, abs=130)  # 4 sigma
        middle = 1 if MONOTONE[name].sign == "1 ±" else 0
        if MONOTONE[name].sign:
            assert np.mean([a > middle for a in amounts]) == pytest.approx(0.5, abs=0.08)
            assert len(set(amounts)) == 2
    assert any(one.name == other.name for one, other in zip(steps[::2], steps[1::2], strict=True))


@given(
    image=images, count=st.integers(0, 4), magnitude=st.floats(0, 30), seed=seeds,
    preset=st.sampled_from(["monotone", "noisy_student"]),
)  # fmt: skip
def test_randaugment_can_be_replayed_and_keeps_its_input(image, count, magnitude, seed, preset):
    image.flags.writeable = False
    transform = RandAugment(count, magnitude, preset)
    steps = transform.draw(image.shape[:2], np.random.default_rng(seed))
    y = transform.apply(image, steps)
    assert (y.shape, y.dtype, len(steps)) == (image.shape, np.uint8, count)
    np.testing.assert_array_equal(transform.apply(image, steps), y)
    np.testing.assert_array_equal(transform(image, np.random.default_rng(seed)), y)
    assert not np.shares_memory(y, image)


def test_randaugment_applies_operations_in_the_order_drawn():
    image = reference_image()
    dark, inverted = Step("brightness", 0.5), Step("solarize", 0.0)
    transform = RandAugment()
    assert transform.apply(image, [dark, inverted]).min() >= 127
    assert transform.apply(image, [inverted, dark]).max() <= 127


def test_randaugment_cutout_fills_a_square_around_its_position():
    image = np.zeros((9, 9, 3), np.uint8)
    y = RandAugment(1, 1, "noisy_student", fill=5).apply(image, [Step("cutout", 2, (1, 6))])
    expected = image.copy()
    expected[0:3, 4:8] = 5
    np.testing.assert_array_equal(y, expected)


def test_randaugment_describes_what_it_will_do_and_what_it_did():
    lines = RandAugment(2, 15).describe((20, 40)).splitlines()
    assert lines[0] == "identity"
    assert "solarize       128 and above" in lines
    assert "translate_x    ±9.063 pixels" in lines
    assert "translate_y    ±4.532 pixels" in lines
    steps = RandAugment(2, 9).draw((32, 32), np.random.default_rng(2))
    assert str(steps) == "shear_y -0.09, rotate 9"
    assert str(RandAugment(0).draw((4, 4), np.random.default_rng(0))) == "nothing"
