"""Operations on the light of an image: their exact bytes, and what holds for any image."""

import zlib

import numpy as np
import pytest
from hypothesis import given

from minivision.transforms import light, tables
from tests.transforms.examples import images, reference_image

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
def test_light_and_tables_give_the_bytes_of_pillow(operation, settings, total, checksum):
    y = operation(reference_image(), *settings)
    assert y.sum(dtype=int) == total
    assert zlib.crc32(y.tobytes()) == checksum


def test_grayscale_gives_the_bytes_of_pillow_in_every_channel():
    y = light.grayscale(reference_image())
    for c in range(3):
        assert y[:, :, c].sum(dtype=int) == 38269
        assert zlib.crc32(y[:, :, c].tobytes()) == 4042385416


@each
@given(image=images)
def test_light_and_tables_return_a_new_image_and_keep_their_input(name, image):
    before = image.copy()
    image.flags.writeable = False
    y = OPERATIONS[name](image)
    assert (y.shape, y.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(y, image)
    np.testing.assert_array_equal(image, before)


@each
def test_light_and_tables_ignore_the_memory_order(name):
    image = reference_image()
    strided = np.repeat(image, 2, axis=1)[:, ::2]
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    for other in (np.asfortranarray(image), strided, mirrored):
        np.testing.assert_array_equal(OPERATIONS[name](other), OPERATIONS[name](image))


@pytest.mark.parametrize("blend", BLENDS)
@given(image=images)
def test_light_with_factor_1_is_the_image_and_with_0_the_degenerate_one(blend, image):
    np.testing.assert_array_equal(blend(image, 1.0), image)
    degenerate = {
        light.brightness: np.zeros_like,
        light.contrast: lambda i: np.full_like(i, int(light.grayscale(i)[:, :, 0].mean() + 0.5)),
        light.color: light.grayscale,
        light.sharpness: light.smooth,
    }[blend]
    np.testing.assert_array_equal(blend(image, 0.0), degenerate(image))


@pytest.mark.parametrize("factor", [1.5, 300.0])
def test_brightness_stops_at_white_where_bytes_would_wrap_around(factor):
    image = np.full((2, 2, 3), 200, np.uint8)
    assert (light.brightness(image, factor) == 255).all()
    assert (image * np.uint8(2)).max() < 200  # what wrapping does


@given(image=images)
def test_tables_with_neutral_settings_change_nothing(image):
    for y in (
        tables.posterize(image, 8), tables.solarize(image, 256), tables.solarize_add(image, 0),
        tables.gamma(image, 1.0), tables.invert(tables.invert(image)),
    ):  # fmt: skip
        np.testing.assert_array_equal(y, image)
    np.testing.assert_array_equal(tables.solarize(image, 0), tables.invert(image))
    assert not tables.posterize(image, 0).any()


@given(image=images)
def test_autocontrast_reaches_black_and_white_in_every_channel_that_is_not_flat(image):
    """White, or one below it: as in Pillow, 255 / 191 times 191 is truncated to 254."""
    y = tables.autocontrast(image)
    for c in range(image.shape[2]):
        if np.ptp(image[:, :, c]):
            assert y[:, :, c].min() == 0
            assert y[:, :, c].max() >= 254
        else:
            np.testing.assert_array_equal(y[:, :, c], image[:, :, c])


@given(image=images)
def test_autocontrast_and_equalize_keep_the_order_of_pixels(image):
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


def test_gamma_equals_values_by_hand():
    image = np.array([[[0], [64], [128], [255]]], np.uint8)
    assert tables.gamma(image, 2.0).ravel().tolist() == [0, 16, 64, 255]
    assert tables.gamma(image, 0.5).ravel().tolist() == [0, 128, 181, 255]
