"""The table of contents: every file once, a short spine, and nothing needed from elsewhere."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from minivision.contents import CHAPTERS, SPINE, as_table, reading_order

PACKAGE = Path(__file__).parent.parent / "minivision"


def lines(files):
    return sum(len((PACKAGE / file).read_text("utf-8").splitlines()) for file in files)


def test_contents_have_every_module_in_exactly_one_chapter():
    everything = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")]
    assert sorted(reading_order()) == sorted(everything)


def test_contents_reach_lenet_in_2000_lines_and_have_a_spine_of_2900_in_28_files():
    to_lenet = [file for chapter in SPINE[:3] for file in chapter.files]
    spine = [file for chapter in SPINE for file in chapter.files]
    assert to_lenet[-1] == "models/lenet.py"
    assert lines(to_lenet) <= 2000
    assert lines(spine) <= 2900
    assert len(spine) <= 28


# ── what a file needs ────────────────────────────────────────────────────────────────────────


def file_of(module):
    return str(Path(inspect.getfile(module)).relative_to(PACKAGE))


def home(package, name):
    """The file that defines what `from package import name` finds, not one that re-exports it."""
    module = importlib.import_module(package)
    value = getattr(module, name, None)
    if value is None or inspect.ismodule(value):
        return file_of(importlib.import_module(f"{package}.{name}"))
    defined_in = getattr(value, "__module__", None) or package
    return file_of(importlib.import_module(defined_in if "minivision" in defined_in else package))


def needs(file):
    """The files whose names this one imports, or uses as `F.relu` or `functional.add`."""
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    found, packages = set(), {"functional": "minivision.functional"} if file == "tensor.py" else {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minivision"):
            for alias in node.names:
                place = home(node.module, alias.name)
                if place.endswith("__init__.py"):
                    packages[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                else:
                    found.add(place)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            package = packages.get(node.value.id)
            if package and hasattr(importlib.import_module(package), node.attr):
                found.add(home(package, node.attr))
    return found - {file}


@pytest.mark.parametrize("file", [file for chapter in SPINE for file in chapter.files])
def test_contents_list_everything_that_the_spine_needs(file):
    """Except the doors and the machine room, whose first file says that it may be skipped."""
    within = {place for chapter in SPINE for place in (*chapter.files, *chapter.doors)}
    outside = {place for place in needs(file) - within if not place.startswith("fast/")}
    assert outside == set()


def test_contents_find_what_a_file_needs():
    assert {"functional/convolution.py", "functional/pooling.py"} <= needs("nn/layers.py")
    assert {"nn/layers.py", "models/network.py"} <= needs("models/lenet.py")
    assert "functional/elementwise.py" in needs("tensor.py")


def test_contents_list_only_doors_that_say_that_you_can_skip_them():
    """Except packages that only list names."""
    silent = [
        door
        for chapter in SPINE
        for door in chapter.doors
        if not door.endswith("__init__.py")
        and "on a first reading" not in (PACKAGE / door).read_text("utf-8")
    ]
    assert silent == []


def test_contents_order_the_spine_so_that_imports_run_downward():
    """A file needs only what was read before it; the operators of Tensor are the exception."""
    order = [file for chapter in SPINE for file in chapter.files]
    later = {
        (file, place)
        for file in order
        for place in needs(file) & set(order)
        if order.index(place) > order.index(file) and file != "tensor.py"
    }
    assert later == set()


def test_readme_has_the_table_of_contents():
    """`python -m minivision.contents` prints it."""
    text = (PACKAGE.parent / "README.md").read_text("utf-8")
    _, _, rest = text.partition("<!-- contents -->\n")
    assert rest.partition("<!-- end of contents -->")[0] == as_table()


def test_contents_describe_every_chapter_in_a_sentence():
    for chapter in CHAPTERS:
        assert chapter.title
        assert chapter.about.endswith(".")
        assert chapter.files
