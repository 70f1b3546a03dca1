"""Models: from remembering everything to networks, each a table from its paper and a loop.

    nearest_neighbors.py   KNearestNeighbors: no training, no weights, all of the data
    softmax_regression.py  one fully connected layer; dense, local and convolutional first layers
    network.py             Network: features, flatten, classifier
    lenet.py               lenet5, lenet5_lecture
    lenet_original.py      lenet5_original, the network of 1998

`MODELS` names the networks for the command line.

Read next: models/nearest_neighbors.py
"""

from collections.abc import Callable

from minivision.models.lenet import lenet5, lenet5_lecture
from minivision.models.lenet_original import lenet5_original
from minivision.models.nearest_neighbors import KNearestNeighbors
from minivision.models.network import Network
from minivision.models.softmax_regression import (
    first_layer_network,
    softmax_regression,
    templates,
)

MODELS: dict[str, Callable[..., Network]] = {
    "softmax_regression": softmax_regression,
    "lenet5": lenet5,
    "lenet5_lecture": lenet5_lecture,
    "lenet5_original": lenet5_original,
}

__all__ = [
    "MODELS",
    "KNearestNeighbors",
    "softmax_regression",
    "templates",
    "first_layer_network",
    "Network",
    "lenet5",
    "lenet5_lecture",
    "lenet5_original",
]
