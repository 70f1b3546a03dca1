"""LeNet-5 against the same network in PyTorch, with the weights copied by name."""

from collections import OrderedDict

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import lenet5, lenet5_lecture

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.parity


def theirs(padding, units, hidden):
    features = [nn.Conv2d(1, 6, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]  # fmt: skip
    classifier = []
    for width in hidden:
        classifier += [nn.Linear(units, width), nn.ReLU()]
        units = width
    classifier.append(nn.Linear(units, 10))
    parts = [("features", nn.Sequential(*features)), ("flatten", nn.Flatten()),
             ("classifier", nn.Sequential(*classifier))]  # fmt: skip
    return nn.Sequential(OrderedDict(parts)).double()


NETWORKS = {
    "lenet5": (lenet5, lambda: theirs(2, 400, [120, 84])),
    "lenet5_lecture": (lenet5_lecture, lambda: theirs(0, 256, [120])),
}


@pytest.mark.parametrize(("build", "build_theirs"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_forward_and_backward_agree_with_pytorch(build, build_theirs, seed):
    rng = np.random.default_rng(seed)
    net, other = build().to(dtype=np.float64), build_theirs()
    state = {
        name: array + 0.01 * rng.normal(size=array.shape)
        for name, array in net.state_dict().items()
    }
    net.load_state_dict(state)  # so that no bias is zero
    other.load_state_dict({name: torch.tensor(array) for name, array in state.items()})

    images, labels = rng.normal(size=(5, 1, 28, 28)), rng.integers(0, 10, 5)
    x = Tensor(images, requires_grad=True)
    logits = net(x)
    F.cross_entropy(logits, labels).backward()
    their_x = torch.tensor(images, requires_grad=True)
    their_logits = other(their_x)
    nn.functional.cross_entropy(their_logits, torch.tensor(labels)).backward()

    assert_close(logits.data, their_logits.detach(), 1e-10)
    assert_close(x.grad, their_x.grad, 1e-8)
    their_parameters = dict(other.named_parameters())
    assert list(their_parameters) == [name for name, _ in net.named_parameters()]
    for name, parameter in net.named_parameters():
        assert_close(parameter.grad, their_parameters[name].grad, 1e-8)


def test_weights_can_be_loaded_back_into_pytorch_by_name():
    manual_seed(0)
    net, other = lenet5(), theirs(2, 400, [120, 84])
    net.load_state_dict({name: value.numpy() for name, value in other.state_dict().items()})
    x = np.random.default_rng(1).normal(size=(2, 1, 28, 28)).astype(np.float32)
    expected = other.float()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(net(Tensor(x)).data, expected, rtol=1e-4, atol=1e-5)


def assert_close(ours, theirs, tolerance):
    theirs = theirs.numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
