"""Targets: whole commands, run in a folder with runs, images and a policy, some of them changed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from minivision.cli import COMMANDS, main
from minivision.cli.policy import STEPS
from minivision.datasets import download
from minivision.datasets.class_folders import PARTS
from minivision.datasets.fingerprint import digest
from minivision.models import MODELS
from minivision.transforms import TRANSFORMS, describe
from tests.damage import photograph, saved
from tests.fuzz.mutations import CHARACTERS, changed_bytes, changed_json, json_text

NETWORK = "--model softmax_regression --epochs 1"
FEW = f"--labelled photos --unlabelled photos {NETWORK}"
RUN = "train --model softmax_regression --dataset photos --epochs 2 --limit 8 --out"
# For each folder, the command that writes it, and commands that read it after it was edited.
FOLDERS = {
    "run": (
        f"{RUN} run",
        "evaluate run", "predict run photos/cat/1.png", "train --resume --out run",
        "train --resume --out run --epochs 3", "summary run", "explain run photos/cat/1.png",
        "receptive-field run", "transfer run --dataset photos --epochs 1 --out new",
    ),
    "moved": (
        "transfer run --dataset photos --epochs 1 --hidden 3 --approach frozen --out moved",
        "transfer --resume --out moved", "evaluate moved/frozen", "summary moved/frozen",
        "predict moved/frozen photos/cat/1.png",
    ),
    "taught": (
        "distill run --dataset photos --student softmax_regression --epochs 1 --out taught",
        "distill --resume --out taught", "predict taught/distilled photos/cat/1.png",
    ),
    "kept": (
        "forget-less run --dataset photos --epochs 1 --out kept", "forget-less --resume --out kept",
    ),
    "few": (f"pseudo-label {FEW} --out few", "pseudo-label --resume --out few"),
    "self": (
        f"self-train {FEW} --iterations 1 --floor 0 --allow-missing --out self",
        "self-train --resume --out self",
    ),
    "search": 2 * (
        f"search-augmentation --dataset photos {NETWORK} --limit 6 --budget 2 --processes 1 "
        "--out search",
    ),
}  # fmt: skip


@cache
def template() -> dict[str, bytes]:
    """The files in a folder where commands can work, by name; paths are relative."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for i in range(12):
                path = Path("photos") / ("cat" if i % 2 else "dog") / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(saved(photograph(9, 12, seed=i), "PNG"))
            Path("policy.json").write_text(json.dumps(describe(STEPS["rotate"]((9, 12, 3)))))
            shutil.make_archive("photos", "tar", ".", "photos")
            for line, *_ in FOLDERS.values():
                run(line.split())
            files = {str(p): p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()}
        finally:
            os.chdir(before)
    for name, data in files.items():
        if name.endswith((".json", ".jsonl")):  # replace what differs between processes
            plain = data.replace(f"{Path(folder).resolve()}/".encode(), b"")
            files[name] = re.sub(rb'(seconds": )[\d.]+', rb"\g<1>0.5", plain)
    return files


def unpack(folder: Path, *parts: str) -> None:
    """Write the template's files to a folder, or only those below `parts` if any are given."""
    for name, data in template().items():
        if not parts or name.split("/")[0] in parts:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def run(argv: list[str]) -> None:
    """Run a command in this process; ValueError if it rejects its input with exit code 2."""
    download.cache_folder = lambda: Path("cache")  # in the folder of the case
    printed, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(errors):
        try:
            code = main(argv)
        except SystemExit as ended:
            code = ended.code or 0  # type: ignore[assignment]
    said = errors.getvalue()
    assert code in (0, 2), f"exit code {code} of {argv}"
    assert "Traceback" not in said, said
    if "MemoryError" in said:
        raise MemoryError(said)
    if code == 2:
        raise ValueError(said.strip().split("\n")[-1])


# ── run folders edited by hand ───────────────────────────────────────────────────────────────────


class Edited(NamedTuple):
    """New content for one file of the template, a file to delete, and a command."""

    name: str
    content: bytes
    without: str
    argv: list[str]


def run_folder(rng: Random) -> Edited:
    root = rng.choice(("run", "run", "run", *FOLDERS))
    names = [name for name in template() if name.startswith(f"{root}/") and ".png" not in name]
    texts = [name for name in names if ".json" in name]
    top = f"{root}/settings.json"
    name = rng.choice((*[top] * len(texts), *texts, *names))
    content = template()[name]
    if name.endswith(".json"):
        words = (*TRANSFORMS, *MODELS, "sgd", "mixup", "digits", "photos.tar", "he")
        content = json_text(rng, modest(rng, changed_json(rng, json.loads(content), words)))
    elif name.endswith(".jsonl"):
        lines = content.splitlines()
        at = rng.randrange(len(lines))
        lines[at] = json_text(rng, changed_json(rng, json.loads(lines[at])))
        content = b"\n".join(lines) + b"\n" * rng.randrange(2)
    else:
        content = changed_bytes(rng, content)
    without = rng.choice(names) if rng.random() < 0.5 else ""
    return Edited(name, content, without, rng.choice(FOLDERS[root][1:]).split())


def modest(rng: Random, edited: Any) -> Any:
    """Limit the work that the settings ask for, since it would all be done; drop some digests."""
    if isinstance(edited, dict):
        for name in ("epochs", "iterations", "ratio", "warm_up"):
            if isinstance(edited.get(name), int):
                edited[name] = min(edited[name], 3)
        if rng.random() < 0.7:
            edited.pop("digests", None)  # as in older versions; a digest reveals any edit
        images = edited.get("images")
        if isinstance(images, dict) and rng.random() < 0.5:
            with suppress(KeyError, TypeError, AttributeError, UnicodeError):
                images["digest"] = digest({part: images[part] for part in PARTS})
    return edited


def run_in_folder(made: Edited, folder: Path) -> None:
    unpack(folder, "photos", "run", made.name.split("/")[0])
    (folder / made.name).write_bytes(made.content)
    if made.without:
        (folder / made.without).unlink()
    run(made.argv)


# ── command lines ────────────────────────────────────────────────────────────────────────────────

LINES = (
    *(line for lines in FOLDERS.values() for line in lines[:1]),
    f"{RUN} new", f"{RUN} new --augment flip+mixup --batch-size 3 --lr 0.1 --optimizer sgd",
    f"{RUN} new --augment policy.json --start he --shift 1 --seed 3 --workers 2",
    "train --dataset photos.tar --limit 4 --epochs 1 --skip-unreadable --out new",
    "evaluate run --out e.png", "predict run photos/cat/1.png photos/dog/2.png --top 2",
    "explain run photos/cat/1.png --class cat", "summary lenet5 --images 4",
    "summary vgg_small --input-size 32 32", "receptive-field lenet5",
    "receptive-field lenet5 --layer features.0 --unit 3 4 --out field.png",
    "augment photos/cat/1.png --count 1 --magnitude 9 --copies 3 --out sheet.png",
    "augment photos/cat/1.png --sweep --describe", "augment photos/cat/1.png --policy flip+crop",
    "search-images photos photos/cat/1.png --k 3 --parts both",
    "search-images photos photos/cat/1.png --run run", "backward (w*x).sum() w=0.5 x=[1,-2]",
    "backward relu(x).sum() x=random(2,2) --seed 4 --out page.html",
    "gradcheck relu -n 1 --seed 2", f"pseudo-label {FEW} --threshold 0.5 --out new",
)  # fmt: skip
NUMBERS = (
    "-1", "0", "1", "2", "3", "7", "64", "999", "1000000", "9" * 30, "0.0", "0.5", "0.999", "1.0",
    "3.5", "1e9", "1e-9", "1e-400", "1e400", "nan", "inf", "-inf", "²", "１", "1_0", " 1",
)  # fmt: skip
WORDS = (
    "", "-", "--", "é", "\ud800", "run", "new", "photos", "photos.tar", "photos/cat/1.png", ".",
    "policy.json", "none", "flip+flip", "flip+mixup", "cutout+elastic", "digits", "mnist",
    "run/settings.json", "missing", "missing/x.png", "/dev/null", "x\0y", "y" * 300, "lenet5",
    "resnet20", "softmax_regression", "gpu", "gpu:9", "cat", "new.png", *NUMBERS[:6],
)  # fmt: skip
# Options that determine how long a command takes; it would obey large values.
WORK = (
    "--epochs", "--iterations", "--budget", "--copies", "--count", "--warm-up", "-n", "--k",
    "--geometries", "--images", "--input-size", "--hidden", "--ratio", "--processes",
)  # fmt: skip


def command_line(rng: Random) -> list[str]:
    template()
    argv = rng.choice(LINES).split()
    alike = [word for line in LINES if line.startswith(argv[0]) for word in line.split()[1:]]
    options = [word for word in alike if word.startswith("--")] or ["--seed"]
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice([i for i, word in enumerate(argv) if i and not word.startswith("-")] or [0])
        values = NUMBERS if re.fullmatch(r"[\d.]+", argv[at]) else (*WORDS, *alike)
        match rng.randrange(20):
            case 0:
                del argv[rng.randrange(len(argv))]
                argv = argv or ["train"]
            case 1:
                argv[0] = rng.choice(list(COMMANDS))
            case 2:
                argv[at] = rng.choice((*NUMBERS, *WORDS, *options))
            case 3 | 4 | 5:
                cut = rng.randrange(len(argv[at]) + 1)
                argv[at] = argv[at][:cut] + rng.choice(CHARACTERS) + argv[at][cut + 1 :]
            case 6 | 7 | 8:
                argv += [rng.choice(options), rng.choice((*NUMBERS, *WORDS))]
            case _:
                argv[at] = rng.choice(values)
    for i, word in enumerate(argv):
        if word != os.devnull:  # stay in the folder
            argv[i] = re.sub(r"\.\.+", "_", re.sub(r"(^|=)/", r"\1", word))
        if i and argv[i - 1] in WORK and word.isdecimal():
            argv[i] = word[:1]
    return argv


def run_command(made: list[str], folder: Path) -> None:
    unpack(folder, "photos", "run", "policy.json", "photos.tar")
    run(made)
