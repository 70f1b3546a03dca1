"""Operations on the light of an image: their exact bytes, and what holds for any image."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minivision.transforms import light, tables

images = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])).flatmap(
    lambda shape: arrays(np.uint8, shape)
)
BLENDS = [light.brightness, light.contrast, light.color, light.sharpness]
# Every operation with settings that change most images.
OPERATIONS = {
    "brightness": lambda image: light.brightness(image, 1.45),
    "contrast": lambda image: light.contrast(image, 0.55),
    "color": lambda image: light.color(image, 1.45),
    "sharpness": lambda image: light.sharpness(image, 0.55),
    "grayscale": light.grayscale,
    "smooth": light.smooth,
    "invert": tables.invert,
    "posterize": lambda image: tables.posterize(image, 3),
    "solarize": lambda image: tables.solarize(image, 100),
    "solarize_add": lambda image: tables.solarize_add(image, 40),
    "gamma": lambda image: tables.gamma(image, 0.5),
    "autocontrast": tables.autocontrast,
    "equalize": tables.equalize,
}
each = pytest.mark.parametrize("name", OPERATIONS)


def reference_image():
    """(37y + 59x + 83c + 7xy) mod 200 + 20, 16 rows of 20 pixels."""
    y, x, c = np.ogrid[:16, :20, :3]
    return ((37 * y + 59 * x + 83 * c + 7 * x * y) % 200 + 20).astype(np.uint8)


# Sums and CRC-32 of the bytes that Pillow 13 computes from the reference image.
@pytest.mark.parametrize(
    ("operation", "settings", "total", "checksum"),
    [
        (tables.autocontrast, (), 123034, 2448662906),
        (tables.equalize, (), 145844, 3516186361),
        (tables.invert, (), 129040, 2219925723),
        (tables.posterize, (3,), 100224, 2026965848),
        (tables.solarize, (100,), 77535, 2283620322),
        (light.brightness, (0.55,), 63213, 2273550487),
        (light.brightness, (1.45,), 160400, 3416998355),
        (light.color, (0.55,), 114824, 310101345),
        (light.color, (1.45,), 115897, 699947308),
        (light.contrast, (0.55,), 115053, 2316770819),
        (light.contrast, (1.45,), 116403, 1773004121),
        (light.sharpness, (0.55,), 115315, 1046107718),
        (light.sharpness, (1.45,), 115649, 4145260655),
        (light.smooth, (), 115495, 443736632),
    ],
)
def test_the_bytes_are_pillows(operation, settings, total, checksum):
    y = operation(reference_image(), *settings)
    assert y.sum(dtype=int) == total
    assert zlib.crc32(y.tobytes()) == checksum


def test_grey_has_pillows_bytes_in_every_channel():
    y = light.grayscale(reference_image())
    for c in range(3):
        assert y[:, :, c].sum(dtype=int) == 38269
        assert zlib.crc32(y[:, :, c].tobytes()) == 4042385416


@each
@given(image=images)
def test_an_image_comes_out_and_the_one_that_came_in_stays(name, image):
    before = image.copy()
    image.flags.writeable = False
    y = OPERATIONS[name](image)
    assert (y.shape, y.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(y, image)
    np.testing.assert_array_equal(image, before)


@each
def test_the_memory_order_of_the_image_does_not_matter(name):
    image = reference_image()
    strided = np.repeat(image, 2, axis=1)[:, ::2]
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    for other in (np.asfortranarray(image), strided, mirrored):
        np.testing.assert_array_equal(OPERATIONS[name](other), OPERATIONS[name](image))


@pytest.mark.parametrize("blend", BLENDS)
@given(image=images)
def test_a_factor_of_1_is_the_image_and_0_the_degenerate_one(blend, image):
    np.testing.assert_array_equal(blend(image, 1.0), image)
    degenerate = {
        light.brightness: np.zeros_like,
        light.contrast: lambda i: np.full_like(i, int(light.grayscale(i)[:, :, 0].mean() + 0.5)),
        light.color: light.grayscale,
        light.sharpness: light.smooth,
    }[blend]
    np.testing.assert_array_equal(blend(image, 0.0), degenerate(image))


@pytest.mark.parametrize("factor", [1.5, 300.0])
def test_brightness_ends_at_white_where_bytes_would_begin_again_at_black(factor):
    image = np.full((2, 2, 3), 200, np.uint8)
    assert (light.brightness(image, factor) == 255).all()
    assert (image * np.uint8(2)).max() < 200  # what wrapping does


@given(image=images)
def test_tables_that_change_nothing(image):
    for y in (
        tables.posterize(image, 8), tables.solarize(image, 256), tables.solarize_add(image, 0),
        tables.gamma(image, 1.0), tables.invert(tables.invert(image)),
    ):  # fmt: skip
        np.testing.assert_array_equal(y, image)
    np.testing.assert_array_equal(tables.solarize(image, 0), tables.invert(image))
    assert not tables.posterize(image, 0).any()


@given(image=images)
def test_autocontrast_reaches_black_and_white_in_every_channel_that_is_not_flat(image):
    """White, or one below it: as in Pillow, 255 / 191 times 191 is cut off at 254."""
    y = tables.autocontrast(image)
    for c in range(image.shape[2]):
        if np.ptp(image[:, :, c]):
            assert y[:, :, c].min() == 0
            assert y[:, :, c].max() >= 254
        else:
            np.testing.assert_array_equal(y[:, :, c], image[:, :, c])


@given(image=images)
def test_no_table_of_a_histogram_turns_the_order_of_two_pixels_round(image):
    for operation in (tables.autocontrast, tables.equalize):
        for c in range(image.shape[2]):
            before, after = image[:, :, c].ravel(), operation(image)[:, :, c].ravel()
            assert (np.diff(after[np.argsort(before, kind="stable")].astype(int)) >= 0).all()


def test_equalize_spreads_a_dark_ramp_over_all_values():
    image = np.repeat(np.arange(64, dtype=np.uint8), 64).reshape(64, 64, 1)  # 64 of each value
    y = tables.equalize(image)
    steps = np.diff(np.unique(y).astype(int))
    assert set(steps[:-1]) == {4, 5}  # 256 / 64, and a little more
    assert (y.min(), y.max()) == (0, 255)


def test_solarize_add_lightens_the_dark_half_only():
    image = np.array([[[0], [100], [127], [128], [250]]], np.uint8)
    assert tables.solarize_add(image, 50).ravel().tolist() == [50, 150, 177, 128, 250]
    assert tables.solarize_add(image, 200).ravel().tolist() == [200, 255, 255, 128, 250]


def test_gamma_by_hand():
    image = np.array([[[0], [64], [128], [255]]], np.uint8)
    assert tables.gamma(image, 2.0).ravel().tolist() == [0, 16, 64, 255]
    assert tables.gamma(image, 0.5).ravel().tolist() == [0, 128, 181, 255]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda i: light.brightness(i, -1), r"brightness: factor is -1; expected a finite number"),
        (lambda i: light.contrast(i, float("nan")), r"contrast: factor is nan"),
        (lambda i: light.color(i, "2"), r"color: factor is '2'"),
        (lambda i: light.sharpness(i, float("inf")), r"sharpness: factor is inf"),
        (lambda i: tables.posterize(i, 9), r"posterize: bits is 9; expected a whole number"),
        (lambda i: tables.posterize(i, 2.5), r"posterize: bits is 2.5"),
        (lambda i: tables.solarize(i, -1), r"solarize: threshold is -1"),
        (lambda i: tables.solarize_add(i, 256), r"solarize_add: addition is 256"),
        (lambda i: tables.gamma(i, -0.5), r"gamma: exponent is -0.5"),
    ],
)
def test_settings_out_of_range_are_named(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call(reference_image())


@each
@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((4, 4, 3), np.float32), r"image is float32 \(4, 4, 3\); expected a NumPy array"),
        (np.zeros((4, 4), np.uint8), r"image has shape \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"image has shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 4), np.uint8), r"image has shape \(4, 4, 4\); expected 1 or 3 channels"),
    ],
)
def test_what_is_no_image_is_named_with_the_operation(name, image, sentence):
    with pytest.raises(ValueError, match=rf"^{name}: {sentence}"):
        OPERATIONS[name](image)
