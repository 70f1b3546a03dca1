"""A page is complete and short, and a gradient that a learner breaks on it is caught."""

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minivision
from minivision import Tensor, fast
from minivision import functional as F
from minivision.analysis.gradient_cases import CASES, check_all
from minivision.gradcheck import GradientError
from tests.refusals import refused

PACKAGE = Path(minivision.__file__).parent

# The lines of code that a page may have, after its docstring and without comments.
PAGES = {
    "relu": 8, "linear": 22, "conv2d": 40, "max_pool2d": 16, "avg_pool2d": 14, "dropout": 7,
    "local_response_norm": 16, "batch_norm": 31,
}  # fmt: skip
FILES = {"autograd.py": 200, "tensor.py": 300}


def lines_of_code(function):
    """How many lines a function's body has, without docstring, blank lines and comments."""
    source = inspect.getsource(function)
    (tree,) = ast.parse(source).body
    body = tree.body[1 if ast.get_docstring(tree) else 0 :]
    lines = [line.strip() for line in source.splitlines()[body[0].lineno - 1 :]]
    return sum(bool(line) and not line.startswith("#") for line in lines)


@pytest.mark.parametrize("name", PAGES)
def test_page_is_short(name):
    assert lines_of_code(getattr(F, name)) <= PAGES[name]


@pytest.mark.parametrize("name", FILES)
def test_page_of_the_engine_is_short(name):
    assert len((PACKAGE / name).read_text("utf-8").splitlines()) <= FILES[name]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_complete(name):
    """Value and gradient are in one function, which alone computes while the door is closed."""
    function = getattr(F, name)
    (tree,) = ast.parse(inspect.getsource(function)).body
    assert "backward" in [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    case, inputs = CASES[name](np.random.default_rng(0))
    seen = set()
    with fast.off():
        sys.setprofile(lambda frame, *_: seen.add(Path(frame.f_code.co_filename)))
        try:
            y = case(*[Tensor(x, requires_grad=True) for x in inputs])
            y.backward(np.ones(y.shape))
        finally:
            sys.setprofile(None)
    assert Path(inspect.getsourcefile(function)) in seen
    entered = {file.name for file in seen if file.parent == PACKAGE / "fast"}
    assert entered <= {"choice.py", "door.py"}  # they decide that the page computes


@pytest.mark.parametrize(
    ("function", "page", "right", "wrong"),
    [
        ("local_response_norm", "normalization", "2 * alpha * beta", "alpha * beta"),
        ("batch_norm", "normalization", "- normed * (dgamma / m)", "+ normed * (dgamma / m)"),
        ("relu", "activation", "where(y <= 0, 0, dy)", "where(y < 0, 0, dy)"),
        ("conv2d", "convolution", "matrix[filters].T @ dmaps", "2 * matrix[filters].T @ dmaps"),
        ("conv2d", "convolution", "dmatrix = dmaps @", "dmatrix = 1.001 * dmaps @"),
        ("max_pool2d", "pooling", "xp.where(first, left, 0)", "xp.where(first, 0.5 * left, 0)"),
        (
            "avg_pool2d",
            "average_pooling",
            "share, dpadded = dy / count",
            "share, dpadded = dy / (count + 1)",
        ),
        ("linear", "linear", "dx = dy @ w if", "dx = dy @ abs(w) if"),
    ],
)
def test_page_with_a_broken_gradient_is_caught_although_a_fast_form_serves(
    function, page, right, wrong, tmp_path
):
    shutil.copytree(PACKAGE, tmp_path / "minivision")
    file = tmp_path / "minivision" / "functional" / f"{page}.py"
    assert file.read_text().count(right) == 1
    file.write_text(file.read_text().replace(right, wrong))
    command = [sys.executable, "-m", "minivision", "gradcheck", function]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert f"FAILED: {function}, geometry " in result.stdout


def test_check_all_reports_a_broken_fast_form_as_fast(monkeypatch):
    right = fast.local_response_norm

    def wrong(*arguments):
        y, backward = right(*arguments)
        return y, lambda dy: (1.01 * backward(dy)[0],)

    monkeypatch.setattr(fast, "local_response_norm", wrong)
    with refused(GradientError, "local_response_norm (fast)", "geometry"):
        list(check_all(3, names=["local_response_norm"]))
