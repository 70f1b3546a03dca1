"""Wrong ways to write a run's folder, for tests/crash.py: each must be caught by it.

Each entry changes the package in the process it is called in.
"""

from pathlib import Path

import safetensors.numpy

from minivision.analysis import plots
from minivision.cli import train
from minivision.nn import weights
from minivision.training import checkpoint, loop, plain_json, run


def result_before_pictures():
    """A run with a result counts as finished, and never gets the pictures."""
    waiting, save_figure, write_result = [], plots.save_figure, run.Run.write_result

    def write_and_draw(self, result):
        write_result(self, result)
        for arguments in waiting:
            save_figure(*arguments)

    train.plots.save_figure = lambda *arguments: waiting.append(arguments)
    run.Run.write_result = write_and_draw


def written_in_place():
    """A kill in the middle of a write leaves half a file."""
    for module in (weights, run, plain_json, plots):
        module.write_atomically = lambda path, data: Path(path).write_bytes(data)


def nothing_cleared():
    """Files of killed writes stay."""
    run.UNFINISHED = ".something-else"


def checkpoint_before_record():
    """A kill between the two loses the record of an epoch."""
    waiting, log, save = [], run.Run.log, loop.save_checkpoint

    def save_and_log(*arguments):
        save(*arguments)
        log(*waiting.pop())

    run.Run.log = lambda *arguments: waiting.append(arguments)
    loop.save_checkpoint = save_and_log


def written_unwatched():
    """A library in Rust writes the checkpoint, which no function of Python sees."""
    checkpoint.save_weights = lambda path, arrays, metadata: safetensors.numpy.save_file(
        arrays, path, metadata
    )


SABOTAGE = {
    wrong.__name__: wrong
    for wrong in (
        result_before_pictures, written_in_place, nothing_cleared, checkpoint_before_record,
        written_unwatched,
    )
}  # fmt: skip
