"""Tests of ArrayDataset, Subset and the stratified splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.datasets import ArrayDataset, Subset, stratified_indices, stratified_split


def small_dataset(N=10, K=3, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (N, 4, 5, 1), dtype=np.uint8)
    return ArrayDataset(images, rng.integers(0, K, N), tuple("abcdefgh"[:K]))


def test_an_array_dataset_gives_images_labels_and_classes():
    data = small_dataset()
    assert len(data) == 10
    image, label = data[3]
    np.testing.assert_array_equal(image, data.images[3])
    assert type(label) is int
    assert label == data.labels[3]
    assert data.labels.dtype == np.int64
    assert data.classes == ("a", "b", "c")


def test_walking_a_dataset_ends_at_its_last_example():
    data = small_dataset(N=4)
    assert [label for _, label in data] == data.labels.tolist()
    assert [label for _, label in Subset(data, [2, 0])] == data.labels[[2, 0]].tolist()


def test_nobody_can_write_into_the_images_of_a_dataset():
    data = small_dataset()
    with pytest.raises(ValueError, match="read-only"):
        data[0][0][:] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1


def test_a_dataset_does_not_lock_or_copy_the_array_it_was_given():
    images = np.zeros((2, 4, 5, 1), np.uint8)
    data = ArrayDataset(images, np.array([0, 0]), ("a",))
    assert np.shares_memory(data.images, images)
    images[0] = 7
    assert data[0][0].max() == 7


@pytest.mark.parametrize(
    ("images", "labels", "classes", "sentence"),
    [
        (np.zeros((2, 4, 5, 1)), [0, 0], ("a",), r"images is float64 \(2, 4, 5, 1\)"),
        (np.zeros((2, 4, 5), np.uint8), [0, 0], ("a",), r"images is uint8 \(2, 4, 5\); expected"),
        (np.zeros((2, 4, 5, 1), np.uint8), [0.0, 0.0], ("a",), "labels is float64"),
        (np.zeros((2, 4, 5, 1), np.uint8), [[0], [0]], ("a",), r"labels is int64 \(2, 1\)"),
        (np.zeros((2, 4, 5, 1), np.uint8), [0], ("a",), "there are 2 images but 1 labels"),
        (
            np.zeros((2, 4, 5, 1), np.uint8),
            [0, 1],
            ("a",),
            "labels go from 0 to 1; expected 0 to 0",
        ),
        (np.zeros((2, 4, 5, 1), np.uint8), [-1, 0], ("a",), "labels go from -1 to 0"),
        (np.zeros((2, 4, 5, 1), np.uint8), [0, 1], ("a", "a"), "expected different strings"),
        (np.zeros((2, 4, 5, 1), np.uint8), [0, 1], (0, 1), r"classes is \(0, 1\)"),
        (np.zeros((2, 4, 5, 1), np.uint8), [0, 1], "ab", "labels go from 0 to 1; expected 0 to 0"),
    ],
)
def test_arrays_that_do_not_fit_raise_a_sentence(images, labels, classes, sentence):
    with pytest.raises(ValueError, match=f"ArrayDataset: .*{sentence}"):
        ArrayDataset(images, np.array(labels), classes)


@pytest.mark.parametrize("index", [10, -11])
def test_an_index_out_of_range_is_told_with_the_length(index):
    with pytest.raises(IndexError, match=f"ArrayDataset: the index is {index}; .*10, its length"):
        small_dataset()[index]


def test_an_index_that_is_no_whole_number_is_refused():
    for data in (small_dataset(), Subset(small_dataset(), [1, 2])):
        with pytest.raises(TypeError, match="expected one whole number"):
            data[1:2]


@given(st.integers(1, 12), st.integers(0, 999))
def test_a_subset_is_the_chosen_examples_in_their_order(M, seed):
    data = small_dataset()
    indices = np.random.default_rng(seed).integers(0, 10, M)
    part = Subset(data, indices)
    assert len(part) == M
    assert part.classes == data.classes
    np.testing.assert_array_equal(part.labels, data.labels[indices])
    np.testing.assert_array_equal(part.images, data.images[indices])
    for i in range(M):
        image, label = part[i]
        assert np.shares_memory(image, data.images)  # a view
        np.testing.assert_array_equal(image, data.images[indices[i]])
        assert label == data.labels[indices[i]]


def test_a_batch_of_a_subset_of_a_subset_is_what_its_examples_are():
    part = Subset(Subset(small_dataset(), [9, 7, 5, 3, 1]), [4, 0, 2])
    images, labels = part.batch(np.array([2, 0]))
    np.testing.assert_array_equal(images, np.stack([part[2][0], part[0][0]]))
    assert labels.tolist() == [part[2][1], part[0][1]]
    assert part.in_memory


def test_a_subset_may_be_empty():
    part = Subset(small_dataset(), [])
    assert len(part) == 0
    assert part.images.shape == (0, 4, 5, 1)


@pytest.mark.parametrize(
    ("indices", "sentence"),
    [
        ([0, 10], "indices go from 0 to 10; expected 0 to 9"),
        ([-1, 3], "indices go from -1 to 3"),
        ([0.0, 1.0], r"indices is float64 \(2,\)"),
        ([[0, 1]], r"indices is int64 \(1, 2\)"),
        ([True, False], r"of a mask take np.flatnonzero\(mask\)"),
    ],
)
def test_impossible_indices_raise_a_sentence(indices, sentence):
    with pytest.raises(ValueError, match=f"Subset: .*{sentence}"):
        Subset(small_dataset(), indices)


@given(st.integers(1, 6), st.integers(0, 120), st.integers(0, 120), st.integers(0, 999))
def test_parts_are_disjoint_and_have_their_exact_sizes(K, a, b, seed):
    labels = np.random.default_rng(seed).integers(0, K, 240)
    parts = stratified_indices(labels, (a, b), seed)
    assert [len(part) for part in parts] == [a, b]
    assert len(np.unique(np.concatenate(parts))) == a + b
    for part in parts:
        assert np.all(np.diff(part) > 0)  # in the order of the dataset


@given(st.integers(2, 6), st.floats(0.1, 0.9), st.integers(0, 999))
def test_every_class_is_in_proportion_in_every_part(K, fraction, seed):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.choice(K, 300, p=rng.dirichlet(np.full(K, 5.0))))
    counts = np.bincount(labels, minlength=K)
    for part in stratified_indices(labels, (fraction, 1 - fraction), seed):
        share = counts * len(part) / 300
        assert np.abs(np.bincount(labels[part], minlength=K) - share).max() <= 3


def test_equal_classes_have_equal_shares():
    labels = np.repeat(np.arange(5), 20)
    for part in stratified_indices(labels, (50, 10, 40), seed=3):
        np.testing.assert_array_equal(np.bincount(labels[part]), len(part) // 5)


def test_rare_classes_do_not_all_land_in_the_same_part():
    labels = np.concatenate([np.zeros(81, int), np.arange(1, 10)])
    rare = [
        np.count_nonzero(labels[stratified_indices(labels, (30, 30, 30), seed)[1]])
        for seed in range(200)
    ]
    assert abs(np.mean(rare) - 3) < 0.5


def test_a_split_depends_on_its_seed_and_on_nothing_else():
    labels = np.random.default_rng(0).integers(0, 3, 100)
    first = stratified_indices(labels, (50, 50), seed=1)
    again = stratified_indices(labels, (50, 50), seed=1)
    other = stratified_indices(labels, (50, 50), seed=2)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_a_split_of_a_dataset_is_a_view_of_it():
    data = small_dataset(30)
    left, right = stratified_split(data, (20, 10), seed=4)
    indices = stratified_indices(data.labels, (20, 10), seed=4)
    np.testing.assert_array_equal(left.indices, indices[0])
    np.testing.assert_array_equal(right.indices, indices[1])
    assert np.shares_memory(left[0][0], data.images)


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.5,), (0.0, 1.0)])
def test_fractions_use_up_what_they_add_up_to(fractions):
    parts = stratified_indices(np.zeros(101, int), fractions)
    assert sum(map(len, parts)) == round(101 * sum(fractions))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - 101 * fraction) <= 1


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ((6, 5), "together 11; expected at most 10, the number of examples"),
        ((0.6, 0.5), "expected at most 1.0"),
        ((5, 0.5), "expected numbers of examples such as"),
        (("5",), "expected numbers of examples such as"),
        ((-1, 5), "expected no negative size"),
        ((np.nan, 0.5), "expected no negative size"),
    ],
)
def test_impossible_sizes_raise_a_sentence(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        stratified_indices(np.zeros(10, int), sizes)


def test_labels_that_are_no_labels_cannot_be_stratified():
    with pytest.raises(ValueError, match=r"labels is float64 \(4,\); expected whole numbers"):
        stratified_indices(np.zeros(4), (2, 2))
