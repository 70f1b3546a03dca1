"""Files are checked in processes of their own: endless loops, memory, exits and broken files."""

import csv
import time

import pytest

from minivision.exercises.checking import check_file
from minivision.exercises.grading import grade, write_grades
from tests.refusals import refused

RIGHT = """
import numpy as np

def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)
"""
FILES = {
    "right": (RIGHT, True, ""),
    "wrong": (RIGHT.replace("(x > 0)", "(x >= 0)"), False, "exactly 0"),
    "a syntax error": ("def relu(x:\n", False, "line 1"),
    "an exception when it is loaded": ("\n1 / 0\n", False, "ZeroDivisionError on line 2"),
    "another function": ("def rely(x): pass\n", False, "defines no function relu"),
    "not a function": ("relu = 3\n", False, "defines no function relu"),
    "an endless loop": ("def relu(x):\n    while True: pass\n", False, "within 4 seconds"),
    "an endless loop when it is loaded": ("while True: pass\n", False, "within 4 seconds"),
    "no end of memory": (
        "import numpy as np\ndef relu(x):\n    return np.ones(10**11), None\n", False, "memory",
    ),
    "an exit": ("import os\ndef relu(x):\n    os._exit(3)\n", False, "exit code 3"),
    "a polite exit": ("import sys\ndef relu(x):\n    sys.exit(0)\n", False, "without a result"),
    "a question": ("def relu(x):\n    return input()\n", False, "EOFError"),
    "no text": ("\x00", False, "relu.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_check_file_judges_or_says_why_it_cannot(name, tmp_path):
    text, right, fragment = FILES[name]
    path = tmp_path / "relu.py"
    path.write_text(text, "utf-8")
    verdict = check_file(path, "relu", seconds=4 if "endless" in name else 60)
    assert verdict.right is right
    assert fragment in verdict.text


def test_check_file_lets_a_file_import_another_one(tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT, "utf-8")
    (tmp_path / "relu.py").write_text("from mine import relu\n", "utf-8")
    assert check_file(tmp_path / "relu.py", "relu").right


def test_check_file_names_a_file_that_is_not_text(tmp_path):
    (tmp_path / "relu.py").write_bytes(b"\xff\xfe")
    verdict = check_file(tmp_path / "relu.py", "relu")
    assert "not a text file" in verdict.text


def test_check_file_says_how_to_begin(tmp_path):
    with refused(ValueError, "relu.py", "exercise start relu"):
        check_file(tmp_path / "relu.py", "relu")


def test_grade_checks_everyone_whatever_the_others_did(tmp_path):
    for person in ("right", "wrong", "an endless loop", "a syntax error", "an exit"):
        folder = tmp_path / person
        folder.mkdir()
        (folder / "relu.py").write_text(FILES[person][0], "utf-8")
        (folder / "notes.py").write_text("1 / 0", "utf-8")
    begun = time.monotonic()
    answers = list(grade(tmp_path, seconds=15))
    assert time.monotonic() - begun < 60
    results = {a.person: a.result for a in answers}
    assert results == {
        "right": "right",
        "wrong": "the gradient also passes where x is exactly 0",
        "an endless loop": "too slow",
        "a syntax error": "does not run",
        "an exit": "crashed",
    }
    table, page = write_grades(answers, tmp_path)
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert {row["person"]: row["points"] for row in rows} == {
        name: str(int(name == "right")) for name in results
    }
    text = page.read_text("utf-8")
    assert "5 people, 5 answers, 1 of them right" in text
    assert "the gradient also passes where x is exactly 0" in text


def test_grade_gives_each_file_an_empty_working_folder(tmp_path):
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "relu.py").write_text(
        "import os\nassert os.listdir() == []\nopen('mess', 'w').close()\n" + RIGHT, "utf-8"
    )
    assert [a.result for a in grade(tmp_path)] == ["right"]
    assert not (tmp_path / "mess").exists()


def test_grade_refuses_a_folder_without_exercises(tmp_path):
    with refused(ValueError, "one folder per person"):
        list(grade(tmp_path))
    with refused(ValueError, "not a folder"):
        list(grade(tmp_path / "nowhere"))
