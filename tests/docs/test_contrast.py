"""The text of the site can be read in the light and the dark theme: a contrast of 4.5 or more."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))
for library in ("pygments", "furo"):
    pytest.importorskip(library)

from contrast import OWN, contrast, faults  # noqa: E402
from pygments.formatters import HtmlFormatter  # noqa: E402

FURO = Path(find_spec("furo").origin).parent / "theme/furo/static/styles/furo.css"
SHEETS = {path.name: path.read_text("utf-8") for path in sorted(OWN.glob("*.css"))}


def code_colours(light, dark):
    """The style sheet of highlighted code, as furo writes it for two Pygments styles."""
    return "\n".join(
        HtmlFormatter(style=style).get_style_defs(f"{theme}.highlight")
        for theme, style in (("", light), ('body[data-theme="dark"] ', dark))
    )


def styles_of_the_site():
    text = (ROOT / "docs" / "conf.py").read_text("utf-8")
    found = re.search(r'pygments_style, pygments_dark_style = "(.*)", "(.*)"', text)
    return found.groups()


def found(light, dark, own):
    return list(faults(FURO.read_text("utf-8"), code_colours(light, dark), own))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("#000", "#fff", 21), ("#777777", "#ffffff", 4.48), ("#fff", "#767676", 4.54)],
)
def test_contrast_is_that_of_the_accessibility_guidelines(one, other, expected):
    assert contrast(one, other) == pytest.approx(expected, abs=0.005)


def test_contrast_is_enough_for_every_colour_of_the_site():
    assert SHEETS
    assert found(*styles_of_the_site(), SHEETS) == []


@pytest.mark.parametrize(
    ("css", "theme"),
    [
        ("p { color: #888 }", "light"),
        ("p { color: #444 }", "dark"),
        ("p { color: var(--color-foreground-border) }", "light"),
        ("p { color: #ddd; background: #fff }", "light"),
        ("@media (max-width: 9em) { p { color: #999; } }", "light"),
    ],
)
def test_faults_names_a_rule_that_is_too_faint(css, theme):
    complaints = found(*styles_of_the_site(), {"a.css": css})
    assert any(fault.startswith(f"a.css, {theme}: ") for fault in complaints), complaints


@pytest.mark.parametrize(
    ("light", "dark", "theme"),
    [("friendly", "a11y-dark", "light"), ("a11y-light", "friendly", "dark")],
)
def test_faults_names_code_that_is_too_faint(light, dark, theme):
    assert any(fault.startswith(f"code, {theme}: ") for fault in found(light, dark, {}))
