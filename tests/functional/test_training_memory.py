"""A training step with LRN, batch norm and dropout leaves nothing behind but the gradients."""

import gc
import tracemalloc

import numpy as np

from minivision import functional as F
from minivision.functional.normalization import RunningStatistics
from minivision.nn import Parameter


def test_live_bytes_stay_constant_from_the_second_step_on_without_the_garbage_collector():
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
        y = F.flatten(F.adaptive_avg_pool2d(y, 1))
        loss = F.cross_entropy(F.linear(y, classifier), labels, label_smoothing=0.1)
        for weight in weights:
            weight.grad = None
        loss.backward()

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
    # What is new since the counting began is one gradient for each weight.
    assert live == [sum(weight.data.nbytes for weight in weights)] * 5
    assert running.num_batches_tracked == 5


def bytes_of_arrays():
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
