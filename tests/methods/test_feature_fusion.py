"""Feature fusion: joining two parts of an image's features, and measures of retrieval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score

from minivision import Tensor, manual_seed, no_grad
from minivision.methods import DeepFeatures, FeatureFusion, choose_weight
from minivision.methods.feature_fusion import unit_length
from minivision.methods.features import (
    average_precision,
    mean_average_precision,
    precision_at_k,
    ranking,
)
from minivision.models import cut, lenet5, resnet20, with_new_head
from minivision.transforms import ToArray
from tests.strategies import seeds

weights = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0])


def parts(seed, N=30, D=7, E=5):
    rng = np.random.default_rng(seed)
    return {"local": rng.gamma(1, 3, (N, D)), "global": rng.gamma(2, 1, (N, E))}


def squared_distances(a, b):
    return np.array([[sum((x - y) ** 2) for y in b] for x in a])


# ── fusion ───────────────────────────────────────────────────────────────────────────────────


@given(seeds, weights)
def test_feature_fusion_distance_squared_is_the_weighted_sum_of_the_parts(seed, w):
    index, queries = parts(seed), parts(seed + 1, N=4)
    expected = 0
    for name, weight in (("local", w), ("global", 1 - w)):
        rows, asked = unit_length(index[name]), unit_length(queries[name])
        spread = np.mean(squared_distances(rows, rows.mean(axis=0)[None]))
        expected = expected + weight * squared_distances(asked, rows) / spread
    fusion = FeatureFusion(w, components=None).fit(index)
    found = squared_distances(fusion.transform(queries), fusion.transform(index))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(seeds, weights)
def test_feature_fusion_with_all_components_keeps_every_distance(seed, w):
    index = parts(seed)
    plain = FeatureFusion(w, None).fit(index).transform(index)
    turned = FeatureFusion(w, 100).fit(index).transform(index)
    np.testing.assert_allclose(
        squared_distances(turned, turned), squared_distances(plain, plain), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize(("w", "alone", "other"), [(0, "global", "local"), (1, "local", "global")])
@pytest.mark.parametrize("components", [None, 3])
def test_feature_fusion_leaves_out_a_part_of_weight_zero_to_the_bit(w, alone, other, components):
    index, queries = parts(0), parts(1, N=4)
    fusion = FeatureFusion(w, components).fit(index)
    found = fusion.transform(queries)
    single = FeatureFusion(w, components).fit({alone: index[alone]})
    np.testing.assert_array_equal(found, single.transform({alone: queries[alone]}))
    index[other][:], queries[other][:] = 7, 8
    changed = FeatureFusion(w, components).fit(index).transform(queries)
    np.testing.assert_array_equal(found, changed)


def test_feature_fusion_with_weight_a_half_lets_both_parts_vary_equally():
    index = parts(3)
    index["local"] = 5 + 0.01 * index["local"]  # all nearly alike, as histograms often are
    vectors = FeatureFusion(0.5, None).fit(index).transform(index)
    halves = vectors[:, :7], vectors[:, 7:]
    assert [np.mean((h**2).sum(axis=1)) for h in halves] == pytest.approx([0.5, 0.5])


def test_feature_fusion_keeps_the_directions_that_vary_most():
    rng = np.random.default_rng(0)
    index = {"local": np.ones((40, 3)), "global": rng.normal(size=(40, 4)) * (0.1, 3, 0.1, 2) + 5}
    full = FeatureFusion(0, None).fit(index).transform(index)
    values = np.sort(np.linalg.eigvalsh(np.cov(full.T)))[::-1]
    two = FeatureFusion(0, 2).fit(index).transform(index)
    np.testing.assert_allclose(two.var(axis=0, ddof=1), values[:2], rtol=1e-9)


@pytest.mark.parametrize("N", [1, 2, 5])
def test_feature_fusion_takes_few_images_and_identical_ones(N):
    alike = {"local": np.zeros((N, 4)), "global": np.ones((N, 3))}
    fusion = FeatureFusion(0.5, 64).fit(alike)
    assert np.all(fusion.transform(alike) == 0)
    index = parts(0, N)
    assert np.all(np.isfinite(FeatureFusion().fit(index).transform(index)))


def toy(rng, classes, per_class=12):
    """Images whose class needs both parts: the local part gives the row, the global the column."""
    label = np.arange(len(classes) * per_class) % len(classes)
    row, column = np.array(classes)[label].T
    noise = rng.normal(size=(2, len(label), 6)) * 0.25
    eye = np.eye(6)
    return {"local": eye[row] + noise[0], "global": eye[column] + noise[1]}, label


def test_choose_weight_combines_parts_that_each_know_half_of_the_class():
    rng = np.random.default_rng(0)
    classes = [(0, 0), (0, 1), (1, 0), (1, 1)]
    (index, labels), (queries, asked) = toy(rng, classes), toy(rng, classes)
    scores = choose_weight(index, labels, queries, asked, weights=(0, 0.5, 1), components=None)
    assert next(iter(scores)) == 0.5
    assert scores[0.5] > max(scores[0], scores[1]) + 0.2


def test_choose_weight_returns_the_score_of_every_weight_best_first():
    rng = np.random.default_rng(1)
    index, labels = toy(
        rng, [(0, 0), (0, 1), (0, 2)]
    )  # the local part says nothing about the class
    queries, asked = toy(rng, [(0, 0), (0, 1), (0, 2)])
    scores = choose_weight(index, labels, queries, asked, weights=(0.1, 0.9))
    assert list(scores) == [0.1, 0.9]
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    fusion = FeatureFusion(0.9).fit(index)
    order = ranking(fusion.transform(index), fusion.transform(queries))
    assert scores[0.9] == mean_average_precision(labels[order] == asked[:, None])


# ── deep features ────────────────────────────────────────────────────────────────────────────


def digits_like(N, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (N, 28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("headed", [False, True])
def test_deep_features_are_mean_feature_maps_and_the_input_of_the_last_layer(headed):
    manual_seed(0)
    model = lenet5()
    manual_seed(1)
    network = with_new_head(model, 4) if headed else model
    images = digits_like(3)
    found = DeepFeatures(network, ToArray())(images)
    x = np.stack([ToArray()(image) for image in images])
    with no_grad():
        maps = model.features(Tensor(x)).data
        whole = cut(model).backbone(Tensor(x)).data
    N, F, H, W = maps.shape
    mean = sum(maps[:, :, i, j] for i in range(H) for j in range(W)) / (H * W)
    np.testing.assert_allclose(found["local"], mean, rtol=1e-5)
    np.testing.assert_allclose(found["global"], whole, rtol=1e-5)


def test_deep_features_of_a_resnet_take_the_local_part_one_stage_earlier():
    manual_seed(0)
    model = resnet20().train()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    found = DeepFeatures(model, ToArray())(images)
    assert all(part.training for part in model.modules())  # as before
    assert found["local"].shape == (2, 32)
    assert found["global"].shape == (2, 64)
    x = Tensor(np.stack([ToArray()(image) for image in images]))
    with no_grad():
        logits = model.eval()(x).data
    weight, bias = model.fc.weight.data, model.fc.bias.data
    np.testing.assert_allclose(found["global"] @ weight.T + bias, logits, atol=1e-4)
    for name, array in model.state_dict().items():  # the model was not changed
        np.testing.assert_array_equal(array, before[name])


def test_deep_features_do_not_depend_on_the_batches(monkeypatch):
    manual_seed(0)
    features = DeepFeatures(lenet5(), ToArray())
    images = digits_like(7)
    together = features(images)
    monkeypatch.setattr("minivision.methods.features.deep.BATCH", 3)
    for part, rows in features(list(images)).items():
        np.testing.assert_allclose(rows, together[part], rtol=1e-4, atol=1e-5)


def test_deep_features_describe_other_weights_as_other_features():
    def describe(seed):
        with manual_seed(seed):
            return DeepFeatures(lenet5(), ToArray()).describe()

    assert describe(0) == describe(0) != describe(1)


# ── retrieval ────────────────────────────────────────────────────────────────────────────────


def precision_by_loops(row, k):
    count = 0
    for i in range(k):
        count += bool(row[i])
    return count / k


def average_precision_by_loops(row):
    precisions = [precision_by_loops(row, k) for k in range(1, len(row) + 1) if row[k - 1]]
    return sum(precisions) / len(precisions)


@given(seeds, st.integers(1, 5), st.integers(1, 12))
def test_retrieval_measures_equal_their_definitions(seed, M, N):
    rng = np.random.default_rng(seed)
    relevant = rng.random((M, N)) < 0.4
    relevant[np.arange(M), rng.integers(0, N, M)] = True
    expected = [average_precision_by_loops(row) for row in relevant]
    np.testing.assert_allclose(average_precision(relevant), expected)
    assert mean_average_precision(relevant) == pytest.approx(sum(expected) / M)
    nearness = -np.tile(np.arange(N), (M, 1))
    theirs = label_ranking_average_precision_score(relevant, nearness)  # scikit-learn's name
    assert mean_average_precision(relevant) == pytest.approx(theirs)
    for k in range(1, N + 1):
        expected_k = sum(precision_by_loops(row, k) for row in relevant) / M
        assert precision_at_k(relevant, k) == pytest.approx(expected_k)


def test_average_precision_by_hand():
    rows = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]], bool)
    np.testing.assert_allclose(average_precision(rows), [1, (1 / 3 + 2 / 4) / 2, 1 / 2])
    assert precision_at_k(rows, 2) == pytest.approx((1 + 0 + 1 / 2) / 3)


@given(seeds)
def test_ranking_is_by_distance_and_then_by_index(seed):
    rng = np.random.default_rng(seed)
    features, queries = rng.integers(0, 3, (9, 2)) * 1.0, rng.integers(0, 3, (4, 2)) * 1.0
    expected = [
        sorted(range(9), key=lambda n, q=query: (((features[n] - q) ** 2).sum(), n))
        for query in queries
    ]
    assert ranking(features, queries).tolist() == expected
