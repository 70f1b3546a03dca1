"""Retrieval: how good is a list of retrieved images, nearest first?

An image in the list is *relevant* if it shows what the query shows; here, if it has the query's
label. The order among the relevant images does not matter.

    precision at k      the share of relevant images among the first k in the list
    average precision   the mean of the precision at k over the ranks k of the relevant images
    mAP                 mean average precision: the mean of average precision over the queries

Precision at k rates the first page of results that a user sees; average precision rates the whole
list, and its beginning counts most. Both are 1 if all relevant images are ranked first; for random
lists, both are about equal to the share of relevant images.
"""

from __future__ import annotations

import numpy as np


def ranking(features: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The order of the images (N, D) for each query (M, D), nearest first: int64 (M, N).

    Images are ranked by Euclidean distance; if distances are equal, the earlier image comes first.

    >>> ranking(np.array([[0.0], [5.0], [2.0]]), np.array([[1.9], [4.0]]))
    array([[2, 0, 1],
           [1, 2, 0]])
    """
    if features.ndim != 2 or queries.ndim != 2 or features.shape[1] != queries.shape[1]:
        raise ValueError(
            f"ranking: features has shape {features.shape} and queries {queries.shape}; "
            "expected (N, D) and (M, D)"
        )
    squares = np.einsum("nd,nd->n", features, features)
    # |x - y|² without |x|², which is the same along a row.
    return np.argsort(squares - 2 * queries @ features.T, axis=1, kind="stable")


def precision_at_k(relevant: np.ndarray, k: int) -> float:
    """The share of relevant images among the first k, averaged over queries; relevant: bool (M, N).

    >>> precision_at_k(np.array([[True, False, True, False]]), k=2)
    0.5
    """
    _check("precision_at_k", relevant)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(
            f"precision_at_k: k is {k}; expected 1 to {relevant.shape[1]} (the ranked images)"
        )
    return float(relevant[:, :k].mean())


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """The average precision of each query: bool (M, N), in ranked order -> float64 (M,).

    All N images are ranked, so every relevant image is counted; for a truncated list, we would also
    need the number of relevant images missing from it. Raises ValueError if a query has no relevant
    image.

    >>> average_precision(np.array([[True, False, True, False]]))  # (1/1 + 2/3) / 2
    array([0.83333333])
    """
    _check("average_precision", relevant)
    M, N = relevant.shape
    total = relevant.sum(axis=1)
    if not total.all():
        raise ValueError(
            f"average_precision: query {int(np.argmin(total))} has no relevant image among {N}, "
            "so its average precision is undefined; leave it out"
        )
    precision = relevant.cumsum(axis=1) / np.arange(1, N + 1)
    return (precision * relevant).sum(axis=1) / total


def mean_average_precision(relevant: np.ndarray) -> float:
    """mAP: the mean of `average_precision` over the queries."""
    return float(average_precision(relevant).mean())


def _check(function: str, relevant: np.ndarray) -> None:
    if relevant.dtype != bool or relevant.ndim != 2 or 0 in relevant.shape:
        raise ValueError(
            f"{function}: relevant is {relevant.dtype} {relevant.shape}; expected bool (M, N), "
            "such as labels[ranking(features, queries)] == query_labels[:, None]"
        )
