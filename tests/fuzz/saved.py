"""Targets: the weight files and checkpoints that minivision itself writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from minivision import Tensor
from minivision.nn import BatchNorm1d, Linear, Sequential
from minivision.nn.weights import load_weights, save_weights
from minivision.optim import SGD, Adam, WeightAverage
from minivision.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tests.fuzz.mutations import changed_bytes, changed_json, changed_text, json_text

# ── weights and checkpoints ──────────────────────────────────────────────────────────────────────


@cache
def weights_file() -> bytes:
    arrays = {
        "scalar": np.float32(3), "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 4), np.int64), "half": np.ones(5, np.float16), "b": np.ones(3, bool),
    }  # fmt: skip
    save_weights("weights", arrays, {"note": "é"})
    return Path("weights").read_bytes()


ALIKE = {"F32": ("I32", "U32"), "F16": ("BF16", "I16"), "BOOL": ("U8", "F8_E4M3", "F8_E5M2"),
         "I64": ("F64", "U64", "C64")}  # fmt: skip


def make_weights(rng: Random) -> bytes:
    data = weights_file()
    if rng.random() < 0.3:
        return changed_bytes(rng, data)
    old = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + old])
    if rng.random() < 0.8:
        header["__metadata__"].pop("minivision.crc32")
    if rng.random() < 0.3:  # a different dtype of the same size, and a different shape
        entry = rng.choice([header[name] for name in header if name != "__metadata__"])
        entry["dtype"] = rng.choice(ALIKE[entry["dtype"]])
        rng.shuffle(entry["shape"])
        text = json.dumps(header).encode()
    else:
        text = json_text(rng, changed_json(rng, header, ("BF16", "F4", "BOOL", "C64", "I8")))
    size = len(text) if rng.random() < 0.95 else rng.choice((0, 2**63, 10**8, len(text) + 1))
    body = data[8 + old :] if rng.random() < 0.9 else changed_bytes(rng, data[-30:])
    return size.to_bytes(8, "little") + text + body


def check_weights(made: bytes, folder: Path) -> None:
    (folder / "case.safetensors").write_bytes(made)
    arrays, metadata = load_weights(folder / "case.safetensors")
    header = json.loads(made[8 : 8 + int.from_bytes(made[:8], "little")])
    stated = header.pop("__metadata__", None) or {}
    assert metadata == {key: stated[key] for key in stated if key != "minivision.crc32"}
    assert {name: list(array.shape) for name, array in arrays.items()} == {
        name: entry["shape"] for name, entry in header.items()
    }


def network(adam: bool, trained: bool) -> tuple[Any, Any, Any]:
    """A network with its optimizer and running average, new or after one step."""
    model = Sequential(Linear(3, 2), BatchNorm1d(2))
    optimizer = Adam(model.parameters()) if adam else SGD(model.parameters(), 0.1, momentum=0.9)
    if trained:
        model(Tensor(np.eye(3, dtype=np.float32))).sum().backward()
        optimizer.step()
    return model, optimizer, WeightAverage(model)


@cache
def checkpoint_file(adam: bool) -> bytes:
    save_checkpoint("checkpoint", *network(adam, trained=True), Progress(2, 10, 0))
    return Path("checkpoint").read_bytes()


def make_checkpoint(rng: Random) -> bytes:
    data, other = (checkpoint_file(adam) for adam in (True, False))
    if rng.random() < 0.5:
        data, other = other, data
    if rng.random() < 0.2:
        return changed_bytes(rng, data, other)
    Path("old").write_bytes(data)
    arrays, metadata = load_weights("old")
    if rng.random() < 0.5:
        progress = changed_json(rng, json.loads(metadata["progress"]))
        metadata["progress"] = json_text(rng, progress).decode(errors="replace")
    else:
        name, other = rng.choice(list(arrays)), rng.choice(list(arrays))
        array = arrays.pop(name)
        kinds = ("float64", "float16", "int64", "bool", "complex64", "uint8")
        edges = (np.nan, np.inf, 1e38, -1.0)
        match rng.randrange(5):
            case 0:
                arrays[name] = array.astype(rng.choice(kinds))
            case 1:
                arrays[changed_text(rng, name, ("model", "optimizer", "0", "²"))] = array
            case 2:
                arrays[name] = arrays.get(other, array)
            case 3:
                arrays[name] = array.reshape(-1)[: rng.randrange(3)].astype(rng.choice(kinds))
            case 4:
                arrays[name] = np.full_like(array, rng.choice(edges))
    try:
        save_weights("new", arrays, metadata)
    except ValueError:
        return data
    return Path("new").read_bytes()


def check_checkpoint(made: bytes, folder: Path) -> None:
    path = folder / "case.safetensors"
    path.write_bytes(made)
    model, optimizer, average = network(b".0.m" in made, trained=False)
    before = model.state_dict() | average.state_dict()
    try:
        progress = load_checkpoint(path, model, optimizer, average, seed=0)
    except ValueError:
        after = model.state_dict() | average.state_dict()
        assert all(np.array_equal(after[name], before[name]) for name in before)
        raise
    assert all(type(number) is int and number >= 0 for number in progress), progress
    arrays, _ = load_weights(path)
    for part, state in (("model", model.state_dict()), ("average", average.average)):
        for name, array in state.items():
            stored = arrays[f"{part}.{name}"]
            assert np.can_cast(stored.dtype, array.dtype, "same_kind"), (name, stored.dtype)
            assert np.array_equal(array, stored.astype(array.dtype), equal_nan=True), name
    model(Tensor(np.eye(3, dtype=np.float32))).sum().backward()
    optimizer.step()
