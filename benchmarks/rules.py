"""Compare each rule in fast/choice.py with its alternatives, on layers from the three networks.

The options of a rule are measured in turn, in one process, round after round. In the table, "*"
marks the choice that the package makes.


    python -m benchmarks rules
    python -m benchmarks rules --model "tile bytes"
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import report
from minivision import fast
from minivision.fast import choice, convolution, pooling
from minivision.fast.memory import BATCH_INNERMOST, in_order
from minivision.fast.workers import one_blas_thread, worker_count
from minivision.windows import Window

# A convolution: batch, channels, pixels along a side, filters, kernel, padding.
CONVOLUTIONS = {
    "lenet5.conv1": (128, 1, 28, 6, 5, 2),
    "lenet5.conv2": (128, 6, 14, 16, 5, 0),
    "vgg_small.conv1": (64, 3, 32, 32, 3, 1),
    "vgg_small.conv2": (64, 32, 32, 32, 3, 1),
    "vgg_small.conv4": (64, 64, 16, 64, 3, 1),
    "vgg_small.conv6": (64, 128, 8, 128, 3, 1),
    "alexnet.conv2": (16, 96, 27, 256, 5, 2),
    "alexnet.conv4": (16, 384, 13, 384, 3, 1),
}
Run = Callable[[], Any]
KB, MB = 2**10, 2**20


class Convolution:
    """The forward pass and both gradients of one convolution, on random numbers."""

    def __init__(self, N: int, C: int, H: int, F: int, kernel: int, padding: int):
        rng = np.random.default_rng(0)

        def maps(*shape: int) -> np.ndarray:
            return in_order(rng.normal(size=shape).astype(np.float32), BATCH_INNERMOST)

        self.x, self.weight = maps(N, C, H, H), np.ascontiguousarray(maps(F, C, kernel, kernel))
        self.window = Window((kernel, kernel), padding=(padding, padding))
        self.dy = maps(N, F, *self.window.output_size(H, H))

    def forward(self) -> None:
        convolution.convolve(self.x, self.weight, None, self.window, 1)

    def weight_gradient(self) -> None:
        convolution.gradients(self.dy, self.x, self.weight, self.window, 1, False, True)

    def input_gradient(self) -> None:
        convolution.gradients(self.dy, self.x, self.weight, self.window, 1, True, False)


def constant(name: str, *values: Any) -> dict[str, dict[str, Any]]:
    """Options that set one constant in choice.py to a value."""
    return {str(value): {name: value} for value in values}


def returned(name: str, **values: Any) -> dict[str, dict[str, Any]]:
    """Options in which one function in choice.py always returns the same value."""
    return {label: {name: lambda *a, _v=value, **k: _v} for label, value in values.items()}


def layers(passes: str, *names: str) -> Iterator[tuple[str, Run]]:
    for name in names or CONVOLUTIONS:
        yield name, getattr(Convolution(*CONVOLUTIONS[name]), passes)


def channels(passes: str) -> Iterator[tuple[str, Run]]:
    """3x3 convolutions of 16x16 pixels that differ only in the number of channels."""
    for C in (3, 8, 16, 32, 64):
        yield f"{C} channels, 64 filters", getattr(Convolution(64, C, 16, 64, 3, 1), passes)


def few_images() -> Iterator[tuple[str, Run]]:
    """The forward pass for one to eight images."""
    for name in ("lenet5.conv2", "vgg_small.conv2", "vgg_small.conv4", "alexnet.conv2"):
        for N in (1, 2, 4, 8):
            _, *numbers = CONVOLUTIONS[name]
            layer = Convolution(N, *numbers)
            places = layer.dy[:, 0].size
            yield f"{name}, {N} images, {places} places", layer.forward


def sizes(passes: str) -> Iterator[tuple[str, Run]]:
    """3x3 convolutions with 16 channels and filters and batches of different sizes."""
    for N in (1, 4, 16, 64, 256):
        million = N * 16 * 16 * 16 * 16 * 9 / 1e6
        yield f"{million:.1f} M multiply-adds", getattr(Convolution(N, 16, 16, 16, 3, 1), passes)


def activations() -> Iterator[tuple[str, Run]]:
    for thousands in (256, 1024, 2048, 4096, 8192):
        x = np.random.default_rng(0).normal(size=thousands * 1024).astype(np.float32)
        yield f"ReLU of {thousands} K", lambda x=x: fast.relu(x)


def pools() -> Iterator[tuple[str, Run]]:
    """Max pooling and its gradient: 2x2 as in the small networks, and 3x3/2 as in AlexNet."""
    for name, shape, kernel in (
        ("lenet5", (128, 6, 28, 28), 2),
        ("vgg_small", (64, 32, 32, 32), 2),
        ("alexnet", (16, 96, 55, 55), 3),
    ):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        x, window = in_order(x, BATCH_INNERMOST), Window((kernel, kernel), (2, 2))
        y = pooling.max_pool(x, window)
        yield (
            f"{name}.pool1, gradient",
            partial(pooling.max_pool_gradient, np.copy(y), x, y, window),
        )


ONE_OR_ALL = returned("workers", one=1, all=worker_count())
RULES: dict[str, tuple[Callable[[], Iterator[tuple[str, Run]]], dict[str, dict[str, Any]]]] = {
    "tile bytes": (
        lambda: layers("forward"),
        constant("TILE_BYTES", 512 * KB, MB, 2 * MB, 4 * MB, 8 * MB, 16 * MB),
    ),
    "product width": (
        lambda: layers("forward"),
        constant("PRODUCT_WIDTH", 256, 512, 1024, 2048, 4096, 8192),
    ),
    "adjoint bytes": (
        lambda: layers("input_gradient", "lenet5.conv2"),
        constant("ADJOINT_BYTES", 512 * KB, MB, 2 * MB, 4 * MB, 8 * MB),
    ),
    "pooling bytes": (
        pools,
        constant("POOLING_BYTES", 256 * KB, 512 * KB, MB, 2 * MB, 4 * MB),
    ),
    "gradient bytes": (
        lambda: layers("weight_gradient"),
        constant("GRADIENT_BYTES", MB, 2 * MB, 4 * MB, 8 * MB, 16 * MB, 32 * MB),
    ),
    "use columns": (few_images, returned("use_columns", no=False, yes=True)),
    "sum by kernel rows": (
        lambda: (*channels("weight_gradient"), *layers("weight_gradient", "alexnet.conv4")),
        returned("sum_by_kernel_rows", no=False, yes=True),
    ),
    "flip kernels": (
        lambda: (*channels("input_gradient"), *layers("input_gradient", "lenet5.conv2")),
        returned("flip_kernels", no=False, yes=True),
    ),
    "workers, products": (lambda: sizes("forward"), ONE_OR_ALL),
    "workers, elements": (activations, ONE_OR_ALL),
    "block": (activations, constant("BLOCK", 16 * KB, 32 * KB, 64 * KB, 128 * KB, 256 * KB)),
}
MODELS, PEERS = list(RULES), ["minivision"]


def measure(options: Namespace) -> None:
    """Print one table per rule and write rules.json."""
    for rule in options.model:
        cases, alternatives = RULES[rule]
        rows = []
        with one_blas_thread():
            for case, run in cases():
                times = alternate(run, {"*": {}, **alternatives}, options.rounds)
                best = statistics.median(times["*"])
                words = [f"{name} {statistics.median(t) / best:.2f}" for name, t in times.items()]
                print(
                    f"{rule:<20} {case:<26} * {best:8.3f} ms   {'   '.join(words[1:])}", flush=True
                )
                rows += [
                    {"rule": rule, "case": case, "option": name, "ms": report.spread(t)}
                    for name, t in times.items()
                ]
        settings = {"rounds": options.rounds, "workers": worker_count()}
        versions = {name: version(name) for name in ("minivision", "numpy")}
        key = ("rule", "case", "option")
        report.merge(options.out / "rules.json", rows, key, settings, versions)


def alternate(
    run: Run, alternatives: dict[str, dict[str, Any]], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds per call with every option, measured `rounds` times in turn."""
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for turn in range(-1, rounds):  # the first turn warms up
        for name, names in alternatives.items():
            with patch.multiple(choice, **names) if names else patch.object(choice, "__doc__"):
                run()
                start = time.perf_counter()
                run()
                elapsed = 1e3 * (time.perf_counter() - start)
            if turn >= 0:
                times[name].append(elapsed)
    return times
