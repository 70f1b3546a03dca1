"""What `fit` makes small where nothing else is said: the loss that a network brings with it."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
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
    ids=["the paper's", "cross-entropy", "a module that brings none"],
)
def test_a_network_is_trained_with_its_own_loss_and_any_module_with_cross_entropy(
    model, shape, loss
):
    images, labels = batch(*shape)
    found, _ = classification_loss(model, Batch(images, labels), 0)
    assert found.item() == loss(model(images), labels).item()


def test_the_two_losses_differ():
    images, labels = batch(1, 32, 32)
    manual_seed(0)
    logits = lenet5_original()(images)
    assert map_loss(logits, labels).item() > 10 > F.cross_entropy(logits, labels).item()
