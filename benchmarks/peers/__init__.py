"""The measured libraries, one standalone script each; needs nothing.

A peer is a script of this folder, the environment it runs in, and whether glibc's malloc is tuned.
A script imports its library, NumPy, `benchmarks.networks` and `serving.py`, nothing else of ours.

    serving.py           the loop in every script: prepare, warm up, time a round at every "go"
    chain.py             100 small operations, for the measurement of the tape
    minivision_peer.py   pytorch_peer.py   jax_peer.py   mygrad_peer.py
    dezero_peer.py       chainer_peer.py   numpy_peer.py
    minivision_loader.py   torchvision_loader.py
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """A row of the table below."""

    script: str
    environment: str | None  # a name in environments.py; None is minivision's own
    tuned: bool = False  # glibc's malloc keeps the memory that a step frees
    channels_last: bool = False


PEERS = {
    "minivision": Peer("minivision_peer", None),
    "minivision-tuned": Peer("minivision_peer", None, tuned=True),
    "pytorch": Peer("pytorch_peer", "pytorch"),
    "pytorch-tuned": Peer("pytorch_peer", "pytorch", tuned=True),
    "pytorch-channels-last": Peer("pytorch_peer", "pytorch", tuned=True, channels_last=True),
    "jax": Peer("jax_peer", "jax"),
    "mygrad": Peer("mygrad_peer", "mygrad"),
    "dezero": Peer("dezero_peer", "dezero"),
    "chainer": Peer("chainer_peer", "chainer"),
    "numpy": Peer("numpy_peer", None),
    "minivision-loader": Peer("minivision_loader", None),
    "torchvision": Peer("torchvision_loader", "torchvision"),
}
LOADERS = ["minivision-loader", "torchvision"]
TRAINING = [name for name in PEERS if name not in ("numpy", *LOADERS)]
TUNED = ["minivision", "minivision-tuned", "pytorch", "pytorch-tuned", "pytorch-channels-last"]
