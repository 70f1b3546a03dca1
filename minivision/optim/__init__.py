"""Optimizers: how gradients change weights.

    optimizer.py       parameter groups and state; clip_grad_norm_
    sgd.py             SGD with momentum
    adam.py            Adam
    schedules.py       step_decay, cosine: the rate over time
    weight_average.py  a running average of the weights

Read next: optim/optimizer.py
"""

from minivision.optim.adam import Adam
from minivision.optim.optimizer import Optimizer, clip_grad_norm_
from minivision.optim.schedules import cosine, step_decay
from minivision.optim.sgd import SGD
from minivision.optim.weight_average import WeightAverage

__all__ = [
    "Optimizer", "SGD", "Adam", "clip_grad_norm_", "step_decay", "cosine", "WeightAverage",
]  # fmt: skip
