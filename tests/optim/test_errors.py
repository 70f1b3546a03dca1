"""Errors of optimizers, schedules and weight averages: who complains, about what, and what came."""

import numpy as np

from minivision import Tensor
from minivision.nn import Linear, Parameter
from minivision.optim import (
    SGD,
    Adam,
    DivideWhenStalled,
    WeightAverage,
    clip_grad_norm_,
    cosine,
    step_decay,
    warm_up,
)
from tests.refusals import refused, table_of_errors

W = Parameter(np.ones(3))
ADAM = {"0.m": np.zeros(3), "0.v": np.zeros(3), "0.t": np.array(0)}  # a state of Adam([W])


def load_sgd(name, array):
    SGD([W], 0.1, momentum=0.9).load_state_dict({name: array})


def load_adam(state):
    Adam([W]).load_state_dict(state)


@table_of_errors(
    # Parameters and settings.
    (lambda: SGD([], 0.1), ValueError, "SGD: parameters", "empty", "model.parameters()"),
    (lambda: SGD(W, 0.1), ValueError, "SGD: parameters", "one Tensor", "list"),
    (lambda: SGD([np.ones(3)], 0.1), ValueError, "SGD", "array(", "Tensors"),
    (lambda: SGD([W * 2.0], 0.1), ValueError, "SGD: a parameter", "Tensor([2., 2., 2.]", "leaf"),
    (lambda: SGD([Tensor(np.arange(3))], 0.1), ValueError, "SGD: a parameter", "int64", "floats"),
    (lambda: SGD([W, W], 0.1), ValueError, "SGD: a parameter", "(3,)", "twice"),
    (lambda: SGD([{"lr": 0.1}], 0.1), ValueError, "SGD: a group", "{'lr': 0.1}", '{"params"'),
    (lambda: SGD([{"params": [W], "rate": 1}], 0.1), ValueError, "SGD", "['rate']", "lr, momentum"),
    (lambda: SGD([W], -0.1), ValueError, "SGD: lr", "-0.1", ">= 0"),
    (lambda: SGD([W], float("nan")), ValueError, "SGD: lr", "nan", ">= 0"),
    (lambda: SGD([W], 0.1, momentum=-1), ValueError, "SGD: momentum", "-1", ">= 0"),
    (lambda: Adam([W], betas=(1.0, 0.9)), ValueError, "Adam: betas", "(1.0, 0.9)", "below 1"),
    (lambda: clip_grad_norm_([W], 0), ValueError, "clip_grad_norm_: max_norm", "0", "above 0"),
    # A state that was saved by a different optimizer, or for a different model.
    (lambda: load_sgd("0.m", np.ones(3)), ValueError, "SGD", "0.m", "velocity"),
    (lambda: load_sgd("0.velocity", np.ones(2)),
     ValueError, "SGD", "0.velocity", "(2,)", "different model"),
    (lambda: load_sgd("1.velocity", np.ones(3)),
     ValueError, "SGD", "1.velocity", "different model"),
    (lambda: load_adam({"0.m": np.ones(3)}), ValueError, "Adam", "parameter 0", "t, v"),
    (lambda: load_adam(ADAM | {"0.m": np.ones(3, np.complex64)}),
     ValueError, "Adam", "0.m", "complex64", "float64"),
    (lambda: load_adam(ADAM | {"0.t": np.array(-1)}), ValueError, "Adam", "0.t", "-1", "count"),
    (lambda: load_adam(ADAM | {"0.t": np.array(1.5)}), ValueError, "Adam", "0.t", "1.5", "count"),
    # Schedules and averages.
    (lambda: step_decay(every=-1), ValueError, "step_decay: every", "-1", "above 0"),
    (lambda: cosine(0), ValueError, "cosine: epochs", "0", "above 0"),
    (lambda: warm_up(0), ValueError, "warm_up: epochs", "0", "above 0"),
    (lambda: warm_up(1, DivideWhenStalled()), TypeError, "warm_up: then", "DivideWhenStalled"),
    (lambda: DivideWhenStalled(factor=2), ValueError, "DivideWhenStalled", "factor 2", "0 and 1"),
    (lambda: DivideWhenStalled().observe({"epoch": 1, "train_loss": 0.5}),
     ValueError, "DivideWhenStalled: watch", "'validation_loss'", "epoch, train_loss"),
    (lambda: WeightAverage(Linear(1, 1), 1.0),
     ValueError, "WeightAverage: decay", "1.0", "below 1"),
)  # fmt: skip
def test_optim_errors_name_the_argument(call, error, fragments):
    with refused(error, *fragments):
        call()
