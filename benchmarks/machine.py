"""Describe the machine, the code and the date of a measurement, to be recorded with it."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from minivision.backend import usable_cores


def describe() -> dict[str, Any]:
    """Processor, cores, caches, memory and system; what the system does not report is left out."""
    processor = _field("/proc/cpuinfo", "model name") or platform.processor()
    flags = _field("/proc/cpuinfo", "flags").split()
    memory = _field("/proc/meminfo", "MemTotal").split()
    family = [_field("/proc/cpuinfo", name) for name in ("cpu family", "model")]
    return {
        "processor": processor or platform.machine(),
        "family_and_model": "/".join(family),
        "vectors": [flag for flag in ("avx2", "fma", "avx512f", "asimd") if flag in flags],
        "cores": usable_cores(),
        "caches": _caches(),
        "memory_gb": round(int(memory[0]) / 1024**2, 1) if memory else None,
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
    }


def provenance() -> dict[str, Any]:
    """The date, the commit, and whether any files other than results had been changed since."""
    status = _git("status", "--porcelain", "--", ".", ":(exclude)docs/results")
    return {
        "date": datetime.now(UTC).isoformat(timespec="microseconds"),
        "commit": (_git("rev-parse", "HEAD") or "").strip() or None,
        "changed_since_commit": None if status is None else bool(status.strip()),
    }


def _git(*words: str) -> str | None:
    try:
        result = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if result.returncode else result.stdout


def _field(file: str, name: str) -> str:
    """The value in the first line `name: value` of a file in /proc; "" if there is none."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for key, value in pairs if key.strip() == name), "")


def _caches() -> dict[str, str]:
    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = [(folder / f).read_text().strip() for f in ("level", "type", "size")]
        caches[f"L{level} {kind.lower()}"] = size
    return caches
