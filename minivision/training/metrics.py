"""How good is a classifier? Numbers computed from its scores and the true labels.

Everything here takes NumPy arrays on the host (`to_host` moves them there) and returns Python or
NumPy numbers; nothing is differentiable. A NaN score is an error, because NaN cannot be ranked.
"""

from __future__ import annotations

import numpy as np

from minivision.errors import kind


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose highest score belongs to the true class.

    logits (N, K), labels (N,) -> a number between 0 and 1

    If several scores tie, the first counts, as in argmax. Probabilities work as well as logits.
    Raises ValueError for wrong shapes, no images, labels outside 0 … K-1 and NaN.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]]), np.array([0, 0, 0]))
    0.6666666666666666
    """
    logits, labels = _scores_and_labels("accuracy", "logits", logits, labels)
    return float((logits.argmax(axis=1) == labels).mean())


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int = 5) -> float:
    """The share of images whose true class is among the k highest scores.

    logits (N, K), labels (N,) -> a number between 0 and 1

    Among equal scores, the class with the lower number ranks higher. So exactly k classes count for
    every image, a network whose scores are all equal does no better than chance on balanced data,
    and k = 1 gives `accuracy`. Raises ValueError as `accuracy` does, and if k is not in 1 … K.

    >>> top_k_accuracy(np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), np.array([1, 2]), k=2)
    0.5
    """
    logits, labels = _scores_and_labels("top_k_accuracy", "logits", logits, labels)
    N, K = logits.shape
    if not 1 <= k <= K:
        raise ValueError(f"top_k_accuracy: k is {k}, but logits have {K} classes; expected 1 … {K}")
    score = logits[np.arange(N), labels][:, None]
    ahead = (logits > score) | ((logits == score) & (np.arange(K) < labels[:, None]))
    return float((ahead.sum(axis=1) < k).mean())


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each true class (row) was predicted as each class (column).

    predictions (N,), labels (N,) -> int64 (K, K) with K = classes

    The diagonal counts the correct predictions, and each row sums to the number of images of its
    class. Raises ValueError if the arrays differ in length or a number is outside 0 … K-1.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    K = classes
    predictions = _classes("confusion_matrix", "predictions", predictions, K)
    labels = _classes("confusion_matrix", "labels", labels, K)
    if len(predictions) != len(labels):
        raise ValueError(
            f"confusion_matrix: predictions has length {len(predictions)}, labels {len(labels)}"
        )
    # Cell (row, column) of the matrix is entry row · K + column of the flat list of counts.
    counts = np.bincount(labels * K + predictions, minlength=K * K)
    return counts.reshape(K, K).astype(np.int64, copy=False)


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
    """The accuracy among the images of each true class, also called recall.

    confusion (K, K), rows = true class -> float64 (K,); NaN for a class without images

    >>> per_class_accuracy(np.array([[3, 1], [0, 2]]))
    array([0.75, 1.  ])
    """
    confusion = _host("per_class_accuracy", "confusion", confusion)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(
            f"per_class_accuracy: confusion has shape {confusion.shape}; expected (K, K)"
        )
    images = confusion.sum(axis=1)
    share = np.full(len(images), np.nan)
    return np.divide(confusion.diagonal(), images, out=share, where=images > 0)


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """How far the network's confidence is from its accuracy, on average.

    probabilities (N, K), labels (N,) -> a number between 0 and 1; 0 is perfectly calibrated

        ECE = Σ_m |B_m| / N · |accuracy(B_m) - confidence(B_m)|

    The confidence for an image is its highest probability; B_m holds the images whose confidence is
    in the interval ((m-1)/M, m/M], m = 1 … M = `bins`. (Guo et al. 2017, §2, eq. 3.)

    Raises ValueError as `accuracy` does, and also if `bins` is below 1 or if a row is not a
    distribution (logits may have been passed by mistake).

    >>> expected_calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1]))
    0.30000000000000004
    """
    where = "expected_calibration_error"
    probabilities, labels = _scores_and_labels(where, "probabilities", probabilities, labels)
    if bins < 1:
        raise ValueError(f"{where}: bins is {bins}; expected at least 1")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if probabilities.min() < 0 or abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"{where}: probabilities must not be negative and each row must sum to 1; the smallest "
            f"is {probabilities.min():.4g} and the rows sum to {sums.min():.4g} … "
            f"{sums.max():.4g}. Apply softmax to logits first"
        )
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    # A confidence equal to an edge belongs to the bin below it; rounding may exceed the last edge.
    edges = np.linspace(0, 1, bins + 1)
    bin_number = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    # |B_m| · |accuracy - confidence| is the absolute sum of (correct - confidence) over the bin.
    gaps = np.bincount(bin_number, weights=correct - confidence, minlength=bins)
    return float(abs(gaps).sum() / len(labels))


def _host(where: str, name: str, value: np.ndarray) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{where}: {name} is {kind(value)}; expected a NumPy array "
            "(minivision.backend.to_host copies an array from the GPU)"
        )
    return value


def _classes(where: str, name: str, value: np.ndarray, K: int) -> np.ndarray:
    """Class numbers (N,), checked to be integers in 0 … K-1."""
    value = _host(where, name, value)
    if value.ndim != 1 or value.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: {name} has shape {value.shape} and dtype {value.dtype}; "
            "expected one integer per image, shape (N,)"
        )
    if value.size and not 0 <= value.min() <= value.max() < K:
        raise ValueError(
            f"{where}: {name} run from {value.min()} to {value.max()}, "
            f"but there are {K} classes; expected 0 … {K - 1}"
        )
    return value.astype(np.int64, copy=False)


def _scores_and_labels(
    where: str, name: str, scores: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, K) and labels (N,), checked to match each other."""
    scores = _host(where, name, scores)
    if scores.ndim != 2 or scores.dtype.kind not in "fiu" or 0 in scores.shape:
        raise ValueError(
            f"{where}: {name} has shape {scores.shape} and dtype {scores.dtype}; expected numbers "
            "of shape (N, K), one row per image, with at least one image and one class"
        )
    labels = _classes(where, "labels", labels, scores.shape[1])
    if len(labels) != len(scores):
        raise ValueError(
            f"{where}: {name} has {len(scores)} rows but labels has length {len(labels)}"
        )
    broken = np.isnan(scores).any(axis=1)
    if broken.any():
        raise ValueError(f"{where}: {name}[{broken.argmax()}] contains NaN, which cannot be ranked")
    return scores, labels
