"""Check the first loss: an untrained network should not be sure of anything.

A network that gives each of K classes the probability 1/K has a cross-entropy of log K. Random
scores of the usual size make it a little larger. If the first loss is far above log K, some wrong
classes have probabilities of almost 1, and the first training steps have to correct this, or else
make it worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tqdm.auto import tqdm

from minivision.functional import cross_entropy
from minivision.nn import Module
from minivision.tensor import Tensor
from minivision.training import Batch
from minivision.training.loop import Loss

# At this margin the correct class has exp(-10), or 1/22,000, of its fair share of 1/K. On drawn
# shapes with 2 to 100 classes, the small networks start at most 6.3 above log K. With bytes from 0
# to 255 instead of standardised pixels, they start 11 to 640 above it, unless batch normalization
# hides the mistake.
FAR = 10


def watched(loss: Loss, classes: int) -> Loss:
    """The same loss, except that a note is printed if a run's first loss is far above log K.

    The values of the loss do not change. A resumed run starts from a later batch, so it prints
    nothing. Losses other than cross-entropy are not checked, because log K means nothing for them.
    """

    def look_and_pass_on(model: Module, batch: Batch) -> tuple[Tensor, Mapping[str, Any]]:
        result = loss(model, batch)
        value, report = result if isinstance(result, tuple) else (result, {})
        if batch.step == 0 and getattr(model, "loss", cross_entropy) is cross_entropy:
            tell(value.item(), classes)
        return value, report

    return look_and_pass_on


def tell(loss: float, classes: int) -> None:
    """Print the note if necessary; if the loss is infinite, `fit` raises a more detailed error.

    >>> tell(2.9, 10)
    >>> tell(135.0, 4)  # doctest: +ELLIPSIS
    note: the first loss is 135.0, but guessing among 4 classes costs log 4 = 1.39: the scores ...
    """
    guessing = math.log(classes)
    if guessing + FAR < loss < math.inf:
        tqdm.write(  # above the progress bar, if there is one
            f"note: the first loss is {loss:.1f}, but guessing among {classes} classes costs "
            f"log {classes} = {guessing:.2f}: the scores are far too large before anything is "
            "learned. Are the images standardised? Are the initial weights too large (minivision "
            "train has --start he)? If the loss does not fall soon, lower --lr"
        )
