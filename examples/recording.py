"""Rows of results in docs/results: where they are stored, and what they record besides numbers.

The measuring scripts in this folder write each row as soon as it is measured, so an interrupted
script resumes where it stopped.
"""

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from minivision.nn.weights import write_atomically

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"


def read_rows(path):
    """The rows measured so far."""
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def write_rows(path, rows):
    """Write all rows atomically: the file is always either the old one or the new one."""
    write_atomically(path, json.dumps(rows, indent=2).encode() + b"\n")


def provenance():
    """What is needed to repeat a row: the commit, whether files differed from it, and versions."""
    commit = _git("rev-parse", "HEAD").strip()
    changed = _git("status", "--porcelain", "minivision", "examples").strip()
    libraries = ("minivision", "numpy", "opencv-python-headless", "simplejpeg")
    return {
        "commit": commit,
        "changed_since_commit": bool(changed),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in libraries},
    }


def _git(*words):
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Table:
    """The rows of one results file; a row that exists is not measured again."""

    def __init__(self, path):
        self.path, self.rows = path, read_rows(path)

    def row(self, key, measure):
        """The row whose entries match key; if there is none, measure() -> its numbers."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        row = key | measure() | provenance()
        self.rows.append(row)
        write_rows(self.path, self.rows)
        numbers = (
            f"{n[:-9]} {v:.2%}"
            for n, v in row.items()
            if n.endswith("_accuracy") and isinstance(v, float)
        )
        told = " ".join(str(value) for value in key.values())
        print(f"{told:<60} {'  '.join(numbers)}  {row.get('seconds', 0):.0f} s", flush=True)
        return row
