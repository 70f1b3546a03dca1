"""A training step with LRN, batch norm and dropout leaves only its gradients in memory."""

import gc
import tracemalloc

import numpy as np
import pytest

from minivision import functional as F
from minivision.fast import choice, memory
from minivision.fast.free_list import free_list
from minivision.functional.normalization import RunningStatistics
from minivision.nn import Parameter


@pytest.fixture
def network():
    """(step, weights, running): a function that runs one training step, and what it changes."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(8, 2, 9, 7)).astype("f"), rng.integers(0, 5, 8)
    weights = [Parameter(0.1 * rng.normal(size=shape).astype("f"))
               for shape in ((6, 2, 3, 3), (6,), (6,), (5, 6))]  # fmt: skip
    kernel, scale, shift, classifier = weights
    running = RunningStatistics(np.zeros(6, "f"), np.ones(6, "f"), np.array(0))

    def step():
        y = F.conv2d(x, kernel, padding=1)
        y = F.local_response_norm(F.relu(y), size=3, alpha=1.0)
        y = F.batch_norm(y, scale, shift, running)
        y = F.dropout(F.leaky_relu(y), 0.3, rng=rng)
        y = F.flatten(F.adaptive_avg_pool2d(F.max_pool2d(y, 2), 1))
        loss = F.cross_entropy(F.linear(y, classifier), labels, label_smoothing=0.1)
        for weight in weights:
            weight.grad = None
        loss.backward()

    return step, weights, running


def test_backward_leaves_only_the_gradients_in_memory(network):
    step, weights, running = network
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        live = []
        for _ in range(5):
            step()
            live.append(bytes_of_arrays())
        assert gc.collect() == 0
    finally:
        tracemalloc.stop()
        gc.enable()
    # Since the counting began, one gradient per weight has been added.
    assert live == [sum(weight.data.nbytes for weight in weights)] * 5
    assert running.num_batches_tracked == 5


def test_free_list_holds_the_same_blocks_from_the_second_step_on(open_door, network, monkeypatch):
    """Here for arrays of every size: each step needs the same ones, and frees them all."""
    monkeypatch.setattr(memory, "SMALLEST", 1)
    monkeypatch.setattr(choice, "LEAST", 1)
    step, _, _ = network
    free_list.clear()
    gc.disable()
    try:
        held = []
        for _ in range(6):
            step()
            held.append({size: len(blocks) for size, blocks in free_list.blocks.items()})
        total = free_list.held
    finally:
        gc.enable()
        free_list.clear()
    assert sum(held[0].values()) > 10
    assert held[1:] == [held[1]] * 5
    assert total == sum(size * blocks for size, blocks in held[-1].items())


def bytes_of_arrays():
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
