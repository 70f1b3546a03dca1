"""Small changes to bytes, texts and JSON, all drawn from the generator that is passed in."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

EDGES = (0, 1, 2, 3, 4, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1,
         2**33, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
JSON_EDGES = (None, True, False, 0, -1, 1, 2.9, -0.0, 1e308, 1e-320, float("inf"), float("nan"),
              2**63, 10**400, "", "0", "é", "\ud800", "\0", "x" * 300, [], [0], {}, [[]], {"": 0},
              [None, "1"], {"transform": []})  # fmt: skip
CHARACTERS = "0129.,;:=+-*@()[]{}'\"\\ \t\n\0aexN_é²١\u2028\U0001f600"


def changed_bytes(rng: Random, data: bytes, other: bytes = b"") -> bytes:
    """The data after one to four changes; its second half may be replaced by part of `other`."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = _change(rng, data, other or data)
    return data


def _change(rng: Random, data: bytes, other: bytes) -> bytes:
    size = len(data)
    # Headers are at the front, so half of the changes are made there.
    a, b = sorted(rng.randrange((size if rng.random() < 0.5 else min(size, 64)) + 1) for _ in "ab")
    match rng.randrange(9):
        case 0:  # flip bits
            flipped = bytearray(data)
            for _ in range(rng.choice((1, 1, 2, 8))):
                if size:
                    at = min(a, size - 1) if rng.random() < 0.5 else rng.randrange(size)
                    flipped[at] ^= 1 << rng.randrange(8)
            return bytes(flipped)
        case 1:  # cut the end
            return data[: rng.randrange(size + 1)]
        case 2:  # remove a part
            return data[:a] + data[b:]
        case 3:  # repeat a part
            return data[:b] + data[a:b] * rng.choice((1, 2, 50)) + data[b:]
        case 4:  # exchange two neighbouring parts
            c = rng.randrange(b, size + 1)
            return data[:a] + data[b:c] + data[a:b] + data[c:]
        case 5:  # noise
            return data[:a] + rng.randbytes(rng.choice((1, 2, b - a, 100))) + data[b:]
        case 6:  # the same byte throughout
            return data[:a] + rng.choice((b"\0", b"\xff", b"\x80", b" ")) * (b - a) + data[b:]
        case 7:  # a number such as a length
            width = rng.choice((1, 2, 4, 4, 8))
            value = rng.choice((*EDGES, size, size + 1, max(0, size - 1))) % 256**width
            field = value.to_bytes(width, rng.choice(("big", "little")))
            return data[:a] + field + data[a + width :]
        case _:  # the front of one file and the end of another
            return data[:b] + other[rng.randrange(len(other) + 1) :]


def changed_text(rng: Random, text: str, words: Sequence[str]) -> str:
    """The text after one to three changes to its words and symbols; `words` may be inserted."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        parts = re.findall(r"\w+|.", text, re.DOTALL) or [""]
        at, to = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(7):
            case 0:
                del parts[at]
            case 1:
                parts[at] = rng.choice(words)
            case 2:
                parts.insert(at, rng.choice(words))
            case 3:
                parts[at], parts[to] = parts[to], parts[at]
            case 4:
                parts[at:at] = parts[at : at + rng.randrange(1, 6)] * rng.choice((1, 2, 40))
            case 5:
                parts[at] = rng.choice(CHARACTERS)
            case _:
                cut = rng.randrange(len(parts[at]) + 1)
                parts[at] = parts[at][:cut] + rng.choice(CHARACTERS) + parts[at][cut + 1 :]
        text = "".join(parts)
    return text


def exchanged_words(rng: Random, text: str, words: Sequence[str]) -> str:
    """The text with a few names and numbers replaced by others, but with the same symbols."""

    def other(word: re.Match) -> str:
        alike = [w for w in words if w.isidentifier() == word[0].isidentifier()]
        return rng.choice(alike or words) if rng.random() < 0.15 else word[0]

    return re.sub(r"\w+", other, text)


def changed_json(rng: Random, value: Any, words: Sequence[str] = ()) -> Any:
    """A copy of plain JSON data after one to three changes to its entries."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return rng.choice(JSON_EDGES)
        container, key = rng.choice(places)
        entry = container[key]
        match rng.randrange(8):
            case 0 | 1:
                container[key] = copy.deepcopy(rng.choice(JSON_EDGES))
            case 2:
                del container[key]
            case 3:
                there, other = rng.choice(places)
                container[key] = copy.deepcopy(there.get(other) if isinstance(there, dict) else 0)
            case 4:
                container[key] = [entry] if rng.random() < 0.5 else {"x": entry}
            case 5 if words:
                container[key] = rng.choice(words)
            case 6 if isinstance(container, dict):
                container[changed_text(rng, str(key), ["x"])] = container.pop(key)
            case _ if isinstance(entry, int | float):
                container[key] = rng.choice((-entry, entry * 1000, entry // 1000, str(entry)))
            case _:
                container[key] = changed_text(rng, str(entry), words or ["x"])
    return value


def json_text(rng: Random, value: Any) -> bytes:
    """The value as JSON, sometimes with damaged text, or nested too deeply to be read."""
    text = json.dumps(value).encode()
    if rng.random() < 0.1:
        return changed_bytes(rng, text)
    if rng.random() < 0.01:
        return b"[" * 100_000 if rng.random() < 0.5 else text[:-1] + b',"x":' + b"[" * 100_000
    return text


def _places(value: Any) -> Any:
    """Every (container, key) in plain JSON."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
