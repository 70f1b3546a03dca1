"""Peak memory of a training step, ours and PyTorch's, each network in a process of its own.

What is counted is the process's largest resident set after three steps (forward, backward, SGD),
less what it held when the libraries were imported, the batch was there and a product of matrices
had been computed (which makes the BLAS libraries take their workspaces). Five rounds, in turn.
Needs torch in the same environment: pip install torch==2.13.0.

    python -m benchmarks memory
"""

import json
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from minivision.nn.weights import write_atomically

RESULT = Path(__file__).parent.parent / "docs" / "results" / "memory.json"
ROUNDS = 5
BATCHES = {"lenet5": (128, 1, 28, 28), "vgg_small": (64, 3, 32, 32)}

# The same networks in both: convolutions as (filters, kernel, padding), "P" for 2x2 max pooling,
# then the units of the linear layers.
NETWORKS = """
NETWORKS = {
    "lenet5": ([(6, 5, 2), "P", (16, 5, 0), "P"], 400, [120, 84, 10]),
    "vgg_small": (
        [(32, 3, 1), (32, 3, 1), "P", (64, 3, 1), (64, 3, 1), "P", (128, 3, 1), (128, 3, 1), "P"],
        2048, [256, 10]),
}
def layers(name, channels, Conv2d, MaxPool2d, ReLU, Flatten, Linear):
    convolutions, units, widths = NETWORKS[name]
    for entry in convolutions:
        if entry == "P":
            yield MaxPool2d(2)
        else:
            filters, kernel, padding = entry
            yield from (Conv2d(channels, filters, kernel, padding=padding), ReLU())
            channels = filters
    yield Flatten()
    for i, width in enumerate(widths):
        yield Linear(units, width)
        if i < len(widths) - 1:
            yield ReLU()
        units = width
"""

OURS = """
import functools, numpy as np
from minivision import Tensor, functional as F, nn
from minivision.optim import SGD
rng = np.random.default_rng(0)
x, labels = rng.normal(size=shape).astype(np.float32), rng.integers(0, 10, shape[0])
np.ones((512, 512), np.float32) @ np.ones((512, 512), np.float32)
before = peak()
Conv2d, Linear = (functools.partial(kind, rng=rng) for kind in (nn.Conv2d, nn.Linear))
model = nn.Sequential(*layers(name, shape[1], Conv2d, nn.MaxPool2d, nn.ReLU, nn.Flatten, Linear))
optimizer = SGD(model.parameters(), 0.01, 0.9)
for _ in range(3):
    loss = F.cross_entropy(model(Tensor(x)), labels)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    del loss
"""

PYTORCH = """
import torch
from torch import nn
torch.manual_seed(0)
x, labels = torch.randn(shape), torch.randint(0, 10, shape[:1])
torch.ones(512, 512) @ torch.ones(512, 512)
before = peak()
kinds = nn.Conv2d, nn.MaxPool2d, nn.ReLU, nn.Flatten, nn.Linear
model = nn.Sequential(*layers(name, shape[1], *kinds))
optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
for _ in range(3):
    loss = nn.functional.cross_entropy(model(x), labels)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    del loss
"""

FRAME = """
import resource
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
name, shape = {name!r}, {shape!r}
{networks}
{program}
print(peak() - before)
"""


def megabytes(program: str, name: str) -> float:
    """The peak of one process, in MB above what it held before the model was made."""
    code = FRAME.format(name=name, shape=BATCHES[name], networks=NETWORKS, program=program)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    return float(result.stdout)


def measure() -> None:
    """Print a table and write docs/results/memory.json."""
    rows = []
    for name, shape in BATCHES.items():
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(megabytes(OURS, name))
            theirs.append(megabytes(PYTORCH, name))
        a, b = statistics.median(ours), statistics.median(theirs)
        print(
            f"{name:<10} N={shape[0]:<4} ours {a:6.1f} MB   PyTorch {b:6.1f} MB   ratio {a / b:.2f}"
        )
        rows.append(
            {
                "network": name,
                "batch": shape[0],
                "minivision_mb": [round(n, 1) for n in ours],
                "pytorch_mb": [round(n, 1) for n in theirs],
                "ratio_of_medians": round(a / b, 3),
            }
        )
    versions = {p: version(p) for p in ("minivision", "numpy", "torch")}
    result = {"rows": rows, "versions": versions, "machine": platform.machine()}
    write_atomically(RESULT, json.dumps(result, indent=2).encode() + b"\n")
    print(f"written to {RESULT}")
