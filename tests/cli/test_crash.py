"""Commands killed at every step in the file system and resumed leave the same files.

tests/crash.py kills them; here are its quicker commands, once for each state of the disk, or for
one in three.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks; reads /proc")
ROOT = Path(__file__).parents[2]


def crash(*words):
    """What tests/crash.py prints, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *words],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout, done.returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "one_in", "least"), [("train", 1, 30), ("longer", 1, 25), ("distill", 3, 20)]
)
def test_crash_at_any_step_ends_with_the_same_files(command, one_in, least):
    said, code = crash(command, "--one-in", str(one_in))
    assert code == 0, said
    deaths, faults = map(int, re.search(r"(\d+) deaths, .* (\d+) faults", said).groups())
    assert deaths >= least
    assert faults == 0


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        ("result_before_pictures", "confusion.png is missing; curves.png is missing"),
        ("written_in_place", "not valid JSON"),
        ("nothing_cleared", ".unfinished-* is left over"),
        ("checkpoint_before_record", "metrics.jsonl lacks epoch 1"),
        ("written_unwatched", "checkpoint.safetensors changed unwatched"),
    ],
)
def test_crash_catches_commands_that_write_in_a_wrong_way(sabotage, words):
    said, code = crash("train", "--sabotage", sabotage)
    assert code == 1, said
    assert words in said
