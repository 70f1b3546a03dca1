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


def rng(seed=0):
    return np.random.default_rng(seed)


def images(N=2, H=28, W=28, C=1):
    return Tensor(rng(1).normal(size=(N, C, H, W)).astype(np.float32))


SHAPES = {
    lenet5: [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)],
    lenet5_lecture: [(6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (10, 120)],
}
# By hand: 6·25+6 + 16·150+16 + 400·120+120 + 120·84+84 + 84·10+10, and without the fourth.
COUNTS = {lenet5: 61_706, lenet5_lecture: 156 + 2416 + 30_840 + 1210}
both = pytest.mark.parametrize("model", SHAPES, ids=lambda model: model.__name__)


@both
def test_the_weights_have_the_shapes_of_the_table(model):
    state = model().state_dict()
    assert [a.shape for name, a in state.items() if name.endswith("weight")] == SHAPES[model]
    assert model().parameter_count() == COUNTS[model]


def test_names_follow_pytorch():
    assert list(lenet5().state_dict()) == [
        f"{part}.{i}.{kind}"
        for part, i in [("features", 0), ("features", 3), ("classifier", 0), ("classifier", 2),
                        ("classifier", 4)]
        for kind in ("weight", "bias")
    ]  # fmt: skip


@both
def test_images_become_logits(model):
    net = model()
    assert net(images(N=3)).shape == (3, 10)
    assert net(images(N=0)).shape == (0, 10)
    assert net.input_shape == (1, 28, 28)
    assert model(7, in_channels=3)(images(C=3)).shape == (2, 7)


@both
def test_each_image_is_judged_alone(model):
    net = model()
    x = images(N=5)
    together = net(x).data
    for n in range(5):
        np.testing.assert_allclose(net(x[n : n + 1]).data[0], together[n], rtol=1e-4, atol=1e-5)


@both
def test_every_gradient_is_what_the_network_does(model):
    """In float64, along random directions of all weights at once and of the images."""
    net = model().to(dtype=np.float64)
    x = Tensor(rng(2).normal(size=(2, 1, 28, 28)), requires_grad=True)
    labels = [3, 8]
    F.cross_entropy(net(x), labels).backward()
    leaves = [*net.parameters(), x]
    for leaf in leaves:
        assert leaf.grad is not None
        v = rng(3).normal(size=leaf.shape)
        start, eps, values = leaf.data.copy(), 1e-6, []
        for step in (eps, -eps):
            leaf.data = start + step * v
            values.append(F.cross_entropy(net(x), labels).item())
        leaf.data = start
        assert (leaf.grad * v).sum() == pytest.approx(
            (values[0] - values[1]) / (2 * eps), rel=1e-5, abs=1e-8
        )


@both
def test_the_first_layers_image_gets_no_gradient_unless_it_asks(model):
    net, x = model(), images()
    F.cross_entropy(net(x), [1, 2]).backward()
    assert x.grad is None
    assert all(p.grad is not None for p in net.parameters())


@both
def test_a_few_steps_of_plain_descent_learn_four_images_by_heart(model):
    net, x, labels = model(), images(N=4), [0, 1, 2, 3]
    before = F.cross_entropy(net(x), labels).item()
    for _ in range(40):
        net.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        for parameter in net.parameters():
            parameter.data -= np.float32(0.05) * parameter.grad
    after = F.cross_entropy(net(x), labels).item()
    assert after < 0.1 * before
    assert (net(x).data.argmax(axis=1) == labels).all()


@both
@pytest.mark.parametrize(("H", "W"), [(8, 8), (27, 28), (32, 32), (4, 40)])
def test_an_image_of_another_size_is_told_the_chain_and_a_size_that_works(model, H, W):
    net = model()
    with pytest.raises(SizeError, match=rf"image sizes from layer to layer: {H}") as caught:
        net(images(H=H, W=W))
    (n,) = re.findall(r"a (\d+)x\1 image fits", str(caught.value))
    assert net(images(H=int(n), W=int(n))).shape == (2, 10)


def test_the_chain_is_the_one_that_the_docstring_prints():
    with pytest.raises(SizeError, match=r"32 -> 28 -> 14 -> 10 -> 5 \(Linear expects 256 features, "
                       r"not 16·5·5 = 400\); a 28x28 image fits"):  # fmt: skip
        lenet5_lecture()(images(H=32, W=32))


@both
def test_its_weights_are_he_normal_numbers_of_the_shared_generator_in_their_order(model):
    with manual_seed(4):
        net = model()
    generator = rng(4)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            expected = he_normal(parameter.shape, generator)
            np.testing.assert_array_equal(parameter.data, expected)


@both
def test_the_same_seed_gives_the_same_network(model):
    with manual_seed(4):
        one, other = model().state_dict(), model().state_dict()
    with manual_seed(4):
        two = model().state_dict()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
    assert (one["features.0.weight"] != other["features.0.weight"]).any()


def test_caffe_s_lenet_has_431_080_parameters():
    """20-50-500-10 on 28x28 pixels without padding: 28 -> 24 -> 12 -> 8 -> 4."""
    network = Sequential(
        Conv2d(1, 20, 5), MaxPool2d(2),
        Conv2d(20, 50, 5), MaxPool2d(2),
        Flatten(), Linear(50 * 4 * 4, 500), ReLU(),
        Linear(500, 10),
    )  # fmt: skip
    assert network(images()).shape == (2, 10)
    assert network.parameter_count() == 431_080
