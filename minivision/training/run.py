"""A run's folder: its settings, how each epoch went, the latest weights, the final result.

    settings.json            everything needed to repeat the run, the preprocessing, and a digest
                             of each entry, so that editing does not go unnoticed
    metrics.jsonl            one JSON object per line, one line per epoch
    checkpoint.safetensors   weights and optimiser state (training/checkpoint.py writes it)
    result.json              numbers measured once, after the last epoch

Both people and programs can read these files. JSON cannot express infinity or "not a number": in
metrics and results, where a measurement may fail, such a number is written as null and read as
None; in settings, where it would silently change the run when resumed, it is an error.

You can skip this file on a first reading.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minivision.nn.weights import UNFINISHED, write_atomically
from minivision.training.plain_json import (
    append_line,
    json_bytes,
    parse_object,
    read_lines,
    read_object,
    write_lines,
)
from minivision.training.settings import check_unedited, digests

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

FILES = ("settings.json", "metrics.jsonl", "checkpoint.safetensors", "result.json")


class Run:
    """One run's folder. `Run.create` starts a new one, `Run.open` opens an existing one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run.create(f"{folder}/lenet5-digits-1", {"lr": 0.1})
    ...     run.log({"epoch": 1, "train_loss": 0.5})
    ...     Run.open(run.path).history()
    [{'epoch': 1, 'train_loss': 0.5}]
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self.settings = settings
        self.begun: dict[str, str] = {}  # the digest of every setting as it was written
        self.metrics_path = path / "metrics.jsonl"
        self.checkpoint_path = path / "checkpoint.safetensors"
        self.result_path = path / "result.json"

    @classmethod
    def create(cls, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> Run:
        """Start a run: make the folder and its parents, and write settings.json.

        Raises FileExistsError if the folder already contains a run, NotADirectoryError if there is
        a file at the path, TypeError or ValueError for settings that JSON cannot express.
        """
        path = Path(path)
        data = _with_digests("Run.create: settings", settings)
        _refuse_files("Run.create", path)
        for name in FILES:
            if (path / name).exists():
                raise FileExistsError(
                    f"{path} already contains a run (it has a {name}); continue that run with "
                    "--resume, or choose another folder with --out"
                )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"cannot create the folder {path}: {error.strerror}") from error
        write_atomically(path / "settings.json", data)
        # Read back, so that a run has the same settings now and when it is resumed (JSON turns
        # tuples into lists).
        return cls.open(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """Open an existing run.

        Raises FileNotFoundError or NotADirectoryError if the path is not a run's folder,
        ValueError if its settings.json is broken.
        """
        path = Path(path)
        _refuse_files("Run.open", path)
        if not path.is_dir():
            raise FileNotFoundError(f"there is no run at {path}: the folder does not exist")
        if not (path / "settings.json").exists():
            raise FileNotFoundError(f"{path} is not a run's folder: it has no settings.json")
        run = cls(path, read_object(path / "settings.json"))
        run.begun = run.settings.pop("digests", {})
        return run

    def rewrite_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace settings.json, to continue a finished run for more epochs."""
        data = _with_digests("Run.rewrite_settings: settings", settings)
        write_atomically(self.path / "settings.json", data)

    def check_settings(self) -> None:
        """Raise ValueError, naming the setting, if one that affects the weights was edited."""
        check_unedited(self.path / "settings.json", self.settings, self.begun)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        If the process is killed, the lock is released too. Temporary files that a killed process
        left behind are removed. Raises BlockingIOError if another process is using the folder. (On
        Windows, which has no fcntl, there is no lock.)
        """
        lock = self.path / ".lock"
        with lock.open("a+") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    file.seek(0)
                    raise BlockingIOError(
                        f"{self.path} is in use: process {file.read() or '?'} is training in it; "
                        "wait until it ends, or choose another folder"
                    ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            for left in self.path.rglob(f"{UNFINISHED}*"):
                left.unlink(missing_ok=True)
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)

    def stage(self, name: str, settings: Mapping[str, Any] | None = None) -> Run:
        """A separate run in a subfolder, for one stage of a longer method.

        The run is created if it does not exist yet and opened otherwise. Raises ValueError if its
        settings were edited.
        """
        path = self.path / name
        if (path / "settings.json").exists():
            run = Run.open(path)
            run.check_settings()
            return run
        return Run.create(path, {"stage": name} if settings is None else settings)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append the numbers of an epoch to metrics.jsonl; they are on disk when this returns.

        Raises ValueError unless the record has an "epoch" that is one above the previous record's.
        Infinite numbers and NaN are written as null.
        """
        _check_epoch("Run.log: the record", record, len(self.history()) + 1)
        append_line(self.metrics_path, json_bytes("Run.log: record", record, null=True))

    def history(self) -> list[dict[str, Any]]:
        """The records logged so far, oldest first; an empty list before the first epoch.

        A half-written last line, left by a killed process, is ignored. Any other line that is not a
        JSON object, or whose epoch does not follow the previous line's, raises a ValueError that
        gives the line number.
        """
        records = read_lines(self.metrics_path)
        for n, record in enumerate(records, 1):
            _check_epoch(f"{self.metrics_path}, line {n}", record, n)
        return records

    def truncate(self, epoch: int) -> list[dict[str, Any]]:
        """The records up to the checkpoint's epoch; a record beyond it is removed from the file.

        A killed run may have logged an epoch without writing its checkpoint. Resuming repeats that
        epoch, which must not appear twice. Any other difference means that the checkpoint and
        metrics.jsonl do not belong together: a ValueError names both and says what to do.
        """
        records = self.history()
        last = len(records)
        if last < epoch:
            missing = f"epoch {epoch}" if last + 1 == epoch else f"epochs {last + 1} to {epoch}"
            raise ValueError(
                f"{self.metrics_path} lacks {missing}, which {self.checkpoint_path} has; "
                "restore the missing lines, or start again in another folder"
            )
        if last > epoch + 1:
            wrong, out = f"is from epoch {epoch}", f"the lines after epoch {epoch} to resume there"
            if not self.checkpoint_path.exists():
                wrong, out = "is missing", "the former to start again at epoch 1"
            raise ValueError(
                f"{self.metrics_path} has {last} epochs, but {self.checkpoint_path} {wrong}; "
                f"restore the right checkpoint, or remove {out}"
            )
        write_lines(self.metrics_path, records[:epoch])
        return records[:epoch]

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json. Infinite numbers and NaN are written as null."""
        data = json_bytes("Run.write_result: result", result, indent=2, null=True)
        write_atomically(self.result_path, data)

    def read_result(self) -> dict[str, Any]:
        """The content of result.json; FileNotFoundError before the run has finished."""
        if not self.result_path.exists():
            raise FileNotFoundError(f"{self.path} has no result.json yet: the run is not finished")
        return read_object(self.result_path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def next_run_path(name: str, root: str | os.PathLike[str] = "runs") -> Path:
    """A folder for a new run: root/name-number, where the number is one above the highest in use.

    If runs below the highest number are deleted, their numbers are not reused, so a higher number
    always means a later run. Characters that do not belong in folder names become hyphens.

    >>> next_run_path("lenet5-digits", root="no such folder").as_posix()
    'no such folder/lenet5-digits-1'
    """
    name = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    root = Path(root)
    taken = [0]
    if root.is_dir():
        for entry in root.iterdir():
            number = entry.name.removeprefix(f"{name}-")
            if number != entry.name and re.fullmatch("[0-9]+", number):
                taken.append(int(number))
    return root / f"{name}-{max(taken) + 1}"


def _refuse_files(where: str, path: Path) -> None:
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise NotADirectoryError(
                    f"{where}: {place} is a file; expected {path} to be a run's folder"
                )
            return


def _with_digests(where: str, settings: Mapping[str, Any]) -> bytes:
    data = json_bytes(where, settings)
    plain = parse_object(where, data)
    return json_bytes(where, plain | {"digests": digests(plain)}, indent=2)


def _check_epoch(where: str, record: Mapping[str, Any], expected: int) -> None:
    epoch = record.get("epoch")
    if not isinstance(epoch, int | np.integer) or isinstance(epoch, bool):
        raise ValueError(f'{where} needs an integer "epoch"; its "epoch" is {epoch!r}')
    if epoch != expected:
        raise ValueError(f"{where} is for epoch {epoch}; expected epoch {expected}")
