"""Tests of the geometric transforms: laws, loops, and points that follow their image."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minivision.transforms import (
    Pad,
    PixelMap,
    RandomCrop,
    RandomHorizontalFlip,
    RandomScale,
    RandomTranslate,
    Resize,
    Scale,
    Translate,
)

side = st.integers(1, 12)
channels = st.sampled_from([1, 3, 4])
seeds = st.integers(0, 10_000)


def random_image(H, W, C, seed):
    return np.random.default_rng(seed).integers(0, 256, (H, W, C), dtype=np.uint8)


def every_transform(H, W):
    return [
        Resize((5, 3)),
        Pad((H + 3, W + 4), fill=6),
        Translate(2, -1, fill=4),
        Translate(0.5, 0.25),
        Scale(1.3),
        RandomTranslate(3),
        RandomScale(0.7, 1.4, fill=5),
        RandomHorizontalFlip(),
        RandomCrop((H, W), padding=2, fill=9),
        RandomCrop((max(1, H - 1), max(1, W - 2))),
    ]


@given(side, side, channels, seeds)
def test_every_result_is_a_new_contiguous_image_with_the_same_channels(H, W, C, seed):
    image = random_image(H, W, C, seed)
    image.flags.writeable = False  # a transform that writes into its input fails here
    for transform in every_transform(H, W):
        result = transform(image, np.random.default_rng(seed))
        assert result.dtype == np.uint8
        assert result.ndim == 3
        assert result.shape[2] == C
        assert result.flags.c_contiguous
        assert not np.shares_memory(result, image)


@given(side, side, channels, seeds)
def test_a_call_is_apply_after_draw_and_can_be_replayed(H, W, C, seed):
    image = random_image(H, W, C, seed)
    for transform in every_transform(H, W):
        called = transform(image, np.random.default_rng(seed))
        parameters = transform.draw((H, W), np.random.default_rng(seed))
        np.testing.assert_array_equal(transform.apply(image, parameters), called)
        np.testing.assert_array_equal(transform.apply(image, parameters), called)


@given(side, side, channels, st.integers(-14, 14), st.integers(-14, 14), seeds)
def test_translate_by_whole_pixels_equals_its_definition(H, W, C, dx, dy, seed):
    image = random_image(H, W, C, seed)
    result = Translate(dx, dy, fill=77)(image)
    for y in range(H):
        for x in range(W):
            inside = 0 <= y - dy < H and 0 <= x - dx < W
            expected = image[y - dy, x - dx] if inside else np.full(C, 77)
            np.testing.assert_array_equal(result[y, x], expected)


@given(H=side, W=side, C=channels, below=st.integers(0, 5), right=st.integers(0, 5), seed=seeds)
def test_pad_lays_the_image_in_the_middle_and_fills_the_border(H, W, C, below, right, seed):
    image = random_image(H, W, C, seed)
    expected = np.full((H + below, W + right, C), 9, np.uint8)
    top, left = below // 2, right // 2
    expected[top : top + H, left : left + W] = image
    np.testing.assert_array_equal(Pad((H + below, W + right), fill=9)(image), expected)


def test_a_canvas_smaller_than_the_image_is_refused():
    with pytest.raises(
        ValueError, match=r"^Pad: size is \(4, 9\), smaller than the image, \(5, 6\)"
    ):
        Pad((4, 9))(random_image(5, 6, 1, 0))


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


@given(side, side, channels, seeds)
def test_the_neutral_parameters_change_nothing(H, W, C, seed):
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


@given(side, side, channels, seeds)
def test_two_flips_give_the_image_back_and_one_mirrors_it(H, W, C, seed):
    image = random_image(H, W, C, seed)
    flip = RandomHorizontalFlip(1.0)
    rng = np.random.default_rng(seed)
    once = flip(image, rng)
    for x in range(W):
        np.testing.assert_array_equal(once[:, x], image[:, W - 1 - x])
    np.testing.assert_array_equal(flip(once, rng), image)


def test_a_flip_happens_as_often_as_p_says():
    flip = RandomHorizontalFlip(0.25)
    rng = np.random.default_rng(0)
    flips = sum(flip.draw((4, 4), rng).scale_x == -1 for _ in range(4000))
    assert abs(flips / 4000 - 0.25) < 0.03  # more than four standard errors


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
def test_points_follow_the_bright_pixel_they_mark(H, W, seed):
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
def test_scale_leaves_the_true_centre_where_it_is(factor, H, W):
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
def test_shrinking_averages_areas(OH, OW, KH, KW, seed):
    assume(KH * KW > 1)
    image = random_image(OH * KH, OW * KW, 3, seed)
    blocks = image.reshape(OH, KH, OW, KW, 3).astype(float)
    np.testing.assert_allclose(Resize((OH, OW))(image), blocks.mean(axis=(1, 3)), atol=0.51)


def test_an_axis_that_shrinks_is_averaged_even_where_the_other_grows():
    stripes = np.zeros((2, 64, 1), np.uint8)
    stripes[:, ::2] = 200
    assert np.unique(Resize((5, 8))(stripes)).tolist() == [100]


def test_parameters_print_themselves_and_cannot_be_changed():
    parameters = RandomTranslate(2).draw((8, 9), np.random.default_rng(0))
    assert eval(repr(parameters)) == parameters
    assert "shift_x=" in repr(parameters)
    with pytest.raises(AttributeError):
        parameters.shift_x = 3.0
    assert isinstance(parameters, PixelMap)


RANDOM = [RandomTranslate(1), RandomScale(1, 2), RandomHorizontalFlip(), RandomCrop((2, 2))]


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_a_random_transform_without_rng_teaches_where_chance_comes_from(transform):
    name = type(transform).__name__
    image = np.zeros((4, 4, 1), np.uint8)
    with pytest.raises(ValueError, match=rf"{name}: no rng came.*default_rng\(seed\)"):
        transform(image)
    with pytest.raises(ValueError, match=rf"{name}: rng is a int"):
        transform(image, 3)
    assert transform.random


def test_deterministic_transforms_need_no_rng_and_say_so():
    for transform in (Resize((2, 2)), Translate(1, 1), Scale(2)):
        assert not transform.random


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\); expected \(H, W, C\); a grey image is"),
        (np.zeros((4, 4, 1)), r"image is float64 \(4, 4, 1\); expected a NumPy array uint8"),
        ([[1]], "image is a list; expected a NumPy array uint8"),
        (np.zeros((3, 8, 8), np.uint8), "1, 3 or 4 channels in the last place"),
        (np.zeros((0, 8, 1), np.uint8), "at least one pixel"),
    ],
)
@pytest.mark.parametrize("transform", every_transform(4, 4), ids=repr)
def test_a_wrong_image_raises_a_sentence(transform, image, sentence):
    with pytest.raises(ValueError, match=rf"{type(transform).__name__}: .*{sentence}"):
        transform(image, np.random.default_rng(0))


@pytest.mark.parametrize("transform", every_transform(4, 4), ids=repr)
def test_parameters_of_another_size_are_refused(transform):
    parameters = transform.draw((4, 4), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"parameters were drawn for images of size \(4, 4\)"):
        transform.apply(np.zeros((4, 5, 1), np.uint8), parameters)


def test_points_of_another_shape_are_refused():
    translate = Translate(1, 2)
    with pytest.raises(ValueError, match=r"Translate: points has shape \(3,\); expected \(P, 2\)"):
        translate.apply_points(np.zeros(3), translate.draw((4, 4)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Resize((0, 3)), r"Resize: size is \(0, 3\)"),
        (lambda: Resize([3, 3]), r"Resize: size is \[3, 3\]; expected a tuple"),
        (lambda: Resize(3), "Resize: size is 3"),
        (lambda: Resize((3, 2.5)), "of whole numbers"),
        (lambda: Translate(np.nan, 0), "Translate: dx is nan"),
        (lambda: Translate(0, np.inf), "Translate: dy is inf"),
        (lambda: Translate(0, 0, fill=256), "Translate: fill is 256"),
        (lambda: Scale(0), "Scale: factor is 0; expected a number above zero"),
        (lambda: Scale(np.inf), "Scale: factor is inf"),
        (lambda: Scale(1, fill=-1), "Scale: fill is -1"),
        (lambda: RandomTranslate(-1), "RandomTranslate: pixels is -1"),
        (lambda: RandomTranslate(1.5), "RandomTranslate: pixels is 1.5"),
        (lambda: RandomTranslate(1, fill=0.5), "RandomTranslate: fill is 0.5"),
        (lambda: RandomScale(1.2, 0.8), "RandomScale: low is 1.2 and high is 0.8"),
        (lambda: RandomScale(0, 1), "expected 0 < low <= high"),
        (lambda: RandomScale(1, np.inf), "RandomScale: high is inf"),
        (lambda: RandomScale(1, 2, fill=300), "RandomScale: fill is 300"),
        (lambda: RandomHorizontalFlip(1.1), "RandomHorizontalFlip: p is 1.1"),
        (lambda: RandomCrop((2, 0)), r"RandomCrop: size is \(2, 0\)"),
        (lambda: RandomCrop((2, 2), padding=-1), "RandomCrop: padding is -1"),
        (lambda: RandomCrop((2, 2), fill=999), "RandomCrop: fill is 999"),
    ],
)
def test_impossible_settings_raise_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_crop_larger_than_the_padded_image_is_refused():
    image = np.zeros((4, 9, 1), np.uint8)
    sentence = "the image is 4 x 9, with a padding of 1 6 x 11; expected at least size 7 x 7"
    with pytest.raises(ValueError, match=sentence):
        RandomCrop((7, 7), padding=1)(image, np.random.default_rng(0))
