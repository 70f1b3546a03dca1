"""`python -m benchmarks NAME` runs one measurement and writes docs/results/NAME.json."""

import argparse

from benchmarks import memory, mutation

MEASUREMENTS = {"memory": memory.measure, "mutation": mutation.measure}

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("name", choices=MEASUREMENTS)
MEASUREMENTS[parser.parse_args().name]()
