"""Nearest neighbours: remember every image, and predict the label of the most similar ones.

Nothing is learned, so fitting costs only a copy; the cost lies in prediction. With n remembered
images of D numbers, every query costs n·D multiply-adds, and all n·D numbers must be kept. (Fix &
Hodges 1951; Cover & Hart 1967.)

The search is exact. All distances in a block come from one matrix product,
|x - y|² = |x|² - 2 x·y + |y|², which subtracts large numbers that are nearly equal. In float32 this
would lose the small distances, the very ones that matter: for MNIST the squares reach 5·10⁷, but
float32 represents every integer only up to 1.7·10⁷. In float64 every sum of integers below 9·10¹⁵
is exact, whatever the order of addition, so for bytes the distances and their ties are exact. (For
other numbers, a distance is accurate to about 10⁻⁸ of the images' lengths.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.backend import Array, array_module, device_of, is_array, to_host
from minivision.errors import require_one_of

METRICS = ("l2", "cosine")


class KNearestNeighbors:
    """The k remembered images nearest to a query vote for its class.

    metric: "l2", Euclidean distance, or "cosine", 1 - x·y / (|x| |y|), which ignores how bright
        an image is; an image of zeros is at distance 1 from every image.
    memory_budget: working memory for a search in bytes, not counting the images and the result.

    If two distances are equal, the image remembered first counts as nearer. If two classes have
    the same number of votes, the class with the nearest image wins.

    Images may have any shape (N, …) and any numeric type, in NumPy or CuPy; labels are on the host.
    PyTorch has no equivalent; the names follow scikit-learn.

    >>> images = np.array([[0, 0], [0, 1], [9, 9]], np.uint8)
    >>> model = KNearestNeighbors(k=1).fit(images, np.array([3, 3, 7]))
    >>> model.predict(np.array([[1, 1], [8, 8]], np.uint8))
    array([3, 7])
    """

    def __init__(self, k: int = 1, metric: str = "l2", memory_budget: int = 64 * 2**20):
        name = "KNearestNeighbors"
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise ValueError(f"{name}: k is {k!r}; expected an integer, at least 1")
        require_one_of(f"{name}: metric", metric, METRICS)
        if not isinstance(memory_budget, int | np.integer) or memory_budget < 1:
            raise ValueError(
                f"{name}: memory_budget is {memory_budget!r}; expected an integer, in bytes"
            )
        self.k, self.metric, self.memory_budget = int(k), metric, int(memory_budget)
        self.images: Array = None  # until fit

    def fit(self, images: Array, labels: Any) -> KNearestNeighbors:
        """Remember a copy of the images (N, …) and their labels (N,), integers; returns itself.

        Raises ValueError, and remembers nothing, if images and labels do not match, if k or the
        memory budget does not fit, or if an image contains NaN or infinity.
        """
        name = "KNearestNeighbors.fit"
        rows = _rows(name, "images", images)
        labels = np.asarray(labels)
        N, D = rows.shape
        if labels.shape != (N,) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{name}: labels is {labels.dtype} {labels.shape} for {N} images; "
                f"expected integers ({N},)"
            )
        if self.k > N:
            raise ValueError(f"{name}: k is {self.k}, but there are only {N} images")
        if self._bytes(1, 1, D) > self.memory_budget:
            raise ValueError(
                f"{name}: memory_budget is {self.memory_budget:,} bytes, but comparing one query "
                f"with one image of {D:,} numbers takes {self._bytes(1, 1, D):,}; increase it"
            )
        block = max(1, self.memory_budget // (8 * D))
        squares = [
            _squares(name, "images", rows[i : i + block].astype(np.float64), i)
            for i in range(0, N, block)
        ]
        self.images, self.shape = rows.copy(), images.shape[1:]
        self.labels = labels.astype(np.int64)
        self.squares = array_module(rows).concatenate(squares)
        return self

    @property
    def nbytes(self) -> int:
        """Bytes in memory: the images, with a label and a squared length for each image."""
        return self._fitted("nbytes").nbytes + self.labels.nbytes + self.squares.nbytes

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds per query: one for every number remembered."""
        return self._fitted("multiply_adds").size

    def predict(self, queries: Array) -> np.ndarray:
        """The classes int64 (M,), on the host, of the queries (M, …)."""
        _, indices = self.neighbors(queries)
        near = self.labels[to_host(indices)]  # the nearest in the first column
        votes = np.zeros(near.shape, np.int64)
        for j in range(self.k):
            votes += near == near[:, j, None]
        # argmax takes the first of equal values: the class of the nearest image.
        return near[np.arange(len(near)), votes.argmax(axis=1)]

    def neighbors(self, queries: Array) -> tuple[Array, Array]:
        """Distances float64 (M, k) and indices int64 (M, k), nearest first, of the queries (M, …).

        Raises ValueError if the queries do not have the shape of the remembered images.
        """
        name = "KNearestNeighbors.neighbors"
        images = self._fitted("neighbors")
        rows = _rows(name, "queries", queries)
        if queries.shape[1:] != self.shape:
            raise ValueError(
                f"{name}: queries has shape {queries.shape}, but the remembered images have "
                f"{self.shape}; expected (M, {', '.join(map(str, self.shape))})"
            )
        if device_of(rows) != device_of(images):
            raise ValueError(
                f"{name}: queries is on {device_of(rows)} but the remembered images are on "
                f"{device_of(images)}; move one of them with minivision.backend.to_device"
            )
        xp = array_module(rows)
        M, (N, D) = len(rows), images.shape
        Q, S = self._blocks(M, N, D)
        distances = xp.empty((M, self.k))
        indices = xp.empty((M, self.k), np.int64)
        for i in range(0, M, Q):
            distances[i : i + Q], indices[i : i + Q] = self._nearest(rows[i : i + Q], i, S)
        return (xp.sqrt(distances) if self.metric == "l2" else distances), indices

    def _nearest(self, queries: Array, first: int, S: int) -> tuple[Array, Array]:
        """The k nearest of a block of queries, found in blocks of S images."""
        xp = array_module(queries)
        x = queries.astype(np.float64)
        squares = _squares("KNearestNeighbors.neighbors", "queries", x, first)
        # The nearest images so far; initially, they are infinitely far away.
        best = xp.full((len(x), self.k), math.inf)
        indices = xp.zeros((len(x), self.k), np.int64)
        for j in range(0, len(self.images), S):
            near, place = smallest(self._distances(x, squares, slice(j, j + S)), self.k)
            # Earlier images are placed first, so that they win if distances are equal.
            candidates = xp.concatenate([indices, place + j], axis=1)
            best, chosen = smallest(xp.concatenate([best, near], axis=1), self.k)
            indices = xp.take_along_axis(candidates, chosen, axis=1)
        return best, indices

    def _distances(self, x: Array, squares: Array, block: slice) -> Array:
        """Distances from queries x to a block of images: |x - y|², or 1 - x·y / (|x| |y|)."""
        xp = array_module(x)
        d = x @ self.images[block].astype(np.float64).T
        if self.metric == "l2":
            d *= -2
            d += squares[:, None]
            d += self.squares[block]
            return xp.maximum(d, 0, out=d)  # rounding may make it slightly negative
        # An image of zeros has x·y = 0 with every image; dividing by 1 keeps it 0.
        d /= xp.sqrt(squares + (squares == 0))[:, None]
        d /= xp.sqrt(self.squares[block] + (self.squares[block] == 0))
        d *= -1
        d += 1
        return xp.maximum(d, 0, out=d)

    def _bytes(self, Q: int, S: int, D: int) -> int:
        """Working memory for a search: Q queries, S images, their distances, the nearest."""
        return 8 * (Q * D + S * D + Q * S + 3 * S + 16 * Q * self.k + 8 * Q)

    def _blocks(self, M: int, N: int, D: int) -> tuple[int, int]:
        """How many queries, and how many images, to compare at once within the budget.

        A given amount of memory allows the most comparisons if both numbers are equal. If there are
        fewer queries, more images fit.
        """
        Q = 1
        while 2 * Q <= M and self._bytes(2 * Q, 2 * Q, D) <= self.memory_budget:
            Q *= 2
        rest = self.memory_budget - self._bytes(Q, 0, D)
        return Q, max(1, min(N, rest // (8 * (D + Q + 3))))

    def _fitted(self, name: str) -> Array:
        if self.images is None:
            raise ValueError(f"KNearestNeighbors.{name}: there are no images yet; call fit first")
        return self.images


def smallest(values: Array, k: int) -> tuple[Array, Array]:
    """The k smallest values of each row, in order, and their indices; ties go to the first.

    values (M, S), which is overwritten -> two arrays (M, min(k, S)). k passes over a row are cheap
    compared with the D multiply-adds behind each value, and argmin takes the first of several equal
    values; a partition could take any of them.
    """
    xp = array_module(values)
    M, S = values.shape
    k = min(k, S)
    rows = xp.arange(M)
    found = xp.empty((M, k), values.dtype)
    places = xp.empty((M, k), np.int64)
    for j in range(k):
        place = values.argmin(axis=1)
        found[:, j], places[:, j] = values[rows, place], place
        values[rows, place] = math.inf
    return found, places


def _rows(function: str, argument: str, images: Any) -> Array:
    """Images (N, …) as rows (N, D), without a copy if possible."""
    if not is_array(images):
        came = type(images).__name__
        hint = " (pass x.numpy())" if hasattr(images, "numpy") else ""
        raise TypeError(f"{function}: {argument} is a {came}; expected an array (N, …){hint}")
    if images.ndim < 2 or images.dtype.kind not in "buif" or 0 in images.shape[1:]:
        raise ValueError(
            f"{function}: {argument} is {images.dtype} {images.shape}; expected numbers (N, …), "
            "such as (N, H, W, C) (pass a single image as image[None])"
        )
    if argument == "images" and len(images) == 0:
        raise ValueError(f"{function}: images is empty, {images.shape}; expected at least one")
    return images.reshape(len(images), math.prod(images.shape[1:]))


def _squares(function: str, argument: str, x: Array, first: int) -> Array:
    """|x|² of rows (M, D), numbered from `first` in error messages; NaN and infinity raise."""
    squares = array_module(x).einsum("md,md->m", x, x)
    broken = to_host(~(squares < 1e300))
    if broken.any():
        raise ValueError(
            f"{function}: {argument}[{first + int(broken.argmax())}] contains NaN, infinity or "
            "numbers too large to square; its distance is undefined"
        )
    return squares
