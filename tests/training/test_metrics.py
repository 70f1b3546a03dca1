"""Every metric equals a loop that a beginner can check."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision.training.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    top_k_accuracy,
)

geometry = given(
    N=st.integers(1, 30), K=st.integers(1, 7), ties=st.booleans(), seed=st.integers(0, 2**32 - 1)
)


def random_scores(N, K, ties, seed):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((N, K)).astype(np.float32)
    if ties:
        logits = np.round(logits)
    return logits, rng.integers(0, K, N)


def softmax(logits):
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


# Accuracy


@geometry
def test_accuracy_equals_counting_the_correct_answers(N, K, ties, seed):
    logits, labels = random_scores(N, K, ties, seed)
    correct = 0
    for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
        correct += scores.index(max(scores)) == label
    assert accuracy(logits, labels) == pytest.approx(correct / N)


@geometry
def test_top_k_accuracy_equals_looking_through_a_sorted_list(N, K, ties, seed):
    logits, labels = random_scores(N, K, ties, seed)
    for k in range(1, K + 1):
        found = 0
        for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
            # Highest score first; of equal scores the lower class number first.
            ranking = sorted(range(K), key=lambda c: (-scores[c], c))
            found += label in ranking[:k]
        assert top_k_accuracy(logits, labels, k) == pytest.approx(found / N)


@geometry
def test_top_k_accuracy_is_accuracy_for_1_and_one_for_all_classes(N, K, ties, seed):
    logits, labels = random_scores(N, K, ties, seed)
    assert top_k_accuracy(logits, labels, k=1) == accuracy(logits, labels)
    assert top_k_accuracy(logits, labels, k=K) == 1


def test_accuracy_of_equal_scores_is_chance():
    labels = np.arange(10)
    assert accuracy(np.zeros((10, 10)), labels) == pytest.approx(0.1)
    assert top_k_accuracy(np.zeros((10, 10)), labels, k=5) == pytest.approx(0.5)
    assert top_k_accuracy(np.full((10, 10), -np.inf), labels, k=5) == pytest.approx(0.5)


# Confusion


@given(N=st.integers(0, 40), K=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_confusion_matrix_equals_counting(N, K, seed):
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, K, N), rng.integers(0, K, N).astype(np.uint8)
    expected = np.zeros((K, K), np.int64)
    for prediction, label in zip(predictions, labels, strict=True):
        expected[label, prediction] += 1
    confusion = confusion_matrix(predictions, labels, classes=K)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)


def test_confusion_matrix_does_not_overflow_small_integer_types():
    labels = np.full(3, 199, np.uint8)
    assert confusion_matrix(labels, labels, classes=200)[199, 199] == 3


def test_confusion_matrix_has_a_row_per_true_class():
    confusion = confusion_matrix(np.array([2, 2]), np.array([0, 0]), classes=3)
    assert confusion.tolist() == [[0, 0, 2], [0, 0, 0], [0, 0, 0]]


@geometry
def test_per_class_accuracy_equals_the_accuracy_of_each_class_alone(N, K, ties, seed):
    logits, labels = random_scores(N, K, ties, seed)
    predictions = logits.argmax(axis=1)
    share = per_class_accuracy(confusion_matrix(predictions, labels, classes=K))
    assert share.dtype == np.float64
    for c in range(K):
        answers = [p == c for p, label in zip(predictions, labels, strict=True) if label == c]
        if answers:
            assert share[c] == pytest.approx(sum(answers) / len(answers))
        else:
            assert math.isnan(share[c])


# Calibration


@given(
    N=st.integers(1, 40),
    K=st.integers(1, 6),
    bins=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_expected_calibration_error_equals_its_definition(N, K, bins, seed):
    logits, labels = random_scores(N, K, False, seed)
    probabilities = softmax(3 * logits)
    error = 0.0
    for m in range(1, bins + 1):
        inside = []
        for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
            confidence = min(max(row), 1.0)
            if (m - 1) / bins < confidence <= m / bins:
                inside.append((confidence, row.index(max(row)) == label))
        if inside:
            mean_confidence = sum(confidence for confidence, _ in inside) / len(inside)
            mean_correct = sum(correct for _, correct in inside) / len(inside)
            error += len(inside) / N * abs(mean_correct - mean_confidence)
    measured = expected_calibration_error(probabilities, labels, bins)
    assert measured == pytest.approx(error, abs=1e-6)


def test_expected_calibration_error_puts_a_confidence_on_an_edge_into_the_bin_below():
    # With two bins 0.5 lies in (0, 0.5] and 0.6 in (0.5, 1]: the gaps +0.5 and -0.6 do not cancel.
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4]])
    labels = np.array([0, 1])
    assert expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(1.1 / 2)
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(0.1 / 2)


def test_expected_calibration_error_of_a_certain_and_correct_network_is_0():
    assert expected_calibration_error(np.eye(4), np.arange(4)) == 0


def test_expected_calibration_error_is_0_only_if_confidence_equals_accuracy():
    labels = np.array([0] * 8 + [1] * 2)
    honest = np.tile([0.8, 0.2], (10, 1))
    boastful = np.tile([1.0, 0.0], (10, 1))
    assert expected_calibration_error(honest, labels) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(boastful, labels) == pytest.approx(0.2)
