"""Compose, ToArray, Normalize, and transforms as JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import (
    TRANSFORMS,
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomScale,
    RandomTranslate,
    Resize,
    Rotate90,
    ToArray,
    Transform,
    Translate,
    describe,
    from_description,
)
from minivision.transforms.pixel_maps import GeometricTransform
from tests.strategies import seeds
from tests.transforms.examples import EXAMPLES, channels, random_image, sides


@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 4), st.integers(0, 99))
def test_to_array_moves_channels_first_and_divides_by_255(H, W, C, seed):
    image = random_image(H, W, C, seed)
    array = ToArray()(image)
    assert array.dtype == np.float32
    assert array.shape == (C, H, W)
    assert array.flags.c_contiguous
    for c in range(C):
        for y in range(H):
            for x in range(W):
                assert array[c, y, x] == np.float32(image[y, x, c]) / np.float32(255)


def test_to_array_and_normalize_treat_a_batch_like_its_images():
    batch = np.stack([random_image(5, 6, 3, seed) for seed in range(4)])
    transform = Compose([ToArray(), Normalize((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))])
    together = transform(batch)
    assert together.shape == (4, 3, 5, 6)
    assert together.flags.c_contiguous
    np.testing.assert_array_equal(together, np.stack([transform(image) for image in batch]))


def test_normalize_equals_its_definition_and_keeps_its_input():
    x = np.random.default_rng(0).random((3, 4, 5), np.float32)
    before = x.copy()
    y = Normalize((0.1, 0.2, 0.3), (0.5, 2.0, 4.0))(x)
    np.testing.assert_array_equal(x, before)
    assert y.dtype == np.float32
    for c, (mean, std) in enumerate(zip((0.1, 0.2, 0.3), (0.5, 2.0, 4.0), strict=True)):
        np.testing.assert_allclose(y[c], (x[c] - mean) / std, rtol=1e-5)


def test_compose_applies_its_steps_in_order():
    image = random_image(6, 8, 1)
    np.testing.assert_array_equal(
        Compose([Translate(2, 0), Resize((3, 4))])(image),
        Resize((3, 4))(Translate(2, 0)(image)),
    )


def test_compose_draws_for_each_step_from_the_same_generator():
    image = random_image(9, 8, 1)
    first, second = RandomTranslate(2), RandomScale(0.5, 1.5)
    rng = np.random.default_rng(5)
    expected = second(first(image, rng), rng)
    together = Compose([first, second])(image, np.random.default_rng(5))
    np.testing.assert_array_equal(together, expected)


def test_compose_says_whether_it_draws_and_takes_batches():
    assert not Compose([Resize((2, 2)), ToArray()]).random
    assert Compose([RandomTranslate(1), ToArray()]).random
    assert Compose([Compose([RandomTranslate(1)]), ToArray()]).random
    assert Compose([ToArray(), Normalize(0, 1)]).takes_batches
    assert not Compose([Resize((2, 2)), ToArray()]).takes_batches


@pytest.mark.parametrize("transform", EXAMPLES, ids=repr)
def test_from_description_restores_a_transform_from_json(transform):
    text = json.dumps(describe(transform))
    again = from_description(json.loads(text))
    assert again == transform
    assert type(again) is type(transform)


def test_examples_include_every_transform_in_the_table():
    assert set(TRANSFORMS) == {type(t).__name__ for t in EXAMPLES} - {"Compose"}


@pytest.mark.parametrize("transform", [t for t in EXAMPLES if isinstance(t, Transform)], ids=repr)
@given(H=sides, W=sides, C=channels, seed=seeds)
def test_transforms_draw_then_apply_and_return_a_new_image(transform, H, W, C, seed):
    """They never write into the image, which is read-only here, and a draw can be replayed."""
    if isinstance(transform, CenterCrop | RandomCrop):
        H, W = H + 3, W + 5
    if not isinstance(transform, GeometricTransform):
        C = 3  # only maps of pixels apply to every channel alike
    image = random_image(H, W, C, seed)
    y = transform(image, np.random.default_rng(seed))
    drawn = transform.draw((H, W), np.random.default_rng(seed))
    for _ in range(2):
        np.testing.assert_array_equal(transform.apply(image, drawn), y)
    kept = (W, H) if isinstance(transform, Rotate90) else (H, W)
    assert y.shape == (*(getattr(transform, "size", None) or kept), C)
    assert y.dtype == np.uint8
    assert y.flags.c_contiguous
    assert not np.shares_memory(y, image)


def test_transforms_say_whether_they_are_random():
    others = {"ElasticDistortion", "PCAColor", "ColorJitter", "OperationSequence", "Compose"}
    for transform in EXAMPLES:
        name = type(transform).__name__
        assert transform.random == (name.startswith("Rand") or name in others)


def test_describe_distinguishes_settings():
    assert describe(Translate(1, 2)) == {"transform": "Translate", "dx": 1, "dy": 2, "fill": 0}
    assert from_description(describe(Translate(1, 2))) != Translate(2, 1)
