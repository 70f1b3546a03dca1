"""AlexNet, VGG and ResNet against the same layers in PyTorch, with the weights copied by name.

torchvision is not needed: its networks are built here, with its names, from torch.nn. In float64
logits agree within 1e-10 and gradients within 1e-8 of each parameter's largest entry. In float32
logits agree within 1e-4; the gradients of every layer, from the same input and the same upstream
gradient, within 1e-3 in norm. (Through a whole network rounding decides which of two nearly equal
entries of a pooling window gets the gradient, in PyTorch as here, and the difference grows.)

VGG-16 on images of 224x224 takes gigabytes and minutes; MINIVISION_TEST_FULL_SIZE=1 asks for it.
"""

import gc
import os

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import (
    MODELS,
    alexnet,
    alexnet_one_weird_trick,
    fully_convolutional,
    resnet20,
    vgg16,
    vgg_small,
)
from minivision.nn import AdaptiveAvgPool2d, Flatten
from minivision.nn.weights import load_weights, save_weights

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.parity
full_size = pytest.mark.skipif(
    not os.environ.get("MINIVISION_TEST_FULL_SIZE"), reason="minutes; MINIVISION_TEST_FULL_SIZE=1"
)


# ── the same networks in PyTorch ─────────────────────────────────────────────────────────────


class Theirs(nn.Module):
    """features, avgpool, classifier, as torchvision's AlexNet and VGG have them."""

    def __init__(self, features, avgpool, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = avgpool
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def their_alexnet():
    """The paper's, with torch's LRN, whose alpha is divided by the size."""

    def lrn():
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)

    features = [
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(), lrn(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), lrn(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    return Theirs(features, nn.Identity(), hidden_first(9216))


def their_alexnet_one_weird_trick():
    features = [
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    classifier = [
        nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000),
    ]  # fmt: skip
    return Theirs(features, nn.AdaptiveAvgPool2d(6), classifier)


def hidden_first(units):
    return [
        nn.Linear(units, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 1000),
    ]  # fmt: skip


# torchvision's way of writing the table: filters, "M" for pooling. Theirs has neither L nor 1.
VGG = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg11_lrn": "64 L M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16_c": "64 64 M 128 128 M 256 256 256:1 M 512 512 512:1 M 512 512 512:1 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
    "vgg_small": "32 32 M 64 64 M 128 128 M",
}


def their_vgg(name, head, classes=1000):
    channels, layers = 3, []
    plain = name.removesuffix("_bn")
    for entry in VGG[plain].split():
        if entry == "M":
            layers.append(nn.MaxPool2d(2, 2))
        elif entry == "L":
            layers.append(nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0))
        else:
            filters, _, one = entry.partition(":")
            filters, kernel = int(filters), int(one or 3)
            layers.append(nn.Conv2d(channels, filters, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(filters)] if name.endswith("_bn") else []
            layers.append(nn.ReLU())
            channels = filters
    if head == "average":
        return Theirs(layers, nn.AdaptiveAvgPool2d(1), [nn.Linear(channels, classes)])
    if plain == "vgg_small":
        classifier = [nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, classes)]
        return Theirs(layers, nn.Identity(), classifier)
    return Theirs(layers, nn.AdaptiveAvgPool2d(7), hidden_first(512 * 7 * 7))


class TheirBlock(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.channels = stride, channels

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        if self.stride > 1:
            half = self.channels // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class TheirResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(TheirBlock(C, F, s), TheirBlock(F, F, 1), TheirBlock(F, F, 1))
            for C, F, s in stages
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3)))


# ── what is compared ─────────────────────────────────────────────────────────────────────────


def both(ours, build_theirs, size, N=2, training=False, dtype=np.float64):
    """(name, ours, theirs) of the logits and of every gradient, of the same weights and images.

    Biases and running statistics are moved away from their start, so that one that is left out
    would be noticed.
    """
    rng = np.random.default_rng(1)
    ours.to(dtype=dtype).train(training)
    state = ours.state_dict()
    for name, array in state.items():
        if name.endswith("bias"):
            array += 0.1 * rng.normal(size=array.shape)
        elif "running" in name:
            array += rng.uniform(0, 0.5, array.shape)
        elif name.endswith("num_batches_tracked"):
            array += 7
    ours.load_state_dict(state)
    theirs = loaded(build_theirs, state).train(training)
    images = rng.normal(size=(N, *size)).astype(dtype)
    x, their_x = Tensor(images, requires_grad=True), torch.tensor(images, requires_grad=True)

    logits, their_logits = ours(x), theirs(their_x)
    labels = rng.integers(0, logits.shape[1], N)
    F.cross_entropy(logits, labels).backward()
    nn.functional.cross_entropy(their_logits, torch.tensor(labels)).backward()
    yield "logits", logits.data, their_logits.detach().numpy()
    yield "images", x.grad, their_x.grad.numpy()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    assert list(gradients) == [name for name, _ in ours.named_parameters()]
    for name, parameter in ours.named_parameters():
        yield name, parameter.grad, gradients[name].numpy()
    buffers = {name: buffer.numpy() for name, buffer in theirs.named_buffers()}
    for name, buffer in ours.named_buffers():
        yield name, buffer.data, buffers[name]


def loaded(build, state):
    """A network of PyTorch's with exactly these weights; none are drawn before."""
    with torch.device("meta"):
        network = build()
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    network.load_state_dict(tensors, assign=True)
    return network


def assert_agree(triples, first=1e-10, others=1e-8, vanishing=()):
    """Within these tolerances, relative to the largest entry: logits, and everything else.

    vanishing: gradients that are 0 except for rounding, compared with that of the previous weight.
    """
    for name, ours, theirs in triples:
        assert ours.shape == theirs.shape
        if name not in vanishing:
            largest = np.abs(theirs).max()
            assert largest > 0, name
        tolerance = first if name == "logits" else others
        assert np.abs(ours - theirs).max() <= tolerance * largest, name
    gc.collect()


def assert_near_layer_by_layer(ours, build_theirs, size, N=2):
    """In float32 and evaluation: logits 1e-4 of the largest; each layer's gradients in norm."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(N, *size)).astype(np.float32)
    theirs = loaded(build_theirs, ours.eval().state_dict()).eval()
    logits, their_logits = ours(Tensor(images)).data, theirs(torch.tensor(images))
    assert_near(logits, their_logits, 1e-4, np.max, "logits")

    parts = [*ours.features, Flatten(), *ours.classifier]
    their_parts = [*theirs.features, theirs.avgpool, nn.Flatten(), *theirs.classifier]
    if not isinstance(parts[len(ours.features) - 1], AdaptiveAvgPool2d):
        their_parts.remove(theirs.avgpool)  # it changes nothing at this size
    x = images
    for layer, their_layer in zip(parts, their_parts, strict=True):
        layer.zero_grad()
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, their_y = layer(a), their_layer(b)
        dy = rng.normal(size=y.shape).astype(np.float32)
        y.backward(dy)
        their_y.backward(torch.tensor(dy))
        assert_near(y.data, their_y, 1e-4, np.max, layer)
        assert_near(a.grad, b.grad, 1e-3, np.linalg.norm, layer)
        for name, parameter in layer.named_parameters():
            gradient = getattr(their_layer, name).grad
            assert_near(parameter.grad, gradient, 1e-3, np.linalg.norm, layer)
        x = np.copy(y.data)
    gc.collect()


def assert_near(ours, theirs, tolerance, size, what):
    theirs = theirs.detach().numpy()
    assert ours.dtype == theirs.dtype == np.float32
    apart, whole = (size(np.abs(a.ravel())) for a in (ours - theirs, theirs))
    assert 0 <= apart <= tolerance * whole, what


def drawn(build, *arguments, **settings):
    manual_seed(0)
    return build(*arguments, **settings)


# ── full size ────────────────────────────────────────────────────────────────────────────────

ALEXNETS = {
    "paper": (alexnet, their_alexnet, (3, 227, 227)),
    "one_weird_trick": (alexnet_one_weird_trick, their_alexnet_one_weird_trick, (3, 224, 224)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("build", "theirs", "size"), ALEXNETS.values(), ids=ALEXNETS)
def test_alexnet_agrees_at_full_size(build, theirs, size):
    assert_agree(both(drawn(build), theirs, size))


@pytest.mark.slow
@pytest.mark.parametrize(("build", "theirs", "size"), ALEXNETS.values(), ids=ALEXNETS)
def test_alexnet_agrees_at_full_size_in_float32(build, theirs, size):
    assert_near_layer_by_layer(drawn(build), theirs, size)


@full_size
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_vgg16_agrees_at_full_size():
    assert_agree(both(drawn(vgg16), lambda: their_vgg("vgg16", "flatten"), (3, 224, 224)))


@full_size
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_vgg16_agrees_at_full_size_in_float32():
    theirs = lambda: their_vgg("vgg16", "flatten")  # noqa: E731
    assert_near_layer_by_layer(drawn(vgg16), theirs, (3, 224, 224))


# ── every configuration, on images of 64x64 ──────────────────────────────────────────────────

CONFIGURATIONS = [f"{name}{norm}" for name in VGG for norm in ("", "_bn") if name != "vgg_small"]


def biases_before_batch_norm(model):
    """A mean is taken off again, so these biases change nothing while a network is trained."""
    kinds = [type(layer).__name__ for layer in model.features]
    return [f"features.{i}.bias" for i, kind in enumerate(kinds[1:]) if kind == "BatchNorm2d"]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_vgg_networks_agree_with_the_average_head(name):
    """In training mode, so that batch statistics and their running means are compared as well."""
    ours = drawn(MODELS[name], head="average")
    triples = both(ours, lambda: their_vgg(name, "average"), (3, 64, 64), training=True)
    assert_agree(triples, vanishing=biases_before_batch_norm(ours))


@pytest.mark.parametrize("head", ["flatten", "average"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_vgg_small_agrees(head, batch_norm, training):
    name = "vgg_small" + "_bn" * batch_norm
    ours = drawn(vgg_small, head=head, batch_norm=batch_norm)
    triples = both(ours, lambda: their_vgg(name, head, 10), (3, 32, 32), N=3, training=training)
    assert_agree(triples, vanishing=biases_before_batch_norm(ours) if training else ())


@pytest.mark.parametrize("size", [32, 29])
@pytest.mark.parametrize("training", [False, True])
def test_cifar_resnet_agrees(size, training):
    assert_agree(both(drawn(resnet20), TheirResNet20, (3, size, size), N=3, training=training))


@pytest.mark.parametrize("name", ["vgg11_lrn", "vgg16_c_bn"])
def test_vgg_agrees_in_float32(name):
    ours = drawn(MODELS[name], head="average")
    assert_near_layer_by_layer(ours, lambda: their_vgg(name, "average"), (3, 64, 64))


def test_cifar_resnet_logits_agree_in_float32():
    ours = drawn(resnet20).eval()
    theirs = loaded(TheirResNet20, ours.state_dict()).eval()
    images = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    assert_near(ours(Tensor(images)).data, theirs(torch.tensor(images)), 1e-4, np.max, "logits")


# ── weights travel by name ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", ["vgg", "resnet"])
def test_load_weights_reads_pytorchs_safetensors_file_and_pytorch_reads_ours(tmp_path, which):
    from safetensors.torch import load_file, save_file

    ours, theirs = (
        (vgg_small(batch_norm=True), their_vgg("vgg_small_bn", "flatten", 10))
        if which == "vgg"
        else (resnet20(), TheirResNet20())
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    theirs(torch.tensor(x))  # moves the running means
    expected = theirs.eval()(torch.tensor(x)).detach().numpy()
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    arrays, _ = load_weights(tmp_path / "theirs.safetensors")
    ours.load_state_dict(arrays)
    np.testing.assert_allclose(ours.eval()(Tensor(x)).data, expected, rtol=1e-4, atol=1e-5)

    save_weights(tmp_path / "ours.safetensors", ours.state_dict())
    for parameter in theirs.parameters():
        parameter.data.zero_()
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    np.testing.assert_array_equal(theirs(torch.tensor(x)).detach().numpy(), expected)


def test_dense_evaluation_agrees_with_pytorchs_convolutions_of_the_same_weights():
    ours = drawn(vgg_small).to(dtype=np.float64)
    theirs = loaded(lambda: their_vgg("vgg_small", "flatten", 10), ours.state_dict())
    images = np.random.default_rng(0).normal(size=(2, 3, 48, 40))
    first, _, last = theirs.classifier
    maps = theirs.features(torch.tensor(images))
    hidden = nn.functional.conv2d(maps, first.weight.reshape(256, 128, 4, 4), first.bias).relu()
    scores = nn.functional.conv2d(hidden, last.weight[:, :, None, None], last.bias)
    dense = fully_convolutional(ours)(Tensor(images))
    assert dense.shape == (2, 10, 3, 2)
    assert_agree([("logits", dense.data, scores.detach().numpy())])
