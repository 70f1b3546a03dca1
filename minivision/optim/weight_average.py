"""A running average of the weights: a steadier network than the latest weights alone.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minivision.backend import device_of, to_device
from minivision.nn import Module

UPDATES = "number of updates"  # in the state if there is a warm-up; not a parameter name


class WeightAverage:
    """The exponential moving average of a model's parameters; buffers keep the model's values.

        a ← decay·a + (1 - decay)·w    after every step

    (Polyak & Juditsky 1992; as an exponential average, Tarvainen & Valpola 2017.) `fit` updates
    it, and evaluates and saves the averaged weights as well as the model's own.

    warm_up: update t, starting at t = 0, uses min(decay, (1 + t) / (10 + t)) as its decay, as
        TensorFlow's ExponentialMovingAverage does with num_updates. With a constant decay of 0.999,
        the random initial weights still make up 37 % of the average after 1,000 steps. The warm-up
        is off by default, as in PyTorch's AveragedModel.

    >>> from minivision.nn import Linear
    >>> average = WeightAverage(Linear(2, 1), 0.999, warm_up=True)
    >>> rates = []
    >>> for t in range(3):
    ...     rates.append(round(average.decay_now(), 3))
    ...     average.update()
    >>> rates
    [0.1, 0.182, 0.25]
    """

    def __init__(self, model: Module, decay: float = 0.999, *, warm_up: bool = False):
        if not 0 <= decay < 1:
            raise ValueError(
                f"WeightAverage: decay is {decay}; expected a number from 0 to below 1"
            )
        self.model, self.decay, self.warm_up = model, decay, warm_up
        self.updates = 0
        self.average = {name: p.data.copy() for name, p in model.named_parameters()}

    def decay_now(self) -> float:
        """The decay of the next update."""
        t = self.updates
        return min(self.decay, (1 + t) / (10 + t)) if self.warm_up else self.decay

    def update(self) -> None:
        """Add the model's current weights to the average."""
        decay = self.decay_now()
        self.updates += 1
        for name, parameter in self.model.named_parameters():
            average = to_device(self.average[name], device_of(parameter.data))
            self.average[name] = average
            average += (1 - decay) * (parameter.data - average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside a `with` block."""
        own = {name: parameter.data for name, parameter in self.model.named_parameters()}
        for name, parameter in self.model.named_parameters():
            parameter.data = self.average[name]
        try:
            yield
        finally:
            for name, parameter in self.model.named_parameters():
                parameter.data = own[name]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies, on the host, of the averages by name; with a warm-up, also the UPDATES."""
        with self.applied():
            state = self.model.state_dict()
        return {**state, UPDATES: np.array(self.updates)} if self.warm_up else state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Load a saved average; ValueError unless both or neither of the averages has a warm-up."""
        if (UPDATES in state) != self.warm_up:
            saved = "with" if UPDATES in state else "without"
            raise ValueError(
                f"WeightAverage: warm_up is {self.warm_up}, but the state was saved {saved} one; "
                f"use warm_up={UPDATES in state}"
            )
        own = self.model.state_dict()
        self.model.load_state_dict({name: a for name, a in state.items() if name != UPDATES})
        self.updates = int(state.get(UPDATES, self.updates))
        self.average = {name: p.data for name, p in self.model.named_parameters()}
        self.model.load_state_dict(own)
