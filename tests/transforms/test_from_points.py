"""Matrices from points: they map the points, and OpenCV finds the same ones."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import (
    Affine,
    Perspective,
    Warp,
    affine_from_points,
    perspective_from_points,
)
from tests.refusals import refused
from tests.strategies import seeds


def moved(matrix, points):
    """Each point by itself, following the definition."""
    result = []
    for x, y in points:
        u, v, w = matrix @ [x, y, 1]
        result.append((u / w, v / w))
    return np.array(result)


def triangle(rng):
    """Three points whose triangle is not thin."""
    while True:
        p, q, r = rng.uniform(-50, 300, (3, 2))
        if abs((q - p)[0] * (r - p)[1] - (q - p)[1] * (r - p)[0]) > 500:
            return np.array([p, q, r])


def quadrilateral(rng):
    """The corners of a convex quadrilateral, in order: a rectangle's, moved a little."""
    corners = np.array([[0, 0], [200, 0], [200, 120], [0, 120]])
    return corners + rng.uniform(-30, 30, (4, 2)) + rng.uniform(-100, 400, 2)


def test_affine_from_points_gives_opencvs_matrix_for_the_lectures_points():
    source = np.array([[50, 50], [200, 50], [50, 200]])
    target = np.array([[10, 100], [200, 50], [100, 250]])
    matrix = affine_from_points(source, target)
    expected = [[1.26667, 0.6, -83.33333], [-0.33333, 1.0, 66.66667], [0, 0, 1]]
    np.testing.assert_allclose(matrix, expected, atol=5e-6)


@given(seeds)
def test_affine_from_points_moves_three_points_and_agrees_with_opencv(seed):
    rng = np.random.default_rng(seed)
    source, target = triangle(rng), triangle(rng)
    matrix = affine_from_points(source, target)
    np.testing.assert_allclose(moved(matrix, source), target, atol=1e-8)
    assert matrix[2].tolist() == [0, 0, 1]
    theirs = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
    np.testing.assert_allclose(matrix[:2], theirs, rtol=1e-3, atol=1e-2)  # it takes float32 points
    back = affine_from_points(target, source)
    np.testing.assert_allclose(matrix @ back, np.eye(3), atol=1e-6)


@given(seeds)
def test_perspective_from_points_moves_four_points_and_agrees_with_opencv(seed):
    rng = np.random.default_rng(seed)
    # Both take the same float32 numbers.
    source, target = (quadrilateral(rng).astype(np.float32) for _ in range(2))
    matrix = perspective_from_points(source, target)
    np.testing.assert_allclose(moved(matrix, source), target, atol=1e-7)
    theirs = cv2.getPerspectiveTransform(source, target)
    # All multiples of a matrix are the same map, and one that ends in 1 may have huge entries. Ours
    # maps the points exactly, as just checked; OpenCV's rounds a little more.
    ours, theirs = (m / (m[2] @ [*source.mean(axis=0), 1]) for m in (matrix, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * abs(theirs).max())
    assert abs(matrix[2, 2]) == 1


@given(seeds)
def test_perspective_from_points_of_two_parallelograms_is_affine(seed):
    rng = np.random.default_rng(seed)
    p, q, r = triangle(rng)
    u, v, w = triangle(rng)
    if np.sign(np.cross([*(q - p), 0], [*(r - p), 0])[2]) != np.sign(
        np.cross([*(v - u), 0], [*(w - u), 0])[2]
    ):
        v, w = w, v
    matrix = perspective_from_points([p, q, q + r - p, r], [u, v, v + w - u, w])
    np.testing.assert_allclose(matrix, affine_from_points([p, q, r], [u, v, w]), atol=1e-6)


@given(seeds)
def test_perspective_from_points_keeps_lines_but_not_the_ratios_along_them(seed):
    rng = np.random.default_rng(seed)
    source, target = quadrilateral(rng), quadrilateral(rng)
    matrix = perspective_from_points(source, target)
    a, b = source[0], source[2]
    p, q, r = moved(matrix, [a, (a + b) / 2, b])
    line = (r - p) / np.linalg.norm(r - p)
    assert abs((q - p)[0] * line[1] - (q - p)[1] * line[0]) < 1e-7
    # The middle of a square moves towards the shorter side of a trapezium.
    trapezium = perspective_from_points(
        [[0, 0], [4, 0], [4, 4], [0, 4]], [[1, 0], [3, 0], [4, 4], [0, 4]]
    )
    assert moved(trapezium, [[2, 2]])[0, 1] == pytest.approx(4 / 3)


def test_perspective_moves_points_in_front_of_a_horizon_that_hides_the_first_pixel():
    source = np.array([[10, 100], [90, 100], [70, 60], [30, 60]])  # a road; the horizon is y = 20
    target = np.array([[0, 99], [49, 99], [49, 0], [0, 0]])
    road = Perspective(source, target, size=(100, 50))
    assert perspective_from_points(source, target)[2, 2] == -1
    points = road.apply_points(source, road.draw((120, 100)))
    np.testing.assert_allclose(points, target, atol=1e-9)
    with refused(ValueError, "Perspective: points[0]", "horizon"):
        road.apply_points([[0, 0]], road.draw((120, 100)))


def test_perspective_straightens_a_tilted_page():
    page = np.zeros((60, 40, 3), np.uint8)
    page[:] = np.linspace(40, 220, 60)[:, None, None]
    page[20:40, 10:30] = (250, 10, 10)
    corners = np.array([[0, 0], [39, 0], [39, 59], [0, 59]])
    seen = np.array([[20, 10], [100, 25], [90, 110], [12, 95]])
    photograph = Perspective(corners, seen, size=(120, 120))(page)
    straight = Perspective(seen, corners, size=(60, 40))(photograph)
    inner = (slice(2, -2), slice(2, -2))
    difference = abs(straight.astype(int) - page)[inner]
    assert np.median(difference) <= 2
    assert difference.mean() < 6  # the border of the red part is blurred twice


@given(seeds)
def test_perspective_and_its_inverse_restore_the_points(seed):
    rng = np.random.default_rng(seed)
    source, target = quadrilateral(rng), quadrilateral(rng)
    there, back = Perspective(source, target), Perspective(target, source)
    inside = (source * rng.dirichlet(np.ones(4), 7)[:, :, None]).sum(axis=1)
    there_points = there.apply_points(inside, there.draw((50, 50)))
    again = back.apply_points(there_points, back.draw((50, 50)))
    np.testing.assert_allclose(again, inside, atol=1e-7)


def test_affine_from_points_gives_the_shear_of_affine():
    H, W = 8, 12
    cx, cy = (W - 1) / 2, (H - 1) / 2
    source = np.array([[cx, cy], [cx + 4, cy], [cx, cy + 4]])
    matrix = affine_from_points(source, source + np.array([[0, 0], [0, 0], [2, 0]]))
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    difference = Warp(matrix)(image).astype(int) - Affine(shear=(0.5, 0))(image)
    assert abs(difference).max() <= 1


@given(st.floats(1e-3, 1e3), st.floats(-1e4, 1e4))
def test_affine_from_points_finds_collinear_points_at_any_scale_and_position(unit, place):
    thin = np.array([[0, 0], [100, 0], [50, 0.01]]) * unit + place * unit
    affine_from_points(thin, [[0, 0], [9, 0], [9, 9]])
    with refused(ValueError, "affine_from_points: source", "condition number"):
        affine_from_points(thin * [1, 0] + [0, 3], [[0, 0], [9, 0], [9, 9]])
