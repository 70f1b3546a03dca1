"""Every metric equals a loop that a beginner can check, and refuses what it cannot count."""

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
def test_top_1_is_accuracy_and_top_k_of_k_classes_is_one(N, K, ties, seed):
    logits, labels = random_scores(N, K, ties, seed)
    assert top_k_accuracy(logits, labels, k=1) == accuracy(logits, labels)
    assert top_k_accuracy(logits, labels, k=K) == 1


def test_a_network_whose_scores_are_all_equal_earns_chance():
    labels = np.arange(10)
    assert accuracy(np.zeros((10, 10)), labels) == pytest.approx(0.1)
    assert top_k_accuracy(np.zeros((10, 10)), labels, k=5) == pytest.approx(0.5)
    assert top_k_accuracy(np.full((10, 10), -np.inf), labels, k=5) == pytest.approx(0.5)


# Confusion


@given(N=st.integers(0, 40), K=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_the_confusion_matrix_equals_its_count(N, K, seed):
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, K, N), rng.integers(0, K, N).astype(np.uint8)
    expected = np.zeros((K, K), np.int64)
    for prediction, label in zip(predictions, labels, strict=True):
        expected[label, prediction] += 1
    confusion = confusion_matrix(predictions, labels, classes=K)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)


def test_small_integer_types_do_not_overflow_in_the_confusion_matrix():
    labels = np.full(3, 199, np.uint8)
    assert confusion_matrix(labels, labels, classes=200)[199, 199] == 3


def test_rows_of_the_confusion_matrix_are_true_classes():
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
def test_the_calibration_error_equals_its_definition(N, K, bins, seed):
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


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # With two bins 0.5 lies in (0, 0.5] and 0.6 in (0.5, 1]: the gaps +0.5 and -0.6 do not cancel.
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4]])
    labels = np.array([0, 1])
    assert expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(1.1 / 2)
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(0.1 / 2)


def test_a_sure_and_correct_network_is_perfectly_calibrated():
    assert expected_calibration_error(np.eye(4), np.arange(4)) == 0


def test_a_network_as_sure_as_it_is_right_is_calibrated_and_a_boaster_is_not():
    labels = np.array([0] * 8 + [1] * 2)
    honest = np.tile([0.8, 0.2], (10, 1))
    boastful = np.tile([1.0, 0.0], (10, 1))
    assert expected_calibration_error(honest, labels) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(boastful, labels) == pytest.approx(0.2)


# What the metrics refuse

logits, labels = np.eye(3), np.arange(3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: accuracy(logits[0], labels), ValueError, r"logits has shape \(3,\)"),
        (lambda: accuracy(logits[:0], labels[:0]), ValueError, "at least one image"),
        (lambda: accuracy(logits.tolist(), labels), TypeError, "logits is a list; expected a Num"),
        (lambda: accuracy(logits.astype(object), labels), ValueError, "dtype object"),
        (lambda: accuracy(logits, labels[:2]), ValueError, "3 rows of logits came with 2 labels"),
        (lambda: accuracy(logits, labels * 1.0), ValueError, "dtype float64; expected one integer"),
        (lambda: accuracy(logits, np.eye(3, dtype=int)), ValueError, r"labels has shape \(3, 3\)"),
        (lambda: accuracy(logits, labels + 1), ValueError, "labels run from 1 to 3, but there are"),
        (lambda: accuracy(logits, labels - 1), ValueError, r"from -1 to 1.*expected 0 … 2"),
        (lambda: top_k_accuracy(logits, labels), ValueError, "k is 5, but logits have 3 classes"),
        (lambda: top_k_accuracy(logits, labels, k=0), ValueError, "k is 0"),
        (lambda: confusion_matrix(labels, labels, classes=2), ValueError, "predictions run from 0"),
        (lambda: confusion_matrix(labels, labels[:1], classes=3), ValueError, "3 predictions came"),
        (lambda: per_class_accuracy(np.ones((2, 3))), ValueError, r"shape \(2, 3\); expected"),
        (lambda: expected_calibration_error(5 * logits, labels), ValueError, "Apply softmax"),
        (lambda: expected_calibration_error(-logits, labels), ValueError, "not be negative"),
        (lambda: expected_calibration_error(logits, labels, bins=0), ValueError, "bins is 0"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("metric", [accuracy, top_k_accuracy, expected_calibration_error])
def test_a_score_that_is_not_a_number_is_refused(metric):
    scores = np.eye(6)
    scores[3, 2] = np.nan
    with pytest.raises(ValueError, match=rf"{metric.__name__}: \w+\[3\] contains NaN"):
        metric(scores, np.arange(6))
