"""A process watches its own steps in the file system, and dies at one of them.

A step opens a file for writing, writes to it, renames or removes something, makes a folder, or
flushes data to the disk. The functions that take such steps call `Watch.point` before and after
each step and, in a write, between its two halves. To make sure that no step is overlooked, every
point that does not follow a step checks that the folder is the same as at the previous point. If it
is not, something wrote to it without being watched.
"""

from __future__ import annotations

import builtins
import hashlib
import io
import os
import re
import shutil
from pathlib import Path

DIED = 99
PATHS = (  # functions in os that take steps, and how many paths they are given
    ("mkdir", 1), ("rmdir", 1), ("unlink", 1), ("remove", 1), ("truncate", 1), ("replace", 2),
    ("rename", 2), ("link", 2), ("symlink", 2), ("open", 1), ("fsync", 1), ("ftruncate", 1),
)  # fmt: skip


class UnwatchedError(Exception):
    """Something has changed the folder between two points."""


def named(path):
    """The path with an asterisk in place of a random name."""
    return re.sub(r"\.unfinished-\w+", ".unfinished-*", str(path))


def content(root):
    """Every folder and file below a folder, with the bytes of the files.

    A process that is killed before settings.json exists leaves an unfinished file. Equal ones count
    as one; otherwise there would be no end of states.
    """
    return sorted(
        {
            (named(path.relative_to(root)), b"(folder)" if path.is_dir() else path.read_bytes())
            for path in (root.rglob("*") if root.exists() else ())
        }
    )


def digest(state):
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


class Watch:
    """The points that a process passes; it dies at `deadly`, or else keeps a copy of each state."""

    def __init__(self, root, deadly, store):
        self.root, self.deadly, self.store = root, deadly, store
        self.points, self.last = [], content(root)
        self.real_open = io.open

    def point(self, name, changed):
        """changed: whether a step, or half of one, was taken since the last point."""
        if self.deadly is not None:
            self.deadly -= 1
            if self.deadly < 0:
                os._exit(DIED)
            return
        now = content(self.root)
        if not changed and now != self.last:
            different = {name for name, _ in set(now) ^ set(self.last)}
            raise UnwatchedError(f"{', '.join(sorted(different))} changed unwatched {name}")
        self.last = now
        self.points.append((name, digest(now)))
        if self.store is not None and self.root.exists():
            copy = self.store / digest(now)
            if not copy.exists():
                shutil.copytree(self.root, copy)

    def inside(self, file):
        """The path of a file given by path or number, if it is in the folder; else None."""
        path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else os.fsdecode(file)
        path = Path(os.path.abspath(path))
        return path if path == self.root or self.root in path.parents else None

    def watched(self, name, function, paths):
        def take_step(*arguments, **more):
            concerned = [path for path in map(self.inside, arguments[:paths]) if path]
            if not concerned:
                return function(*arguments, **more)
            what = f"{name} {' to '.join(named(path.name) for path in concerned)}"
            self.point(f"before {what}", changed=False)
            try:
                return function(*arguments, **more)
            finally:
                self.point(f"after {what}", changed=True)

        return take_step

    def open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **more):
        """Like `open`, but everything that is written to a file in the folder passes `point`."""
        if isinstance(file, int) or not set(mode) & set("wax+") or not self.inside(file):
            return self.real_open(file, mode, buffering, encoding, errors, newline, **more)
        watch, name = self, named(Path(file).name)

        class File(io.FileIO):
            def write(self, data):
                data = bytes(data)
                half = len(data) // 2
                watch.point(f"before writing {name}", changed=False)
                written = super().write(data[:half])
                watch.point(f"in the middle of writing {name}", changed=True)
                written += super().write(data[half:])
                watch.point(f"after writing {name}", changed=True)
                return written

            def truncate(self, size=None):
                watch.point(f"before truncating {name}", changed=False)
                size = super().truncate(size)
                watch.point(f"after truncating {name}", changed=True)
                return size

        raw = watch.watched("open", File, 1)(file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline)

    def begin(self):
        for name, paths in PATHS:
            setattr(os, name, self.watched(name, getattr(os, name), paths))
        builtins.open = io.open = self.open
