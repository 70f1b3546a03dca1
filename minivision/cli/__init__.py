"""The command line: one file per command, each of which shows how to use the other packages.

`COMMANDS` lists the commands. Only the module of the requested command is imported, so `--help` is
fast. A user error is printed as one line, with the message that the package raised, and the command
ends with exit code 2.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import cv2

from minivision import __version__

COMMANDS = {
    "train": "train a network on a dataset and save the run in a folder",
    "evaluate": "measure a trained run on its test set",
    "predict": "classify image files with a trained run",
    "transfer": "adapt a trained network to a new task that has few images",
    "distill": "train a small network to imitate a large one",
    "forget-less": "teach a trained network a new task without losing the old one",
    "pseudo-label": "learn from few labels and many unlabelled images",
    "self-train": "let a network label images for its successor",
    "explain": "show what a prediction is based on, one page per image",
    "summary": "count a network's parameters, multiply-adds and memory",
    "receptive-field": "show which pixels a unit of a network can see",
    "augment": "show what RandAugment does to an image",
    "search-augmentation": "try augmentation policies on a dataset and keep the best",
    "search-images": "find the images in a folder that look like a given picture",
    "convert-weights": "convert PyTorch weights (.pth) to safetensors",
    "backward": "step through the backward pass of your own expression",
    "gradcheck": "check every gradient numerically",
    "exercise": "write a part of the framework yourself, and have it checked",
}

ABOUT = """\
minivision is a computer-vision course that runs. Start with

  minivision train                     LeNet-5 learns to read 1,257 real handwritten digits
  minivision evaluate runs/NAME        how good is it, and which digits does it confuse?
  minivision predict runs/NAME a.png   let it read a picture of your own

minivision COMMAND --help explains a command."""


class Stopped(BaseException):
    """The system wants the command to end: SIGTERM, which batch systems send, or SIGHUP."""


# Errors that a command reports as one line with exit code 2: mistakes that the packages explain,
# and limits of the machine or of a library that are reached while the command is running.
EXPLAINED = (ValueError, OSError, FloatingPointError)
LIMITS = (ArithmeticError, MemoryError, RecursionError, cv2.error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. MINIVISION_DEBUG=1 shows the traceback of an error."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="minivision", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"minivision {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), None)
    for name, help_line in COMMANDS.items():
        file = name.replace("-", "_")
        module = import_module(f"minivision.cli.{file}") if name == asked else None
        sub = commands.add_parser(
            name,
            help=help_line,
            description=module.__doc__ if module else "",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if module is not None:
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks █ shows ? instead
        sys.stdout.reconfigure(errors="replace")
    try:
        with stopped_by_signals():
            return arguments.run(arguments) or 0
    except BrokenPipeError:  # the program that reads our output, such as `head`, has ended
        sys.stderr.close()
        return 0
    except (*EXPLAINED, *LIMITS) as error:
        if os.environ.get("MINIVISION_DEBUG") == "1":
            raise
        said = str(error)
        if not isinstance(error, EXPLAINED):
            said = f"{type(error).__name__} {' '.join(said.split())}"
            said += " (MINIVISION_DEBUG=1 shows the traceback)"
        print(f"minivision {arguments.command}: {said}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Stopped) as error:
        number = error.args[0] if isinstance(error, Stopped) else signal.SIGINT
        by = f" by {signal.Signals(number).name}" if isinstance(error, Stopped) else ""
        print(f"\nstopped{by}; continue a training run with --resume", file=sys.stderr)
        return 128 + number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block like Ctrl-C; afterwards the old handlers are restored."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number)

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only the main thread receives signals
        yield
        return
    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
