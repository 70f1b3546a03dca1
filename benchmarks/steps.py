"""Time whole training steps (forward, cross-entropy, backward, SGD with momentum) of all peers.

Every peer starts from the same weights and the same batch. The losses of three steps without
dropout must agree before steps with dropout are timed. The peers are minivision, PyTorch, JAX,
MyGrad, DeZero and Chainer; "tuned" means that glibc's malloc is set to keep freed memory. A library
that is not installed gets its own environment once. A library that lacks a layer is reported as not
available for that network.


    python -m benchmarks steps --model lenet5 --peer pytorch --peer jax
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks.compare import compare
from benchmarks.networks import NETWORKS
from benchmarks.peers import TRAINING

MODELS, PEERS = list(NETWORKS), TRAINING

# Relative tolerances for the losses of the first, second and third step. The first is strict, as it
# depends only on the forward pass; float32's rounding errors then grow with every step.
TOLERANCES = [2e-5, 2e-4, 1e-3]


def measure(options: Namespace) -> None:
    """Write steps.json."""
    for model in options.model:
        settings = {"task": "steps", "network": NETWORKS[model], "tolerance": TOLERANCES}
        compare(options.out / "steps.json", model, settings, options)
