"""ArrayDataset, Subset and the stratified splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.datasets import ArrayDataset, Subset, stratified_indices, stratified_split
from tests.refusals import refused


def small_dataset(N=10, K=3, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (N, 4, 5, 1), dtype=np.uint8)
    return ArrayDataset(images, rng.integers(0, K, N), tuple("abcdefgh"[:K]))


def test_array_dataset_has_images_labels_and_classes():
    data = small_dataset()
    assert len(data) == 10
    image, label = data[3]
    np.testing.assert_array_equal(image, data.images[3])
    assert type(label) is int
    assert label == data.labels[3]
    assert data.labels.dtype == np.int64
    assert data.classes == ("a", "b", "c")


def test_dataset_iteration_ends_at_the_last_example():
    data = small_dataset(N=4)
    assert [label for _, label in data] == data.labels.tolist()
    assert [label for _, label in Subset(data, [2, 0])] == data.labels[[2, 0]].tolist()


def test_array_dataset_is_read_only():
    data = small_dataset()
    with refused(ValueError, "read-only"):
        data[0][0][:] = 0
    with refused(ValueError, "read-only"):
        data.labels[0] = 1


def test_array_dataset_neither_locks_nor_copies_its_array():
    images = np.zeros((2, 4, 5, 1), np.uint8)
    data = ArrayDataset(images, np.array([0, 0]), ("a",))
    assert np.shares_memory(data.images, images)
    images[0] = 7
    assert data[0][0].max() == 7


@given(st.integers(1, 12), st.integers(0, 999))
def test_subset_has_the_chosen_examples_in_order(M, seed):
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


def test_subset_of_a_subset_has_batches_equal_to_its_examples():
    part = Subset(Subset(small_dataset(), [9, 7, 5, 3, 1]), [4, 0, 2])
    images, labels = part.batch(np.array([2, 0]))
    np.testing.assert_array_equal(images, np.stack([part[2][0], part[0][0]]))
    assert labels.tolist() == [part[2][1], part[0][1]]
    assert part.in_memory


def test_subset_can_be_empty():
    part = Subset(small_dataset(), [])
    assert len(part) == 0
    assert part.images.shape == (0, 4, 5, 1)


@given(st.integers(1, 6), st.integers(0, 120), st.integers(0, 120), st.integers(0, 999))
def test_stratified_indices_are_disjoint_and_have_exact_sizes(K, a, b, seed):
    labels = np.random.default_rng(seed).integers(0, K, 240)
    parts = stratified_indices(labels, (a, b), seed)
    assert [len(part) for part in parts] == [a, b]
    assert len(np.unique(np.concatenate(parts))) == a + b
    for part in parts:
        assert np.all(np.diff(part) > 0)  # in the order of the dataset


@given(st.integers(2, 6), st.floats(0.1, 0.9), st.integers(0, 999))
def test_stratified_indices_have_every_class_in_proportion(K, fraction, seed):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.choice(K, 300, p=rng.dirichlet(np.full(K, 5.0))))
    counts = np.bincount(labels, minlength=K)
    for part in stratified_indices(labels, (fraction, 1 - fraction), seed):
        share = counts * len(part) / 300
        assert np.abs(np.bincount(labels[part], minlength=K) - share).max() <= 3


def test_stratified_indices_give_equal_classes_equal_shares():
    labels = np.repeat(np.arange(5), 20)
    for part in stratified_indices(labels, (50, 10, 40), seed=3):
        np.testing.assert_array_equal(np.bincount(labels[part]), len(part) // 5)


def test_stratified_indices_spread_rare_classes_over_the_parts():
    labels = np.concatenate([np.zeros(81, int), np.arange(1, 10)])
    rare = [
        np.count_nonzero(labels[stratified_indices(labels, (30, 30, 30), seed)[1]])
        for seed in range(200)
    ]
    assert abs(np.mean(rare) - 3) < 0.5


def test_stratified_indices_depend_only_on_the_seed():
    labels = np.random.default_rng(0).integers(0, 3, 100)
    first = stratified_indices(labels, (50, 50), seed=1)
    again = stratified_indices(labels, (50, 50), seed=1)
    other = stratified_indices(labels, (50, 50), seed=2)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_stratified_split_returns_views():
    data = small_dataset(30)
    left, right = stratified_split(data, (20, 10), seed=4)
    indices = stratified_indices(data.labels, (20, 10), seed=4)
    np.testing.assert_array_equal(left.indices, indices[0])
    np.testing.assert_array_equal(right.indices, indices[1])
    assert np.shares_memory(left[0][0], data.images)


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.5,), (0.0, 1.0)])
def test_stratified_indices_by_fractions_use_their_total(fractions):
    parts = stratified_indices(np.zeros(101, int), fractions)
    assert sum(map(len, parts)) == round(101 * sum(fractions))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - 101 * fraction) <= 1
