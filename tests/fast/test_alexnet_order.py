"""A small AlexNet: the memory order of its activations, what is copied, and what is kept.

It has every layer of the real one, with fewer channels and pixels. A function that lost the
batch-innermost order would make all functions after it slow.
"""

import sys

import numpy as np
import pytest

from minivision import Tensor, backward_steps
from minivision import functional as F
from minivision.fast import door, memory
from minivision.fast.free_list import free_list
from minivision.fast.memory import BATCH_INNERMOST, in_order
from tests.fast.cuts import Cuts, cut_into

N = 3
SHAPES = {
    "conv1": (4, 3, 11, 11), "conv2": (6, 2, 5, 5), "conv3": (8, 6, 3, 3), "conv4": (8, 4, 3, 3),
    "conv5": (6, 4, 3, 3), "fc6": (10, 12), "fc7": (9, 10), "fc8": (5, 9),
}  # fmt: skip


FAST = ["fast", "fast, in small tiles"]


@pytest.fixture(params=["page", *FAST])
def kernels(request):
    cuts = Cuts(2, 3, flip=True, workers=2) if "tiles" in request.param else None
    with door.off() if request.param == "page" else door.on(), cut_into(cuts):
        yield request.param


def parameters(dtype=np.float32):
    rng = np.random.default_rng(0)

    def leaf(*shape):
        return Tensor((0.2 * rng.normal(size=shape)).astype(dtype), requires_grad=True)

    return {name: (leaf(*shape), leaf(shape[0])) for name, shape in SHAPES.items()}


def batch(dtype=np.float32):
    """Images as they come from a loader, (N, C, H, W) in C order, and labels."""
    rng = np.random.default_rng(1)
    return Tensor(rng.normal(size=(N, 3, 67, 99)).astype(dtype)), np.array([0, 3, 1])


def layers(weights, rng):
    """Krizhevsky et al. 2012, §3.5, in the order of the calls; two groups as in its two towers."""
    return [
        lambda x: F.conv2d(x, *weights["conv1"], stride=4),
        F.relu,
        lambda x: F.local_response_norm(x, alpha=0.1),
        lambda x: F.max_pool2d(x, 3, 2),
        lambda x: F.conv2d(x, *weights["conv2"], padding=2, groups=2),
        F.relu,
        lambda x: F.local_response_norm(x, alpha=0.1),
        lambda x: F.max_pool2d(x, 3, 2),
        lambda x: F.conv2d(x, *weights["conv3"], padding=1),
        F.relu,
        lambda x: F.conv2d(x, *weights["conv4"], padding=1, groups=2),
        F.relu,
        lambda x: F.conv2d(x, *weights["conv5"], padding=1, groups=2),
        F.relu,
        lambda x: F.max_pool2d(x, 3, 2),
        F.flatten,
        lambda x: F.dropout(x, 0.5, rng=rng),
        lambda x: F.relu(F.linear(x, *weights["fc6"])),
        lambda x: F.dropout(x, 0.5, rng=rng),
        lambda x: F.relu(F.linear(x, *weights["fc7"])),
        lambda x: F.linear(x, *weights["fc8"]),
    ]


def forward(weights, x, labels):
    """The loss, and the output of every layer."""
    activations = []
    for layer in layers(weights, np.random.default_rng(2)):
        x = layer(x)
        activations.append(x)
    return F.cross_entropy(x, labels), activations


def test_memory_order_is_the_same_for_every_feature_map_and_its_gradient(kernels):
    """In the order of the images on the page; batch innermost, (C, H, W, N), in the fast forms."""
    order = (0, 1, 2, 3) if kernels == "page" else BATCH_INNERMOST

    def lies_in_order(array):
        """And without gaps: a crop of a padded image has gaps."""
        return memory.memory_order(array) == order and array.strides[order[-1]] == array.itemsize

    loss, activations = forward(parameters(), *batch())
    maps = [y.data for y in activations if y.ndim == 4]
    assert len(maps) == 15
    assert all(map(lies_in_order, maps))
    seen = []
    for name, dy, gradients in backward_steps(loss):
        for array in (dy, gradients[0]):
            if array is not None and array.ndim == 4:
                assert lies_in_order(array), name
                seen.append(name)
    # dy and dx of 5 convolutions and relus, 3 pools and 2 norms, but no dx of the first; and the
    # gradient that flatten returns.
    assert len(seen) == 2 * (5 + 5 + 3 + 2) - 1 + 1


@pytest.mark.parametrize("kernels", FAST, indirect=True)
def test_fast_alexnet_transposes_only_its_input(kernels, monkeypatch):
    """Copies that only close gaps do not count."""
    copies = []

    def watched(array, order):
        if memory.memory_order(array) != order:
            copies.append(array.shape)
        return in_order(array, order)

    changed = 0
    for name, module in list(sys.modules.items()):
        if name.startswith("minivision.") and getattr(module, "in_order", None) is in_order:
            monkeypatch.setattr(module, "in_order", watched)
            changed += 1
    assert changed >= 5  # memory.py itself and four more files of fast/
    x, labels = batch()
    loss, _ = forward(parameters(), x, labels)
    assert copies == [x.shape]
    loss.backward()
    assert copies == [x.shape]


def loss_and_gradients(dtype=np.float64):
    weights = parameters(dtype)
    loss, _ = forward(weights, *batch(dtype))
    loss.backward()
    return [loss.data, *[leaf.grad for pair in weights.values() for leaf in pair]]


@pytest.mark.parametrize("kernels", FAST, indirect=True)
def test_fast_alexnet_has_the_loss_and_gradients_of_the_pages(kernels):
    """In float64, up to the last digits."""
    found = loss_and_gradients()
    with door.off():
        expected = loss_and_gradients()
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 1e-6
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_fast_alexnet_in_float32_is_close_to_float64(kernels):
    for one, other in zip(loss_and_gradients(np.float32), loss_and_gradients(), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("kernels", FAST, indirect=True)
def test_free_list_does_not_grow_after_the_first_step(kernels, monkeypatch):
    """Even if the smallest arrays reuse memory too."""
    monkeypatch.setattr(memory, "SMALLEST", 1)
    free_list.clear()
    try:
        weights, held = parameters(), []
        for _ in range(4):
            forward(weights, *batch())[0].backward()
            for pair in weights.values():
                for leaf in pair:
                    leaf.grad = None
            held.append((free_list.held, sum(map(len, free_list.blocks.values()))))
    finally:
        free_list.clear()
    assert held[0][1] > 10
    assert held[1:] == [held[1]] * 3
