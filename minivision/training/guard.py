"""A guard for `fit`: a step that fails changes nothing, and the error says what went wrong.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minivision.anomaly import detect_anomaly
from minivision.backend import array_module
from minivision.errors import kind
from minivision.nn import Module
from minivision.optim import Optimizer
from minivision.tensor import Tensor

RESERVED = ("epoch", "train_loss", "seconds")  # names that fit uses itself in a record
HUGE = 1e4  # larger than any network's weights should be; they are usually below 10
STEPS_BETWEEN_LOOKS = {"cpu": 1, "gpu": 50}  # reading the loss makes the host wait for a GPU


class Guard:
    """Called as guard(model, batch), it returns the loss, and raises if it is NaN or infinite."""

    def __init__(
        self, loss: Any, model: Module, optimizer: Optimizer, seed: int, where: str, step: int
    ):
        self.loss, self.model, self.optimizer, self.seed = loss, model, optimizer, seed
        self.every = STEPS_BETWEEN_LOOKS[where[:3]]
        self.unread = step  # the first step whose loss has not been checked
        # Batch normalization updates its statistics in the forward pass, before the loss is known.
        self.buffers = [buffer for _, buffer in model.named_buffers()]

    @contextmanager
    def step(self, i: int, batches: int) -> Iterator[None]:
        """Step i of the `batches` in an epoch; if it fails, statistics and rates are restored."""
        self.looks = i % self.every == 0 or i == batches - 1
        statistics = [buffer.data.copy() for buffer in self.buffers]
        rates = [group["lr"] for group in self.optimizer.param_groups]
        try:
            yield
        except BaseException:
            for buffer, data in zip(self.buffers, statistics, strict=True):
                buffer.data = data
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            raise

    def __call__(self, model: Module, batch: Any) -> tuple[Tensor, Mapping[str, Any]]:
        result = self.loss(model, batch)
        value, report = result if isinstance(result, tuple) else (result, {})
        if not isinstance(value, Tensor) or value.size != 1:
            came = f"a Tensor of shape {value.shape}" if isinstance(value, Tensor) else kind(value)
            raise TypeError(f"fit: loss returned {came}; expected a Tensor with one number")
        for name in report:
            if name in RESERVED or name.startswith("validation_"):
                raise ValueError(
                    f"fit: loss reports {name!r}, a name that fit uses itself; choose another"
                )
        if self.looks:
            step = batch[0].step if isinstance(batch, tuple) else batch.step
            self.refuse_non_finite(value.item(), batch, step)
            self.unread = step + 1
        return value, report

    def refuse_non_finite(self, number: float, batch: Any, step: int) -> None:
        """Raise if the loss is NaN or infinite; recomputing it finds the function responsible."""
        if np.isfinite(number):
            return
        story = f"fit: the loss is {number} at step {step}; "
        spoilt = [
            name
            for name, parameter in self.model.named_parameters()
            if not array_module(parameter.data).isfinite(parameter.data).all()
        ]
        if self.unread < step:
            story += (
                f"weights, optimizer and running statistics may be wrong since step {self.unread}"
            )
        elif spoilt:
            story += (
                f"an earlier update made {spoilt[0]} infinite or NaN; this step changed nothing"
            )
        else:
            story += self.finite_weights(step)
        self.model.seed(self.seed, step)
        try:
            with detect_anomaly():
                self.loss(self.model, batch)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{story}. {error}. A lower learning rate often helps"
            ) from error
        raise FloatingPointError(f"{story}, but no function of the engine produced it")

    def finite_weights(self, step: int) -> str:
        """A note on weights that are all finite: empty, or how large they have become."""
        largest = {
            name: float(abs(parameter.data).max())
            for name, parameter in self.model.named_parameters()
        }
        name = max(largest, key=largest.__getitem__, default="")
        if step == 0 or not largest or largest[name] < HUGE:
            return "no weight was updated"
        return (
            f"earlier updates made the weights huge, {name} up to {largest[name]:.1e}; this step "
            "changed nothing"
        )
