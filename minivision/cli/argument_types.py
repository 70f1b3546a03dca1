"""Argument types: how argparse converts and checks a value on the command line."""

from __future__ import annotations

import argparse
from typing import Any


def positive(kind: type, zero: bool = False) -> Any:
    """An argument type: a number above 0, or 0 as well if `zero`."""
    expected = "a number, 0 or more" if zero else "a number above 0"

    def parse(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}") from None
        if not 0 <= number < float("inf") or (number == 0 and not zero):
            raise argparse.ArgumentTypeError(f"{text} is not {expected}")
        return number

    return parse


def whole(text: str) -> int:
    """An argument type: a whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)
