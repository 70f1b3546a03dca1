"""`minivision exercise`: start, check, hint, list, solution and grade, as a learner uses them."""

import json

import pytest

from minivision.cli import main
from minivision.exercises import EXERCISES

RIGHT = (
    "import numpy as np\n\n\ndef relu(x):\n    return np.maximum(x, 0), lambda dy: dy * (x > 0)\n"
)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *words):
    """(exit code, what was printed, what went to stderr)."""
    code = main(["exercise", *words])
    return code, *capsys.readouterr()


def test_exercise_leads_from_the_list_to_a_solved_exercise(tmp_path, capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert [name for name in EXERCISES if f" {name} " not in out] == []
    assert f"0 of {len(EXERCISES)} solved" in out

    _, out, _ = run(capsys, "start", "relu")
    assert "exercises/relu.py" in out
    assert "minivision exercise check relu" in out
    path = tmp_path / "exercises" / "relu.py"
    assert "y = max(x, 0)" in path.read_text("utf-8")

    code, out, _ = run(capsys, "check", "relu")
    assert code == 1
    assert "not written yet" in out

    path.write_text(RIGHT.replace("(x > 0)", "1"), "utf-8")
    code, out, _ = run(capsys, "check", "relu")
    assert code == 1
    assert "the gradient passes everywhere" in out or "dx is" in out

    path.write_text(RIGHT, "utf-8")
    code, out, _ = run(capsys, "check", "relu")
    assert code == 0
    assert "exercise train relu" in out
    assert f"1 of {len(EXERCISES)} solved" in run(capsys)[1]


def test_exercise_hint_gives_one_more_each_time_and_repeats_the_last(capsys):
    hints = [run(capsys, "hint", "relu")[1] for _ in range(5)]
    assert [hint[:11] for hint in hints] == ["Hint 1 of 3", "Hint 2 of 3"] + 3 * ["Hint 3 of 3"]
    assert len(set(hints)) == 3


def test_exercise_solution_prints_the_page_of_the_engine(capsys):
    code, out, _ = run(capsys, "solution", "conv2d")
    assert code == 0
    assert "functional/convolution.py" in out
    assert "def im2col" in out


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["check"], ["exercise check", "name of an exercise"]),
        (["grade"], ["exercise grade", "folder of a class"]),
        (["check", "relux"], ["'relux'", "relu"]),
        (["check", "relu"], ["relu.py", "exercise start relu"]),
        (["train", "relu"], ["relu.py", "exercise start relu"]),
        (["grade", "nowhere"], ["nowhere", "not a folder"]),
    ],
)
def test_exercise_explains_what_it_needs(words, fragments, capsys):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert [f for f in fragments if f not in err] == []


def test_exercise_start_never_overwrites_a_file(tmp_path, capsys):
    run(capsys, "start", "relu")
    (tmp_path / "exercises" / "relu.py").write_text(RIGHT, "utf-8")
    code, _, err = run(capsys, "start", "relu")
    assert code == 2
    assert "already exists" in err
    assert (tmp_path / "exercises" / "relu.py").read_text("utf-8") == RIGHT


@pytest.mark.parametrize("text", ["{", "[]"])
def test_exercise_names_a_damaged_record_of_progress(text, tmp_path, capsys):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "progress.json").write_text(text, "utf-8")
    code, _, err = run(capsys)
    assert code == 2
    assert "progress.json is damaged" in err


def test_exercise_remembers_hints_and_solutions_in_the_folder(tmp_path, capsys):
    run(capsys, "hint", "relu", "--folder", "mine")
    assert json.loads((tmp_path / "mine" / "progress.json").read_text("utf-8")) == {
        "relu": {"hints": 1}
    }


def test_exercise_grade_writes_a_table_and_a_page(tmp_path, capsys):
    for person, text in (("ada", RIGHT), ("bob", "1 / 0\n")):
        folder = tmp_path / "class" / person
        folder.mkdir(parents=True)
        (folder / "relu.py").write_text(text, "utf-8")
    code, out, _ = run(capsys, "grade", "class")
    assert code == 0
    assert "grades.csv" in out
    text = (tmp_path / "class" / "grades.csv").read_text("utf-8")
    assert "ada,relu,1,right" in text
    assert "bob,relu,0,does not run" in text
    assert (tmp_path / "class" / "grades.html").exists()
