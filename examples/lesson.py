"""What the lessons share: colours, recorded results, and the choice of device.

This is not a lesson, but every lesson imports from it, so a lesson that you download needs this
file and effects.py in the same folder.
"""

import argparse
import json
import textwrap

from effects import CHOOSING, DOCS, RESULTS, conditions, effect, told, variant

from minivision.backend import resolve_device, to_device, to_host

__all__ = [
    "BLUE", "VERMILION", "GREEN", "YELLOW", "PURPLE", "GREY", "PALE",
    "device", "to_device", "to_host", "CHOOSING", "recorded_rows", "chosen_rows", "show_claim",
]  # fmt: skip

# Five colours from Okabe and Ito's palette, which colour-blind readers can tell apart; two greys.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
YELLOW, PURPLE = "#E69F00", "#CC79A7"
GREY, PALE = "#666666", "#E8E8E8"


def recorded_rows(name):
    """The rows of the named file in docs/results; an empty list if the file is missing."""
    path = RESULTS / name
    if not path.exists():
        print(f"{path} is missing; clone the repository to get it")
        return []
    return json.loads(path.read_text("utf-8"))


def chosen_rows(rows, setting="lr", by="validation_accuracy", **where):
    """The rows with these entries, at the setting that was best with the choosing seeds."""
    return variant(rows, where, {"setting": setting, "by": by}).rows


def show_claim(number, about=""):
    """Print what the page of claims says about the effects of one claim that name `about`."""
    path = DOCS / "claims.json"
    if not path.exists():
        print(f"{path} is missing; clone the repository to get it")
        return
    claim = json.loads(path.read_text("utf-8"))[number - 1]
    print(f"Claim {number}: {claim['claim']}")
    for one in claim.get("effects", []):
        if about not in one["effect"]:
            continue
        said = [f"{one['effect']}: {told(effect(one))}", conditions(one), one.get("in_the_paper")]
        for text, indent in zip(said, (2, 6, 6), strict=True):
            for line in textwrap.wrap(text or "", 100, initial_indent=" " * indent,
                                      subsequent_indent=" " * (indent + 2)):  # fmt: skip
                print(line)


parser = argparse.ArgumentParser()
parser.add_argument("--device", default="auto", help="cpu, gpu or auto")
# Jupyter, pytest and the measuring scripts have arguments of their own, which are ignored here.
device = resolve_device(parser.parse_known_args()[0].device)
