"""A folder's index: the features of all its images, computed once and kept in a file.

Features are computed for new files and for files whose size or modification time has changed; for
all others they are read from the index. The index is a hidden file in the folder itself, and may be
deleted at any time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from minivision.datasets import image_files, read_image
from minivision.datasets.class_folders import SUFFIXES
from minivision.methods.features.classic import Parts
from minivision.nn.weights import load_weights, save_weights
from minivision.training.plain_json import parse_json

Stamp = list[int]  # a file's size in bytes, and its modification time in nanoseconds


class FolderIndex(NamedTuple):
    """The names of the images in a folder, sorted, and their features.

    described: how many images had to be described this time. skipped: maps each unusable file to
    what is wrong with it. notes: problems with the index file, if any.
    """

    names: list[str]
    parts: Parts
    described: int
    skipped: dict[str, str]
    notes: list[str]


def index_folder(folder: str | Path, features: Any) -> FolderIndex:
    """Describe all images in and below a folder by ClassicFeatures or DeepFeatures.

    If the function is interrupted, the features computed so far are kept. A folder that cannot be
    written to is described all the same, and a damaged index is rebuilt; `notes` says so.

    Raises FileNotFoundError if there is no such folder, and ValueError if none of its images can
    be described.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"index_folder: the folder {folder} does not exist")
    files = images_below(folder)
    description = json.dumps(features.describe(), sort_keys=True)
    kept, notes = _read(index_file(folder, features), description)
    known = {name: kept[name] for name, stamp in files.items() if kept.get(name, [0])[0] == stamp}
    new = [name for name in files if name not in known]
    skipped, described = {}, 0
    try:
        for name in tqdm(new, "describing images", delay=1, disable=None, leave=False):
            try:
                image = read_image(folder / name, features.channels)
            except (ValueError, OSError) as error:
                skipped[name] = str(error).removeprefix(f"read_image: {folder / name} ")
                continue
            try:
                parts = features([image])
            except ValueError as error:
                skipped[name] = f"cannot be described: {error}"
                continue
            known[name] = (files[name], {part: rows[0] for part, rows in parts.items()})
            described += 1
    finally:
        names = sorted(known)
        if described or set(known) != set(kept):
            notes += _write(index_file(folder, features), description, known)
    if not names:
        told = "; ".join(f"{name} {reason}" for name, reason in list(skipped.items())[:3])
        raise ValueError(
            f"index_folder: {folder} contains no image that can be described"
            + (f": {told}" if told else f"; expected {', '.join(SUFFIXES)} files")
        )
    rows = [known[name][1] for name in names]
    stacked = {part: np.stack([row[part] for row in rows]) for part in ("local", "global")}
    return FolderIndex(names, stacked, described, skipped, notes)


def images_below(folder: Path) -> dict[str, Stamp]:
    """The image files in and below a folder, sorted by name, with size and modification time."""
    found = {}
    for path in image_files(folder):
        stat = path.stat()
        found[path.relative_to(folder).as_posix()] = [stat.st_size, stat.st_mtime_ns]
    return dict(sorted(found.items()))


def index_file(folder: Path, features: Any) -> Path:
    """The file of a folder's index: one for classic features, one for deep ones."""
    return folder / f".minivision-{features.describe()['features']}.safetensors"


def _read(path: Path, description: str) -> tuple[dict[str, Any], list[str]]:
    """An index's content, {name: (stamp, {part: row})}; empty if it is for other features."""
    if not path.exists():
        return {}, []
    try:
        arrays, metadata = load_weights(path)
        if metadata.get("features") != description:
            return {}, []
        files = parse_json("its list of files", metadata["files"])
        kept = {
            name: (stamp, {part: rows[i] for part, rows in arrays.items()})
            for i, (name, stamp) in enumerate(files)
        }
        return kept, []
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        return {}, [f"the index could not be read and is rebuilt: {error}"]


def _write(path: Path, description: str, known: dict[str, Any]) -> list[str]:
    """Write an index; returns a note if this is not possible."""
    names = sorted(known)
    rows = [known[name][1] for name in names]
    files = json.dumps([[name, known[name][0]] for name in names])
    try:
        if not names:
            path.unlink(missing_ok=True)
            return []
        save_weights(
            path,
            {part: np.stack([row[part] for row in rows]) for part in rows[0]},
            {"features": description, "files": files},
        )
    except OSError as error:
        return [f"the index could not be saved, so the next search starts from scratch: {error}"]
    return []
