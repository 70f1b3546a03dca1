"""Peak memory of a training step in minivision and PyTorch, each time in a new process.

The peak is the largest resident memory after three steps (forward, backward, SGD with momentum, no
dropout) minus the largest before the model was created. By then the libraries have been imported,
the batch has been loaded, and one matrix product has been computed, so that the BLAS libraries have
allocated their workspaces. Each round starts new processes, in turn.


    python -m benchmarks memory --model lenet5
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks import report
from benchmarks.networks import NETWORKS, vgg16
from benchmarks.processes import running

MEASURED = {**NETWORKS, "vgg16": vgg16()}
MODELS, PEERS = list(MEASURED), ["minivision", "pytorch"]


def measure(options: Namespace) -> None:
    """Write memory.json and print one line per model and peer."""
    path = options.out / "memory.json"
    for model in options.model:
        if options.missing and report.is_there(path, model=model):
            print(f"{model}: already measured at this commit")
            continue
        network = MEASURED[model]
        settings = {"task": "steps", "network": network, "repeat": 1}
        used: dict[str, list[float]] = {peer: [] for peer in options.peer}
        versions = {}
        for _ in range(options.rounds):
            for peer in options.peer:
                with running(peer, settings) as (_, facts):
                    if "unavailable" in facts:
                        raise SystemExit(f"{peer}: {facts['unavailable']}")
                    used[peer].append(facts["mb"])
                    versions[peer] = facts["versions"]
        rows = []
        for peer, mb in used.items():
            row = {"model": model, "peer": peer, "batch": network["batch"][0]}
            row["mb"] = report.spread(mb)
            line = f"{model:<10} N={row['batch']:<4} {peer:<12} {row['mb']['median']:8.1f} MB"
            if peer != "minivision" and "minivision" in used:
                ratios = [a / b for a, b in zip(used["minivision"], mb, strict=True)]
                row["ratio_of_minivision"] = report.spread(ratios)
                line += f"   ratio {row['ratio_of_minivision']['median']:.2f}"
            print(line)
            rows.append(row)
        settings = {**settings, "rounds": options.rounds}
        report.merge(path, rows, ("model", "peer"), settings, versions)
