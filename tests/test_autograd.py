"""The graph: long chains, shared nodes, freed memory, changed arrays, no_grad, detect_anomaly."""

import gc
import linecache
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from minivision import Tensor, backward_steps, detect_anomaly, manual_seed, no_grad, record
from minivision import functional as F
from minivision.fast.free_list import ALIGNMENT, free_list
from minivision.models import lenet5
from minivision.nn import Linear, Parameter
from minivision.windows import Window
from tests.refusals import refused

FREED = "backward", "freed by an earlier backward pass"
CHANGED = "backward", "changed after the forward pass"


def scalar(value=3.0):
    return Tensor(np.array(value), requires_grad=True)


def weight(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


# ── long graphs ──────────────────────────────────────────────────────────────────────────────


def chain(x, length):
    for _ in range(length):
        x = -x
    return x


def test_backward_runs_through_a_chain_of_100_000_operations():
    x = scalar()
    chain(x, 100_000).backward()
    assert x.grad == 1
    chain(x, 100_001).backward()
    assert x.grad == 0


def test_node_of_a_chain_of_100_000_operations_can_be_freed():
    x = scalar()
    y = chain(x, 100_000)
    first = weakref.ref(y.node.parents[0])
    del y
    assert first() is None


def test_backward_through_100_000_operations_needs_little_stack():
    faults = []

    def work():
        try:
            x = scalar()
            chain(x, 100_000).backward(
                retain_graph=True
            )  # the graph is kept, then freed all at once
            assert x.grad == 1
        except BaseException as fault:  # an exception in a thread would pass unnoticed
            faults.append(fault)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert faults == []


def test_backward_visits_each_node_once():
    """60 doublings have 2^60 paths, but only 60 nodes."""
    x = scalar(1.0)
    y = x
    for _ in range(60):
        y = y + y
    assert len(list(backward_steps(y))) == 60
    assert x.grad == 2.0**60


# ── the order of evaluation ──────────────────────────────────────────────────────────────────


def test_backward_steps_run_in_reverse_order_of_computation():
    x = scalar()
    a = F.exp(x)
    b = F.tanh(a)
    c = F.relu(a)
    y = b * c
    assert [name for name, _, _ in backward_steps(y)] == ["multiply", "relu", "tanh", "exp"]


def test_backward_steps_reach_a_node_after_all_its_gradients():
    x = scalar(2.0)
    shared = x * x
    y = (shared * 3.0) + F.exp(shared * 0.0) + shared
    steps = [(name, np.copy(dy)) for name, dy, _ in backward_steps(y)]
    assert steps[-1] == ("multiply", 4.0)  # x·x comes last and gets 3 + 0 + 1
    assert x.grad == 16


def test_backward_steps_yield_the_function_its_dy_and_its_gradients():
    x, w = scalar(2.0), scalar(5.0)
    ((name, dy, gradients),) = backward_steps(x * w)
    assert (name, dy, gradients) == ("multiply", 1, (5, 2))


def test_backward_steps_visit_only_what_the_root_depends_on():
    x = scalar()
    a, b = F.exp(x), F.log(x)
    assert [name for name, _, _ in backward_steps(a)] == ["exp"]
    b.backward()


def test_backward_steps_skip_branches_without_requires_grad():
    x, constant = scalar(), Tensor(np.array(2.0))
    y = x * F.exp(constant)
    assert [name for name, _, _ in backward_steps(y)] == ["multiply"]
    assert constant.grad is None


def test_backward_steps_compute_what_backward_computes():
    x, w = weight(3, 4), weight(2, 4, seed=1)
    F.tanh(F.linear(x, w)).sum().backward()
    expected = w.grad
    w.grad = None
    for _ in backward_steps(F.tanh(F.linear(x, w)).sum()):
        pass
    np.testing.assert_array_equal(w.grad, expected)


def test_backward_of_a_leaf_adds_dy_to_its_own_gradient():
    x = scalar()
    x.backward()
    assert x.grad == 1
    assert list(backward_steps(x, np.array(2.0))) == []
    assert x.grad == 3


# ── freeing, and keeping ─────────────────────────────────────────────────────────────────────


def test_backward_cannot_be_called_twice_and_then_writes_nothing():
    x = scalar()
    y = x * x
    y.backward()
    with refused(RuntimeError, *FREED, "retain_graph=True"):
        y.backward()
    assert x.grad == 6


def test_backward_through_a_freed_part_raises_before_anything_is_written():
    x, other = scalar(), scalar(7.0)
    shared = x * x
    one, two = shared * 2.0, shared * other
    one.backward()
    with refused(RuntimeError, *FREED):
        two.backward()
    assert x.grad == 12
    assert other.grad is None


def test_backward_steps_raise_if_the_graph_is_freed_between_two_steps():
    """In between, the backward pass of another loss frees a part that both share."""
    shared = F.exp(scalar())
    one, two = shared * 2.0, shared * 3.0
    steps = backward_steps(one)
    next(steps)
    two.backward()
    with refused(RuntimeError, *FREED):
        next(steps)


def test_backward_after_abandoned_steps_raises_and_writes_nothing():
    x = scalar()
    y = x * 2.0
    steps = backward_steps(y)
    next(steps)
    del steps
    with refused(RuntimeError, *FREED):
        y.backward()
    assert x.grad is None  # the step was yielded, but its gradients were not passed on


def test_backward_steps_yield_gradients_as_the_backward_function_returned_them():
    """Also if both go to one leaf, which adds the second to the first in place."""
    x = Tensor(np.array([3.0]), requires_grad=True)
    ((_, _, gradients),) = [
        (n, dy, [g.copy() for g in all_]) for n, dy, all_ in backward_steps(x * x)
    ]
    assert [g.tolist() for g in gradients] == [[3.0], [3.0]]
    assert x.grad.tolist() == [6.0]


def test_backward_with_retain_graph_can_be_called_again():
    x = scalar()
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 18
    with refused(RuntimeError, *FREED):
        y.backward()


def test_retain_grad_keeps_an_intermediate_gradient():
    x = scalar(2.0)
    h = (x * x).retain_grad()
    (h * 5.0 + h).backward(retain_graph=True)
    assert h.grad == 6
    y = h * 1.0
    y.backward()
    assert h.grad == 7
    assert x.grad == 28


def test_retain_grad_keeps_a_copy():
    x = weight(3)
    h = (x * 2.0).retain_grad()
    y = (h + 0.0).retain_grad()
    dy = np.ones(3)
    y.backward(dy)
    for one, other in ((h, y), (h, x), (y, x)):
        assert not np.may_share_memory(one.grad, other.grad)
    assert not np.may_share_memory(y.grad, dy)


def test_backward_keeps_no_intermediate_gradients_without_retain_grad():
    x = scalar()
    h = x * x
    (h * 2.0).backward()
    assert h.grad is None


def test_backward_steps_free_arrays_as_they_go():
    """When a backward function runs, the arrays of those before it are freed: half the memory."""
    x = weight(4)
    kept = []
    y = x
    for _ in range(5):
        y = F.exp(y * 0.1)
        kept.append(weakref.ref(y.data))
    loss = y.sum()
    del y
    alive = [
        sum(ref() is not None for ref in kept)
        for name, _, _ in backward_steps(loss)
        if name == "multiply"
    ]
    assert alive == [4, 3, 2, 1, 0]


def test_backward_frees_summed_gradients_before_the_next_function_runs():
    made, alive = [], []

    def start(x):
        def backward(dy):
            alive.append([ref() is not None for ref in made])
            return (2 * dy,)

        return record(x.data + 0, (x,), backward)

    def fork(a, b):
        def backward(dy):
            gradients = 2 * dy, 3 * dy
            made.extend(map(weakref.ref, gradients))
            return gradients

        return record(a.data + b.data, (a, b), backward)

    x = weight(4)
    h = start(x)
    fork(h, h).sum().backward()
    assert alive == [[False, False]]
    assert x.grad.tolist() == [10] * 4


def test_node_and_arrays_are_freed_with_the_loss_without_the_garbage_collector():
    x = weight(4, 5)
    gc.collect()
    gc.disable()
    try:
        h = F.tanh(x)
        loss = (h * h).sum()
        kept = [weakref.ref(h.data), weakref.ref(h.node), weakref.ref(loss.node)]
        del h, loss
        assert [ref() for ref in kept] == [None] * 3
    finally:
        gc.enable()


def training_step(model, x, labels):
    loss = F.cross_entropy(model(x), labels)
    model.zero_grad()
    loss.backward()
    for parameter in model.parameters():
        parameter.data -= np.float32(0.01) * parameter.grad


def test_backward_in_a_training_step_makes_no_garbage(open_door, monkeypatch):
    monkeypatch.setattr(free_list, "limit", 0)  # so that every array is counted
    free_list.clear()
    rng = np.random.default_rng(0)
    model = lenet5()
    x = Tensor(rng.normal(size=(4, 1, 28, 28)).astype(np.float32))
    labels = rng.integers(0, 10, 4)
    for _ in range(2):
        training_step(model, x, labels)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        live = []
        for _ in range(4):
            training_step(model, x, labels)
            live.append(bytes_of_arrays())
        assert gc.collect() == 0
    finally:
        tracemalloc.stop()
        gc.enable()
    # Since the counting began, one gradient has been added for each of the 61,706 weights; that of
    # the largest layer is a block, which has room to start at a cache line.
    assert live == [4 * 61_706 + ALIGNMENT] * 4


def bytes_of_arrays():
    """The bytes of NumPy's arrays; Python's own recycled tuples are not counted."""
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)


# ── no_grad ──────────────────────────────────────────────────────────────────────────────────


def test_no_grad_records_nothing_inside_and_everything_after():
    x = scalar()
    with no_grad():
        assert not (x * x).requires_grad
        with no_grad():
            pass
        assert not (x * x).requires_grad  # the inner one does not switch recording on
    assert (x * x).requires_grad


def test_no_grad_is_a_decorator_too():
    @no_grad()
    def predict(x):
        return x * x

    x = scalar()
    for _ in range(2):
        assert not predict(x).requires_grad
    assert (x * x).requires_grad


def test_no_grad_ends_if_an_exception_is_raised():
    x = scalar()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * x).requires_grad


def test_no_grad_affects_one_thread_only():
    x = scalar()
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_allows_leaves_that_require_gradients():
    with no_grad():
        x = scalar()
    (x * x).backward()
    assert x.grad == 6


# ── detect_anomaly ───────────────────────────────────────────────────────────────────────────


def this_line(text):
    """ "file:line: source" of the line in this file that contains the text, once."""
    lines = linecache.getlines(__file__)
    (number,) = [i for i, line in enumerate(lines, 1) if text in line and "this_line" not in line]
    return f"test_autograd.py:{number}: {lines[number - 1].strip()}"


def test_detect_anomaly_names_the_function_and_the_calling_line():
    x = Tensor(np.array([1.0, -1.0]), requires_grad=True)
    line = this_line("F.log(x)  # NaN")
    with (
        np.errstate(invalid="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "log: its value", "not finite", line),
    ):
        F.log(x)  # NaN


def test_detect_anomaly_uses_the_name_given_to_record():
    def halve(x):
        return record(x.data / 0, (x,), lambda dy: (dy / 2,), name="a half")

    x = Tensor(np.array([1.0]), requires_grad=True)
    with (
        np.errstate(divide="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "a half: its value", "not finite"),
    ):
        halve(x)


def test_detect_anomaly_names_the_calling_line_of_operators():
    x = scalar(0.0)
    line = this_line("1.0 / x  # infinite")
    with (
        np.errstate(divide="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "divide: its value", line),
    ):
        1.0 / x  # infinite


def test_detect_anomaly_names_an_input_that_is_not_finite():
    manual_seed(0)
    layer = Linear(2, 3)
    layer.weight.data[1, 1] = np.inf
    x = Tensor(np.ones((1, 2), np.float32))
    line = this_line("layer(x)  # infinite weight")
    with (
        np.errstate(invalid="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "linear: weight", "not finite", line),
    ):
        layer(x)  # infinite weight


def test_detect_anomaly_names_the_argument_whose_gradient_is_not_finite():
    x = scalar(0.0)
    line = this_line("F.power(x, 0.5)  # slope")
    with np.errstate(divide="ignore"), detect_anomaly():
        y = F.power(x, 0.5)  # slope
        with refused(FloatingPointError, "power: the gradient of x", "not finite", line):
            y.backward()
    assert x.grad is None


def test_detect_anomaly_names_no_line_for_a_graph_recorded_before():
    y = F.power(scalar(0.0), 0.5)
    with (
        np.errstate(divide="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "power: the gradient of x", "outside detect_anomaly()"),
    ):
        y.backward()


def test_detect_anomaly_names_the_loss_that_gets_a_nan():
    logits = Tensor(np.array([[1.0, np.nan]]), requires_grad=True)
    with (
        detect_anomaly(),
        refused(FloatingPointError, "cross_entropy: logits", "not finite"),
    ):
        F.cross_entropy(logits, [0])


def test_detect_anomaly_checks_nothing_outside_its_block_and_names_the_input_inside():
    x = Tensor(np.array([np.nan]), requires_grad=True)
    with refused(FloatingPointError, "multiply: a"), detect_anomaly():
        x * 2.0
    (x * 2.0).sum().backward()
    assert x.grad == 2


def test_detect_anomaly_names_a_line_outside_the_library():
    manual_seed(0)
    model = lenet5()
    x = Tensor(np.full((1, 1, 28, 28), np.nan, np.float32))
    line = this_line("model(x)  # a NaN image")
    with (
        np.errstate(invalid="ignore"),
        detect_anomaly(),
        refused(FloatingPointError, "conv2d: x", line),
    ):
        model(x)  # a NaN image


# ── arrays that change after the forward pass ────────────────────────────────────────────────


def subtract_in_place(layer):
    layer.weight.data -= np.float32(0.1)


def assign_data(layer):
    layer.weight.data = layer.weight.data * np.float32(2)


def load(layer):
    layer.load_state_dict({name: 2 * array for name, array in layer.state_dict().items()})


def mark(layer):
    layer.weight.data[0, 0] = 7
    layer.weight.mark_changed()


@pytest.mark.parametrize("change", [subtract_in_place, assign_data, load, mark])
def test_backward_names_a_weight_that_was_changed_after_the_forward_pass(change):
    manual_seed(0)
    layer = Linear(3, 2)
    x = Tensor(np.ones((4, 3), np.float32), requires_grad=True)
    loss = layer(x).sum()
    change(layer)
    with refused(RuntimeError, *CHANGED, "weight of linear", "(2, 3)", "after backward()"):
        loss.backward()
    assert [p.grad for p in (*layer.parameters(), x)] == [None] * 3
    layer(x).sum().backward()  # a new loss is right


def test_backward_names_a_changed_weight_deep_in_the_graph():
    w = Parameter(np.eye(3))
    x = Tensor(np.ones((2, 3)))
    y = F.linear(x, w)
    for _ in range(5):
        y = F.tanh(y)
    w.data *= 2.0
    with refused(RuntimeError, *CHANGED, "weight of linear"):
        y.sum().backward()


def test_backward_notices_a_change_through_a_detached_tensor():
    for made_before in (True, False):
        w, x = weight(3), weight(3, seed=1)
        h = x * 2.0
        handles = [w.detach(), h.detach()] if made_before else []
        for i, changed in enumerate((w, h)):
            loss = (h * w).sum()
            handle = handles[i] if made_before else changed.detach()
            handle.data -= 1.0
            with refused(RuntimeError, *CHANGED):
                loss.backward()
            assert (w.grad, x.grad) == (None, None)
        (h * w).sum().backward()  # computed after the last change


def test_backward_notices_a_change_through_a_tensor_detached_twice():
    w = weight(3)
    loss = (w * 2.0).sum()
    w.detach().detach().mark_changed()
    with refused(RuntimeError, *CHANGED):
        loss.backward()


def test_backward_names_which_of_two_inputs_was_changed():
    for changed, name in ((0, "a"), (1, "b")):
        pair = weight(3), weight(3, seed=1)
        loss = (pair[0] * pair[1]).sum()
        pair[changed].mark_changed()
        with refused(RuntimeError, *CHANGED, f"backward: {name} of multiply"):
            loss.backward()


def test_backward_refuses_only_operations_from_before_the_change():
    w = weight(3)
    before = w * 2.0
    w.mark_changed()
    after = w * 3.0
    after.sum().backward()
    assert w.grad.tolist() == [3] * 3
    with refused(RuntimeError, *CHANGED):
        (before + w * 3.0).sum().backward()
    assert w.grad.tolist() == [3] * 3


def test_backward_notices_every_further_change():
    w = weight(3)
    for _ in range(3):
        w.mark_changed()
        loss = (w * 2.0).sum()
        w.mark_changed()
        with refused(RuntimeError, *CHANGED):
            loss.backward()


def test_backward_names_which_part_of_a_list_was_changed():
    parts = [weight(3), weight(3, seed=1)]
    loss = F.concatenate(parts).sum()
    parts[1].mark_changed()
    with refused(RuntimeError, *CHANGED, "parts[1] of concatenate"):
        loss.backward()


def test_backward_allows_changes_before_the_forward_pass_and_after_it_has_run():
    w = Parameter(np.array(2.0))
    w.data -= 1.0
    y = w * w
    y.backward()
    w.data -= 1.0
    assert w.grad == 2


# ── what backward refuses ────────────────────────────────────────────────────────────────────


def test_backward_of_a_tensor_that_is_not_a_scalar_needs_a_gradient():
    x = weight(2, 3)
    y = x * 2.0
    with refused(ValueError, "backward", "(2, 3)", "scalar", ".sum()", "backward(gradient)"):
        y.backward()
    assert x.grad is None
    y.backward(np.ones((2, 3)))  # the graph has not been freed


@pytest.mark.parametrize(
    ("gradient", "came"),
    [
        (np.ones(3), "(3,) float64"),
        (np.ones((2, 3), np.float32), "(2, 3) float32"),
        ([1.0, 2.0], "list"),
    ],
)
def test_backward_refuses_a_gradient_of_another_shape_or_dtype(gradient, came):
    x = weight(2, 3)
    y = x * 2.0
    with refused(ValueError, "backward: gradient", came, "(2, 3) float64"):
        y.backward(gradient)
    assert x.grad is None


def test_backward_steps_check_their_arguments_when_called_not_when_iterated():
    with refused(RuntimeError, "backward", "requires_grad=True"):
        backward_steps(Tensor([1.0]))


# ── what a backward function must return ─────────────────────────────────────────────────────


def with_rule(rule):
    """A function whose value is x, with this backward function."""

    def strange(x, w):
        def backward(dy):
            return rule(dy)

        return record(x.data + 0, (x, w), backward)

    return strange


def test_record_takes_the_name_of_a_function_inside_another():
    def outer():
        def inner(x):
            def backward(dy):
                return (dy,)

            return record(x.data + 0, (x,), backward)

        return inner

    assert [name for name, _, _ in backward_steps(outer()(scalar()))] == ["inner"]


def test_record_can_be_given_a_name():
    def backward(dy):
        return (2 * dy,)

    x = scalar()
    y = record(2 * x.data, (x,), backward, name="twice")
    assert repr(y).endswith("from twice)")
    assert record(2 * x.data, (x,), backward).node.name == "test_record_can_be_given_a_name"
    assert [name for name, _, _ in backward_steps(y)] == ["twice"]
    assert y.node.name == "leaf"  # the graph is freed


def test_record_can_be_given_a_window():
    x, window = weight(1, 1, 4, 4), Window((2, 2))
    assert record(x.data, (x,), lambda dy: (dy,), window=window).node.window is window
    assert F.max_pool2d(x, 2).node.window == Window((2, 2), (2, 2))
    assert F.conv2d(x, np.ones((1, 1, 3, 2)), padding=1).node.window == Window(
        (3, 2), padding=(1, 1)
    )
    assert (x * x).node.window is None


def test_backward_writes_no_gradient_if_one_of_them_is_wrong():
    x, w = weight(2, 3), weight(2, 3)
    with refused(ValueError, "strange: the gradient of input 1", "(3,) float64"):
        with_rule(lambda dy: (dy, dy[0]))(x, w).sum().backward()
    assert x.grad is None


def test_backward_takes_none_as_no_gradient():
    x, w = weight(2), weight(2)
    with_rule(lambda dy: (dy, None))(x, w).sum().backward()
    assert w.grad is None
    assert x.grad.tolist() == [1, 1]


def test_backward_drops_a_gradient_of_an_input_that_needs_none():
    x, constant, array = weight(2), Tensor(np.ones(2)), np.ones(2)
    for idle in (constant, array, None):
        x.grad = None
        with_rule(lambda dy: (dy, dy))(x, idle).sum().backward()
        assert x.grad.tolist() == [1, 1]
    assert constant.grad is None


def test_backward_skips_a_node_that_gets_no_gradient():
    x, w = weight(2), weight(2)
    used, idle = F.exp(x), F.exp(w)
    with_rule(lambda dy: (dy, None))(used, idle).sum().backward()
    np.testing.assert_array_equal(x.grad, used.data)
    assert w.grad is None


def test_backward_steps_continue_behind_an_input_that_needs_no_gradient():
    x = scalar()
    y = F.where(np.array(True), F.exp(F.exp(x)), 0.0)  # the condition is not in the graph
    assert [name for name, _, _ in backward_steps(y)] == ["where", "exp", "exp"]
    assert x.grad != 0


def test_tensors_can_be_used_in_many_threads_each_with_its_own_graph():
    results = {}

    def work(k):
        x = Tensor(np.array(float(k)), requires_grad=True)
        for _ in range(200):
            x.grad = None
            (x * x * 2.0).backward()
        results[k] = float(x.grad)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: 4.0 * k for k in range(4)}
