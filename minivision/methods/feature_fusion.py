"""Feature fusion: find similar images by combining local and global features.

The local part of the features describes the details of an image, the global part the image as a
whole. Two photographs may agree in one part but not in the other: the same tiles on a roof and on a
floor, or two skies with different birds. Fusion uses both parts (Ahmed, Irtaza & Iqbal 2017;
features/classic.py says what is theirs and what is ours):

    1  scale each part of each image to a vector of length 1
    2  subtract the part's mean over the indexed images, and divide by its spread, the root of the
       mean squared distance from that mean, so that both parts vary equally
    3  multiply by the root of the part's weight, and concatenate the parts
    4  keep the directions in which the indexed images vary most (principal components)
    5  return the nearest neighbours of a query

The weights add up to 1. Before step 4, the squared distance between two images is therefore

    d² = w·d_local² + (1 - w)·d_global²

so w is the local part's share of the squared distance. Steps 1 to 4 are the same for classic and
for deep features.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minivision.errors import require_probability
from minivision.methods.features.classic import Parts
from minivision.methods.features.retrieval import mean_average_precision, ranking

COMPONENTS = 64


class FeatureFusion:
    """Fuse two parts into one vector per image; `fit` learns from the images to be searched.

    local_weight: w, from 0 (only the global part) to 1 (only the local part). A part whose weight
        is 0 is left out completely.
    components: how many principal components to keep, fewer if there are fewer images or features.
        None keeps the joined vectors as they are.

    >>> rng = np.random.default_rng(0)
    >>> parts = {"local": rng.random((50, 128)), "global": rng.random((50, 59))}
    >>> fusion = FeatureFusion(local_weight=0.3, components=20).fit(parts)
    >>> fusion.transform(parts).shape
    (50, 20)
    """

    def __init__(self, local_weight: float = 0.5, components: int | None = COMPONENTS):
        require_probability("FeatureFusion: local_weight", local_weight)
        if components is not None and components < 1:
            raise ValueError(
                f"FeatureFusion: components is {components}; expected at least 1, or None"
            )
        weights = {"local": local_weight, "global": 1 - local_weight}
        self.weights = {part: weight for part, weight in weights.items() if weight > 0}
        self.components = components
        self.means: dict[str, np.ndarray] = {}  # until fit
        self.spreads: dict[str, float] = {}
        self.pca: Any = None

    def fit(self, parts: Parts) -> FeatureFusion:
        """Learn means, spreads and principal components from the indexed images."""
        from sklearn.decomposition import PCA  # imported here because it takes a second

        self._check("fit", parts)
        for part in self.weights:
            rows = unit_length(parts[part])
            self.means[part] = rows.mean(axis=0)
            spread = float(np.sqrt(((rows - self.means[part]) ** 2).sum(axis=1).mean()))
            self.spreads[part] = spread if spread > 1e-9 else 1.0  # 1 if all images are alike
        joined = self._joined(parts)
        N, D = joined.shape
        self.pca = None
        if self.components is not None and N > 1 and joined.any():
            self.pca = PCA(min(self.components, N - 1, D), random_state=0).fit(joined)
        return self

    def transform(self, parts: Parts) -> np.ndarray:
        """{"local": (N, D), "global": (N, E)} -> float64 (N, components), for Euclidean distance.

        Raises ValueError if the parts do not have the sizes that `fit` saw.
        """
        if not self.means:
            raise ValueError("FeatureFusion.transform: not fitted yet; call fit first")
        self._check("transform", parts)
        for part, mean in self.means.items():
            if parts[part].shape[1] != len(mean):
                raise ValueError(
                    f"FeatureFusion.transform: {part!r} has {parts[part].shape[1]} numbers per "
                    f"image, but the indexed images have {len(mean)}"
                )
        joined = self._joined(parts)
        return joined if self.pca is None else self.pca.transform(joined)

    def _joined(self, parts: Parts) -> np.ndarray:
        """Steps 1 to 3 of the recipe above."""
        return np.concatenate(
            [
                (unit_length(parts[part]) - self.means[part]) / self.spreads[part] * weight**0.5
                for part, weight in self.weights.items()
            ],
            axis=1,
        )

    def _check(self, method: str, parts: Parts) -> None:
        for part in self.weights:
            if part not in parts or parts[part].ndim != 2 or 0 in parts[part].shape:
                came = parts[part].shape if part in parts else "missing"
                raise ValueError(
                    f"FeatureFusion.{method}: {part!r} is {came}; expected an array (N, D)"
                )
        if len({len(parts[part]) for part in self.weights}) > 1:
            told = " and ".join(f"{part!r} has {len(parts[part])}" for part in self.weights)
            raise ValueError(
                f"FeatureFusion.{method}: {told} images; expected the same number in both"
            )


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Every row (N, D) divided by its Euclidean length; a row of zeros is left unchanged.

    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def choose_weight(
    parts: Parts,
    labels: np.ndarray,
    queries: Parts,
    query_labels: np.ndarray,
    weights: Iterable[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    components: int | None = COMPONENTS,
) -> dict[float, float]:
    """The mean average precision of the queries for each local weight, best weight first.

    Use validation images as queries, and keep the test images for the weight that is chosen.
    """
    found = {}
    for weight in weights:
        fusion = FeatureFusion(weight, components).fit(parts)
        order = ranking(fusion.transform(parts), fusion.transform(queries))
        found[weight] = mean_average_precision(labels[order] == query_labels[:, None])
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
