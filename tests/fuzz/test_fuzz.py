"""2,000 cases whenever the tests are run, and checks that the harness can find faults.

Each test runs in its own Python process: the harness forks, and a process with threads should not.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, errors="replace"
    )


@pytest.mark.slow
def test_fuzz_finds_nothing_in_2000_cases():
    ended = python("-m", "tests.fuzz", "--cases", "2000")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.endswith("cases, 0 findings\n")
    rows = [line.split() for line in ended.stdout.splitlines()[1:-1]]
    assert len(rows) == 10
    # A target whose inputs are all accepted, or all rejected, tests only half of the code.
    assert all(int(cell.replace(",", "")) > 0 for row in rows for cell in row[1:4]), ended.stdout


def told(*arguments):
    """The line printed for each case of a small run, without the folder's name."""
    text = python("-m", "tests.fuzz", "--target", "idx", "--messages", *arguments).stdout
    lines = [line for line in text.splitlines() if re.match(r"idx \d+: ", line)]
    return [re.sub(r"/\S*/case/", "", line) for line in lines]


def test_fuzz_repeats_a_case_in_every_run_and_part():
    whole = told("--cases", "40")
    assert len(whole) == 40
    parts = [told("--cases", "40", "--part", part) for part in ("1/2", "2/2")]
    assert parts == [whole[::2], whole[1::2]]
    number = next(i for i, line in enumerate(whole) if "refused" in line)
    assert told("--case", str(number)) == [whole[number]]
    assert told("--cases", "40", "--seed", "1") != whole


HIDDEN = "try: bytearray(2 << 30)\nexcept MemoryError as error: raise ValueError('case') from error"
# A fault that a reader has in one case out of three, and what the harness must say about it.
SABOTAGE = {
    'raise KeyError("shape")': "KeyError: 'shape'",
    "assert made == 5": "AssertionError",
    'raise ValueError("broken")': "does not name the input",
    "bytearray(2 << 30)": "too much memory: MemoryError",
    HIDDEN: "too much memory: ValueError: case",
    "while True: pass": "took too long",
    "try:\n    while True: pass\nexcept BaseException: pass": "took too long",
    "time.sleep(60)": "the process hung",
    "os.kill(os.getpid(), 11)": "ended with -11",
    'open("../outside", "w")': "open outside the folder",
    "(folder.parent / 'new').mkdir()": "os.mkdir outside the folder",
    "try:\n    os.remove('../outside')\nexcept BaseException: pass": "os.remove outside the folder",
    "socket.create_connection(('localhost', 1))": "OSError: the network is blocked",
}


PROGRAM = """
import os, socket, sys, time
from tests.fuzz.harness import Target, outcomes

def check(made, folder):
    (folder / "inside").write_text("allowed")
    if made == 4:
        exec(sys.argv[1], globals() | locals())
    if made % 2:
        raise ValueError("case is odd")

made = iter([0, 0, 4, 3])  # the first is made before the first case
target = Target(1, lambda rng: next(made), check, "case")
for outcome in outcomes("sabotage", target, [10, 11, 12], seconds=0.3):
    print(outcome.number, outcome.kind, outcome.said)
"""


@pytest.mark.parametrize("fault", SABOTAGE)
def test_fuzz_reports_a_fault_and_goes_on_with_the_other_cases(fault):
    ended = python("-c", PROGRAM, fault)
    assert ended.returncode == 0, ended.stderr
    first, found, last = ended.stdout.splitlines()
    assert first.startswith("10 accepted")
    assert found.startswith("11 finding")
    assert SABOTAGE[fault] in found
    assert last.startswith("12 ")
