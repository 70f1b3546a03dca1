"""Which classes are mistaken for which, and the images with the most confident mistakes.

A confusion matrix counts mistakes. Looking at the worst mistakes of each kind often reveals more: a
wrong label, a bad crop, or two classes that nobody could tell apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivision.functional import softmax
from minivision.training.metrics import confusion_matrix


class ConfusedPair(NamedTuple):
    """Images of class `true` that were classified as `predicted`; `mistakes` is their number.

    images: their indices in the dataset, the most confident mistake first; confidence: for each of
    them, the probability of the wrong class.
    """

    true: int
    predicted: int
    mistakes: int
    images: np.ndarray
    confidence: np.ndarray


def confused_pairs(logits: np.ndarray, labels: np.ndarray, pairs: int = 5) -> list[ConfusedPair]:
    """The pairs of classes that are confused most often, in descending order; at most `pairs`.

    logits (N, K), labels (N,), as `predict_logits` returns them. The direction matters: 4s read as
    9s and 9s read as 4s are two different pairs. In a tie, the smaller true class comes first.
    Raises ValueError if the shapes of the arrays do not match.

    >>> logits = np.array([[0.0, 1.0], [0.0, 3.0], [2.0, 0.0]])
    >>> (pair,) = confused_pairs(logits, np.array([0, 0, 0]))
    >>> pair.true, pair.predicted, pair.images
    (0, 1, array([1, 0]))
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != (len(logits),):
        raise ValueError(
            f"confused_pairs: logits has shape {logits.shape} and labels {labels.shape}; "
            "expected (N, K) and (N,)"
        )
    if pairs < 1:
        raise ValueError(f"confused_pairs: pairs is {pairs}; expected at least 1")
    K = logits.shape[1]
    answers = logits.argmax(axis=1)
    counts = confusion_matrix(answers, labels, K)
    np.fill_diagonal(counts, 0)
    probabilities = softmax(logits.astype(np.float64)).numpy()
    found = []
    for cell in np.argsort(-counts, axis=None, kind="stable")[:pairs]:
        true, predicted = divmod(int(cell), K)
        if counts[true, predicted] == 0:
            break
        images = np.flatnonzero((labels == true) & (answers == predicted))
        sure = probabilities[images, predicted]
        order = np.argsort(-sure, kind="stable")
        found.append(ConfusedPair(true, predicted, len(images), images[order], sure[order]))
    return found
