"""The rules of the house: imports go downward, files open with a sentence, comments are true."""

import ast
import importlib.util
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from minivision import Tensor, fast
from minivision.analysis.gradient_cases import CASES
from minivision.fast import choice, door
from tests.shape_comments import checking, claims_in

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minivision"
SOURCES = {str(p.relative_to(PACKAGE)): p.read_text("utf-8") for p in sorted(PACKAGE.rglob("*.py"))}

# From the bottom up. `minivision` itself, the public face, imports only the engine, nn and optim.
ROOMS = [
    "contents", "backend", "random", "errors", "windows", "fast", "autograd", "anomaly", "tensor",
    "functional", "gradcheck_fast", "gradcheck", "transforms", "datasets", "nn", "optim",
    "minivision", "models", "distributed", "training", "analysis", "methods", "exercises", "cli",
    "__main__",
]  # fmt: skip
DATA = {
    "transforms": {"backend", "errors", "transforms"},
    "datasets": {"backend", "errors", "random", "transforms", "datasets"},
}


# ── imports ──────────────────────────────────────────────────────────────────────────────────


def room_of(file):
    """fast/memory.py -> fast, tensor.py -> tensor, __init__.py -> minivision."""
    first = Path(file).parts[0].removesuffix(".py")
    return "minivision" if first == "__init__" else first


def imported_rooms(file, source):
    """Yield (line, room, whether inside a function) for every import of minivision's own."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # from ..nn import Linear
                package = ["minivision", *Path(file).parent.parts]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            modules = (
                [f"{base}.{alias.name}" for alias in node.names] if "." not in base else [base]
            )
        for module in modules:
            parts = module.split(".")
            if parts[0] == "minivision":
                name = parts[1] if len(parts) > 1 else "minivision"
                yield node.lineno, name if name in ROOMS else "minivision", id(node) in inside


def wrong_imports(sources):
    """A message for every import that goes upward, or brings the engine into the data rooms."""
    for file, source in sources.items():
        here = room_of(file)
        for line, room, _ in imported_rooms(file, source):
            if ROOMS.index(room) > ROOMS.index(here):
                yield f"{file}:{line} imports {room}, which is above {here}"
            elif here in DATA and room not in DATA[here]:
                yield f"{file}:{line} imports {room}; {here} may import {sorted(DATA[here])} only"


def test_minivision_imports_go_downward_only():
    assert {room_of(file) for file in SOURCES} <= set(ROOMS)
    assert list(wrong_imports(SOURCES)) == []


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("fast/new.py", "from minivision.tensor import Tensor", "tensor, which is above"),
        ("fast/new.py", "from minivision import autograd", "autograd, which is above"),
        ("backend.py", "import minivision.nn.linear", "nn, which is above backend"),
        ("nn/new.py", "from minivision import Tensor", "minivision, which is above nn"),
        ("nn/new.py", "from ..models import lenet", "models, which is above nn"),
        ("nn/new.py", "from .. import training", "training, which is above nn"),
        ("autograd.py", "from . import tensor", "tensor, which is above autograd"),
        ("optim/new.py", "def f():\n    from minivision.models import lenet5", "models, which"),
        ("__init__.py", "from minivision.models import lenet5", "models, which is above"),
        ("datasets/new.py", "from minivision.tensor import Tensor", "tensor; datasets may"),
        (
            "transforms/new.py",
            "from minivision.datasets import mnist",
            "datasets, which is above",
        ),
    ],
)
def test_wrong_imports_catch_an_upward_import(file, source, message):
    (caught,) = wrong_imports({file: source})
    assert message in caught


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("nn/new.py", "from . import module\nfrom .module import Module\nimport numpy"),
        ("nn/new.py", "from minivision import functional as F"),
        ("datasets/new.py", "from minivision.transforms.pipeline import Compose"),
        ("cli/new.py", "from minivision import Tensor"),
    ],
)
def test_wrong_imports_allow_a_downward_import(file, source):
    assert list(wrong_imports({file: source})) == []


def imports_inside_the_machine_room(sources):
    """Every import, outside fast/, of a file in it rather than of what the room offers."""
    for file, source in sources.items():
        if room_of(file) != "fast":
            for match in re.finditer(r"minivision\.fast\.|minivision import fast\.", source):
                yield f"{file}: {source[match.start() :].splitlines()[0]}"


def test_fast_is_imported_from_other_rooms_only_by_its_door():
    assert list(imports_inside_the_machine_room(SOURCES)) == []
    dodge = {"optim/sgd.py": "from minivision.fast.blocks import in_blocks"}
    assert len(list(imports_inside_the_machine_room(dodge))) == 1


def test_minivision_imports_inside_functions_only_in_cli():
    dodges = [
        f"{file}:{line} imports {room} inside a function"
        for file, source in SOURCES.items()
        if room_of(file) != "cli"
        for line, room, inside in imported_rooms(file, source)
        if inside
    ]
    assert dodges == []


def run_without(modules, program):
    """Run a program in a Python in which these modules are not installed."""
    blocker = f"""
        import sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {set(modules)!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Absent())
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(blocker) + textwrap.dedent(program)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip


HEAVY = ["cv2", "tqdm", "sklearn", "matplotlib", "safetensors", "pooch", "scipy", "cupy"]


def test_minivision_trains_a_step_without_the_heavy_libraries():
    result = run_without(HEAVY, """
        import numpy as np
        import minivision
        from minivision import Tensor, functional as F
        from minivision.models import lenet5
        import minivision.analysis.gradient_cases

        net = lenet5()
        F.cross_entropy(net(Tensor(np.zeros((2, 1, 28, 28), np.float32))), [0, 1]).backward()
    """)  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_tests_of_the_engine_are_imported_without_the_heavy_libraries():
    """They run on a bare machine with a GPU."""
    folders = ["fast", "functional", "models"]
    tests = [path for folder in folders for path in (ROOT / "tests" / folder).glob("test_*.py")]
    tests += [ROOT / "tests" / "nn" / f"test_{name}.py"
              for name in ("module", "layers", "sequential", "initializers")]  # fmt: skip
    tests += [ROOT / "tests" / f"test_{name}.py" for name in ("autograd", "tensor", "gradcheck")]
    result = run_without(HEAVY, f"""
        import importlib.util
        import sys

        sys.path.insert(0, ".")
        for number, path in enumerate({[str(path) for path in tests]!r}):
            spec = importlib.util.spec_from_file_location(f"test_{{number}}", path)
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        assert number > 20
    """)  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_run_without_hides_a_library():
    result = run_without(HEAVY, "import cv2")
    assert "No module named 'cv2'" in result.stderr


# ── docstrings ───────────────────────────────────────────────────────────────────────────────


def test_minivision_files_open_with_a_sentence_that_says_what_they_are():
    opening = {
        file: (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].strip()
        for file, source in SOURCES.items()
    }
    assert [file for file, text in opening.items() if not text.endswith((".", "?", ":"))] == []


# ── shape comments ───────────────────────────────────────────────────────────────────────────


def test_shape_comments_are_true_and_reached(monkeypatch):
    few = choice.FEW_PLACES
    monkeypatch.setattr(choice, "NARROW_PRODUCT", 0)
    with checking([PACKAGE / file for file in SOURCES]) as findings:
        for draw in CASES.values():
            rng = np.random.default_rng(0)
            for places in [0, few] * 5:  # rows are stacked, columns are copied
                monkeypatch.setattr(choice, "FEW_PLACES", places)
                function, inputs = draw(rng)
                for room in (fast.off, door.on):
                    with room():
                        y = function(*[Tensor(x, requires_grad=True) for x in inputs])
                        y.backward(rng.normal(size=y.shape))
    assert findings.lies == []
    assert findings.claims, "no shape comment was found; does the pattern still fit?"
    assert sorted(claim.place for claim in findings.claims - findings.reached) == []


EXAMPLE = """
import numpy as np

def outer(N, C, flag=False):
    M = N + 1
    x = np.zeros((N, C, 2))  # (N, C, 2)
    if flag:
        x = x.reshape(N, 2 * C)  # (N, C)
    y = (
        x.reshape(-1)
    )  # {comment}
    return y
"""


@pytest.fixture
def example(tmp_path):
    def make(comment):
        path = tmp_path / "example.py"
        path.write_text(EXAMPLE.format(comment=comment), "utf-8")
        spec = importlib.util.spec_from_file_location("example", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return path, module

    return make


@pytest.mark.parametrize("comment", ["(N·C·2)", "(M·2·C - 2·C)", "(2·N·C//1 + 0)", "(12,)"])
def test_shape_comments_that_are_true_pass_and_unreached_ones_are_noticed(example, comment):
    path, module = example(comment)
    assert len(list(claims_in(path))) == 3
    with checking([path]) as findings:
        module.outer(2, 3)
    assert findings.lies == []
    assert {claim.place for claim in findings.claims - findings.reached} == {"example.py:8"}


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("(N·C)", "example.py:9: y has shape (12,), not (6,)"),
        ("(N, C·2)", "example.py:9: y has shape (12,), not (2, 6)"),
        ("(W·H)", "name 'W' is not defined"),
        ("(len(x))", None),
        ("(x.size)", "is made of more than names"),
        ("(N**C)", "is made of more than names"),
        ("(N C)", "cannot be read"),
    ],
)
def test_shape_comments_that_are_wrong_are_caught(example, comment, message):
    path, module = example(comment)
    with checking([path]) as findings:
        module.outer(2, 3)
    if message is None:  # with inner brackets it is not a shape comment
        assert len(findings.claims) == 2
    else:
        (lie,) = findings.lies
        assert message in lie


def test_shape_comments_that_are_wrong_in_one_call_are_caught(example):
    path, module = example("(N·C·2)")
    with checking([path]) as findings:
        module.outer(2, 3)
        module.outer(2, 3, flag=True)
    (lie,) = findings.lies
    assert "example.py:8: x has shape (2, 6), not (2, 3)" in lie


# ── tests ────────────────────────────────────────────────────────────────────────────────────


def in_words(name):
    """BatchNorm2d -> batch_norm2d: a class as part of a test's name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")


def units():
    """What a test may be about: a function, class or file of ours, the README, a lesson, a page."""
    found = {"readme", "lesson", "lessons", "site", "page", "pages"}
    for folder in ("minivision", "benchmarks", "docs", "examples", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            if not path.name.startswith("test_"):
                named = [path.stem, *path.relative_to(ROOT).parts[:-1]]
                for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                    if isinstance(node, ast.FunctionDef | ast.ClassDef):
                        named.append(node.name)
                found.update(map(in_words, named))
    return found


def test_tests_name_the_unit_they_are_about():
    """test_<unit>_<claim>, so that a failure says what broke."""
    known, wrong = units(), []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = node.name.removeprefix("test_").split("_")
                if not any("_".join(words[:end]) in known for end in range(1, len(words))):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not wrong


def test_tests_leave_the_wording_of_errors_free():
    """`refused` and the tables of errors look for fragments; `match=` would pin a sentence."""
    pinned = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "pytest.raises"
        and any(keyword.arg == "match" for keyword in node.keywords)
    ]
    assert not pinned
