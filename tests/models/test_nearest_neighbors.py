"""k-nearest neighbours against a loop over all pairs, with ties; memory; GPUs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import backend
from minivision.backend import device_of, to_device, to_host
from minivision.models import KNearestNeighbors
from tests.cupy_stand_in import CUPY, LOG
from tests.gpu.device import ON_CUPY
from tests.refusals import refused


def by_loops(images, labels, queries, k, metric):
    """Indices, distances and votes, one pair at a time, in Python's integers."""
    indices, distances, classes = [], [], []
    for query in queries.reshape(len(queries), -1).tolist():
        found = []
        for i, image in enumerate(images.reshape(len(images), -1).tolist()):
            if metric == "l2":
                distance = sum((a - b) ** 2 for a, b in zip(query, image, strict=True)) ** 0.5
            else:
                dot = sum(a * b for a, b in zip(query, image, strict=True))
                lengths = [sum(a * a for a in one) ** 0.5 or 1.0 for one in (query, image)]
                distance = 1 - dot / lengths[0] / lengths[1]
            found.append((max(distance, 0.0), i))
        found = sorted(found)[:k]
        votes = [labels[i] for _, i in found]
        indices.append([i for _, i in found])
        distances.append([distance for distance, _ in found])
        # max takes the first of equals, and the votes are sorted by distance.
        classes.append(max(votes, key=votes.count))
    return indices, distances, classes


def draw(seed, n=40, m=9, shape=(2, 3, 1), values=3):
    """Bytes with few distinct values, so that many distances are equal."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, values, (n, *shape)).astype(np.uint8)
    queries = rng.integers(0, values, (m, *shape)).astype(np.uint8)
    return images, rng.integers(0, 4, n), queries


@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 7),
    metric=st.sampled_from(["l2", "cosine"]),
    budget=st.integers(2_500, 20_000),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64, np.int16]),
)
def test_nearest_neighbors_equals_a_loop_over_all_pairs_for_any_block_size(
    seed, k, metric, budget, dtype
):
    images, labels, queries = draw(seed)
    indices, distances, classes = by_loops(images, labels, queries, k, metric)
    model = KNearestNeighbors(k, metric, budget).fit(images.astype(dtype), labels)
    found_distances, found_indices = model.neighbors(queries.astype(dtype))
    np.testing.assert_array_equal(found_indices, indices)
    np.testing.assert_allclose(found_distances, distances, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(model.predict(queries.astype(dtype)), classes)


def test_nearest_neighbors_compares_the_largest_bytes_exactly():
    """Squares reach 5·10⁷ here; in float32 these neighbours, one grey level apart, would merge."""
    rng = np.random.default_rng(0)
    base = rng.integers(200, 256, 784)
    images = np.stack([base.copy() for _ in range(30)]).astype(np.uint8)
    for i in range(30):
        images[i, : 29 - i] -= 1  # at a squared distance of 29 - i
    model = KNearestNeighbors(30).fit(images, np.zeros(30, int))
    distances, indices = model.neighbors(base[None].astype(np.uint8))
    np.testing.assert_array_equal(indices[0], np.arange(29, -1, -1))
    np.testing.assert_array_equal(distances[0], np.sqrt(np.arange(30)))


def test_nearest_neighbors_prefers_the_earlier_of_equally_distant_images():
    images = np.array([[5, 5], [1, 0], [0, 1], [0, 1], [9, 9]], np.uint8)
    model = KNearestNeighbors(3).fit(images, np.arange(5))
    np.testing.assert_array_equal(model.neighbors(np.zeros((1, 2), np.uint8))[1], [[1, 2, 3]])


def test_nearest_neighbors_breaks_ties_of_votes_by_the_nearest_image():
    images = np.array([[4], [3], [2], [1]], np.uint8)
    labels = np.array([0, 0, 7, 7])
    query = np.zeros((1, 1), np.uint8)
    assert KNearestNeighbors(4).fit(images, labels).predict(query) == [7]
    assert KNearestNeighbors(4).fit(images, labels[::-1]).predict(query) == [0]
    assert KNearestNeighbors(3).fit(images, np.array([0, 0, 0, 7])).predict(query) == [0]


def test_nearest_neighbors_with_cosine_ignores_brightness():
    images = np.array([[10, 0], [0, 0], [3, 4]], np.uint8)
    model = KNearestNeighbors(3, "cosine").fit(images, np.arange(3))
    distances, indices = model.neighbors(np.array([[60, 80], [0, 0]], np.uint8))
    np.testing.assert_array_equal(indices, [[2, 0, 1], [0, 1, 2]])
    np.testing.assert_allclose(distances, [[0, 0.4, 1], [1, 1, 1]], atol=1e-15)


def test_nearest_neighbors_copies_its_images_and_changes_no_argument():
    images, labels, queries = draw(1)
    before = [array.copy() for array in (images, labels, queries)]
    model = KNearestNeighbors(3).fit(images, labels)
    expected = model.predict(queries)
    for array, copy in zip((images, labels, queries), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    images[:], labels[:] = 0, 0
    np.testing.assert_array_equal(model.predict(queries), expected)


def test_nearest_neighbors_takes_read_only_and_column_major_arrays():
    images, labels, queries = draw(2, shape=(3, 4, 3))
    expected = KNearestNeighbors(2).fit(images, labels).neighbors(queries)
    turned = np.asfortranarray(images)
    turned.flags.writeable = False
    found = KNearestNeighbors(2).fit(turned, labels).neighbors(np.asfortranarray(queries))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_nearest_neighbors_reports_its_bytes_and_the_cost_of_a_query():
    images, labels, _ = draw(3, n=50, shape=(28, 28, 1))
    model = KNearestNeighbors().fit(images, labels)
    assert model.nbytes == 50 * (784 + 8 + 8)  # pixels, a label, a squared length
    assert model.multiply_adds == 50 * 784
    assert KNearestNeighbors().fit(images.astype(np.float32), labels).nbytes == 50 * (4 * 784 + 16)


def test_nearest_neighbors_of_no_queries_are_empty():
    images, labels, queries = draw(4)
    model = KNearestNeighbors(3).fit(images, labels)
    assert model.predict(queries[:0]).shape == (0,)
    assert [array.shape for array in model.neighbors(queries[:0])] == [(0, 3), (0, 3)]


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("m", [1, 40, 500])
def test_nearest_neighbors_stays_within_its_memory_budget(metric, m):
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (2_000, 20, 20, 1)).astype(np.uint8)
    queries = rng.integers(0, 256, (m, 20, 20, 1)).astype(np.uint8)
    labels = np.zeros(2_000, int)
    for budget in (200_000, 1_000_000):
        tracemalloc.start()
        model = KNearestNeighbors(5, metric, budget).fit(images, labels)
        kept = tracemalloc.get_traced_memory()[0]
        fitting = tracemalloc.get_traced_memory()[1] - kept
        tracemalloc.reset_peak()
        result = model.neighbors(queries)
        searching = tracemalloc.get_traced_memory()[1] - kept - sum(a.nbytes for a in result)
        tracemalloc.stop()
        assert fitting <= budget + 20_000
        assert 0.1 * min(budget, 8 * m * 400) < searching <= budget + 20_000


# ── on a GPU ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def card(monkeypatch):
    """CuPy's strict stand-in, or CuPy itself on a machine that has it."""
    if not ON_CUPY:
        monkeypatch.setattr(backend, "find_cupy", lambda: CUPY)
        CUPY.cuda.Device(0).use()
        LOG.clear()
    return "gpu:0"


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_nearest_neighbors_gives_the_same_on_a_gpu(card, metric):
    images, labels, queries = draw(6)
    here = KNearestNeighbors(3, metric, 6_000).fit(images, labels)
    there = KNearestNeighbors(3, metric, 6_000).fit(to_device(images, card), labels)
    distances, indices = there.neighbors(to_device(queries, card))
    assert device_of(distances) == device_of(indices) == card
    expected_distances, expected_indices = here.neighbors(queries)
    np.testing.assert_array_equal(to_host(indices), expected_indices)
    np.testing.assert_allclose(to_host(distances), expected_distances, rtol=1e-14, atol=1e-15)
    classes = there.predict(to_device(queries, card))
    np.testing.assert_array_equal(classes, here.predict(queries))
    assert there.nbytes == here.nbytes


def test_nearest_neighbors_refuses_queries_on_another_device(card):
    images, labels, queries = draw(7)
    model = KNearestNeighbors().fit(to_device(images, card), labels)
    with refused(
        ValueError, "KNearestNeighbors.neighbors: queries", "cpu", "gpu:0", "backend.to_device"
    ):
        model.neighbors(queries)


# ── blocks and budgets ───────────────────────────────────────────────────────────────────────


def test_nearest_neighbors_names_a_bad_query_by_its_index_over_all_blocks():
    images, labels, queries = draw(10, m=200)
    queries = queries.astype(np.float64)
    queries[137, 1, 2, 0] = np.inf
    with refused(ValueError, "KNearestNeighbors.neighbors: queries[137]", "infinity"):
        KNearestNeighbors(1, memory_budget=3_000).fit(images, labels).neighbors(queries)


def test_nearest_neighbors_names_the_smallest_budget_that_works():
    images, labels, queries = draw(11, shape=(28, 28, 1))
    budget = "KNearestNeighbors.fit: memory_budget"
    with refused(ValueError, budget, "9,000", "784", "takes ") as caught:
        KNearestNeighbors(memory_budget=9_000).fit(images, labels)
    needed = int(str(caught.value).split("takes ")[1].split(";")[0].replace(",", ""))
    model = KNearestNeighbors(memory_budget=needed).fit(images, labels)
    expected = KNearestNeighbors().fit(images, labels).neighbors(queries)
    np.testing.assert_array_equal(model.neighbors(queries)[1], expected[1])


@pytest.mark.parametrize(
    ("N", "shape", "megabytes"),
    [
        (60_000, (28, 28), 47),  # MNIST
        (50_000, (32, 32, 3), 154),  # CIFAR-10
        (1_281_167, (224, 224, 3), 192_852),  # ImageNet
    ],
)
def test_nearest_neighbors_needs_the_memory_of_the_pixels_of_known_datasets(N, shape, megabytes):
    two = KNearestNeighbors().fit(np.zeros((2, *shape), np.uint8), np.zeros(2, int))
    pixels = two.nbytes // 2 - 16  # without the label and the squared length
    assert round(N * pixels / 1e6) == megabytes
