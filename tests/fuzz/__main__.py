"""Feed damaged files, odd texts and wrong commands to minivision, and report what goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["MINIVISION_WORKERS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

from tests.fuzz.harness import outcomes
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add(
        "--cases",
        type=int,
        default=2000,
        help="number of cases, all targets together (default: 2000)",
    )
    add("--seed", type=int, default=0, help="determines all cases (default: 0)")
    add("--target", choices=TARGETS, help="run only this target")
    add("--case", type=int, help="run only the case with this number, and print its traceback")
    add("--part", default="1/1", metavar="I/N", help="run every Nth case, starting with the Ith")
    add("--messages", action="store_true", help="print the error messages too")
    arguments = parser.parse_args()
    seed, targets = arguments.seed, [arguments.target] if arguments.target else list(TARGETS)
    if arguments.case is not None and arguments.target is None:
        parser.error("--case needs --target")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    part, parts = map(int, arguments.part.split("/"))
    weights = sum(TARGETS[name].weight for name in targets)
    total: Counter[str] = Counter()
    print(f"{'target':<14}{'cases':>9}{'accepted':>10}{'refused':>9}{'findings':>10}{'seconds':>9}")
    for name in targets:
        begun, target = time.perf_counter(), TARGETS[name]
        share = round(arguments.cases * target.weight / weights)
        numbers = range(part - 1, share, parts)
        if arguments.case is not None:
            numbers = range(arguments.case, arguments.case + 1)
        counts: Counter[str] = Counter()
        for outcome in outcomes(name, target, numbers, seed):
            counts[outcome.kind] += 1
            if outcome.kind == "finding":
                again = f"python -m tests.fuzz --seed {seed} --target {name}"
                print(f"{name}: {outcome.said}\n  {again} --case {outcome.number}", flush=True)
            elif arguments.messages or arguments.case is not None:
                print(f"{name} {outcome.number}: {outcome.kind} {outcome.said}")
            if arguments.case is not None:
                print(outcome.trace)
        total += counts
        kinds = (counts["accepted"], counts["refused"], counts["finding"])
        took = time.perf_counter() - begun
        row = f"{name:<14}{sum(kinds):>9,}{kinds[0]:>10,}{kinds[1]:>9,}{kinds[2]:>10,}{took:>9.1f}"
        print(row, flush=True)
    print(f"{total.total():,} cases, {total['finding']} findings")
    return int(total["finding"] > 0)


if __name__ == "__main__":
    sys.exit(main())
