"""Shifts, scales, crops and padding: laws, loops, and points that follow their image."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from minivision.transforms import (
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomScale,
    RandomTranslate,
    Resize,
    Scale,
    Translate,
)
from tests.strategies import seeds
from tests.transforms.examples import channels, random_image, sides


@given(sides, sides, channels, st.integers(-14, 14), st.integers(-14, 14), seeds)
def test_translate_by_whole_pixels_equals_its_definition(H, W, C, dx, dy, seed):
    image = random_image(H, W, C, seed)
    result = Translate(dx, dy, fill=77)(image)
    for y in range(H):
        for x in range(W):
            inside = 0 <= y - dy < H and 0 <= x - dx < W
            expected = image[y - dy, x - dx] if inside else np.full(C, 77)
            np.testing.assert_array_equal(result[y, x], expected)


@given(H=sides, W=sides, C=channels, below=st.integers(0, 5), right=st.integers(0, 5), seed=seeds)
def test_pad_centres_the_image_and_fills_the_border(H, W, C, below, right, seed):
    image = random_image(H, W, C, seed)
    expected = np.full((H + below, W + right, C), 9, np.uint8)
    top, left = below // 2, right // 2
    expected[top : top + H, left : left + W] = image
    np.testing.assert_array_equal(Pad((H + below, W + right), fill=9)(image), expected)


def test_translate_by_half_a_pixel_mixes_two_neighbours():
    row = np.array([[[0], [100], [200]]], np.uint8)
    assert Translate(0.5, 0)(row)[0, :, 0].tolist() == [0, 50, 150]


@given(st.integers(2, 9), st.integers(2, 9), channels, st.floats(0.5, 2.0), seeds)
def test_scale_equals_bilinear_interpolation_about_the_true_centre(H, W, C, factor, seed):
    image = random_image(H, W, C, seed)
    result = Scale(factor, fill=50)(image)
    framed = np.full((H + 2, W + 2, C), 50.0)
    framed[1:-1, 1:-1] = image
    for y in range(H):
        for x in range(W):
            sy = (y - (H - 1) / 2) / factor + (H - 1) / 2
            sx = (x - (W - 1) / 2) / factor + (W - 1) / 2
            if not (-1 <= sy <= H and -1 <= sx <= W):
                assert np.all(result[y, x] == 50)
                continue
            iy, ix = min(int(np.floor(sy)), H - 1), min(int(np.floor(sx)), W - 1)
            fy, fx = sy - iy, sx - ix
            p = framed[iy + 1 : iy + 3, ix + 1 : ix + 3]
            top = (1 - fx) * p[0, 0] + fx * p[0, 1]
            bottom = (1 - fx) * p[1, 0] + fx * p[1, 1]
            # OpenCV calculates in float32 and rounds.
            np.testing.assert_allclose(result[y, x], (1 - fy) * top + fy * bottom, atol=0.51)


@given(sides, sides, channels, seeds)
def test_geometry_with_neutral_settings_changes_nothing(H, W, C, seed):
    image = random_image(H, W, C, seed)
    rng = np.random.default_rng(seed)
    neutral = [
        Resize((H, W)),
        Translate(0, 0),
        Scale(1.0),
        RandomTranslate(0),
        RandomScale(1.0, 1.0),
        RandomHorizontalFlip(0.0),
        RandomCrop((H, W)),
    ]
    for transform in neutral:
        np.testing.assert_array_equal(transform(image, rng), image)


def test_random_translate_reaches_every_shift_equally_often():
    rng = np.random.default_rng(0)
    draws = [RandomTranslate(2).draw((9, 9), rng) for _ in range(5000)]
    for shifts in ([p.shift_x for p in draws], [p.shift_y for p in draws]):
        values, counts = np.unique(shifts, return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert np.abs(counts - 1000).max() < 130


def test_random_scale_stays_between_low_and_high_and_fills_the_range():
    rng = np.random.default_rng(0)
    factors = [RandomScale(0.8, 1.3).draw((9, 9), rng).scale_x for _ in range(500)]
    assert 0.8 <= min(factors) < 0.81
    assert 1.29 < max(factors) <= 1.3


def test_random_crop_reaches_every_window():
    image = np.arange(5 * 4, dtype=np.uint8).reshape(5, 4, 1)
    rng = np.random.default_rng(0)
    corners = {int(RandomCrop((3, 3))(image, rng)[0, 0, 0]) for _ in range(200)}
    assert corners == {0, 1, 4, 5, 8, 9}


def test_random_crop_pads_with_fill():
    image = np.full((2, 2, 3), 200, np.uint8)
    crop = RandomCrop((6, 6), padding=2, fill=7)(image, np.random.default_rng(0))
    expected = np.full((6, 6, 3), 7, np.uint8)
    expected[2:4, 2:4] = 200
    np.testing.assert_array_equal(crop, expected)


@given(st.integers(4, 12), st.integers(4, 12), seeds)
def test_apply_points_follows_a_bright_pixel(H, W, seed):
    rng = np.random.default_rng(seed)
    y, x = int(rng.integers(H)), int(rng.integers(W))
    image = np.zeros((H, W, 1), np.uint8)
    image[y, x] = 240
    transforms = [
        Resize((2 * H, 3 * W)),
        Translate(1, -2),
        Scale(1.5),
        RandomTranslate(2),
        RandomScale(1.0, 1.6),
        RandomHorizontalFlip(),
        RandomCrop((H - 2, W - 1), padding=1),
    ]
    for transform in transforms:
        parameters = transform.draw((H, W), rng)
        [[px, py]] = transform.apply_points(np.array([[x, y]]), parameters)
        result = transform.apply(image, parameters)[:, :, 0].astype(float)
        OH, OW = result.shape
        if not (1 <= px <= OW - 2 and 1 <= py <= OH - 2) or result.sum() == 0:
            continue
        top = np.argwhere(result == result.max()).mean(axis=0)
        # Interpolation may round to a neighbour; a move by whole pixels may not.
        tolerance = 1 if abs(parameters.scale_x) != 1 else 0
        assert abs(top[0] - py) <= tolerance
        assert abs(top[1] - px) <= tolerance


@given(st.floats(0.5, 2), st.integers(2, 20), st.integers(2, 20))
def test_scale_keeps_the_true_centre(factor, H, W):
    scale = Scale(factor)
    centre = np.array([[(W - 1) / 2, (H - 1) / 2]])
    moved = scale.apply_points(centre, scale.draw((H, W)))
    np.testing.assert_allclose(moved, centre, atol=1e-9)


def test_resize_keeps_the_corners_of_the_image_on_its_corners():
    resize = Resize((6, 20))
    corners = np.array([[-0.5, -0.5], [9.5, 3.5]])  # of a 4 x 10 image
    moved = resize.apply_points(corners, resize.draw((4, 10)))
    np.testing.assert_allclose(moved, [[-0.5, -0.5], [19.5, 5.5]])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), seeds)
def test_resize_averages_areas_when_it_shrinks(OH, OW, KH, KW, seed):
    assume(KH * KW > 1)
    image = random_image(OH * KH, OW * KW, 3, seed)
    blocks = image.reshape(OH, KH, OW, KW, 3).astype(float)
    np.testing.assert_allclose(Resize((OH, OW))(image), blocks.mean(axis=(1, 3)), atol=0.51)


def test_resize_averages_an_axis_that_shrinks_even_if_the_other_grows():
    stripes = np.zeros((2, 64, 1), np.uint8)
    stripes[:, ::2] = 200
    assert np.unique(Resize((5, 8))(stripes)).tolist() == [100]
