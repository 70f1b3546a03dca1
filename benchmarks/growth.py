"""How time and memory of a training step grow with batch, image, channels and depth.

Only minivision is measured, on variations of vgg_small with 3x3 convolutions. Time should grow in
proportion to the work, counted in multiply-adds, and memory in proportion to the numbers that a
step has to keep. The benchmark prints the slopes of log time against log work and of log memory
against log numbers, fitted to the larger half of the points. A slope of 1 means linear growth; a
larger slope means that time or memory grows faster than it should.


    python -m benchmarks growth --model batch
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.growth_figure import draw
from benchmarks.networks import stored, vgg, work
from benchmarks.processes import running

# The axis, its points, and the sizes that stay fixed (vgg's defaults if not listed).
AXES: dict[str, tuple[tuple[int, ...], dict[str, int]]] = {
    "batch": ((4, 8, 16, 32, 64, 128, 256), {}),
    "image": ((16, 24, 32, 48, 64, 96, 128), {"batch": 16}),
    "width": ((8, 12, 16, 24, 32, 48, 64, 96, 128), {"batch": 16}),
    "depth": ((1, 2, 3, 4, 6, 8, 12), {"batch": 16}),
}
MODELS, PEERS = list(AXES), ["minivision"]


def measure(options: Namespace) -> None:
    """Write growth.json after every axis, and finally the figure of all measured axes."""
    path = options.out / "growth.json"
    for axis in options.model:
        if options.missing and report.is_there(path, axis=axis):
            print(f"{axis}: already measured at this commit")
            continue
        points, others = AXES[axis]
        rows = []
        settings = {"task": "steps", "seconds": options.seconds, "least": 3}
        for point in points:
            network = vgg(**{**others, axis: point})
            row, versions = measure_point(network, settings, options.rounds)
            rows.append({"axis": axis, "value": point, **row})
            print(f"{axis} {point:>4} {row['ms']['median']:10.2f} ms {row['mb']:9.1f} MB")
        rows[-1] |= slopes(rows)
        print(
            f"{axis}: slope of time against work {rows[-1]['time_slope']}, "
            f"of memory against stored numbers {rows[-1]['memory_slope']}"
        )
        settings = {**settings, "rounds": options.rounds, "others": others}
        report.merge(path, rows, ("axis", "value"), settings, {"minivision": versions})
    draw(report.read(path)["rows"], path.with_suffix(".png"))
    print(f"written to {path.with_suffix('.png')}")


def measure_point(
    network: dict[str, Any], settings: dict[str, Any], rounds: int
) -> tuple[report.Row, report.Row]:
    """Time, memory, work and stored numbers for one network, in its own process."""
    with running("minivision", {**settings, "network": network}) as (process, facts):
        ms = [process.round()["ms"] for _ in range(rounds)]
    row = {
        "ms": report.spread(ms),
        "mb": report.shortened(facts["mb"]),
        "work": work(network),
        "stored": stored(network),
    }
    return row, facts["versions"]


def slopes(rows: list[report.Row]) -> dict[str, float | None]:
    """The slopes of log time and log memory, fitted to the larger half of the points."""
    upper = rows[len(rows) // 2 :]

    def slope(y: list[float], x: list[float]) -> float | None:
        # If memory stays below the peak of the imports, it cannot be measured and counts as 0 MB.
        pairs = [(a, b) for a, b in zip(x, y, strict=True) if b > 0]
        if len(pairs) < 2:
            return None
        log_x, log_y = np.log(pairs).T
        return report.shortened(float(np.polyfit(log_x, log_y, 1)[0]))

    time, memory = [row["ms"]["median"] for row in upper], [row["mb"] for row in upper]
    return {
        "time_slope": slope(time, [row["work"] for row in upper]),
        "memory_slope": slope(memory, [row["stored"] for row in upper]),
    }
