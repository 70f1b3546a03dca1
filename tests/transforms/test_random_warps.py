"""Random rotations, affine maps and perspectives: what is drawn, how often, and replayed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import RandomAffine, RandomPerspective, RandomRotation, Rotate
from tests.strategies import seeds

sides = st.integers(1, 12)
SETTINGS = [
    RandomRotation(30, fill=5),
    RandomRotation(30, "nearest", "edge"),
    RandomAffine(20, 3, (0.7, 1.2), 0.3, border="reflect"),
    RandomPerspective(0.5),
    RandomPerspective(0.6, "nearest"),
]
each = pytest.mark.parametrize("transform", SETTINGS, ids=repr)


@each
@given(H=sides, W=sides, C=st.sampled_from([1, 3, 4]), seed=seeds)
def test_a_call_is_apply_after_draw_on_an_image_that_is_left_alone(transform, H, W, C, seed):
    image = np.random.default_rng(seed).integers(0, 256, (H, W, C), dtype=np.uint8)
    image.flags.writeable = False
    called = transform(image, np.random.default_rng(seed))
    drawn = transform.draw((H, W), np.random.default_rng(seed))
    np.testing.assert_array_equal(transform.apply(image, drawn), called)
    assert called.shape == image.shape
    assert called.dtype == np.uint8
    assert called.flags.c_contiguous
    assert not np.shares_memory(called, image)


@each
def test_it_needs_a_generator_and_images_of_the_size_it_drew_for(transform):
    name = type(transform).__name__
    with pytest.raises(ValueError, match=f"{name}: no rng came"):
        transform(np.zeros((4, 4, 1), np.uint8))
    drawn = transform.draw((4, 4), np.random.default_rng(0))
    with pytest.raises(ValueError, match=rf"{name}: .* drawn for images of size \(4, 4\)"):
        transform.apply(np.zeros((4, 5, 1), np.uint8), drawn)
    assert transform.random


@given(sides, sides, seeds)
def test_with_nothing_to_draw_nothing_changes(H, W, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
    for transform in (RandomRotation(0), RandomAffine(), RandomPerspective(0)):
        np.testing.assert_array_equal(transform(image, rng), image)


def test_angles_are_uniform():
    rng = np.random.default_rng(0)
    matrices = np.array([RandomRotation(40).draw((9, 9), rng).matrix for _ in range(2000)])
    degrees = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert abs(degrees).max() <= 40
    counts, _ = np.histogram(degrees, 8, (-40, 40))
    assert abs(counts - 250).max() < 60  # four standard errors


def test_a_random_rotation_is_a_rotation():
    drawn = RandomRotation(40).draw((9, 7), np.random.default_rng(1))
    degrees = float(np.degrees(np.arctan2(drawn.matrix[0][1], drawn.matrix[0][0])))
    np.testing.assert_allclose(drawn.matrix, Rotate(degrees).draw((9, 7)).matrix, atol=1e-9)


def test_every_setting_of_random_affine_draws_its_own_number():
    rng = np.random.default_rng(0)

    def drawn(**settings):
        return np.array([RandomAffine(**settings).draw((9, 9), rng).matrix for _ in range(500)])

    shifts = drawn(translate=4)[:, :2, 2]
    assert abs(shifts).max() <= 4
    assert (abs(shifts).max(axis=0) > 3.9).all()
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.2
    scales = drawn(scale=(0.5, 2))
    assert 0.5 <= scales[:, 0, 0].min() < 0.52
    assert 1.98 < scales[:, 0, 0].max() <= 2
    np.testing.assert_array_equal(scales[:, 0, 0], scales[:, 1, 1])
    shears = drawn(shear=0.4)
    assert abs(np.corrcoef(shears[:, 0, 1], shears[:, 1, 0])[0, 1]) < 0.2
    for entry in (shears[:, 0, 1], shears[:, 1, 0]):
        assert 0.39 < abs(entry).max() <= 0.4
    turns = drawn(degrees=25)
    assert 24 < np.degrees(np.arcsin(abs(turns[:, 0, 1]))).max() <= 25


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 0.66), seeds)
def test_the_corners_of_a_random_perspective_move_inwards_as_far_as_distortion_says(H, W, d, seed):
    transform = RandomPerspective(d)
    drawn = transform.draw((H, W), np.random.default_rng(seed))
    corners = np.array([[0, 0], [W, 0], [W, H], [0, H]]) - 0.5
    moved = transform.apply_points(corners, drawn)
    inwards = (moved - corners) * [[1, 1], [-1, 1], [-1, -1], [1, -1]] / [W, H]
    assert inwards.min() >= -1e-9
    assert inwards.max() <= d / 2 + 1e-9


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RandomRotation(-3), "RandomRotation: degrees is -3; expected a finite number, 0"),
        (lambda: RandomRotation(3, fill=-1), "RandomRotation: fill is -1"),
        (lambda: RandomRotation(3, border="zero"), "RandomRotation: border is 'zero'"),
        (lambda: RandomAffine(translate=(1, 2)), r"RandomAffine: translate is \(1, 2\)"),
        (lambda: RandomAffine(shear=1), "RandomAffine: shear is 1; expected a number below 1"),
        (lambda: RandomAffine(scale=1.5), r"RandomAffine: scale is 1.5; expected \(low, high\)"),
        (lambda: RandomAffine(scale=(2, 1)), "with 0 < low <= high"),
        (lambda: RandomPerspective(0.7), "RandomPerspective: distortion is 0.7"),
        (lambda: RandomPerspective(0.5, "cubic"), "RandomPerspective: interpolation is 'cubic'"),
    ],
)
def test_wrong_settings_raise_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
