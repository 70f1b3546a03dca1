"""Class and file names in figures: drawn in any script, and shortened to fit.

You can skip this file on a first reading.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

NOTED: set[str] = set()  # missing letters already mentioned in a note


def readable(name: str) -> str:
    """The name with ? in place of bytes that are not UTF-8, as in names from old file systems.

    >>> readable("caf\\udce9")
    'caf?'
    """
    return name.encode("utf-8", "replace").decode()


def shortened(name: str, length: int) -> str:
    """The readable name, cut to this length with an ellipsis if it is longer.

    >>> shortened("chrysanthemum", 8)
    'chrysan…'
    """
    name = readable(name)
    return name if len(name) <= length else name[: length - 1] + "…"


def draw_in_any_script(figure: Figure, draw: Callable[[], None]) -> None:
    """Call draw(); if the usual font lacks letters, call it again with fonts that have them.

    Letters that no installed font has are drawn as boxes, and listed once on stderr.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw()
    for warning in caught:
        if not str(warning.message).startswith("Glyph"):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if not any(str(warning.message).startswith("Glyph") for warning in caught):
        return
    texts = figure.findobj(Text)
    letters = {letter for text in texts for letter in text.get_text() if not letter.isspace()}
    families, lacking = fonts_for(letters)
    for text in texts:
        text.set_fontfamily(families)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        draw()
    if lacking - NOTED:
        NOTED.update(lacking)
        some = "".join(sorted(lacking)[:20])
        print(
            f"note: no installed font has {some}; the figure shows boxes instead (Noto Sans CJK "
            "covers most East Asian scripts)",
            file=sys.stderr,
        )


def fonts_for(letters: Collection[str]) -> tuple[list[str], set[str]]:
    """The usual fonts and fonts for letters that they lack, and the letters that no font has."""
    families = list(rcParams["font.family"])
    lacking = set(letters) - letters_of(findfont(FontProperties()))
    for font in fontManager.ttflist:
        if not lacking:
            break
        if font.name.startswith("Last Resort"):  # it draws boxes with the name of a script
            continue
        found = lacking & letters_of(font.fname)
        # A font with empty glyphs for these letters would hide a font that draws them.
        if found and all(has_ink(font.fname, letter) for letter in found):
            families.append(font.name)
            lacking -= found
    return families, lacking


def letters_of(path: str) -> set[str]:
    """The letters that a font file has; none if it cannot be read."""
    try:
        return set(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        return set()


def has_ink(path: str, letter: str) -> bool:
    """Whether a font's glyph for a letter is not empty."""
    font = get_font(path)
    font.set_size(12, 72)
    return font.load_char(ord(letter)).height > 0
