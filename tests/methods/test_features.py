"""Corners, patch descriptors and binary patterns: what they find, and what they ignore."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minivision.methods.feature_fusion import unit_length
from minivision.methods.features import (
    ClassicFeatures,
    corner_score,
    corners,
    interest_points,
    lbp_codes,
    lbp_histogram,
    patch_descriptors,
)
from minivision.methods.features.corners import CORNER, EDGE, NOISE
from minivision.methods.features.local_binary_patterns import BIN, UNIFORM, lbp_sums
from tests.strategies import seeds

grey_images = st.tuples(st.integers(3, 12), st.integers(3, 12), st.just(1)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 255))
)


def checkerboard(squares=4, side=15):
    """A board of squares, white (200) and black (50)."""
    row, column = np.indices((squares * side, squares * side)) // side
    return np.where((row + column) % 2 == 0, 200, 50).astype(np.uint8)[:, :, None]


def photo(seed, H=48, W=60, C=1):
    """A smooth random image with grey levels from 60 to 180, so that changes are not clipped."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 181, (H // 6, W // 6, C), dtype=np.uint8)
    return cv2.resize(small, (W, H), interpolation=cv2.INTER_LINEAR).reshape(H, W, C)


# ── corners ──────────────────────────────────────────────────────────────────────────────────


def test_interest_points_of_a_checkerboard_are_exactly_its_corners():
    points = interest_points(checkerboard())
    meeting = {(x, y) for x in (15, 30, 45) for y in (15, 30, 45)}
    found = [tuple(point) for point in points.tolist()]
    # Four pixels with equal scores meet in a corner; one of them is the point.
    assert len(found) == len(meeting)
    assert {(x + dx, y + dy) for x, y in found for dx in (0, 1) for dy in (0, 1)} >= meeting


def test_corner_score_tells_edges_corners_and_flat_areas_apart():
    kind = corner_score(checkerboard()).kind
    assert np.all(kind[14:16, 7] == EDGE)
    assert np.all(kind[22, 14:16] == EDGE)
    assert kind[15, 15] == CORNER
    assert kind[7, 7] == NOISE


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("bright", [0, 9])
def test_interest_points_rotate_with_the_image_and_ignore_brightness(quarters, bright):
    image = photo(3)
    marked = np.zeros((48, 60), int)
    marked[tuple(interest_points(image, 10).T[::-1])] = np.arange(10, 0, -1)
    other = np.zeros_like(np.rot90(marked, quarters))
    points = interest_points(np.rot90(image, quarters) + np.uint8(bright), 10)
    other[tuple(points.T[::-1])] = np.arange(10, 0, -1)
    np.testing.assert_array_equal(other, np.rot90(marked, quarters))


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90])
def test_interest_points_do_not_include_straight_edges(degrees):
    y, x = np.indices((61, 61)) - 30
    distance = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    image = (100 + 80 * np.clip(distance / 2, -1, 1)).round().astype(np.uint8)[:, :, None]
    assert len(interest_points(image)) == 0


def structure_by_loops(image, row, column):
    """The structure tensor of an inner pixel, by its definition."""
    grey = image[:, :, 0] / 255
    matrix = np.zeros((2, 2))
    for i in range(row - 1, row + 2):
        for j in range(column - 1, column + 2):
            ix = sum(w * (grey[i + d, j + 1] - grey[i + d, j - 1]) / 4
                     for d, w in ((-1, 1), (0, 2), (1, 1)))  # fmt: skip
            iy = sum(w * (grey[i + 1, j + d] - grey[i - 1, j + d]) / 4
                     for d, w in ((-1, 1), (0, 2), (1, 1)))  # fmt: skip
            matrix += np.outer((ix, iy), (ix, iy)) / 9
    return matrix


@given(seeds, st.integers(2, 45), st.integers(2, 57))
def test_corner_score_follows_from_the_eigenvalues_of_the_structure_tensor(seed, row, column):
    image = photo(seed)
    score, kind = corner_score(image)
    smaller, larger = np.linalg.eigvalsh(structure_by_loops(image, row, column))
    expected = smaller * larger - 0.04 * (smaller + larger) ** 2
    assert score[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-6 * larger**2)
    if larger < 0.99 * corners.ROUNDING:
        assert kind[row, column] == NOISE
    elif kind[row, column] != NOISE and abs(expected) > 1e-4 * larger**2:
        assert kind[row, column] == (CORNER if expected > 0 else EDGE)


def test_corner_score_calls_weak_slopes_noise_next_to_steep_ones():
    image = np.full((60, 60, 1), 100, np.uint8)
    image[20:, 20:] = 110
    assert corner_score(image).kind[20, 20] == CORNER
    image[45:, 45:] = 255  # slopes at least ten times as steep
    assert corner_score(image).kind[20, 20] == NOISE


@given(seeds, st.integers(0, 9))
def test_interest_points_are_local_maxima_two_pixels_apart_best_first(seed, most):
    image = photo(seed)
    score, kind = corner_score(image)
    everything, few = interest_points(image, 10_000), interest_points(image, most)
    scores = [score[y, x] for x, y in everything]
    for (x, y), own in zip(everything, scores, strict=True):
        assert own == score[y - 1 : y + 2, x - 1 : x + 2].max()
        assert kind[y, x] == CORNER
        assert sorted(((everything - (x, y)) ** 2).sum(axis=1))[1] >= 4
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_array_equal(few, everything[:most])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 3), (40, 30, 3)])
def test_interest_points_of_a_blank_image_are_none(shape):
    assert interest_points(np.full(shape, 77, np.uint8)).shape == (0, 2)


def test_interest_points_ignore_differences_of_one_grey_level():
    image = np.full((40, 40, 1), 100, np.uint8)
    image[20:, 20:] = 101
    assert len(interest_points(image)) == 0
    image[20:, 20:] = 110
    assert interest_points(image).tolist() == [[20, 20]]


# ── patch descriptors ────────────────────────────────────────────────────────────────────────

STEP = 1 / 512  # the resolution of OpenCV's descriptors


def descriptor_by_loops(image, x, y, patch=16):
    """Lowe's definition, pixel by pixel: votes by slope, place and direction, clipped at 0.2."""
    # A photograph counts as blurred by 0.5 pixels already; SIFT blurs it to 1.6.
    grey = cv2.GaussianBlur(image[:, :, 0].astype(float), (0, 0), np.sqrt(1.6**2 - 0.5**2))
    (H, W), cell = grey.shape, patch / 4
    votes = np.zeros((4, 4, 8))
    for row in range(1, H - 1):
        for column in range(1, W - 1):
            # The place in cells: 0 in the middle of the first, 1.5 in the middle of the patch.
            i, j = (row - y) / cell + 1.5, (column - x) / cell + 1.5
            weight = np.exp(-((i - 1.5) ** 2 + (j - 1.5) ** 2) / (2 * 2**2))
            right = grey[row, column + 1] - grey[row, column - 1]
            up = grey[row - 1, column] - grey[row + 1, column]
            direction = np.arctan2(up, right) / (2 * np.pi) * 8
            for a in range(4):
                for b in range(4):
                    near = max(0, 1 - abs(i - a)) * max(0, 1 - abs(j - b)) * weight
                    if near > 0:
                        for o in range(8):
                            away = abs((direction - o + 4) % 8 - 4)
                            votes[a, b, o] += near * max(0, 1 - away) * np.hypot(right, up)
    vector = votes.ravel() / np.linalg.norm(votes)
    vector = np.minimum(vector, 0.2)
    return np.minimum(vector / np.linalg.norm(vector), 255 * STEP)


@settings(max_examples=20)
@given(seeds, st.integers(0, 59), st.integers(0, 47), st.sampled_from([8, 16]))
def test_patch_descriptors_equal_their_definition_also_at_the_border(seed, x, y, patch):
    image = photo(seed)
    (found,) = patch_descriptors(image, np.array([[x, y]]), patch)
    # OpenCV's arctangent is accurate to a third of a degree.
    np.testing.assert_allclose(found, descriptor_by_loops(image, x, y, patch), atol=2 * STEP)
    assert np.linalg.norm(found) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("quarters", range(4))
def test_patch_descriptors_of_a_gradient_have_one_direction_counted_counter_clockwise(quarters):
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (60, 1))[
        :, :, None
    ]  # brighter to the right
    (found,) = patch_descriptors(np.rot90(ramp, quarters), np.array([[30, 30]]))
    cells = found.reshape(4, 4, 8)
    assert np.all(cells[:, :, 2 * quarters] > 0)
    assert cells.sum() == pytest.approx(cells[:, :, 2 * quarters].sum())


@given(seeds, st.integers(0, 3))
def test_patch_descriptors_and_corner_scores_rotate_with_the_image(seed, quarters):
    image = photo(seed)
    turned, x, y = np.rot90(image, quarters), 37, 21
    marked = np.zeros((48, 60), bool)
    marked[y, x] = True
    ((other_y, other_x),) = np.argwhere(np.rot90(marked, quarters))
    (found,) = patch_descriptors(image, np.array([[x, y]]))
    (other,) = patch_descriptors(turned, np.array([[other_x, other_y]]))
    expected = np.roll(np.rot90(found.reshape(4, 4, 8), quarters), 2 * quarters, axis=2)
    np.testing.assert_allclose(other.reshape(4, 4, 8), expected, atol=2 * STEP)
    score = corner_score(image).score
    np.testing.assert_allclose(
        corner_score(turned).score, np.rot90(score, quarters), atol=1e-5 * abs(score).max()
    )


@given(seeds, st.integers(-60, 70))
def test_patch_descriptors_and_corner_scores_ignore_brightness(seed, shift):
    image = photo(seed)
    places = np.array([[4, 9], [41, 30]])
    shifted = (image.astype(int) + shift).astype(np.uint8)
    np.testing.assert_allclose(
        patch_descriptors(image, places), patch_descriptors(shifted, places), atol=1.01 * STEP
    )
    scores = [corner_score(im).score for im in (image, shifted)]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-5 * abs(scores[0]).max())


@given(seeds, st.sampled_from([2, 3, 4]))
def test_patch_descriptors_and_scaled_corner_scores_ignore_contrast(seed, factor):
    # 40 to 60 times the factor stays a byte, without rounding.
    image = ((photo(seed).astype(int) - 60) // 6 + 40).astype(np.uint8)
    stronger = image * np.uint8(factor)
    places = np.array([[4, 9], [41, 30]])
    np.testing.assert_allclose(
        patch_descriptors(image, places), patch_descriptors(stronger, places), atol=1.01 * STEP
    )
    scores = [corner_score(im).score for im in (image, stronger)]
    np.testing.assert_allclose(scores[1], scores[0] * factor**4, atol=1e-5 * abs(scores[1]).max())


def test_patch_descriptors_without_a_slope_are_zero():
    image = np.full((90, 90, 1), 100, np.uint8)
    image[:20, :20] = photo(0, 24, 24)[:20, :20]
    (found,) = patch_descriptors(image, np.array([[70, 70]]))
    assert np.all(found == 0)


def test_patch_descriptors_keep_the_order_of_the_points():
    image, places = photo(4), np.array([[41, 30], [4, 9], [41, 30], [0, 47]])
    together = patch_descriptors(image, places)
    for place, row in zip(places, together, strict=True):
        np.testing.assert_array_equal(patch_descriptors(image, place[None])[0], row)
    assert patch_descriptors(image, places[:0]).shape == (0, 128)


# ── local binary patterns ────────────────────────────────────────────────────────────────────


def test_lbp_histogram_has_58_uniform_patterns_and_one_bin_for_the_rest():
    def turns(code):
        bits = f"{code:08b}"
        return sum(bits[i] != bits[i - 1] for i in range(8))

    uniform = [code for code in range(256) if turns(code) <= 2]
    assert len(uniform) == 58
    assert sorted(UNIFORM) == uniform
    assert sorted(BIN[uniform]) == list(range(58))
    assert set(BIN[[code for code in range(256) if turns(code) > 2]]) == {58}


def test_lbp_codes_of_one_pixel_equal_the_pattern_by_hand():
    image = np.array([[9, 5, 1], [6, 5, 7], [2, 4, 8]], np.uint8)[:, :, None]
    # right 7, upper right 1, above 5, upper left 9, left 6, lower left 2, below 4, lower right 8
    assert lbp_codes(image).tolist() == [[0b10011101]]


@given(grey_images, st.data())
def test_lbp_codes_ignore_any_increasing_change_of_grey(image, data):
    levels = np.unique(image)
    new = data.draw(st.sets(st.integers(0, 255), min_size=len(levels), max_size=len(levels)))
    table = np.zeros(256, np.uint8)
    table[levels] = sorted(new)
    np.testing.assert_array_equal(lbp_codes(table[image]), lbp_codes(image))
    np.testing.assert_array_equal(lbp_histogram(table[image]), lbp_histogram(image))


def test_lbp_histogram_changes_if_the_grey_levels_are_reversed():
    image = photo(1)
    assert not np.array_equal(lbp_histogram(255 - image), lbp_histogram(image))


@given(grey_images, st.integers(0, 3), st.booleans())
def test_lbp_sums_are_the_same_for_rotated_and_mirrored_images(image, quarters, mirrored):
    turned = np.rot90(image, quarters)
    turned = turned[:, ::-1] if mirrored else turned
    np.testing.assert_allclose(
        lbp_sums(lbp_histogram(turned)), lbp_sums(lbp_histogram(image)), atol=1e-12
    )


def test_lbp_histogram_changes_with_a_quarter_turn():
    image = np.zeros((9, 9, 1), np.uint8)
    image[:, 5:] = 100
    turned = lbp_histogram(np.rot90(image))
    assert not np.allclose(turned, lbp_histogram(image))


@given(grey_images)
def test_lbp_histogram_counts_each_inner_pixel_once(image):
    H, W, _ = image.shape
    counts = lbp_histogram(image) * (H - 2) * (W - 2)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert counts.sum() == pytest.approx((H - 2) * (W - 2))


# ── both, as the two parts of an image ───────────────────────────────────────────────────────


def test_classic_features_local_part_is_the_mean_descriptor_of_the_best_corners():
    image = checkerboard()
    expected = np.mean([descriptor_by_loops(image, *p) for p in interest_points(image, 4)], axis=0)
    found = ClassicFeatures(points=4)([image])
    np.testing.assert_allclose(found["local"], expected[None], atol=2 * STEP)
    np.testing.assert_array_equal(found["global"], lbp_histogram(image)[None])


def test_classic_features_take_images_of_any_size_grey_or_in_colour():
    images = [photo(0, 300, 420, 3), photo(1), photo(2, 12, 6), checkerboard(1, 3)]
    parts = ClassicFeatures()(images)
    assert {name: part.shape for name, part in parts.items()} == {
        "local": (4, 128),
        "global": (4, 59),
    }
    assert np.all(np.isfinite(parts["local"]))
    assert np.all(parts["local"][3] == 0)  # blank: no corner


def test_classic_features_of_a_grey_image_do_not_depend_on_its_channels():
    image = photo(5)
    one, three = (ClassicFeatures()([im]) for im in (image, image.repeat(3, axis=2)))
    for part in one:
        np.testing.assert_allclose(one[part], three[part], atol=1e-12)


def test_classic_features_shrink_a_large_image_and_leave_a_small_one_alone():
    features = ClassicFeatures(longest=64)
    assert features.fitted(photo(0, 96, 192, 3)).shape == (32, 64, 3)
    assert features.fitted(np.zeros((1, 640, 1), np.uint8)).shape == (1, 64, 1)
    small = photo(0)
    assert features.fitted(small) is small


def test_unit_length_leaves_a_row_of_zeros_alone():
    rows = unit_length(np.array([[0.0, 0, 0], [0, -2, 0]]))
    np.testing.assert_array_equal(rows, [[0, 0, 0], [0, -1, 0]])
