"""Single layers, forward and backward, at their sizes in the networks, compared with PyTorch.

The benchmark measures all convolutions of the three networks, and one or two layers of every other
kind. The input requires a gradient except in the first layer of a network. minivision's activations
have the batch innermost in memory, as inside a network; the images given to a first layer keep the
layout in which they are loaded.


    python -m benchmarks layers --model alexnet.conv2 --model relu
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from benchmarks.compare import compare
from benchmarks.networks import LRN, NETWORKS, P2, P3, RELU, walk


def cases() -> dict[str, dict[str, Any]]:
    """Networks of a single layer, by name, and whether the layer is the first of its network."""
    found: dict[str, dict[str, Any]] = {}
    for name, network in NETWORKS.items():
        convolutions = [(row, shape) for row, shape, _ in walk(network) if row[0] == "conv"]
        for i, (row, shape) in enumerate(convolutions, 1):
            found[f"{name}.conv{i}"] = case(row, shape) | {"first": i == 1}
    return found | {
        "pool 2x2 lenet5": case(P2, (128, 6, 28, 28)),
        "pool 2x2 vgg_small": case(P2, (64, 32, 32, 32)),
        "pool 3x3/2 alexnet": case(P3, (16, 96, 55, 55)),
        "lrn alexnet": case(LRN, (16, 96, 55, 55)),
        "dropout alexnet": case(("dropout", 0.5), (16, 9216)),
        "relu lenet5": case(RELU, (128, 6, 28, 28)),
        "relu vgg_small": case(RELU, (64, 32, 32, 32)),
        "linear lenet5": case(("linear", 120), (128, 400)),
        "linear vgg_small": case(("linear", 256), (64, 2048)),
        "linear alexnet": case(("linear", 4096), (16, 9216)),
        "cross entropy 10": case(("cross_entropy",), (128, 10)),
        "cross entropy 1000": case(("cross_entropy",), (16, 1000)),
        "batch norm vgg_small": case(("batch_norm",), (64, 32, 32, 32)),
    }


def case(row: tuple, shape: tuple[int, ...]) -> dict[str, Any]:
    network = {"batch": shape, "classes": shape[1], "layers": [row]}
    if row == LRN:
        # With inputs around 1 the sum is tiny compared with k, and would hide a wrong alpha.
        network["scale"] = 30
    return {"network": network, "first": False}


CASES = cases()
MODELS, PEERS = list(CASES), ["minivision", "pytorch"]


def measure(options: Namespace) -> None:
    """Write layers.json."""
    for model in options.model:
        settings = {"task": "layer", **CASES[model]}
        compare(options.out / "layers.json", model, settings, options)
