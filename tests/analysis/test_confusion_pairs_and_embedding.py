"""The surest mistakes, counted by hand, and the map of the images, against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from minivision import Tensor, no_grad
from minivision.analysis.confusion_pairs import confused_pairs
from minivision.analysis.embedding import embedding
from minivision.models import lenet5
from minivision.nn import Conv2d, Flatten, Linear, ReLU, Sequential
from tests.analysis.models import MeanHead


def test_confused_pairs_by_hand():
    # predicted:  0          1          1          2          0          1          1
    logits = [[9, 0, 0], [0, 2, 0], [0, 5, 0], [0, 0, 3], [4, 0, 0], [0, 8, 0], [0, 3, 0]]
    labels = [0, 0, 0, 2, 2, 1, 0]
    first, second = confused_pairs(np.array(logits, float), np.array(labels))
    assert first[:3] == (0, 1, 3)
    assert first.images.tolist() == [2, 6, 1]
    expected = [np.exp(s) / (np.exp(s) + 2) for s in (5, 3, 2)]
    np.testing.assert_allclose(first.confidence, expected)
    assert second[:3] == (2, 0, 1)
    assert second.images.tolist() == [4]
    assert confused_pairs(np.array(logits, float), np.array(labels), pairs=1)[0].mistakes == 3


def test_confused_pairs_equal_a_loop_over_the_images(rng):
    logits, labels = rng.normal(size=(200, 4)).astype(np.float32), rng.integers(0, 4, 200)
    found = confused_pairs(logits, labels, pairs=100)
    assert len(found) == 12  # all that there are; none with the diagonal
    seen = {(p.true, p.predicted): sorted(p.images.tolist()) for p in found}
    for n in range(200):
        predicted = int(logits[n].argmax())
        assert (predicted == labels[n]) or n in seen[int(labels[n]), predicted]
    counts = [pair.mistakes for pair in found]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == (logits.argmax(axis=1) != labels).sum()
    for pair in found:
        assert pair.mistakes == len(pair.images) == len(pair.confidence)
        assert (np.diff(pair.confidence) <= 0).all()


def test_confused_pairs_of_correct_predictions_are_none():
    assert confused_pairs(np.eye(3), np.arange(3)) == []


# ── embedding ────────────────────────────────────────────────────────────────────────────────


def test_embedding_is_scikit_learns_pca_of_the_inputs_of_the_last_layer(rng):
    model = lenet5()
    x = rng.normal(size=(40, 1, 28, 28)).astype(np.float32)
    with no_grad():
        features = Flatten()(model.features(Tensor(x)))
        for layer in list(model.classifier)[:-1]:
            features = layer(features)
    pca = PCA(3, svd_solver="full")
    expected = pca.fit_transform(features.numpy().astype(np.float64))
    found = embedding(model, x, 3)
    signs = np.sign((found.points * expected).sum(axis=0))
    np.testing.assert_allclose(found.points * signs, expected, atol=1e-5)
    np.testing.assert_allclose(found.shares, pca.explained_variance_ratio_, rtol=1e-5)


def test_embedding_with_all_components_keeps_distances_and_variance(rng):
    """A rotation of the centred features: nothing is lost."""
    model = Sequential(Flatten(), Linear(6, 4), Linear(4, 2))
    x = rng.normal(size=(9, 1, 2, 3)).astype(np.float32)
    points, shares = embedding(model, x, 4)
    with no_grad():
        features = model[1](model[0](Tensor(x))).numpy().astype(np.float64)
    for a in range(9):
        for b in range(9):
            distance = np.linalg.norm(features[a] - features[b])
            assert np.linalg.norm(points[a] - points[b]) == pytest.approx(distance, abs=1e-9)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) < 0).all()
    again = embedding(model, x, 2)
    np.testing.assert_allclose(again.points, points[:, :2])


def test_embedding_uses_the_averages_if_the_last_maps_are_averaged(rng):
    """Also if the averaging is a line of forward() and not a layer, as in a ResNet."""
    model, x = MeanHead(1, 3), rng.normal(size=(9, 1, 6, 7)).astype(np.float32)
    with no_grad():
        means = model.backbone(Tensor(x)).numpy().mean(axis=(2, 3)).astype(np.float64)
    expected = PCA(2, svd_solver="full").fit_transform(means)
    np.testing.assert_allclose(np.abs(embedding(model, x).points), np.abs(expected), atol=1e-6)


def test_embedding_flattens_the_outputs_of_a_named_layer(rng):
    model = Sequential(Conv2d(1, 2, 2), ReLU(), Flatten(), Linear(4, 3))
    x = rng.normal(size=(5, 1, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(embedding(model, x, layer="2").points, embedding(model, x).points)
    assert not np.allclose(embedding(model, x, layer="0").points, embedding(model, x).points)


def test_embedding_gives_the_feature_with_the_largest_weight_a_positive_sign():
    model = Sequential(Flatten(), Linear(2, 1))
    x = np.array([[-3.0, 1.0], [0.0, 0.0], [3.0, -1.0]], np.float32).reshape(3, 1, 1, 2)
    points, _ = embedding(model, x, 1)
    np.testing.assert_allclose(points[:, 0], [-(10**0.5), 0, 10**0.5], atol=1e-6)
    points, _ = embedding(model, -x, 1)
    np.testing.assert_allclose(points[:, 0], [10**0.5, 0, -(10**0.5)], atol=1e-6)


def test_embedding_of_equal_images_is_one_point_without_nan(rng):
    points, shares = embedding(lenet5(), np.ones((4, 1, 28, 28), np.float32))
    np.testing.assert_allclose(points, 0, atol=1e-5)
    assert np.isfinite(shares).all()
