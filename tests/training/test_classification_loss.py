"""The loss that `fit` minimizes by default: the network's own, or cross-entropy."""

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.models import lenet5, lenet5_original
from minivision.models.lenet_original import map_loss
from minivision.nn import Linear
from minivision.training.loop import Batch, classification_loss


def batch(*shape):
    rng = np.random.default_rng(0)
    return Batch(Tensor(rng.normal(size=(4, *shape)).astype(np.float32)), rng.integers(3, size=4))


@pytest.mark.parametrize(
    ("model", "shape", "loss"),
    [
        (lenet5_original(), (1, 32, 32), map_loss),
        (lenet5(), (1, 28, 28), F.cross_entropy),
        (Linear(5, 3), (5,), F.cross_entropy),
    ],
    ids=["the paper's", "cross-entropy", "a module without its own"],
)
def test_classification_loss_is_the_networks_own_or_cross_entropy(model, shape, loss):
    given = batch(*shape)
    found, _ = classification_loss(model, given)
    assert found.item() == loss(model(given.images), given.targets).item()


def test_map_loss_differs_from_cross_entropy():
    given = batch(1, 32, 32)
    logits = lenet5_original()(given.images)
    map_value, cross = (loss(logits, given.targets).item() for loss in (map_loss, F.cross_entropy))
    assert map_value > 10 > cross
