"""Rotations, affine maps and any matrix: against loops, grid_sample, and the laws of geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.functional import affine_grid, grid_sample
from minivision.transforms import Affine, Rotate, Rotate90, Scale, Translate, Warp
from minivision.transforms.resampling import places, read, warp
from tests.strategies import seeds
from tests.transforms.examples import channels, random_image, sides

angles = st.floats(-400, 400)
# Half a grey level for rounding to bytes, and what OpenCV's float32 weights add. (OpenCV 4 rounded
# places to 1/32 pixel, which alone is worth 255/32 = 8 levels; OpenCV 5 no longer does.)
TOLERANCE = 0.52


def read_by_definition(image, x, y, interpolation, border, fill):
    """One pixel (C) at the position x, y, by definition, with the rule of the border."""
    H, W, C = image.shape

    def pixel(row, column):
        if border == "constant" and not (0 <= row < H and 0 <= column < W):
            return np.full(C, float(fill))
        for _ in range(100):  # from mirror to mirror until inside
            if border == "reflect":
                row = -row if row < 0 else 2 * (H - 1) - row if row >= H else row
                column = -column if column < 0 else 2 * (W - 1) - column if column >= W else column
        return image[min(max(row, 0), H - 1), min(max(column, 0), W - 1)].astype(float)

    if interpolation == "nearest":
        return pixel(int(np.floor(y + 0.5)), int(np.floor(x + 0.5)))
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - left, y - top
    above = (1 - fx) * pixel(top, left) + fx * pixel(top, left + 1)
    below = (1 - fx) * pixel(top + 1, left) + fx * pixel(top + 1, left + 1)
    return (1 - fy) * above + fy * below


@pytest.mark.parametrize("border", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@given(H=st.integers(2, 7), W=st.integers(2, 7), C=channels, degrees=angles, seed=seeds)
def test_rotate_equals_its_definition(interpolation, border, H, W, C, degrees, seed):
    image = random_image(H, W, C, seed)
    result = Rotate(degrees, interpolation, border, fill=40)(image)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    cx, cy = (W - 1) / 2, (H - 1) / 2
    for v in range(H):
        for u in range(W):
            # Back, clockwise: with y down a counter-clockwise turn is x cos + y sin, y cos - x sin.
            x = cx + (u - cx) * cos - (v - cy) * sin
            y = cy + (u - cx) * sin + (v - cy) * cos
            ties = [abs(n - np.floor(n) - 0.5) < 1e-5 for n in (x, y)]
            if interpolation == "nearest" and any(ties):
                continue  # either neighbour is right
            expected = read_by_definition(image, x, y, interpolation, border, 40)
            np.testing.assert_allclose(result[v, u], expected, atol=TOLERANCE)


@given(H=sides, W=sides, C=channels, degrees=angles, factor=st.floats(0.6, 1.6), seed=seeds)
def test_affine_equals_the_differentiable_grid_sample(H, W, C, degrees, factor, seed):
    image = random_image(H, W, C, seed)
    transform = Affine(degrees, (1.5, -0.5), factor, (0.2, -0.1))
    result = transform(image)
    # grid_sample expects the inverse map, in coordinates from -1 to 1 between the edges.
    to_pixels = np.array([[W / 2, 0, (W - 1) / 2], [0, H / 2, (H - 1) / 2], [0, 0, 1]])
    forward = np.array(transform.draw((H, W)).matrix)
    theta = np.linalg.inv(to_pixels) @ np.linalg.inv(forward) @ to_pixels
    x = image.transpose(2, 0, 1)[None].astype(np.float64)
    grid = affine_grid(theta[None, :2], (1, C, H, W))
    expected = grid_sample(x, grid).numpy()[0].transpose(1, 2, 0)
    np.testing.assert_allclose(result, expected, atol=TOLERANCE)


@given(H=sides, W=sides, C=channels, degrees=angles, seed=seeds)
def test_warp_gives_the_same_pixels_as_plain_reading(H, W, C, degrees, seed):
    image = random_image(H, W, C, seed)
    matrix = Rotate(degrees).draw((H, W)).matrix
    fast = warp(image, matrix, (H + 1, W + 2), fill=9).astype(int)
    plain = read(image, *places(matrix, (H + 1, W + 2)), fill=9)
    assert abs(fast - plain).max() <= 1  # where the exact value is a half, and rounds either way


@given(st.integers(1, 9), channels, st.integers(-4, 4), seeds)
def test_rotate_by_quarter_turns_is_exact(side, C, turns, seed):
    image = random_image(side, side, C, seed)
    for interpolation in ("bilinear", "nearest"):
        result = Rotate(90 * turns, interpolation)(image)
        np.testing.assert_array_equal(result, Rotate90(turns)(image))


@given(sides, sides, channels, seeds)
def test_rotate_by_a_half_turn_loses_no_pixel(H, W, C, seed):
    image = random_image(H, W, C, seed)
    np.testing.assert_array_equal(Rotate(180)(image), image[::-1, ::-1])


@given(st.integers(2, 20), st.integers(2, 20), angles, seeds)
def test_rotate_and_its_inverse_restore_the_points(H, W, degrees, seed):
    points = np.random.default_rng(seed).uniform(-5, 25, (6, 2))
    there, back = Rotate(degrees), Rotate(-degrees)
    moved = there.apply_points(points, there.draw((H, W)))
    np.testing.assert_allclose(back.apply_points(moved, back.draw((H, W))), points, atol=1e-9)
    centre = np.array([[(W - 1) / 2, (H - 1) / 2]])
    np.testing.assert_allclose(there.apply_points(centre, there.draw((H, W))), centre, atol=1e-9)


def test_rotate_by_a_positive_angle_turns_counter_clockwise():
    turn = Rotate(30)
    [[x, y]] = turn.apply_points(np.array([[20.0, 10.0]]), turn.draw((21, 21)))  # right of it
    assert (x, y) == pytest.approx((10 + 10 * 3**0.5 / 2, 10 - 5))  # above: y points down


# ── an affine map keeps lines, parallels, and ratios along them (claim 33) ─────────────────────

numbers = st.floats(-3, 3)


def affine(degrees, scale, shear):
    transform = Affine(degrees, (2.0, -1.0), scale, shear)
    drawn = transform.draw((10, 20))
    return lambda points: transform.apply_points(np.array(points), drawn)


def cross(a, b):
    return a[0] * b[1] - a[1] * b[0]


shears = st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
scales = st.floats(0.2, 4)


@given(angles, scales, shears, seeds)
def test_affine_keeps_lines_and_the_ratios_along_them(degrees, scale, shear, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-30, 30, (2, 2))
    t = rng.uniform(-2, 3)
    p, q, r = affine(degrees, scale, shear)([a, b, a + t * (b - a)])
    np.testing.assert_allclose(r, p + t * (q - p), atol=1e-9)


@given(angles, scales, shears, seeds)
def test_affine_keeps_parallels_and_the_ratio_of_their_lengths(degrees, scale, shear, seed):
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(-30, 30, (3, 2))
    ratio = rng.uniform(0.1, 4)
    p, q, r, s = affine(degrees, scale, shear)([a, b, c, c + ratio * (b - a)])
    assert abs(cross(q - p, s - r)) < 1e-7 * (1 + np.linalg.norm(q - p) * np.linalg.norm(s - r))
    assert np.linalg.norm(s - r) == pytest.approx(ratio * np.linalg.norm(q - p))


def test_affine_changes_the_ratio_of_lengths_that_are_not_parallel():
    p, q, r = affine(0, 1, (0.5, 0.0))([[0, 0], [4, 0], [0, 4]])
    assert np.linalg.norm(q - p) == pytest.approx(4)
    assert np.linalg.norm(r - p) == pytest.approx(np.hypot(2, 4))


@given(angles, scales, shears)
def test_affine_scales_all_areas_by_the_same_factor(degrees, scale, shear):
    p, q, r = affine(degrees, scale, shear)([[0, 0], [1, 0], [0, 1]])
    assert cross(q - p, r - p) == pytest.approx(scale**2 * (1 - shear[0] * shear[1]))


# ── affine maps of one kind ───────────────────────────────────────────────────────────────────


@given(sides, sides, channels, seeds)
def test_affine_with_one_setting_equals_the_transform_of_that_name(H, W, C, seed):
    image = random_image(H, W, C, seed)
    for one, other in (
        (Affine(), Translate(0, 0)),
        (Affine(33.0), Rotate(33.0)),
        (Affine(translate=(2, -1.5)), Translate(2, -1.5)),
        (Affine(scale=1.3), Scale(1.3)),
    ):
        np.testing.assert_array_equal(one(image), other(image))


def test_affine_shear_moves_rows_by_their_distance_from_the_centre():
    image = np.zeros((5, 9, 1), np.uint8)
    image[:, 4] = 200  # an upright stroke
    leaning = Affine(shear=(1.0, 0.0))(image)[:, :, 0]
    assert np.argwhere(leaning).tolist() == [[0, 2], [1, 3], [2, 4], [3, 5], [4, 6]]


def test_warp_accepts_another_canvas_and_opencvs_matrices():
    image = random_image(4, 6, 3, 0)
    shift = Warp([[1, 0, 2], [0, 1, 1], [0, 0, 1]], size=(5, 8), fill=3)
    expected = np.full((5, 8, 3), 3)
    expected[1:5, 2:8] = image
    np.testing.assert_array_equal(shift(image), expected)
    assert shift == Warp(np.array([[1, 0, 2], [0, 1, 1], [0, 0, 1]]), size=(5, 8), fill=3)


@pytest.mark.parametrize("border", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@given(H=st.integers(1, 6), W=st.integers(1, 6), C=channels, seed=seeds)
def test_warp_by_a_perspective_equals_its_definition(interpolation, border, H, W, C, seed):
    image = random_image(H, W, C, seed)
    rng = np.random.default_rng(seed)
    matrix = np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))
    matrix[2] = [*rng.uniform(-0.02, 0.02, 2), 1]
    result = Warp(matrix, (5, 6), interpolation, border, fill=90)(image)
    back = np.linalg.inv(matrix)
    for v in range(5):
        for u in range(6):
            x, y, w = back @ [u, v, 1]
            x, y = x / w, y / w
            if interpolation == "nearest" and any(abs(n % 1 - 0.5) < 1e-4 for n in (x, y)):
                continue
            expected = read_by_definition(image, x, y, interpolation, border, 90)
            np.testing.assert_allclose(result[v, u], expected, atol=TOLERANCE)
