"""The cost of the graph: 100 operations on 4x4 arrays, compared with plain NumPy and PyTorch.

The NumPy code does the same arithmetic, forward and backward, written out without a graph. The
extra time that minivision needs, divided by 100, is the cost of the graph per operation: recording
the operation in the forward pass and reaching it in the backward pass.


    python -m benchmarks tape
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks import report
from benchmarks.compare import compare
from benchmarks.peers.chain import OPERATIONS

MODELS, PEERS = ["chain"], ["minivision", "numpy", "pytorch"]


def measure(options: Namespace) -> None:
    """Write tape.json and print the cost of one operation."""
    compare(options.out / "tape.json", "chain", {"task": "tape"}, options, cost_of_an_operation)


def cost_of_an_operation(rows: list[report.Row]) -> None:
    """Add the extra time compared with NumPy to minivision's row, in microseconds, and print it."""
    rounds = {row["peer"]: row["ms"]["rounds"] for row in rows if "ms" in row}
    if "numpy" not in rounds:
        return
    pairs = zip(rounds["minivision"], rounds["numpy"], strict=True)
    above = report.spread([1000 * (ours - raw) / OPERATIONS for ours, raw in pairs])
    rows[0]["above_numpy_us"] = above
    print(
        f"extra time per operation over plain NumPy: {above['median']:.2f} us, "
        f"quartiles {above['quartiles'][0]:.2f} to {above['quartiles'][1]:.2f}"
    )
