"""AlexNet against the same networks in PyTorch, with the weights copied by name."""

import sys

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import alexnet, alexnet_caffenet, alexnet_one_weird_trick

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.parity


def norm():
    """PyTorch divides α by the window, so it is given five times the paper's."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def pool():
    return nn.MaxPool2d(3, 2)


def of_2012(filters, hidden, classes, order):
    """Krizhevsky et al. 2012: what follows the first two convolutions is given in its order."""
    a, b, c, d, e = filters
    features = [
        *(nn.Conv2d(3, a, 11, 4), nn.ReLU(), *(make() for make in order)),
        *(nn.Conv2d(a, b, 5, padding=2, groups=2), nn.ReLU(), *(make() for make in order)),
        *(nn.Conv2d(b, c, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(c, d, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(d, e, 3, padding=1, groups=2), nn.ReLU(), pool()),
    ]
    classifier = [
        *(nn.Linear(36 * e, hidden), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()),
        nn.Linear(hidden, classes),
    ]
    return network(features, classifier)


def one_weird_trick(hidden, classes):
    """torchvision's models/alexnet.py, its layers one by one."""
    features = [
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), pool()),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), pool()),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), pool()),
        nn.AdaptiveAvgPool2d((6, 6)),
    ]
    classifier = [
        *(nn.Dropout(), nn.Linear(9216, hidden), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, classes),
    ]
    return network(features, classifier)


def network(features, classifier):
    parts = {
        "features": nn.Sequential(*features),
        "flatten": nn.Flatten(),
        "classifier": nn.Sequential(*classifier),
    }
    whole = nn.Sequential()
    for name, part in parts.items():
        whole.add_module(name, part)
    return whole


def assert_agree(ours, theirs, size, dtype, tolerance):
    theirs = theirs.to(getattr(torch, dtype)).eval()
    state = {name: torch.tensor(array) for name, array in ours.state_dict().items()}
    theirs.load_state_dict(state)  # strict: every name and every shape
    values = np.random.default_rng(1).normal(0, 30, (2, 3, size, size)).astype(dtype)
    x, their_x = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    logits, their_logits = ours(x), theirs(their_x)
    F.cross_entropy(logits, [1, 4]).backward()
    nn.functional.cross_entropy(their_logits, torch.tensor([1, 4])).backward()
    pairs = [(logits.data, their_logits.detach()), (x.grad, their_x.grad)]
    their_parameters = dict(theirs.named_parameters())
    pairs += [(p.grad, their_parameters[name].grad) for name, p in ours.named_parameters()]
    for mine, other in pairs:
        other = other.numpy()
        assert abs(other).max() > 0
        assert abs(mine - other).max() <= tolerance * abs(other).max()


@pytest.mark.parametrize(
    ("build", "order"),
    [(alexnet, (norm, pool)), (alexnet_caffenet, (pool, norm))],
    ids=["alexnet", "caffenet"],
)
def test_two_tower_agrees_with_pytorch(build, order):
    manual_seed(0)
    ours = build(classes=5, width=1 / 8)
    theirs = of_2012((12, 32, 48, 48, 32), 512, 5, order)
    assert_agree(ours.to(dtype=np.float64).eval(), theirs, 227, "float64", 1e-9)


def test_alexnet_agrees_with_pytorch_name_by_name(monkeypatch):
    """With fewer hidden units, so that the test is quick."""
    monkeypatch.setattr(sys.modules["minivision.models.alexnet"], "HIDDEN", 128)
    manual_seed(0)
    ours = alexnet_one_weird_trick(classes=5).eval()
    assert_agree(ours, one_weird_trick(128, 5), 63, "float32", 1e-3)
