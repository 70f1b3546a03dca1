"""The guides and reference pages: what they name exists, and what they list is complete."""

import importlib
import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "extensions"))
import papers
import peers
import recorded

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "guides").glob("*.md"), *(DOCS / "reference").glob("*.md")])
named = pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")


def text_of(name):
    return (DOCS / f"{name}.md").read_text("utf-8")


# ── From PyTorch to minivision ───────────────────────────────────────────────────────────────


def pytorch_names():
    """The names in the second column of the tables of reference/pytorch."""
    rows = [line.split("|") for line in text_of("reference/pytorch").splitlines()]
    cells = [row[2] for row in rows if len(row) == 5]
    return [name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]


def found(name):
    """What a dotted name below `minivision` stands for; a part may be a module or an attribute."""
    thing, at = importlib.import_module("minivision"), "minivision"
    for part in name.split("."):
        at = f"{at}.{'functional' if part == 'F' else part}"
        try:
            thing = importlib.import_module(at)
        except ModuleNotFoundError:
            thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", pytorch_names())
def test_page_on_pytorch_names_only_what_exists(name):
    assert found(name) is not None


def test_page_on_pytorch_has_every_function_layer_and_optimizer():
    names = set(pytorch_names())
    ours = {"scaled_tanh", "locally_connected2d", "distillation_loss", "entropy", "negative"}
    ours |= {"ScaledTanh", "DropPath", "DistillationLoss"}  # not PyTorch's
    for prefix, room in (("F", "functional"), ("nn", "nn"), ("optim", "optim")):
        for name in importlib.import_module(f"minivision.{room}").__all__:
            assert name in ours or f"{prefix}.{name}" in names, f"{prefix}.{name} is missing"


# ── Papers ───────────────────────────────────────────────────────────────────────────────────


def test_papers_list_every_paper_that_the_source_cites():
    assert {
        key: where for key, where in papers.citations().items() if key not in papers.PAPERS
    } == {}


def test_papers_are_all_cited():
    assert set(papers.PAPERS) - set(papers.citations()) == set()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("(Krizhevsky et al. 2012, §3.3)", "Krizhevsky 2012"),
        ("Krizhevsky,\n    Sutskever & Hinton 2012", "Krizhevsky 2012"),
        ("Xiao, Rasul and Vollgraf 2017", "Xiao 2017"),
        ("Ojala, Pietikäinen & Mäenpää 2002", "Ojala 2002"),
        ("is Sermanet et al.'s OverFeat, 2014", "Sermanet 2014"),
        ("FixMatch (Sohn 2020)", "Sohn 2020"),
    ],
)
def test_citations_are_found_by_first_name_and_year(text, key):
    ((name, _, year),) = papers.CITATION.findall(re.sub(r"\s+", " ", text))
    assert f"{name} {year}" == key


# ── Deviations, results, peers ───────────────────────────────────────────────────────────────


def test_page_of_deviations_has_every_module_that_departs_from_its_paper():
    page = text_of("reference/deviations")
    departs = re.compile(
        r"Differences from the paper|Where this is not the paper|inspired by"
        r"|Not the paper's:|Not in the paper:|Not from a paper"
    )
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "minivision").rglob("*.py"))
        if departs.search(path.read_text("utf-8"))
    ]
    assert len(modules) >= 4
    assert [module for module in modules if f"(../source/{module})" not in page] == []


def test_records_have_a_command_and_a_script_that_exists():
    records = recorded.records()
    assert {r["name"] for r in records} == {p.stem for p in (DOCS / "results").glob("*.json")}
    for r in records:
        script = r["command"].split()[1]
        assert script == "-m" or (ROOT / script).exists() or r["name"] == "mutation", r["command"]
        assert r["versions"].get("minivision"), r["name"]


def test_record_takes_the_sum_of_the_times_of_its_rows(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"seconds": 2.5, "versions": {"numpy": "2"}}, {"seconds": 4}, {"x": 1}]')
    r = recorded.record(path, {"a.json": "python a.py"})
    assert (r["rows"], r["seconds"], r["all timed"]) == (3, 6.5, False)
    assert r["versions"] == {"numpy": {"2"}}


def test_duration_is_in_seconds_minutes_or_hours():
    assert [recorded.duration(s) for s in (42, 600, 9000)] == ["42 s", "10 min", "2.5 h"]


def test_peers_have_version_date_and_time():
    ran = peers.ran("lenet5")
    assert {"minivision", "pytorch", "jax"} <= {record["peer"] for record in ran}
    for record in ran:
        assert re.search(r"\d+\.\d+", record["versions"]), record
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])
        assert record["ms"] > 0


def test_comparison_page_names_the_recorded_versions():
    page = text_of("reference/comparison")
    versions = " ".join(record["versions"] for record in peers.ran("lenet5"))
    said = re.findall(r"^ran: (?:jax )?(\d[\d.]+)", page, re.MULTILINE)
    assert len(said) == 5
    for version in said:
        assert re.search(rf" {re.escape(version)}\b", f" {versions}"), version


# ── Links and commands ───────────────────────────────────────────────────────────────────────


@named
def test_pages_link_to_pages_that_exist(page):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        target = (page.parent / link).resolve().relative_to(DOCS)
        room, name = target.parts[0], target.stem if target.suffix == ".md" else target.name
        if room == "source":
            module = ROOT.joinpath(*name.split("."))
            assert name == "index" or module.is_dir() or module.with_suffix(".py").exists(), link
        elif room == "course":
            assert name == "index" or (ROOT / "examples" / f"{name}.py").exists(), link
        elif name != "backward":  # which a command makes
            assert (DOCS / room / f"{name}.md").exists(), link


@named
def test_pages_name_commands_and_options_that_exist(page):
    from minivision.cli import COMMANDS

    for line in re.findall(r"(?:^|[`$ ])minivision ([^\n`|]+)", page.read_text("utf-8"), re.M):
        words = line.split()
        if words[0] not in COMMANDS:
            assert not words[1:] or not words[1].startswith("-"), line
            continue
        module = (ROOT / "minivision" / "cli" / f"{words[0].replace('-', '_')}.py").read_text()
        rooms = ("few_labels", "comparison", "train", "optimization")
        module += "".join((ROOT / "minivision" / "cli" / f"{r}.py").read_text() for r in rooms)
        for option in [word for word in words if word.startswith("--")]:
            assert f'"{option}"' in module or option == "--help", f"{option} in {line}"


def test_snippets_name_the_error_they_expect():
    for page in PAGES:
        assert ":error:\n" not in page.read_text("utf-8"), page.name


def test_errors_page_has_at_least_twenty_mistakes():
    assert text_of("reference/errors").count(":error:") >= 20
