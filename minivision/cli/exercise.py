"""Write a part of the framework yourself, and have it checked.

  minivision exercise                  the exercises, in the order of the lessons
  minivision exercise start relu       write the file exercises/relu.py, with the task in it
  minivision exercise check relu       is it right? if not, the smallest example that shows it
  minivision exercise hint relu        one more hint each time
  minivision exercise train relu       train a network that uses your function
  minivision exercise solution relu    the file of the engine that does the same

A check tries your function on dozens of examples and compares its values and gradients with the
right ones. If they are those of a typical mistake, it tells you which one. For a class:

  minivision exercise grade FOLDER     check FOLDER/PERSON/EXERCISE.py for every person, and write
                                       grades.csv and grades.html

Each file is checked in its own process, in an empty folder, with limits on time and memory. That
keeps an endless loop from stopping the others; it does not protect you from malicious code.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minivision.cli.argument_types import positive
from minivision.exercises import EXERCISES, exercise
from minivision.exercises.checking import GIGABYTES, SECONDS, check_file, load_function
from minivision.nn.weights import write_atomically

PACKAGE = Path(__file__).parent.parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", default="list", choices=ACTIONS, help="(default: list)"
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="an exercise; for grade, the folder of a class"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("exercises"),
        help="where your files are (default: exercises)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=positive(float), default=SECONDS,
        help=f"time limit of a check (default: {SECONDS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--gigabytes", type=positive(float), default=GIGABYTES,
        help=f"memory limit of a check (default: {GIGABYTES:g})",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int | None:
    if arguments.action != "list" and arguments.name is None:
        what = "the folder of a class" if arguments.action == "grade" else "an exercise"
        raise ValueError(f"exercise {arguments.action} needs the name of {what}")
    return ACTIONS[arguments.action](arguments)


def list_exercises(arguments: argparse.Namespace) -> None:
    done = read_progress(arguments.folder)
    print(f"{'lesson':>6}  {'exercise':<20}  {'':<9} task")
    for name in EXERCISES:
        task = exercise(name)
        state = done.get(name, {})
        started = (arguments.folder / f"{name}.py").exists()
        word = "solved" if state.get("solved") else "started" if started else ""
        print(f"{task.lesson:>6}  {name:<20}  {word:<9} {task.title.removeprefix('Write ')}")
    solved = sum(bool(state.get("solved")) for state in done.values())
    print(f"{solved} of {len(EXERCISES)} solved. Begin with `minivision exercise start NAME`.")


def start(arguments: argparse.Namespace) -> None:
    task, path = exercise(arguments.name), file_of(arguments)
    if path.exists():
        raise ValueError(f"{path} already exists; delete it if you want to start again")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(task.starting_file(), "utf-8")
    print(f"{task.statement}\n\nWrite it in {path}, then run\n")
    where = "" if arguments.folder == Path("exercises") else f" --folder {arguments.folder}"
    print(f"    minivision exercise check {task.name}{where}")


def check(arguments: argparse.Namespace) -> int:
    task, path = exercise(arguments.name), file_of(arguments)
    verdict = check_file(path, task.name, arguments.seconds, arguments.gigabytes)
    print(verdict.text)
    if verdict.right:
        remember(arguments, solved=True)
        print(f"Let a network learn with it: `minivision exercise train {task.name}`.")
        return 0
    return 1


def hint(arguments: argparse.Namespace) -> None:
    task = exercise(arguments.name)
    seen = read_progress(arguments.folder).get(task.name, {}).get("hints", 0)
    number = min(seen + 1, len(task.hints))
    print(f"Hint {number} of {len(task.hints)}: {task.hints[number - 1]}")
    if number == len(task.hints):
        print("That was the last hint.")
    remember(arguments, hints=number)


def train(arguments: argparse.Namespace) -> None:
    from minivision.exercises.demonstrations import DEMONSTRATIONS
    from minivision.exercises.plans import PLANS
    from minivision.exercises.training import compared_with_the_engine

    task, path = exercise(arguments.name), file_of(arguments)
    if not check_file(path, task.name, arguments.seconds, arguments.gigabytes).right:
        raise ValueError(
            f"{task.name} is not right yet; run `minivision exercise check {task.name}` first"
        )
    mine = load_function(path, task)
    if task.name in PLANS:
        compared_with_the_engine(task.name, PLANS[task.name](mine))
    else:
        DEMONSTRATIONS[task.name](mine)


def solution(arguments: argparse.Namespace) -> None:
    task = exercise(arguments.name)
    path = PACKAGE / task.page
    print(f"# {path}\n")
    print(path.read_text("utf-8"), end="")


def grade(arguments: argparse.Namespace) -> None:
    from minivision.exercises.grading import grade, write_grades

    answers = []
    for answer in grade(Path(arguments.name), arguments.seconds, arguments.gigabytes):
        print(f"{answer.person:<20} {answer.verdict.exercise:<20} {answer.result}", flush=True)
        answers.append(answer)
    table, page = write_grades(answers, Path(arguments.name))
    print(f"see {table} and {page}")


ACTIONS = {
    "list": list_exercises, "start": start, "check": check, "hint": hint, "train": train,
    "solution": solution, "grade": grade,
}  # fmt: skip


def file_of(arguments: argparse.Namespace) -> Path:
    return arguments.folder / f"{arguments.name}.py"


def read_progress(folder: Path) -> dict[str, Any]:
    """{exercise: {"solved": …, "hints": …}}, which `check` and `hint` keep in the folder."""
    path = folder / "progress.json"
    if not path.exists():
        return {}
    try:
        done = json.loads(path.read_text("utf-8"))
    except ValueError:
        done = None
    if not isinstance(done, dict):
        raise ValueError(f"{path} is damaged; delete it to start with no progress")
    return done


def remember(arguments: argparse.Namespace, **state: Any) -> None:
    done = read_progress(arguments.folder)
    done[arguments.name] = done.get(arguments.name, {}) | state
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.folder / "progress.json", json.dumps(done, indent=2).encode())
