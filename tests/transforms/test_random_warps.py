"""Random rotations, affine maps and perspectives: what they draw, how often, and their replay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import RandomAffine, RandomPerspective, RandomRotation, Rotate
from tests.strategies import seeds
from tests.transforms.examples import random_image, sides


@given(sides, sides, seeds)
def test_random_warps_with_ranges_of_0_change_nothing(H, W, seed):
    rng = np.random.default_rng(seed)
    image = random_image(H, W, seed=seed)
    for transform in (RandomRotation(0), RandomAffine(), RandomPerspective(0)):
        np.testing.assert_array_equal(transform(image, rng), image)


def test_random_rotation_draws_uniform_angles():
    rng = np.random.default_rng(0)
    matrices = np.array([RandomRotation(40).draw((9, 9), rng).matrix for _ in range(2000)])
    degrees = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert abs(degrees).max() <= 40
    counts, _ = np.histogram(degrees, 8, (-40, 40))
    assert abs(counts - 250).max() < 60  # four standard errors


def test_random_rotation_draws_a_rotation():
    drawn = RandomRotation(40).draw((9, 7), np.random.default_rng(1))
    degrees = float(np.degrees(np.arctan2(drawn.matrix[0][1], drawn.matrix[0][0])))
    np.testing.assert_allclose(drawn.matrix, Rotate(degrees).draw((9, 7)).matrix, atol=1e-9)


def test_random_affine_draws_a_number_for_each_setting():
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
def test_random_perspective_moves_corners_inwards_by_at_most_half_the_distortion(H, W, d, seed):
    transform = RandomPerspective(d)
    drawn = transform.draw((H, W), np.random.default_rng(seed))
    corners = np.array([[0, 0], [W, 0], [W, H], [0, H]]) - 0.5
    moved = transform.apply_points(corners, drawn)
    inwards = (moved - corners) * [[1, 1], [-1, 1], [-1, -1], [1, -1]] / [W, H]
    assert inwards.min() >= -1e-9
    assert inwards.max() <= d / 2 + 1e-9
