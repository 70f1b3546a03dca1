"""Does memory grow while minivision trains? Sample the resident memory over many steps.

LeNet-5 is trained for 1,000 steps and vgg_small for 100, and the memory is sampled 20 times. The
growth is the memory held at the end minus the memory held after the first tenth of the steps.


    python -m benchmarks leak
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks import report
from benchmarks.networks import NETWORKS
from benchmarks.processes import running

STEPS = {"lenet5": 1000, "vgg_small": 100}
LOOKS = 20
MODELS, PEERS = list(STEPS), ["minivision"]


def measure(options: Namespace) -> None:
    """Write leak.json and print the growth for every model."""
    for model in options.model:
        for peer in options.peer:
            every = STEPS[model] // LOOKS
            settings = {"task": "steps", "network": NETWORKS[model], "repeat": every}
            with running(peer, settings) as (process, facts):
                held = [process.round()["resident_mb"] for _ in range(LOOKS)]
            start = LOOKS // 10 - 1
            row = {
                "model": model,
                "peer": peer,
                "every_steps": every,
                "resident_mb": report.shortened(held),
                "growth_mb": report.shortened(held[-1] - held[start]),
            }
            print(
                f"{model:<10} {peer}: {row['growth_mb']:+.2f} MB from step {every * (start + 1)} "
                f"to step {every * LOOKS}, of {held[-1]:.1f} MB resident"
            )
            versions = {peer: facts["versions"]}
            report.merge(options.out / "leak.json", [row], ("model", "peer"), settings, versions)
