"""Optimizers: how gradients change weights.

optimizer.py       Optimizer: parameter groups and state
clipping.py        clip_grad_norm_
sgd.py             SGD with momentum
adam.py            Adam
adamw.py           AdamW
weight_decay.py    decay_groups: which parameters weight decay applies to
state.py           checking an optimizer's arguments; saving and loading its state
schedules.py       step_decay, cosine, warm_up, DivideWhenStalled: the learning rate over time
weight_average.py  a running average of the weights
"""

from minivision.optim.adam import Adam
from minivision.optim.adamw import AdamW
from minivision.optim.clipping import clip_grad_norm_
from minivision.optim.optimizer import Optimizer
from minivision.optim.schedules import DivideWhenStalled, cosine, step_decay, warm_up
from minivision.optim.sgd import SGD
from minivision.optim.weight_average import WeightAverage
from minivision.optim.weight_decay import decay_groups

__all__ = [
    "Optimizer", "SGD", "Adam", "AdamW", "decay_groups", "clip_grad_norm_", "step_decay", "cosine",
    "warm_up", "DivideWhenStalled", "WeightAverage",
]  # fmt: skip
