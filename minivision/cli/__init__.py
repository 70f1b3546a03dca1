"""The command line: one file a command, each readable as an example of the rooms below.

`COMMANDS` names them. Only the module of the command that was asked for is imported, so `--help`
answers at once. Errors of the user's making, which the rooms raise as sentences, are printed as
one line and the command ends with exit code 2.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "train": "train a network on a dataset and keep the run in a folder",
    "evaluate": "measure a trained run on its test set",
    "predict": "read image files with a trained run",
    "transfer": "give an old network a new task that has few images",
    "distill": "teach a small network to answer as a large one does",
    "forget-less": "teach an old network a new task, and let it keep the old one",
    "pseudo-label": "learn from few labels and many images without",
    "self-train": "let a network label images for its successor",
    "explain": "draw what an answer rests on, a page for each image",
    "summary": "count a network's parameters, multiply-adds and memory",
    "receptive-field": "which pixels a unit of a network can see",
    "augment": "show what RandAugment does to an image",
    "search-augmentation": "try augmentations on a dataset, keep the best",
    "search-images": "find the images in a folder that look like a picture",
    "convert-weights": "turn weights of PyTorch's (.pth) into safetensors",
    "backward": "step through the backward pass of an expression of yours",
    "gradcheck": "compare every gradient with numbers",
}

ABOUT = """\
minivision is a computer-vision course that runs. Begin with

  minivision train                     LeNet-5 learns to read 1,257 real handwritten digits
  minivision evaluate runs/NAME        how good is it, and what does it confuse?
  minivision predict runs/NAME a.png   read a picture of your own

minivision COMMAND --help explains a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="minivision", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
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
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has no █ shows ? for it
        sys.stdout.reconfigure(errors="replace")
    try:
        return arguments.run(arguments) or 0
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"minivision {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; continue a training run with --resume", file=sys.stderr)
        return 130
