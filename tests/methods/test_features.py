"""Corners, patch descriptors and binary patterns: what they find, and what they do not notice."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

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
from minivision.methods.feature_fusion import unit_length
from tests.strategies import seeds

grey_images = st.tuples(st.integers(3, 12), st.integers(3, 12), st.just(1)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 255))
)


def checkerboard(squares=4, side=15):
    """A board of squares, white (200) and black (50)."""
    row, column = np.indices((squares * side, squares * side)) // side
    return np.where((row + column) % 2 == 0, 200, 50).astype(np.uint8)[:, :, None]


def photo(seed, H=48, W=60, C=1):
    """A smooth random picture of grey levels from 60 to 180, so light can be changed uncut."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 181, (H // 6, W // 6, C), dtype=np.uint8)
    return cv2.resize(small, (W, H), interpolation=cv2.INTER_LINEAR).reshape(H, W, C)


# ── corners ──────────────────────────────────────────────────────────────────────────────────


def test_the_corners_of_a_checkerboard_are_found_where_they_are_and_nothing_else():
    points = interest_points(checkerboard())
    meeting = {(y, x) for y in (15, 30, 45) for x in (15, 30, 45)}
    found = list(zip(points.rows.tolist(), points.columns.tolist(), strict=True))
    assert len(found) == len(meeting)
    # Four pixels meet in a corner, and any of them may be the point.
    assert {(y + dy, x + dx) for y, x in found for dy in (0, 1) for dx in (0, 1)} >= meeting
    assert np.all(np.diff(points.scores) <= 0)


def test_the_middle_of_a_drawn_edge_is_an_edge_and_flat_ground_is_noise():
    kind = corner_score(checkerboard()).kind
    assert np.all(kind[14:16, 7] == EDGE)
    assert np.all(kind[22, 14:16] == EDGE)
    assert kind[15, 15] == CORNER
    assert kind[7, 7] == NOISE


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90])
def test_a_straight_edge_of_any_direction_has_no_interest_point(degrees):
    y, x = np.indices((61, 61)) - 30
    distance = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    image = (100 + 80 * np.clip(distance / 2, -1, 1)).round().astype(np.uint8)[:, :, None]
    inside = [(r, c) for r, c, _ in zip(*interest_points(image), strict=True)
              if 12 <= r < 49 and 12 <= c < 49]  # fmt: skip
    assert inside == []


def test_the_score_is_that_of_its_definition_by_eigenvalues():
    image = photo(3)
    ix, iy = corners.slopes(image[:, :, 0])
    blurred = [
        cv2.GaussianBlur(p, (0, 0), corners.SIGMA, borderType=cv2.BORDER_REPLICATE)
        for p in (ix * ix, ix * iy, iy * iy)
    ]
    score = corner_score(image).score
    for row, column in ((0, 0), (10, 13), (47, 59)):
        xx, xy, yy = (p[row, column] for p in blurred)
        smaller, larger = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
        expected = smaller * larger - 0.04 * (smaller + larger) ** 2
        assert score[row, column] == pytest.approx(expected, rel=1e-9)


def test_slopes_count_grey_levels_a_pixel_and_stop_at_the_border():
    ramp = np.tile(np.arange(0, 50, 5, dtype=np.uint8), (4, 1))
    x, y = corners.slopes(ramp)
    assert np.all(x[:, 1:-1] == 5)
    assert np.all(x[:, [0, -1]] == 2.5)  # one side goes on flat
    assert np.all(y == 0)


@given(seeds, st.integers(0, 9))
def test_points_are_larger_than_their_eight_neighbours_and_the_best_are_kept(seed, most):
    image = photo(seed)
    score, kind = corner_score(image)
    everything, few = interest_points(image, 10_000), interest_points(image, most)
    for row, column in zip(everything.rows, everything.columns, strict=True):
        window = score[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert score[row, column] == window.max()
        assert kind[row, column] == CORNER
    assert len(few.rows) == min(most, len(everything.rows))
    assert np.all(np.diff(everything.scores) <= 0)
    np.testing.assert_array_equal(few.scores, everything.scores[:most])


def test_of_a_plateau_the_first_pixel_in_reading_order_is_the_point(monkeypatch):
    score = np.zeros((5, 6))
    score[1:3, 2:4] = 7
    score[4, 5] = 7
    kind = np.full(score.shape, CORNER)
    kind[score == 0] = EDGE
    monkeypatch.setattr(corners, "corner_score", lambda image: (score, kind))
    points = interest_points(np.zeros((5, 6, 1), np.uint8))
    assert (points.rows.tolist(), points.columns.tolist()) == ([1, 4], [2, 5])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 3), (40, 30, 3)])
def test_a_blank_image_of_any_size_has_no_interest_point(shape):
    assert len(interest_points(np.full(shape, 77, np.uint8)).rows) == 0


def test_a_difference_of_one_grey_level_is_rounding_and_not_a_corner():
    image = np.full((40, 40, 1), 100, np.uint8)
    image[20:, 20:] = 101
    assert len(interest_points(image).rows) == 0
    image[20:, 20:] = 110
    assert len(interest_points(image).rows) == 1


# ── patch descriptors ────────────────────────────────────────────────────────────────────────


def descriptor_by_loops(image, row, column, patch=16):
    """The definition, a pixel at a time."""
    ix, iy = corners.slopes(image[:, :, 0])
    H, W = ix.shape
    cells = np.zeros((4, 4, 8))
    for i in range(patch):
        for j in range(patch):
            y, x = row - patch // 2 + i, column - patch // 2 + j
            if not (0 <= y < H and 0 <= x < W):
                continue
            direction = np.arctan2(iy[y, x], ix[y, x]) / (2 * np.pi) * 8 % 8
            low, share = int(direction) % 8, direction % 1
            steep = np.hypot(ix[y, x], iy[y, x])
            cells[i * 4 // patch, j * 4 // patch, low] += (1 - share) * steep
            cells[i * 4 // patch, j * 4 // patch, (low + 1) % 8] += share * steep
    vector = cells.ravel()
    for _ in range(2):
        vector = vector / max(np.linalg.norm(vector), 1e-300)
        kept, vector = vector, np.minimum(vector, 0.2)
    return kept


@given(seeds, st.integers(0, 47), st.integers(0, 59), st.sampled_from([8, 16]))
def test_a_descriptor_equals_its_definition_also_at_the_border(seed, row, column, patch):
    image = photo(seed)
    (found,) = patch_descriptors(image, np.array([row]), np.array([column]), patch)
    expected = descriptor_by_loops(image, row, column, patch)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.linalg.norm(found) == pytest.approx(1)


@given(seeds, st.integers(-60, 70))
def test_a_descriptor_does_not_notice_a_shift_of_brightness(seed, shift):
    image = photo(seed)
    places = np.array([9, 30]), np.array([4, 41])
    shifted = (image.astype(int) + shift).astype(np.uint8)
    np.testing.assert_array_equal(
        patch_descriptors(image, *places), patch_descriptors(shifted, *places)
    )


@given(seeds, st.sampled_from([2, 3, 4]))
def test_neither_points_nor_descriptors_notice_contrast(seed, factor):
    # 40 to 60 times the factor stays a byte, without rounding.
    image = ((photo(seed).astype(int) - 60) // 6 + 40).astype(np.uint8)
    stronger = image * np.uint8(factor)
    places = np.array([9, 30]), np.array([4, 41])
    np.testing.assert_allclose(
        patch_descriptors(image, *places), patch_descriptors(stronger, *places), atol=1e-9
    )
    scores = [corner_score(im).score for im in (image, stronger)]
    np.testing.assert_allclose(scores[1], scores[0] * factor**4, atol=1e-6 * factor**4)


def test_a_patch_without_a_slope_has_a_descriptor_of_zeros():
    image = np.full((90, 90, 1), 100, np.uint8)
    image[:20, :20] = photo(0, 24, 24)[:20, :20]
    (found,) = patch_descriptors(image, np.array([70]), np.array([70]))
    assert np.all(found == 0)


@pytest.mark.parametrize("place", [(-1, 0), (0, 60), (48, 3)])
def test_a_point_outside_the_image_is_refused(place):
    row, column = (np.array([n]) for n in place)
    with pytest.raises(ValueError, match=r"point 0 is .* outside the image of 48x60"):
        patch_descriptors(photo(0), row, column)


@pytest.mark.parametrize("patch", [0, 10, -4])
def test_a_patch_that_cannot_be_cut_into_cells_is_refused(patch):
    with pytest.raises(ValueError, match=f"patch is {patch}; expected a multiple of 4"):
        patch_descriptors(photo(0), np.array([3]), np.array([3]), patch)


# ── local binary patterns ────────────────────────────────────────────────────────────────────


def test_58_of_the_256_patterns_are_uniform_and_the_others_share_the_last_bin():
    def turns(code):
        bits = f"{code:08b}"
        return sum(bits[i] != bits[i - 1] for i in range(8))

    uniform = [code for code in range(256) if turns(code) <= 2]
    assert len(uniform) == 58
    assert sorted(UNIFORM) == uniform
    assert sorted(BIN[uniform]) == list(range(58))
    assert set(BIN[[code for code in range(256) if turns(code) > 2]]) == {58}


def test_a_pattern_by_hand_counter_clockwise_from_the_right():
    image = np.array([[9, 5, 1], [6, 5, 7], [2, 4, 8]], np.uint8)[:, :, None]
    # right 7, upper right 1, above 5, upper left 9, left 6, lower left 2, below 4, lower right 8
    assert lbp_codes(image).tolist() == [[0b10011101]]


@given(grey_images, st.data())
def test_binary_patterns_do_not_notice_any_growing_change_of_grey(image, data):
    levels = np.unique(image)
    new = data.draw(st.sets(st.integers(0, 255), min_size=len(levels), max_size=len(levels)))
    table = np.zeros(256, np.uint8)
    table[levels] = sorted(new)
    np.testing.assert_array_equal(lbp_codes(table[image]), lbp_codes(image))
    np.testing.assert_array_equal(lbp_histogram(table[image]), lbp_histogram(image))


def test_binary_patterns_do_notice_a_change_that_reverses_the_order():
    image = photo(1)
    assert not np.array_equal(lbp_histogram(255 - image), lbp_histogram(image))


@given(grey_images, st.integers(0, 3), st.booleans())
def test_turned_and_mirrored_images_agree_only_in_the_sums_over_equally_many_ones(
    image, quarters, mirrored
):
    turned = np.rot90(image, quarters)
    turned = turned[:, ::-1] if mirrored else turned
    np.testing.assert_allclose(
        lbp_sums(lbp_histogram(turned)), lbp_sums(lbp_histogram(image)), atol=1e-12
    )


def test_a_quarter_turn_moves_patterns_to_other_bins():
    image = np.zeros((9, 9, 1), np.uint8)
    image[:, 5:] = 100
    turned = lbp_histogram(np.rot90(image))
    assert not np.allclose(turned, lbp_histogram(image))


@given(grey_images)
def test_the_histogram_counts_each_inner_pixel_once(image):
    H, W, _ = image.shape
    counts = lbp_histogram(image) * (H - 2) * (W - 2)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert counts.sum() == pytest.approx((H - 2) * (W - 2))


# ── both, as the two parts of an image ───────────────────────────────────────────────────────


def test_the_local_part_is_the_mean_of_the_descriptors_of_the_best_corners():
    image = checkerboard()
    rows, columns, _ = interest_points(image, 4)
    expected = np.mean(
        [descriptor_by_loops(image, *p) for p in zip(rows, columns, strict=True)], axis=0
    )
    found = ClassicFeatures(points=4)([image])
    np.testing.assert_allclose(found["local"], expected[None], atol=1e-9)
    np.testing.assert_array_equal(found["global"], lbp_histogram(image)[None])


def test_images_of_any_sizes_and_of_either_number_of_channels_are_described():
    images = [photo(0, 300, 420, 3), photo(1), photo(2, 12, 6), checkerboard(1, 3)]
    parts = ClassicFeatures()(images)
    assert {name: part.shape for name, part in parts.items()} == {
        "local": (4, 128),
        "global": (4, 59),
    }
    assert np.all(np.isfinite(parts["local"]))
    assert np.all(parts["local"][3] == 0)  # blank: no corner


def test_a_grey_image_in_three_channels_is_described_as_in_one():
    image = photo(5)
    one, three = (ClassicFeatures()([im]) for im in (image, image.repeat(3, axis=2)))
    for part in one:
        np.testing.assert_allclose(one[part], three[part], atol=1e-12)


def test_a_large_image_is_made_smaller_and_a_small_one_is_left_alone():
    features = ClassicFeatures(longest=64)
    assert features.fitted(photo(0, 96, 192, 3)).shape == (32, 64, 3)
    assert features.fitted(np.zeros((1, 640, 1), np.uint8)).shape == (1, 64, 1)
    small = photo(0)
    assert features.fitted(small) is small


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "images is empty; expected at least one"),
        ([np.zeros((2, 30, 1), np.uint8)], "image is 2x30; expected at least 3x3"),
        ([np.zeros((20, 30), np.uint8)], r"expected \(H, W, C\); a grey image is"),
        ([np.zeros((20, 30, 3))], "expected a NumPy array uint8"),
        ([np.zeros((20, 30, 4), np.uint8)], "without transparency"),
    ],
)
def test_what_is_no_image_is_refused_with_a_sentence(images, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassicFeatures()(images)


def test_a_row_of_zeros_has_no_direction_and_stays():
    rows = unit_length(np.array([[0.0, 0, 0], [0, -2, 0], [1e-12, 0, 0]]))
    np.testing.assert_array_equal(rows, [[0, 0, 0], [0, -1, 0], [0, 0, 0]])
