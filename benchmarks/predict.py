"""Inference for one image without a graph, compared with PyTorch.

python -m benchmarks predict --model alexnet
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks.compare import compare
from benchmarks.networks import NETWORKS
from benchmarks.peers import TUNED

MODELS, PEERS = ["lenet5", "alexnet"], TUNED


def measure(options: Namespace) -> None:
    """Write predict.json."""
    for model in options.model:
        network = NETWORKS[model]
        network = {**network, "batch": (1, *network["batch"][1:])}
        settings = {"task": "predict", "network": network}
        compare(options.out / "predict.json", model, settings, options)
