"""Module: how parts are found, named, saved, loaded, moved and seeded."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision.nn import Buffer, Conv2d, Dropout, Linear, Module, Parameter, ReLU, Sequential
from tests.refusals import refused


def rng(seed=0):
    return np.random.default_rng(seed)


class Norm(Module):
    """A layer with a parameter and a buffer."""

    def __init__(self, C):
        self.weight = Parameter(np.ones(C, np.float32))
        self.mean = Buffer(np.zeros(C, np.float32))

    def forward(self, x):
        return x * self.weight


class Net(Module):
    """Parts in every place where a part may be."""

    def __init__(self, seed=0):
        manual_seed(seed)
        self.scale = Parameter(np.ones((), np.float32))
        self.first = Linear(3, 4)
        self.blocks = [Linear(4, 4), ReLU()]
        self.heads = {"left": Linear(4, 2), "right": Norm(4)}
        self.pair = (Norm(2), "no module", 3)
        self.shared = self.first
        self.same_scale = self.scale
        self.sizes = [1, 2, 3]

    def forward(self, x):
        return self.heads["left"](self.blocks[1](self.blocks[0](self.first(x)))) * self.scale


NAMES = [
    "scale", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias",
    "heads.left.weight", "heads.left.bias", "heads.right.weight", "pair.0.weight",
]  # fmt: skip
BUFFERS = ["heads.right.mean", "pair.0.mean"]


def test_module_finds_each_parameter_once_in_the_order_of_assignment():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    parameters = list(net.parameters())
    assert len(set(map(id, parameters))) == len(parameters) == 9
    assert parameters[0] is net.scale


def test_module_finds_buffers_which_are_not_parameters():
    assert [name for name, _ in Net().named_buffers()] == BUFFERS


def test_module_finds_each_module_once_in_order():
    assert [name for name, _ in Net().named_modules()] == [
        "", "first", "blocks.0", "blocks.1", "heads.left", "heads.right", "pair.0",
    ]  # fmt: skip


def test_parameter_count_counts_shared_parameters_once():
    assert Net().parameter_count() == 1 + (12 + 4) + (16 + 4) + (8 + 2) + 4 + 2


def test_parameter_can_be_replaced_by_a_parameter_or_none():
    layer = Linear(3, 2)
    layer.weight, layer.bias = Parameter(np.ones((2, 3), np.float32)), None
    assert layer.parameter_count() == 6


def test_forward_may_take_named_arguments():
    class Scaled(Module):
        def forward(self, x, scale=1.0):
            return x * scale

    assert Scaled()(Tensor([2.0]), scale=3.0).item() == 6


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_requires_grad_and_zero_grad_reach_every_parameter():
    net = Net()
    x = Tensor(rng().normal(size=(2, 3)).astype(np.float32))
    assert not net.requires_grad_(False)(x).requires_grad
    net.requires_grad_()
    net(x).sum().backward()
    assert net.first.weight.grad is not None
    assert net.pair[0].weight.grad is None
    net.zero_grad()
    assert [p.grad for p in net.parameters()] == [None] * 9


# ── state ────────────────────────────────────────────────────────────────────────────────────


def test_state_dict_holds_copies_of_parameters_and_buffers():
    net = Net()
    state = net.state_dict()
    assert list(state) == NAMES + BUFFERS
    state["first.weight"][...] = 7
    state["pair.0.mean"][...] = 7
    assert not (net.first.weight.data == 7).any()
    assert not (net.pair[0].mean.data == 7).any()


def test_load_state_dict_copies_into_the_same_parameters():
    net, other = Net(seed=0), Net(seed=1)
    weight, state = other.first.weight, net.state_dict()
    state["pair.0.mean"] += 3
    other.load_state_dict(state)
    assert other.first.weight is weight
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    state["first.weight"][...] = 7
    assert not (weight.data == 7).any()


def test_load_state_dict_converts_to_the_dtype_of_the_model():
    net = Net()
    net.load_state_dict(
        {name: array.astype(np.float64) for name, array in net.state_dict().items()}
    )
    assert {array.dtype for array in net.state_dict().values()} == {np.dtype(np.float32)}


def spoilt(change):
    state = {name: array + 1 for name, array in Net().state_dict().items()}
    change(state)
    return state


def missing(state):
    del state["first.bias"], state["pair.0.mean"]


def extra(state):
    state["second.weight"] = np.zeros(3)


def misshaped(state):
    state["first.weight"] = state["first.weight"].T


def mistyped(state):
    state["first.weight"] = state["first.weight"] + 1j


def transposed_and_missing(state):
    misshaped(state)
    missing(state)


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (missing, ["missing", "first.bias, pair.0.mean"]),
        (extra, ["not in this model", "second.weight"]),
        (misshaped, ["shape", "first.weight", "(3, 4)", "(4, 3)"]),
        (mistyped, ["type", "first.weight", "complex64", "float32"]),
        (transposed_and_missing, ["missing", "first.bias", "shape", "first.weight", "(3, 4)"]),
    ],
)
def test_load_state_dict_of_a_state_that_does_not_fit_changes_nothing(change, fragments):
    net = Net()
    before = net.state_dict()
    versions = [p.node.changed[0] for p in net.parameters()]
    with refused(ValueError, "load_state_dict", "Net", *fragments):
        net.load_state_dict(spoilt(change))
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert [p.node.changed[0] for p in net.parameters()] == versions


def test_load_state_dict_of_a_state_that_cannot_be_converted_changes_nothing():
    net = Net()
    before = net.state_dict()
    state = spoilt(lambda state: None)
    state["pair.0.mean"] = np.array(["a", "b"])
    with refused(ValueError, "load_state_dict", "pair.0.mean", "<U1", "float32"):
        net.load_state_dict(state)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ── to ───────────────────────────────────────────────────────────────────────────────────────


def test_module_to_replaces_data_and_gradient_inside_the_same_parameter():
    net = Net()
    net(Tensor(np.ones((2, 3), np.float32))).sum().backward()
    parameters = list(net.parameters())
    assert net.to("cpu", np.float64) is net
    for old, new in zip(parameters, net.parameters(), strict=True):
        assert old is new
        assert new.dtype == np.float64
        assert new.grad is None or new.grad.dtype == np.float64
    assert net.pair[0].mean.data.dtype == np.float64
    net(Tensor(np.ones((2, 3)))).sum().backward()  # and the gradients add up
    assert net.first.weight.grad.dtype == np.float64


def test_module_to_an_unknown_device_changes_nothing():
    net = Net()
    with refused(ValueError, "device is 'tpu'", '"cpu", "gpu"'):
        net.to("tpu", np.float64)
    assert net.scale.dtype == np.float32


def test_module_to_between_forward_and_backward_is_noticed():
    net = Net()
    loss = net(Tensor(np.ones((2, 3), np.float32))).sum()
    net.to(dtype=np.float64)
    with refused(RuntimeError, "backward", "changed after the forward pass"):
        loss.backward()


# ── seed ─────────────────────────────────────────────────────────────────────────────────────


def test_module_seed_gives_every_random_layer_its_own_key():
    net = Sequential(Dropout(), Linear(3, 3), Sequential(Dropout(), ReLU()))
    net.seed(5, 9)
    assert [m.key for m in net.modules() if isinstance(m, Dropout)] == [
        (5, 9, 1),
        (5, 9, 4),
    ]


# ── attributes and printing ──────────────────────────────────────────────────────────────────


def test_module_seed_leaves_an_unrelated_attribute_key_alone():
    class Attention(Module):
        def __init__(self):
            self.key = Linear(2, 2)

    net = Sequential(Attention(), Dropout(0.5))
    net.seed(0, 0)
    assert isinstance(net[0].key, Linear)
    assert net[1].key == (0, 0, 3)


def test_module_to_keeps_integer_buffers_integers():
    class Counting(Module):
        def __init__(self):
            self.seen, self.mean = Buffer(np.array(3)), Buffer(np.zeros(2, np.float32))

    net = Counting().to(dtype=np.float64)
    assert (net.seen.data.dtype.kind, net.mean.data.dtype) == ("i", np.float64)


def test_module_prints_its_parts():
    net = Sequential(Conv2d(1, 6, 5, padding=2), Sequential(ReLU(), Dropout(0.25)))
    assert repr(net) == "\n".join([
        "Sequential(",
        "  (0): Conv2d(1, 6, kernel_size=(5, 5), padding=(2, 2))",
        "  (1): Sequential(",
        "    (0): ReLU()",
        "    (1): Dropout(p=0.25)",
        "  )",
        ")",
    ])  # fmt: skip


def test_conv2d_prints_its_dilation():
    assert "dilation=(2, 2)" in repr(Conv2d(1, 1, 3, dilation=2))
