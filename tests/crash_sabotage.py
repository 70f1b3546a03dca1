"""Wrong ways to write a run's folder, each of which tests/crash.py must catch.

Each function changes the package in the process that calls it.
"""

from pathlib import Path

import safetensors.numpy

from minivision.analysis import plots
from minivision.cli import train
from minivision.nn import weights
from minivision.training import checkpoint, loop, plain_json, run


def result_before_pictures():
    """A run with a result counts as finished, so it never gets its pictures."""
    waiting, save_figure, write_result = [], plots.save_figure, run.Run.write_result

    def write_and_draw(self, result):
        write_result(self, result)
        for arguments in waiting:
            save_figure(*arguments)

    train.plots.save_figure = lambda *arguments: waiting.append(arguments)
    run.Run.write_result = write_and_draw


def written_in_place():
    """If the process is killed in the middle of a write, half a file is left."""
    for module in (weights, run, plain_json, plots):
        module.write_atomically = lambda path, data: Path(path).write_bytes(data)


def nothing_cleared():
    """Files that a killed process did not finish writing are never removed."""
    run.UNFINISHED = ".something-else"


def checkpoint_before_record():
    """If the process is killed between the two writes, the record of an epoch is lost."""
    waiting, log, save = [], run.Run.log, loop.save_checkpoint

    def save_and_log(*arguments):
        save(*arguments)
        log(*waiting.pop())

    run.Run.log = lambda *arguments: waiting.append(arguments)
    loop.save_checkpoint = save_and_log


def written_unwatched():
    """A library written in Rust saves the checkpoint, unnoticed by any Python function."""
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
