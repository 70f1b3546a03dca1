"""Whole training steps (forward, softmax cross-entropy, backward, SGD with momentum), all peers.

Every peer starts from the same weights and batch; the losses of three steps without dropout must be
equal, then steps with dropout are timed. Peers: minivision, PyTorch, JAX, MyGrad, DeZero, Chainer;
"tuned" is with a glibc malloc that keeps memory. A library that is not installed gets its own
environment, once. A library that lacks a layer is reported as not available for that network.

    python -m benchmarks steps --model lenet5 --peer pytorch --peer jax
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks.compare import compare
from benchmarks.networks import NETWORKS
from benchmarks.peers import TRAINING

MODELS, PEERS = list(NETWORKS), TRAINING

# Relative, for the losses of the first, second and third step. The first shows the forward pass
# and is strict; then float32's rounding grows with every step.
TOLERANCES = [2e-5, 2e-4, 1e-3]


def measure(options: Namespace) -> None:
    """Write steps.json."""
    for model in options.model:
        settings = {"task": "steps", "network": NETWORKS[model], "tolerance": TOLERANCES}
        compare(options.out / "steps.json", model, settings, options)
