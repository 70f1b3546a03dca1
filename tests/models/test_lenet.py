"""LeNet-5 in both forms: its table, its counts, its gradients, and its size."""

import re

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import lenet5, lenet5_lecture
from minivision.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minivision.nn.initializers import he_normal
from minivision.nn.sizes import SizeError
from tests.models.checks import check_gradients, descend, images, rng
from tests.refusals import refused


def digits(N=2, H=28, W=28, C=1):
    return images(N, C, H, W)


SHAPES = {
    lenet5: [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)],
    lenet5_lecture: [(6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (10, 120)],
}
# By hand: 6·25+6 + 16·150+16 + 400·120+120 + 120·84+84 + 84·10+10, and without the fourth.
COUNTS = {lenet5: 61_706, lenet5_lecture: 156 + 2416 + 30_840 + 1210}
both = pytest.mark.parametrize("model", SHAPES, ids=lambda model: model.__name__)


@both
def test_lenet5_weights_have_the_shapes_of_the_table(model):
    state = model().state_dict()
    assert [a.shape for name, a in state.items() if name.endswith("weight")] == SHAPES[model]
    assert model().parameter_count() == COUNTS[model]


def test_lenet5_names_follow_pytorch():
    assert list(lenet5().state_dict()) == [
        f"{part}.{i}.{kind}"
        for part, i in [("features", 0), ("features", 3), ("classifier", 0), ("classifier", 2),
                        ("classifier", 4)]
        for kind in ("weight", "bias")
    ]  # fmt: skip


@both
def test_lenet5_turns_images_into_logits(model):
    net = model()
    assert net(digits(N=3)).shape == (3, 10)
    assert net(digits(N=0)).shape == (0, 10)
    assert net.input_shape == (1, 28, 28)
    assert model(7, in_channels=3)(digits(C=3)).shape == (2, 7)


@both
def test_lenet5_treats_the_images_of_a_batch_independently(model):
    net = model()
    x = digits(N=5)
    of_all = net(x).data
    for n in range(5):
        np.testing.assert_allclose(net(x[n : n + 1]).data[0], of_all[n], rtol=1e-4, atol=1e-5)


@both
def test_lenet5_gradients_equal_differences_of_the_loss(model):
    """In float64, for all weights and for the images."""
    net = model().to(dtype=np.float64)
    x = Tensor(rng(2).normal(size=(2, 1, 28, 28)), requires_grad=True)
    leaves = [*net.parameters(), x]
    check_gradients(lambda: F.cross_entropy(net(x), [3, 8]), leaves, 1e-6, rel=1e-5, abs=1e-8)


@both
def test_lenet5_computes_no_gradient_of_images_unless_they_require_it(model):
    net, x = model(), digits()
    F.cross_entropy(net(x), [1, 2]).backward()
    assert x.grad is None
    assert all(p.grad is not None for p in net.parameters())


@both
def test_lenet5_learns_four_images_by_heart(model):
    net, x, labels = model(), digits(N=4), [0, 1, 2, 3]
    before = descend(net, x, labels, steps=40, lr=0.05)[0]
    after = F.cross_entropy(net(x), labels).item()
    assert after < 0.1 * before
    assert (net(x).data.argmax(axis=1) == labels).all()


@both
@pytest.mark.parametrize(("H", "W"), [(8, 8), (27, 28), (32, 32), (4, 40)])
def test_lenet5_names_a_size_that_fits_if_an_image_does_not(model, H, W):
    net = model()
    size = f"{H}" if H == W else f"{H}x{W}"
    with refused(SizeError, f" {size} ", " image fits") as caught:
        net(digits(H=H, W=W))
    (n,) = re.findall(r"a (\d+)x\1 image fits", str(caught.value))
    assert net(digits(H=int(n), W=int(n))).shape == (2, 10)


@both
def test_lenet5_weights_are_he_normal_draws_of_the_shared_generator_in_order(model):
    with manual_seed(4):
        net = model()
    generator = rng(4)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            expected = he_normal(parameter.shape, generator)
            np.testing.assert_array_equal(parameter.data, expected)


@both
def test_lenet5_is_reproduced_by_the_seed(model):
    with manual_seed(4):
        one, other = model().state_dict(), model().state_dict()
    with manual_seed(4):
        two = model().state_dict()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
    assert (one["features.0.weight"] != other["features.0.weight"]).any()


def test_sequential_builds_caffes_lenet_with_431_080_parameters():
    """20-50-500-10 on 28x28 pixels without padding: 28 -> 24 -> 12 -> 8 -> 4."""
    network = Sequential(
        Conv2d(1, 20, 5), MaxPool2d(2),
        Conv2d(20, 50, 5), MaxPool2d(2),
        Flatten(), Linear(50 * 4 * 4, 500), ReLU(),
        Linear(500, 10),
    )  # fmt: skip
    assert network(digits()).shape == (2, 10)
    assert network.parameter_count() == 431_080
