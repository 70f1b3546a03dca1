"""A running average of the weights: a steadier network than the last step's.

A first reading may skip this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minivision.backend import device_of, to_device
from minivision.nn import Module


class WeightAverage:
    """The exponential moving average of a model's parameters; buffers are taken as they are.

        a ← decay·a + (1 - decay)·w    after every step

    (Polyak & Juditsky 1992; as an exponential average, Tarvainen & Valpola 2017.) `fit` updates
    it, and evaluates and saves the averaged weights beside the model's own.
    """

    def __init__(self, model: Module, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay is {decay}; expected 0 to below 1")
        self.model, self.decay = model, decay
        self.average = {name: p.data.copy() for name, p in model.named_parameters()}

    def update(self) -> None:
        """Take the model's present weights into the average."""
        for name, parameter in self.model.named_parameters():
            average = to_device(self.average[name], device_of(parameter.data))
            self.average[name] = average
            average += (1 - self.decay) * (parameter.data - average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with averaged weights, for the length of a block."""
        own = {name: parameter.data for name, parameter in self.model.named_parameters()}
        for name, parameter in self.model.named_parameters():
            parameter.data = self.average[name]
        try:
            yield
        finally:
            for name, parameter in self.model.named_parameters():
                parameter.data = own[name]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies, on the host, of the averaged parameters by name."""
        with self.applied():
            return self.model.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over an average saved before."""
        own = self.model.state_dict()
        self.model.load_state_dict(state)
        self.average = {name: p.data for name, p in self.model.named_parameters()}
        self.model.load_state_dict(own)
