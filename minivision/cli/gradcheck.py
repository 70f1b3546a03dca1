"""Check every gradient of the engine numerically, and print a table.

  minivision gradcheck                     every function, 20 random geometries each
  minivision gradcheck conv2d tanh -n 200

Each function is run in float64 on random shapes, and its gradient is compared with central
differences along random directions, for a random upstream gradient. This checks the implementation
in functional/. A row such as "conv2d (fast)" compares the faster implementation in fast/ with it.
"""

from __future__ import annotations

import argparse

from minivision.analysis.gradient_cases import CASES, check_all
from minivision.cli.argument_types import positive, whole
from minivision.gradcheck import GradientError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "functions", nargs="*", metavar="FUNCTION", help=f"(default: all) {', '.join(CASES)}"
    )
    parser.add_argument(
        "-n", "--geometries", type=positive(int), default=20, help="per function (default: 20)"
    )
    parser.add_argument("--seed", type=whole, default=0, help="seed of the shapes (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    for name in arguments.functions:
        if name not in CASES:
            raise ValueError(f"there is no function {name!r}; expected one of {', '.join(CASES)}")
    print(f"{'function':<26} {'worst relative error':>20} {'geometries':>12} {'seconds':>9}")
    try:
        for row in check_all(arguments.geometries, arguments.seed, arguments.functions or None):
            error = f"{row.worst_error:.1e}"
            print(f"{row.name:<26} {error:>20} {row.geometries:>12} {row.seconds:>9.2f}")
    except GradientError as error:
        print(f"FAILED: {error}")
        return 1
    print("every gradient agrees with central differences")
    return 0
