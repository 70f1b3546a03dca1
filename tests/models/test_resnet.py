"""ResNet for 32x32 images: its table, its shortcuts, and branches that are left out."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.fast.memory import memory_order
from minivision.models import MODELS, cifar_resnet, resnet20, resnet32, resnet56
from minivision.models.resnet import shortcut
from minivision.nn import BatchNorm2d, Conv2d, DropPath, Linear
from tests.models.checks import check_gradients, descend, images, rng


def small(depth=8, width=4, **settings):
    return cifar_resnet(depth, width=width, **settings)


# ── the table ────────────────────────────────────────────────────────────────────────────────


def test_resnet_of_20_layers_is_counted_by_hand():
    first = 27 * 16 + 2 * 16
    stages = [6 * 144 * 16 + 6 * 2 * 16,
              144 * 32 + 5 * 288 * 32 + 6 * 2 * 32,
              288 * 64 + 5 * 576 * 64 + 6 * 2 * 64]  # fmt: skip
    assert first + sum(stages) + 65 * 10 == 269_722
    model = resnet20()
    parts = [model.layer1, model.layer2, model.layer3]
    assert [part.parameter_count() for part in parts] == stages
    assert model.parameter_count() == 269_722


@pytest.mark.parametrize(
    ("model", "depth", "blocks", "millions"),
    [(resnet20, 20, 3, 0.27), (resnet32, 32, 5, 0.46), (resnet56, 56, 9, 0.85)],
)
def test_resnet_has_the_papers_counts(model, depth, blocks, millions):
    net = model()
    # Two more convolutions and batch norms in every stage for every further block.
    further = 2 * (144 * 16 + 2 * 16) + 2 * (288 * 32 + 2 * 32) + 2 * (576 * 64 + 2 * 64)
    assert net.parameter_count() == 269_722 + (blocks - 3) * further
    assert round(net.parameter_count() / 1e6, 2) == millions
    assert sum(isinstance(layer, Conv2d | Linear) for layer in net.modules()) == depth
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3)] == [blocks] * 3


def test_resnet_names_follow_torchvision():
    names = [name for name, _ in resnet20().named_parameters()]
    expected = ["conv1.weight", "bn1.weight", "bn1.bias"]
    for stage in (1, 2, 3):
        for block in (0, 1, 2):
            for i in (1, 2):
                part = f"layer{stage}.{block}."
                expected += [f"{part}conv{i}.weight", f"{part}bn{i}.weight", f"{part}bn{i}.bias"]
    assert names == [*expected, "fc.weight", "fc.bias"]


def test_models_has_every_resnet_for_the_command_line():
    for name in ("resnet20", "resnet32", "resnet56"):
        model = MODELS[name](7, in_channels=1)
        assert (model.input_shape, model.pixel_range) == ((1, 32, 32), None)
        assert model.loss is F.cross_entropy
        assert model.eval()(images(N=0, C=1)).shape == (0, 7)


# ── what it computes ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("C", [4, 5])
def test_shortcut_takes_every_second_pixel_and_adds_maps_of_zeros(C):
    x = images(C=C, H=7, W=6)
    y = shortcut(x).data
    assert y.shape == (2, 2 * C, 4, 3)
    front = C // 2
    for n in range(2):
        for c in range(2 * C):
            for i in range(4):
                for j in range(3):
                    inside = front <= c < front + C
                    expected = x.data[n, c - front, 2 * i, 2 * j] if inside else 0
                    assert y[n, c, i, j] == expected


def test_shortcut_keeps_the_batch_innermost_in_memory(open_door):
    net = small()
    x = net.layer1(F.relu(net.bn1(net.conv1(images(N=5)))))
    assert memory_order(x.data) == (1, 2, 3, 0)
    assert memory_order(shortcut(x).data) == (1, 2, 3, 0)
    assert memory_order(net.layer2(x).data) == (1, 2, 3, 0)


@pytest.mark.parametrize("part", ["layer1", "layer2"])
def test_block_is_the_rectified_sum_of_shortcut_and_branch(part):
    block = getattr(small(), part)[0].eval()
    x = images(C=4)
    branch = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))).data
    skipped = x.data if part == "layer1" else shortcut(x).data
    np.testing.assert_array_equal(block(x).data, np.maximum(skipped + branch, 0))


def test_block_with_a_zero_branch_returns_its_input():
    net = small()
    block = net.layer1[0]
    block.bn2.weight.data = np.zeros_like(block.bn2.weight.data)
    x = F.relu(images(C=4))
    np.testing.assert_array_equal(block(x).data, x.data)


def test_resnet_gradients_equal_differences_of_the_loss():
    """In float64, for every weight and for the images."""
    net = small().to(dtype=np.float64)
    for part in net.modules():  # biases away from 0, so that no ReLU is at its kink
        if isinstance(part, BatchNorm2d):
            part.bias.data = rng(4).normal(size=part.bias.shape)
    x = Tensor(rng(2).normal(size=(3, 3, 12, 10)), requires_grad=True)
    leaves = [*net.parameters(), x]
    check_gradients(lambda: F.cross_entropy(net(x), [3, 8, 0]), leaves, 1e-6, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(("H", "W"), [(32, 32), (28, 28), (15, 41), (1, 1)])
def test_resnet_takes_images_of_any_size(H, W):
    assert small().eval()(images(H=H, W=W)).shape == (2, 10)


def test_resnet_learns_four_images_by_heart():
    losses = descend(small(drop_path=0.2), images(N=4), [0, 1, 2, 3], steps=60, lr=0.1)
    assert np.mean(losses[-10:]) < 0.3 * losses[0]


def test_resnet_is_reproduced_by_the_seed():
    def drawn():
        with manual_seed(4):
            return cifar_resnet(8).state_dict()

    one, two = drawn(), drawn()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


# ── stochastic depth ─────────────────────────────────────────────────────────────────────────


def test_drop_path_is_more_likely_in_deeper_blocks():
    layers = [layer for layer in resnet20(drop_path=0.45).modules()
              if isinstance(layer, DropPath)]  # fmt: skip
    expected = [0.05 * (block + 1) for block in range(9)]
    assert [layer.p for layer in layers] == pytest.approx(expected)
    assert not any(layer.p for layer in resnet20().modules() if isinstance(layer, DropPath))


def test_drop_path_leaves_only_the_shortcut_of_a_skipped_image():
    block = small(drop_path=0.9).layer3[0]  # the last of three blocks
    assert block.drop_path.p == pytest.approx(0.9)
    block.drop_path.key = (3, 0, 0, 0)
    x = F.relu(images(N=64, C=8, H=4, W=4))
    passed = (block(x).data == F.relu(shortcut(x)).data).all(axis=(1, 2, 3))
    assert 45 < passed.sum() < 64


def test_drop_path_draws_for_each_training_step_and_skips_nothing_in_evaluation():
    net, x = small(drop_path=0.5), images(N=8)
    logits = []
    for step in (0, 0, 1):
        net.seed(0, step)
        logits.append(net(x).data)
    np.testing.assert_array_equal(logits[0], logits[1])
    assert (logits[0] != logits[2]).any()
    net.eval()
    whole = cifar_resnet(8, width=4).eval()
    whole.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(net(x).data, whole(x).data)


def test_drop_path_without_a_key_draws_from_the_shared_generator():
    model, x = small(drop_path=0.5), images()
    with manual_seed(1):
        one = model(x).data
    with manual_seed(1):
        other = model(x).data
    np.testing.assert_array_equal(one, other)
