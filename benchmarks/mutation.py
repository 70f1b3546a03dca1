"""Can the tests fail? What `mutmut run` found, as docs/results/mutation.json.

mutmut changes the engine in one place at a time (a + for a -, a word of a sentence, an argument
left out) and runs the tests, which should fail. Run it first; interrupted, it goes on later:

    HYPOTHESIS_PROFILE=ci mutmut run
    python -m benchmarks mutation

A survivor is a change that no test noticed; each is recorded with its line before and after.
"""

import json
import re
import subprocess
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

from minivision.nn.weights import write_atomically

RESULT = Path(__file__).parent.parent / "docs" / "results" / "mutation.json"


def measure() -> None:
    """Summarise the run in this folder, print a table and write docs/results/mutation.json."""
    outcomes: Counter[str] = Counter()
    by_file: defaultdict[str, Counter[str]] = defaultdict(Counter)
    survivors: defaultdict[str, list[list[str]]] = defaultdict(list)
    for line in _mutmut("results", "--all", "true").splitlines():
        name, _, outcome = line.strip().partition(": ")
        if not outcome:
            continue
        module, _, function = name.partition(".x")
        outcomes[outcome] += 1
        by_file[module][outcome] += 1
        if outcome == "survived":
            changes = re.findall(r"^[-+] .*$", _mutmut("show", name), re.MULTILINE)
            survivors[f"{module}: {function.split('__mutmut')[0].strip('_ǁ')}"].append(changes)
    for module, counts in sorted(by_file.items()):
        print(f"{module:<45} killed {counts['killed']:5}  survived {counts['survived']:4}")
    score = outcomes["killed"] / max(1, outcomes["killed"] + outcomes["survived"])
    print(f"{dict(outcomes)}; killed {score:.1%} of those that were run")
    result = {
        "outcomes": outcomes,
        "killed_share_of_those_run": round(score, 4),
        "by_file": by_file,
        "survivors": survivors,
        "versions": {"mutmut": version("mutmut"), "minivision": version("minivision")},
    }
    write_atomically(RESULT, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
    print(f"written to {RESULT}")


def _mutmut(*words: str) -> str:
    return subprocess.run(["mutmut", *words], capture_output=True, text=True, check=True).stdout
