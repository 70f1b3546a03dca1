"""The engine on a GPU: the CPU's numbers, and nothing in a training step that waits for the host.

It runs on the stand-in or on CuPy (see device.py) and needs only NumPy and Hypothesis.
"""

import re
from pathlib import Path
from types import CellType, FunctionType

import numpy as np
import pytest

from minivision import Tensor, backend, detect_anomaly, fast, manual_seed, nn
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES
from minivision.autograd import backward_steps
from minivision.backend import array_module, device_of, resolve_device, to_device, to_host
from minivision.functional import convolution
from minivision.functional.normalization import RunningStatistics
from minivision.gradcheck import GradientError, gradcheck
from minivision.models import LocallyConnected2d, lenet5
from minivision.nn.initializers import normal
from minivision.optim import SGD, Adam, AdamW, WeightAverage, clip_grad_norm_, cosine
from minivision.tensor import record
from tests.cupy_stand_in import LOG
from tests.gpu.device import assert_equal, gpu, stand_in_only, where_needed
from tests.refusals import refused

pytestmark = where_needed


def with_arrays_on_gpu(function):
    """The same function, with the float and boolean arrays it refers to on the device.

    Labels and integer indices stay on the host, where the engine expects them.
    """
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    moved = [
        gpu(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fb" else value
        for value in cells
    ]
    closure = tuple(map(CellType, moved))
    return FunctionType(
        function.__code__, function.__globals__, None, function.__defaults__, closure
    )


def value_and_gradients(function, inputs, dy):
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = function(*leaves)
    y.backward(dy)
    return [y.data, *[leaf.grad for leaf in leaves]]


def both_ways(name, seed):
    """A case's value and gradients on the CPU and on the device."""
    rng = np.random.default_rng(seed)
    function, inputs = CASES[name](rng)
    dy = rng.normal(size=function(*inputs).shape)
    expected = value_and_gradients(function, inputs, dy)
    on_gpu, dy, inputs = with_arrays_on_gpu(function), gpu(dy), [gpu(x) for x in inputs]
    LOG.clear()
    return value_and_gradients(on_gpu, inputs, dy), expected


# ── moving ───────────────────────────────────────────────────────────────────────────────────


def test_backend_is_the_only_file_that_looks_for_cupy():
    """A file that imported find_cupy by name would keep the real one when a test replaces it."""
    sources = Path(backend.__file__).parent.rglob("*.py")
    users = [p.name for p in sources if re.search(r"find_cupy|\bcupy\.", p.read_text("utf-8"))]
    assert users == ["backend.py"]


def test_resolve_device_understands_cpu_gpu_and_auto():
    assert resolve_device("auto") == resolve_device("gpu") == resolve_device("gpu:0") == "gpu:0"
    assert resolve_device("cpu") == "cpu"


def test_resolve_device_auto_is_the_cpu_if_cupy_finds_no_gpu(monkeypatch):
    monkeypatch.setattr(backend.find_cupy(), "is_available", lambda: False, raising=False)
    assert resolve_device("auto") == "cpu"
    with refused(ValueError, "device is 'gpu'", "CUDA device", '"cpu"'):
        resolve_device("gpu")


def test_resolve_device_refuses_a_gpu_that_does_not_exist():
    with refused(ValueError, "device is 'gpu:99'", "last GPU is gpu:"):
        resolve_device("gpu:99")


def test_to_device_and_to_host_move_arrays_there_and_back():
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    there = to_device(x, "gpu:0")
    assert device_of(there) == "gpu:0"
    assert array_module(there) is backend.find_cupy()
    assert to_device(there, "gpu:0") is there
    np.testing.assert_array_equal(to_host(there), x)
    np.testing.assert_array_equal(to_device(there, "cpu"), x)


def test_tensor_on_the_device_is_copied_to_the_host_only_on_request():
    x = Tensor(gpu([1.0, 2.0]))
    assert x.device == "gpu:0"
    assert isinstance(x.numpy(), np.ndarray)
    assert repr(x) == "Tensor([1., 2.], float64)"
    with refused(TypeError, "Tensor is on a GPU", ".numpy()"):
        np.asarray(x)
    assert x.sum().item() == float(x.sum()) == 3.0


@stand_in_only
def test_module_works_on_the_second_gpu():
    manual_seed(0)
    model = nn.Linear(3, 2).to("gpu:1")
    y = model(Tensor(to_device(np.ones((4, 3), np.float32), "gpu:1")))
    y.sum().backward()
    assert y.device == device_of(model.weight.grad) == "gpu:1"


def test_initialize_draws_for_a_model_on_the_device_what_it_draws_on_the_host():
    layers = nn.Linear(3, 2), nn.Linear(3, 2).to("gpu")
    for layer in layers:
        with manual_seed(1):
            nn.initialize(layer, normal(0.1))
    assert layers[1].weight.device == "gpu:0"
    np.testing.assert_array_equal(layers[1].weight.numpy(), layers[0].weight.data)


# ── every function ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CASES)
def test_functional_has_the_cpus_values_and_gradients(name):
    for seed in range(12):
        ours, theirs = both_ways(name, seed)
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)


@stand_in_only
@pytest.mark.parametrize("name", CASES)
def test_functional_never_makes_the_host_wait(name):
    for seed in range(12):
        both_ways(name, seed)
        waits = LOG.synchronisations
        # Only the device knows how many entries a mask selects.
        assert [wait for wait in waits if not wait.startswith("a mask as an index")] == []
        assert waits == [] or name == "getitem"


VIEWS = {"transpose", "getitem", "broadcast_to", "unfold", "fold"}


@pytest.mark.parametrize("name", sorted(set(CASES) - VIEWS))
def test_functional_results_on_the_device_are_c_ordered(name):
    for seed in range(12):
        function, inputs = CASES[name](np.random.default_rng(seed))
        on_gpu = with_arrays_on_gpu(function)
        assert on_gpu(*[gpu(x) for x in inputs]).data.flags.c_contiguous


def test_conv2d_of_a_split_batch_has_the_cpus_value_and_gradients(monkeypatch):
    monkeypatch.setattr(convolution, "MAX_COLUMN_BYTES", 2000)
    for seed in range(12):
        ours, theirs = both_ways("conv2d", seed)
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)


@pytest.mark.parametrize("name", ["conv2d", "cross_entropy", "batch_norm", "getitem"])
def test_gradcheck_runs_on_the_device(name):
    rng = np.random.default_rng(0)
    function, inputs = CASES[name](rng)
    report = gradcheck(with_arrays_on_gpu(function), [gpu(x) for x in inputs], rng=rng)
    assert report.worst_error < 1e-6


def test_gradcheck_finds_a_wrong_gradient_on_the_device():
    def wrong(x):
        return record(x.data * x.data, (x,), lambda dy: (dy * x.data,))

    with refused(GradientError, "gradcheck", "input 0", "the gradient gives"):
        gradcheck(wrong, [gpu(np.ones((2, 3)))], rng=np.random.default_rng(0))


def test_tensor_on_the_device_mixes_with_numbers():
    x = Tensor(gpu(np.float32([1.0, 2.0])), requires_grad=True)
    factor = gpu(np.float64(3.0))  # an array without axes, as a reduction returns
    for y in (2 * x, x * np.float64(2), x * np.array(2.0), x * (factor - 1), (factor - 1) * x):
        assert_equal(y.data, np.float32([2.0, 4.0]))


def test_getitem_refuses_bad_indices_before_cupy_wraps_them():
    x = Tensor(gpu(np.ones((3, 2))))
    with refused(IndexError, "index 3", "axis 0"):
        x[np.array([0, 3])]


def test_getitem_takes_an_index_on_the_device():
    x = Tensor(gpu(np.arange(6.0).reshape(3, 2)), requires_grad=True)
    y = x[gpu(np.array([2, 0, 2]))]
    y.sum().backward()
    assert_equal(y.data, np.array([[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]))
    assert_equal(x.grad, np.array([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]))


# ── the graph ────────────────────────────────────────────────────────────────────────────────


def test_backward_steps_names_and_gradients_on_the_device():
    x = Tensor(gpu([1.0, 2.0, 3.0]), requires_grad=True)
    y = (x * x + x).retain_grad()
    names = [name for name, _, _ in backward_steps(y.sum())]
    assert names == ["sum", "add", "multiply"]
    assert_equal(x.grad, np.array([3.0, 5.0, 7.0]))
    assert_equal(y.grad, np.ones(3))
    (x * 2).sum().backward()
    assert_equal(x.grad, np.array([5.0, 7.0, 9.0]))


def test_detect_anomaly_names_the_function_on_the_device():
    x = Tensor(gpu([0.0, 1.0]), requires_grad=True)
    with detect_anomaly():
        with refused(FloatingPointError, "log: its value", "not finite", "called from"):
            F.log(x)
        y = F.sqrt(x).sum()
        with refused(FloatingPointError, "sqrt: the gradient of x", "not finite"):
            y.backward()


MIXED = {
    "add": lambda here, there: here + there,
    "where": lambda here, there: F.where(here.data > 0, here, there),
    "matmul": lambda here, there: here @ there,
    "linear": F.linear,
    "concatenate": lambda here, there: F.concatenate([here, there]),
    "mse_loss": F.mse_loss,
    "distillation_loss": F.distillation_loss,
    "kl_divergence": F.kl_divergence,
}


@pytest.mark.parametrize("name", MIXED)
def test_functional_refuses_mixed_devices(name):
    here, there = Tensor(np.full((2, 2), 0.5)), Tensor(gpu(np.full((2, 2), 0.5)))
    for pair, a, b in (((here, there), "cpu", "gpu:0"), ((there, here), "gpu:0", "cpu")):
        with refused(ValueError, f"{name}: ", f"is on {a} but", f"is on {b}", "to_device"):
            MIXED[name](*pair)


def test_multiply_refuses_a_number_on_another_device():
    with refused(ValueError, "multiply: a is on cpu", "b is on gpu:0"):
        Tensor([1.0]) * gpu(2.0)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_losses_refuse_labels_on_the_device(loss):
    logits = Tensor(gpu(np.zeros((2, 3))))
    with refused(ValueError, f"{loss.__name__}: targets", "on a GPU", "on the host"):
        loss(logits, gpu([0, 1]))
    with refused(ValueError, f"{loss.__name__}: targets[1] is 3", "0 to 2"):
        loss(logits, np.array([0, 3]))


# ── layers ───────────────────────────────────────────────────────────────────────────────────

IMAGE, FEATURES = (3, 4, 7, 6), (3, 5)
LAYERS = {
    "Linear": (lambda: nn.Linear(5, 2), FEATURES),
    "Flatten": (nn.Flatten, IMAGE),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, 2, 1, groups=2), IMAGE),
    "LocallyConnected2d": (
        lambda: LocallyConnected2d(4, 2, 3, 2, image_size=(7, 6)), IMAGE
    ),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), IMAGE),
    "ReLU": (nn.ReLU, IMAGE),
    "LeakyReLU": (nn.LeakyReLU, IMAGE),
    "Tanh": (nn.Tanh, IMAGE),
    "ScaledTanh": (nn.ScaledTanh, IMAGE),
    "Sigmoid": (nn.Sigmoid, IMAGE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, alpha=0.7), IMAGE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(5), FEATURES),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.4), IMAGE),
    "DropPath": (lambda: nn.DropPath(0.4), IMAGE),
    "Sequential": (lambda: nn.Sequential(nn.ReLU(), nn.Flatten()), IMAGE),
}  # fmt: skip
LOSSES = {
    "CrossEntropyLoss": (nn.CrossEntropyLoss(np.arange(1.0, 6), label_smoothing=0.1), [1, 0, 4]),
    "MSELoss": (nn.MSELoss(), np.ones(FEATURES)),
    "DistillationLoss": (nn.DistillationLoss(), np.eye(3, 5)),
}


def test_layers_are_all_tested_here():
    layers = {
        name for name in nn.__all__ if nn.Module in getattr(getattr(nn, name), "__mro__", ())[1:]
    }
    assert layers | {"LocallyConnected2d"} == {*LAYERS, *LOSSES}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_compute_the_cpus_numbers(name):
    make, shape = LAYERS[name]
    x = np.random.default_rng(1).normal(size=shape)
    layer = make().to(dtype=np.float64)
    layer.seed(0, 0)
    state = layer.state_dict()
    expected = [*value_and_gradients(layer, [x], np.ones(layer(Tensor(x)).shape))]
    gradients = [p.grad for p in layer.parameters()]
    after = layer.state_dict()

    layer.load_state_dict(state)
    layer.zero_grad()
    layer.to("gpu").seed(0, 0)
    layer(Tensor(gpu(x)))
    LOG.clear()
    ours = value_and_gradients(layer, [gpu(x)], gpu(np.ones(expected[0].shape)))
    waits = list(LOG.synchronisations)
    for one, other in zip(ours, expected, strict=True):
        assert_equal(one, other)
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        assert_equal(parameter.grad, gradient)
    for key, array in layer.state_dict().items():  # the running statistics too
        assert isinstance(array, np.ndarray)
        np.testing.assert_allclose(array, after[key], rtol=1e-12)
    assert waits == []
    assert_equal(layer.eval()(Tensor(gpu(x))).data, layer.to("cpu")(Tensor(x)).data)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_compute_the_cpus_numbers(name):
    loss, targets = LOSSES[name]
    x = np.random.default_rng(2).normal(size=FEATURES)
    expected = value_and_gradients(lambda x: loss(x, targets), [x], None)
    there = targets if isinstance(targets, list) else gpu(targets)
    for one, other in zip(
        value_and_gradients(lambda x: loss(x, there), [gpu(x)], None), expected, strict=True
    ):
        assert_equal(one, other)


def test_module_to_the_device_moves_gradients_and_keeps_its_parameters():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    parameters = list(model.parameters())
    model(Tensor(np.ones((2, 1, 5, 4), np.float32))).sum().backward()
    before = model.state_dict()
    model.to("gpu")
    assert [id(p) for p in model.parameters()] == [id(p) for p in parameters]
    assert {device_of(p.data) for p in parameters} == {"gpu:0"}
    assert {device_of(p.grad) for p in parameters} == {"gpu:0"}
    assert {device_of(b.data) for _, b in model.named_buffers()} == {"gpu:0"}
    for name, array in model.state_dict().items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, before[name])
    model.load_state_dict(before)
    assert {device_of(p.data) for p in parameters} == {"gpu:0"}
    model.to("cpu")
    assert all(isinstance(p.grad, np.ndarray) for p in parameters)


# ── training steps ───────────────────────────────────────────────────────────────────────────

OPTIMIZERS = {
    "SGD": lambda p: SGD(p, 0.1, momentum=0.9, weight_decay=1e-3),
    "SGD, Nesterov": lambda p: SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: Adam(p, 1e-2, weight_decay=1e-3),
    "AdamW": lambda p: AdamW(p, 1e-2),
}


def small_network():
    """Every kind of layer in AlexNet, and batch normalization."""
    manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, 2), nn.ReLU(), nn.LocalResponseNorm(3, alpha=0.5),
        nn.MaxPool2d(3, 2), nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False),
        nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(150, 10),
    )  # fmt: skip


manual_seed(3)
MODELS = {
    "LeNet-5": lenet5,
    "with LRN, batch norm and dropout": small_network,
}


def batch(step, n=6):
    rng = np.random.default_rng((9, step))
    return rng.normal(size=(n, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, n)


def train(model, optimizer, average, where, steps=3):
    """Whole steps, with clipping and a schedule; returns losses and norms without reading them."""
    schedule, read_later = cosine(epochs=2), []
    for step in range(steps):
        images, labels = batch(step)
        model.seed(0, step)
        optimizer.scale_lr(schedule(step / 4))
        loss = F.cross_entropy(model(Tensor(to_device(images, where))), labels)
        optimizer.zero_grad()
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        read_later += [loss.data, norm]
    return read_later


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_steps_never_wait_and_give_the_cpus_weights(model, optimizer):
    seen = []
    for where in ("cpu", "gpu:0"):
        with manual_seed(0):
            network = MODELS[model]().to(where)
        update = OPTIMIZERS[optimizer](network.parameters())
        average = WeightAverage(network, 0.5)
        LOG.clear()
        # The same code on both: where a gradient is nearly 0, Adam turns rounding into steps.
        with fast.off():
            numbers = train(network, update, average, where)
        assert LOG.synchronisations == []
        seen.append(
            [float(n) for n in numbers]
            + [*network.state_dict().values(), *average.state_dict().values()]
            + list(update.state_dict().values())
        )
    for ours, theirs in zip(*seen, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=2e-3, atol=2e-4)


@stand_in_only
def test_training_step_copies_the_batch_to_the_device_and_little_else():
    network = small_network().to("gpu")
    optimizer = Adam(network.parameters())
    average = WeightAverage(network)
    train(network, optimizer, average, "gpu:0", steps=1)
    LOG.clear()
    train(network, optimizer, average, "gpu:0", steps=1)
    sources = [re.search(r"in (\w+)", transfer)[1] for transfer in LOG.transfers]
    assert sources == ["to_device", "dropout_mask", "target_distributions"]  # images, mask, labels


def test_optimizer_state_can_be_restored_from_the_host():
    runs = []
    for resumed in (False, True):
        network = small_network().to("gpu")
        optimizer, average = Adam(network.parameters(), 1e-3), WeightAverage(network, 0.5)
        train(network, optimizer, average, "gpu:0", steps=2)
        if resumed:
            state, weights, averaged = (
                optimizer.state_dict(), network.state_dict(), average.state_dict()
            )  # fmt: skip
            assert all(isinstance(array, np.ndarray) for array in state.values())
            network = small_network().to("gpu")
            optimizer, average = Adam(network.parameters(), 1e-3), WeightAverage(network, 0.5)
            network.load_state_dict(weights)
            optimizer.load_state_dict(state)
            average.load_state_dict(averaged)
        train(network, optimizer, average, "gpu:0", steps=2)
        runs.append(
            [a for part in (network, optimizer, average) for a in part.state_dict().values()]
        )
    for whole, resumed in zip(*runs, strict=True):
        np.testing.assert_allclose(resumed, whole, rtol=1e-6, atol=1e-7)


def test_weight_average_replaces_the_weights_on_the_device():
    model = nn.Linear(3, 2).to("gpu")
    average = WeightAverage(model, 0.5)
    own = model.weight.data
    model.weight.data = own + 2
    average.update()
    with average.applied():
        assert_equal(model.weight.data, to_host(own) + 1, 1e-6)
    assert_equal(model.weight.data, to_host(own) + 2, 1e-6)


def test_clip_grad_norm_computes_the_norm_on_the_device():
    weight = Tensor(gpu(np.float32([3.0, 4.0])), requires_grad=True)
    weight.grad = gpu(np.float32([3.0, 4.0]))
    norm = clip_grad_norm_([weight], 1.0)
    assert device_of(norm) == "gpu:0"
    assert float(norm) == 5.0
    assert_equal(weight.grad, np.float32([0.6, 0.8]), 1e-6)


def test_running_statistics_stay_on_the_device():
    running = RunningStatistics(gpu(np.zeros(2)), gpu(np.ones(2)), gpu(0))
    F.batch_norm(gpu(np.random.default_rng(0).normal(size=(5, 2))), running=running)
    assert device_of(running.mean) == device_of(running.num_batches_tracked) == "gpu:0"
    assert int(running.num_batches_tracked) == 1
