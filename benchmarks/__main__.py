"""`python -m benchmarks NAME` runs one measurement and writes it to docs/results/NAME.json."""

import argparse
from pathlib import Path

import benchmarks
from benchmarks import growth, layers, leak, loader, memory, mutation, predict, rules, steps, tape
from benchmarks.report import RESULTS

# The measurements and their default number of rounds; leak counts steps, not rounds.
MEASUREMENTS = {
    "steps": (steps, 9),
    "predict": (predict, 9),
    "loader": (loader, 9),
    "layers": (layers, 9),
    "tape": (tape, 9),
    "memory": (memory, 5),
    "growth": (growth, 5),
    "leak": (leak, None),
    "rules": (rules, 9),
}


plain = argparse.RawDescriptionHelpFormatter
parser = argparse.ArgumentParser(
    prog="python -m benchmarks", description=benchmarks.__doc__, formatter_class=plain
)
commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
for name, (module, rounds) in MEASUREMENTS.items():
    text = module.__doc__ or ""
    command = commands.add_parser(
        name, help=text.splitlines()[0], description=text, formatter_class=plain
    )
    command.set_defaults(measure=module.measure)
    command.add_argument(
        "--model", action="append", metavar="MODEL",
        help=f"measure only this; can be repeated. One of: {', '.join(module.MODELS)}. Only its "
        "rows of the results are replaced",
    )  # fmt: skip
    command.add_argument(
        "--peer", action="append", choices=module.PEERS, metavar="PEER",
        help=f"compare with only this peer; can be repeated. One of: {', '.join(module.PEERS)}",
    )  # fmt: skip
    if rounds:
        command.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
        command.add_argument(
            "--seconds", type=float, default=0.5,
            help="minimum length of a timed round (default: %(default)s)",
        )  # fmt: skip
    command.add_argument(
        "--missing", action="store_true",
        help="skip what was already measured at this commit, to resume after an interruption",
    )  # fmt: skip
    command.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR",
        help="write the results here instead of docs/results",
    )  # fmt: skip
text = mutation.__doc__ or ""
commands.add_parser(
    "mutation", help=text.splitlines()[0], description=text, formatter_class=plain
).set_defaults(measure=mutation.measure)

options = parser.parse_args()
if options.name == "mutation":
    mutation.measure()
else:
    module = MEASUREMENTS[options.name][0]
    options.model = options.model or module.MODELS
    unknown = set(options.model) - set(module.MODELS)
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; expected {', '.join(module.MODELS)}")
    options.peer = list(dict.fromkeys(["minivision", *(options.peer or module.PEERS)]))
    options.measure(options)
