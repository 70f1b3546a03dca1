"""Operations on brightness and position against Pillow's, byte for byte, on random images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minivision.transforms import light, nearest, tables

Image = pytest.importorskip("PIL.Image")
from PIL import ImageEnhance, ImageFilter, ImageOps  # noqa: E402

pytestmark = pytest.mark.parity

shapes = st.tuples(st.integers(1, 24), st.integers(1, 24), st.sampled_from([1, 3]))


def few_values(shape):
    """An image of a few neighbouring values, as dark or misty pictures have."""
    return st.builds(
        lambda image, low, high: (image % (high + 1) + low).clip(0, 255).astype(np.uint8),
        arrays(np.int64, shape, elements=st.integers(0, 255)),
        st.integers(0, 250),
        st.integers(0, 40),
    )


images = shapes.flatmap(lambda shape: arrays(np.uint8, shape) | few_values(shape))


def theirs(image, operation):
    """What Pillow makes of an image (H, W, C)."""
    squeezed = image[:, :, 0] if image.shape[2] == 1 else image
    return np.asarray(operation(Image.fromarray(squeezed))).reshape(image.shape)


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
@given(image=images, factor=st.floats(0, 5))
def test_light_blends_equal_pillow_to_the_byte(name, image, factor):
    enhance = getattr(ImageEnhance, name.capitalize())
    expected = theirs(image, lambda picture: enhance(picture).enhance(factor))
    np.testing.assert_array_equal(getattr(light, name)(image, factor), expected)


@given(image=images)
def test_smooth_equals_pillow_to_the_byte(image):
    expected = theirs(image, lambda picture: picture.filter(ImageFilter.SMOOTH))
    np.testing.assert_array_equal(light.smooth(image), expected)


@given(image=images, bits=st.integers(1, 8), threshold=st.integers(0, 256))
def test_tables_equal_pillow_to_the_byte(image, bits, threshold):
    for ours, operation in (
        (tables.invert(image), ImageOps.invert),
        (tables.autocontrast(image), ImageOps.autocontrast),
        (tables.equalize(image), ImageOps.equalize),
        (tables.posterize(image, bits), lambda picture: ImageOps.posterize(picture, bits)),
        (tables.solarize(image, threshold), lambda picture: ImageOps.solarize(picture, threshold)),
    ):
        np.testing.assert_array_equal(ours, theirs(image, operation))


@given(image=images)
def test_grayscale_equals_pillow_to_the_byte(image):
    if image.shape[2] == 3:
        expected = np.asarray(Image.fromarray(image).convert("L"))
        np.testing.assert_array_equal(light.grayscale(image)[:, :, 0], expected)


matrices = st.tuples(*[st.floats(-2, 2) if i % 3 < 2 else st.floats(-30, 30) for i in range(6)])


@given(image=images, matrix=matrices, fill=st.integers(0, 255))
def test_affine_moves_equal_pillow_to_the_byte(image, matrix, fill):
    H, W, C = image.shape
    colour = fill if C == 1 else (fill,) * 3
    expected = theirs(
        image,
        lambda picture: picture.transform(
            (W, H), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=colour
        ),
    )
    np.testing.assert_array_equal(nearest.affine_nearest(image, matrix, fill), expected)


@given(image=images, degrees=st.floats(-180, 180), fill=st.integers(0, 255))
def test_rotate_equals_pillow_to_the_byte(image, degrees, fill):
    colour = fill if image.shape[2] == 1 else (fill,) * 3
    expected = theirs(image, lambda picture: picture.rotate(degrees, fillcolor=colour))
    np.testing.assert_array_equal(nearest.rotate(image, degrees, fill), expected)
