"""Optimizers: how gradients change weights.

    optimizer.py       parameter groups and state; clip_grad_norm_
    sgd.py             SGD with momentum
    adam.py            Adam, AdamW
    schedules.py       step_decay, cosine, warm_up, DivideWhenStalled: the rate over time
    weight_average.py  a running average of the weights

Read next: optim/optimizer.py
"""

from minivision.optim.adam import Adam, AdamW
from minivision.optim.optimizer import Optimizer, clip_grad_norm_
from minivision.optim.schedules import DivideWhenStalled, cosine, step_decay, warm_up
from minivision.optim.sgd import SGD
from minivision.optim.weight_average import WeightAverage

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW", "clip_grad_norm_", "step_decay", "cosine", "warm_up",
    "DivideWhenStalled", "WeightAverage",
]  # fmt: skip
