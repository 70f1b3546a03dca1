"""An environment for each library, created on first use, with the versions listed here.

If the Python that runs the benchmarks already has exactly these versions, it is used instead.
Environments are in .benchmark-environments/, which git ignores, and can be deleted at any time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".benchmark-environments"

# The arguments of one `pip install` per line. DeZero and Chainer need a NumPy from their time.
ENVIRONMENTS = {
    "pytorch": [["torch==2.13.0", "numpy==2.4.6"]],
    "torchvision": [["torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6", "pillow==13.0.0"]],
    "jax": [["jax==0.10.2", "jaxlib==0.10.2", "numpy==2.4.6"]],
    "mygrad": [["mygrad==2.5.0", "numpy==2.4.6"]],
    "dezero": [["dezero==0.0.13", "numpy==1.23.5", "matplotlib==3.8.4"]],
    "chainer": [
        ["setuptools==65.5.0", "wheel==0.48.0", "numpy==1.23.5"],
        ["--no-build-isolation", "chainer==7.8.1"],  # its setup script needs the line above
    ],
}


class CannotInstallError(Exception):
    """pip could not create an environment; the message says which one and why."""


def python_of(name: str | None) -> str:
    """The Python of this environment, whose libraries are installed first if necessary."""
    if name is None or _is_here(ENVIRONMENTS[name]):
        return sys.executable
    folder, installs = FOLDER / name, ENVIRONMENTS[name]
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    wanted = json.dumps([platform_tag(), *installs])
    if not stamp.exists() or stamp.read_text() != wanted:
        if folder.exists():
            shutil.rmtree(folder)
        print(f"installing {' '.join(word for words in installs for word in words)}")
        venv.create(folder, with_pip=True)
        for words in installs:
            command = [str(python), "-m", "pip", "install", "--quiet", *words]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                errors = [line for line in result.stderr.splitlines() if "rror" in line]
                raise CannotInstallError(f"{name}: {(errors or ['pip failed'])[-1].strip()}")
        stamp.write_text(wanted)
    return str(python)


def platform_tag() -> str:
    """The Python and the platform; if they change, the environment is created again."""
    return f"{sys.implementation.cache_tag} {sys.platform}"


def _is_here(installs: list[list[str]]) -> bool:
    pins = [word.split("==") for words in installs for word in words if "==" in word]
    try:
        return all(version(name).partition("+")[0] == pin for name, pin in pins)
    except PackageNotFoundError:
        return False
