"""Normalization, stochastic depth, local connections and losses as layers."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import LocallyConnected2d
from minivision.nn import (
    AdaptiveAvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    DistillationLoss,
    DropPath,
    Flatten,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MSELoss,
    ScaledTanh,
    Sequential,
    Sigmoid,
)


def images(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_batch_norm_normalizes_in_training_and_keeps_statistics_for_evaluation():
    layer, x = BatchNorm2d(3), images(8, 3, 4, 5)
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, atol=1e-4)
    mean, var = x.numpy().mean(axis=(0, 2, 3)), x.numpy().var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean.data, 0.1 * mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layer.running_var.data, 0.9 + 0.1 * var, rtol=1e-5)
    assert int(layer.num_batches_tracked.data) == 1
    layer.eval()
    before = layer.state_dict()
    single = layer(images(1, 3, 4, 5)).numpy()  # one image is enough now
    expected = (images(1, 3, 4, 5).numpy() - layer.running_mean.data[:, None, None]) / np.sqrt(
        layer.running_var.data[:, None, None] + 1e-5
    )
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-6)
    assert all((before[k] == v).all() for k, v in layer.state_dict().items())


def test_batch_norm_has_pytorchs_names():
    assert list(BatchNorm2d(2).state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]


def test_batch_norm_survives_a_state_dict_round_trip():
    layer, other = BatchNorm1d(3), BatchNorm1d(3)
    for seed in range(3):
        layer(images(5, 3, seed=seed))
    other.load_state_dict(layer.state_dict())
    x = images(4, 3, seed=9)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), other.eval()(x).numpy())
    assert int(other.num_batches_tracked.data) == 3


def test_local_response_norm_has_the_papers_constants():
    x = images(2, 7, 3, 3)
    expected = F.local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0)
    np.testing.assert_array_equal(LocalResponseNorm()(x).numpy(), expected.numpy())
    pytorch = LocalResponseNorm(5, alpha=0.5, k=1.0, alpha_over_size=True)(x).numpy()
    np.testing.assert_allclose(
        pytorch, LocalResponseNorm(5, alpha=0.1, k=1.0)(x).numpy(), rtol=1e-6
    )


def test_drop_path_drops_whole_images_and_depends_on_the_key():
    layer, x = DropPath(0.5), Tensor(np.ones((64, 2, 3, 3), np.float32))
    net = Sequential(layer)
    net.seed(1, 2)
    y = layer(x).numpy().reshape(64, -1)
    assert {tuple(set(row)) for row in y.round(4).tolist()} == {(0.0,), (2.0,)}
    again = layer(x).numpy().reshape(64, -1)
    assert (again != y).any()  # another call of the same step
    net.seed(1, 2)
    np.testing.assert_array_equal(layer(x).numpy().reshape(64, -1), y)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


def test_drop_path_without_a_key_draws_from_the_shared_generator():
    x = images(40, 3)
    with manual_seed(2):
        one = DropPath(0.5)(x).data
    with manual_seed(2):
        other = DropPath(0.5)(x).data
    np.testing.assert_array_equal(one, other)
    assert set(np.unique(one / x.data)) == {0, 2}


def test_layers_of_the_lecture_have_its_numbers_of_parameters():
    """The first layer of a network, 32x32x3 -> 28x28x6, in three ways."""
    dense = Linear(32 * 32 * 3, 28 * 28 * 6)
    local = LocallyConnected2d(3, 6, 5, image_size=32)
    convolution = Conv2d(3, 6, 5)
    assert dense.parameter_count() == 14_455_392
    assert local.parameter_count() == 357_504
    assert convolution.parameter_count() == 456


def test_locally_connected2d_with_equal_filters_is_a_convolution():
    manual_seed(0)
    local = LocallyConnected2d(2, 3, (3, 2), stride=2, padding=1, image_size=(7, 8))
    convolution = Conv2d(2, 3, (3, 2), stride=2, padding=1)
    local.weight.data = np.broadcast_to(convolution.weight.data, local.weight.shape).copy()
    x = images(2, 2, 7, 8)
    np.testing.assert_allclose(local(x).numpy(), convolution(x).numpy(), rtol=1e-5, atol=1e-6)


def test_adaptive_avg_pool2d_lets_a_network_take_images_of_any_size():
    manual_seed(0)
    net = Sequential(Conv2d(1, 4, 3), AdaptiveAvgPool2d(1), Flatten(), Linear(4, 2))
    assert net(images(2, 1, 9, 7)).shape == net(images(2, 1, 31, 12)).shape == (2, 2)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
        (Sigmoid(), F.sigmoid),
        (ScaledTanh(), F.scaled_tanh),
    ],
    ids=["LeakyReLU", "Sigmoid", "ScaledTanh"],
)
def test_layers_of_activations_call_their_functions(layer, function):
    x = images(3, 4)
    np.testing.assert_array_equal(layer(x).numpy(), function(x).numpy())


def test_losses_as_modules_call_their_functions_with_their_settings():
    logits, labels = images(4, 3), np.array([0, 2, -100, 1])
    weight = np.float32([1, 2, 3])
    loss = CrossEntropyLoss(weight, reduction="sum", label_smoothing=0.1)
    expected = F.cross_entropy(logits, labels, weight, reduction="sum", label_smoothing=0.1)
    assert loss(logits, labels).item() == expected.item()
    assert MSELoss()(logits, images(4, 3, seed=1)).item() == pytest.approx(
        float(((logits.numpy() - images(4, 3, seed=1).numpy()) ** 2).mean()), rel=1e-6
    )
    teacher = images(4, 3, seed=2)
    assert DistillationLoss(2.0)(logits, teacher).item() == pytest.approx(
        F.distillation_loss(logits, teacher, 2.0).item()
    )
