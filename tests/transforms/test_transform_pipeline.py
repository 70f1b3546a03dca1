"""Tests of Compose, ToArray, Normalize, and of transforms written as JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.transforms import (
    TRANSFORMS,
    Affine,
    CenterCrop,
    ColorJitter,
    Compose,
    ElasticDistortion,
    FrameDigit,
    Normalize,
    OperationSequence,
    Pad,
    PCAColor,
    Perspective,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslate,
    RandomVerticalFlip,
    Resize,
    Rotate,
    Rotate90,
    Scale,
    ToArray,
    Transform,
    Translate,
    Warp,
    describe,
    from_description,
)


def random_image(H, W, C, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, C), dtype=np.uint8)


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


def test_to_array_and_normalize_treat_a_batch_as_they_treat_its_images():
    batch = np.stack([random_image(5, 6, 3, seed) for seed in range(4)])
    transform = Compose([ToArray(), Normalize((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))])
    together = transform(batch)
    assert together.shape == (4, 3, 5, 6)
    assert together.flags.c_contiguous
    np.testing.assert_array_equal(together, np.stack([transform(image) for image in batch]))


def test_normalize_equals_its_definition_and_leaves_its_input_alone():
    x = np.random.default_rng(0).random((3, 4, 5), np.float32)
    before = x.copy()
    y = Normalize((0.1, 0.2, 0.3), (0.5, 2.0, 4.0))(x)
    np.testing.assert_array_equal(x, before)
    assert y.dtype == np.float32
    for c, (mean, std) in enumerate(zip((0.1, 0.2, 0.3), (0.5, 2.0, 4.0), strict=True)):
        np.testing.assert_allclose(y[c], (x[c] - mean) / std, rtol=1e-5)


@pytest.mark.parametrize(
    ("transform", "value", "sentence"),
    [
        (ToArray(), np.zeros((2, 2, 1), np.float32), "ToArray: image is float32 (2, 2, 1)"),
        (ToArray(), np.zeros((2, 2), np.uint8), "ToArray: image is uint8 (2, 2); expected uint8"),
        (ToArray(), "cat.png", "ToArray: image is a str"),
        (Normalize(0, 1), np.zeros((2, 2, 1), np.uint8), "Normalize: image is uint8 (2, 2, 1)"),
        (
            Normalize((0, 0), (1, 1)),
            np.zeros((3, 2, 2), np.float32),
            "Normalize: image has 3 channels (shape (3, 2, 2)), but mean and std have 2 numbers",
        ),
    ],
)
def test_wrong_arrays_raise_a_sentence(transform, value, sentence):
    with pytest.raises(ValueError) as caught:
        transform(value)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("mean", "std", "sentence"),
    [
        ((0, 0, 0), (1, 1), "mean has 3 numbers but std has 2"),
        (0, 0, "each std above zero"),
        (np.nan, 1, "expected finite numbers"),
    ],
)
def test_normalize_refuses_impossible_settings(mean, std, sentence):
    with pytest.raises(ValueError, match=sentence):
        Normalize(mean, std)


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


@pytest.mark.parametrize("step", [ToArray, "ToArray()", lambda image: image])
def test_compose_refuses_what_is_not_a_transform(step):
    with pytest.raises(ValueError, match=r"Compose: transforms\[1\] is .*such as ToArray\(\)"):
        Compose([ToArray(), step])


EXAMPLES = [
    ToArray(),
    Normalize((0.1, 0.2), (0.3, 0.4)),
    Normalize(0.5, np.float64(0.25)),
    Resize((3, 5)),
    Pad((40, 50), fill=3),
    Translate(2, -1.5, fill=7),
    Scale(1.25, fill=3),
    RandomTranslate(3, fill=1),
    RandomScale(0.9, 1.2),
    RandomHorizontalFlip(0.25),
    RandomCrop((4, 6), padding=2, fill=9),
    CenterCrop((4, 6)),
    RandomResizedCrop((8, 6), (0.2, 0.9), (0.5, 2.0)),
    RandomVerticalFlip(0.75),
    Rotate90(3),
    Rotate(12.5, interpolation="nearest", border="edge"),
    Affine(5.0, (1.0, -2.0), 1.1, (0.1, 0.2), border="reflect"),
    Warp(((1, 0.5, 0), (0, 1, 0), (0, 0.001, 1)), size=(7, 9), fill=8),
    Warp(np.eye(3)),
    Perspective([[0, 0], [9, 1], [9, 9], [0, 8]], ((0, 0), (4, 0), (4, 4), (0, 4)), (5, 5)),
    RandomRotation(10, fill=3),
    RandomAffine(10, 2, (0.9, 1.2), 0.1, border="edge"),
    RandomPerspective(0.3),
    ElasticDistortion(20.0, 3.0, border="reflect"),
    FrameDigit((20, 24), extent=16),
    PCAColor(0.2, (0.3, 0.2, 0.1), ((1, 0, 0), (0, 0, 1), (0, 1, 0))),
    ColorJitter((0.6, 1.4), None, (0.5, 2.0)),
    RandAugment(2, 9.0),
    OperationSequence([("rotate", 15), ("equalize", 0)], 0.5),
    Compose([RandomTranslate(1), Compose([ToArray(), Normalize(0, 1)])]),
]


@pytest.mark.parametrize("transform", EXAMPLES, ids=repr)
def test_a_transform_survives_json(transform):
    text = json.dumps(describe(transform))
    again = from_description(json.loads(text))
    assert again == transform
    assert type(again) is type(transform)


def test_every_transform_in_the_table_is_among_the_examples():
    assert set(TRANSFORMS) == {type(t).__name__ for t in EXAMPLES} - {"Compose"}


def test_different_settings_have_different_descriptions():
    assert describe(Translate(1, 2)) == {"transform": "Translate", "dx": 1, "dy": 2, "fill": 0}
    assert from_description(describe(Translate(1, 2))) != Translate(2, 1)


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ({"transform": "system"}, "the transform is called 'system'; expected one of ToArray"),
        ({"transform": ["Resize"]}, r"the transform is called \['Resize'\]"),
        ({"size": [2, 2]}, 'a dict with the key "transform"'),
        ("ToArray", "description is 'ToArray'; expected a list"),
        ({"transform": "Resize"}, r"Resize came with the settings \[\]; expected \['size'\]"),
        ({"transform": "ToArray", "x": 1}, r"ToArray came with the settings \['x'\]"),
        ([{"transform": "Resize", "size": [0, 2]}], r"Resize: size is \(0, 2\)"),
    ],
)
def test_a_wrong_description_raises_a_sentence(description, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_description(description)


def test_a_transform_without_a_name_cannot_be_described():
    class Resize(Transform):  # the same name as one of ours, and another class
        pass

    with pytest.raises(ValueError, match="which has no name in the table"):
        describe(Resize())


def test_a_transform_that_lacks_its_methods_says_so():
    with pytest.raises(NotImplementedError, match="Transform has no draw method"):
        Transform()(random_image(2, 2, 1))
    with pytest.raises(NotImplementedError, match="Transform has no apply method"):
        Transform().apply(random_image(2, 2, 1), None)
