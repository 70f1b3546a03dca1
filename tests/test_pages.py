"""A gradient that a learner breaks on a page is caught, and a fast one is told apart from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minivision.analysis.gradient_cases import check_all
from minivision.gradcheck import GradientError
from minivision.kernels import fast


@pytest.mark.parametrize(
    ("function", "page", "right", "wrong"),
    [
        ("local_response_norm", "normalization", "2 * alpha * beta", "alpha * beta"),
        ("batch_norm", "normalization", "- normed * (dgamma / m)", "+ normed * (dgamma / m)"),
        ("relu", "activation", "(dy * (y > 0),)", "(dy * (y >= 0),)"),
    ],
)
def test_a_gradient_broken_on_its_page_is_caught_although_a_fast_form_serves(
    function, page, right, wrong, tmp_path
):
    root = Path(__file__).parents[1]
    shutil.copytree(root / "minivision", tmp_path / "minivision")
    file = tmp_path / "minivision" / "functional" / f"{page}.py"
    assert file.read_text().count(right) == 1
    file.write_text(file.read_text().replace(right, wrong))
    command = [sys.executable, "-m", "minivision", "gradcheck", function]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert f"WRONG: {function}, geometry " in result.stdout


def test_a_broken_gradient_of_a_fast_form_is_called_fast(monkeypatch):
    right = fast.local_response_norm

    def wrong(*arguments):
        y, backward = right(*arguments)
        return y, lambda dy: (1.01 * backward(dy)[0],)

    monkeypatch.setattr(fast, "local_response_norm", wrong)
    with pytest.raises(GradientError, match=r"^local_response_norm \(fast\), geometry "):
        list(check_all(3, names=["local_response_norm"]))
