"""A small network that has learned, in a backbone and a head, for tests that build on one.

Its backbone has all that training could move unnoticed: weights, running statistics, dropout.
"""

import numpy as np

from minivision import manual_seed, nn
from minivision.models import BackboneAndHead, new_head
from minivision.tensor import Tensor
from tests.methods.unlabelled import H, W

FEATURES = 8


def backbone(seed=0, dropout=0.25):
    with manual_seed(seed):
        layers = nn.Linear(H * W, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *layers, nn.Dropout(dropout))


def network(seed=0, classes=3, dropout=0.25):
    """A fresh network whose running statistics have already changed."""
    with manual_seed(seed + 1):
        head = new_head(FEATURES, classes)
    model = BackboneAndHead(backbone(seed, dropout), head)
    rng = np.random.default_rng(seed + 2)
    model.train().seed(0, 0)
    model(Tensor(rng.normal(size=(16, 1, H, W)).astype(np.float32)))
    return model


def weights(model):
    """All parameters and buffers, to the bit."""
    return {name: array.tobytes() for name, array in model.state_dict().items()}
