"""A step of SGD by the engine, and written in other ways."""

import numpy as np

from minivision import Tensor
from minivision.optim import SGD


def engine(weight, gradient, velocity, lr, momentum, weight_decay):
    parameter = Tensor(weight.copy(), requires_grad=True)
    optimizer = SGD([parameter], lr, momentum, weight_decay)
    state = optimizer.state[parameter]
    state["velocity"] = velocity.copy()
    parameter.node.grad = gradient.copy()
    optimizer.step()
    if momentum == 0:  # the engine keeps no velocity then, so read it from the step
        return parameter.data, (weight - parameter.data) / lr
    return parameter.data, state["velocity"]


def with_loops(weight, gradient, velocity, lr, momentum, weight_decay):
    new_weight, new_velocity = np.empty_like(weight), np.empty_like(velocity)
    for i in np.ndindex(weight.shape):
        g = gradient[i] + weight_decay * weight[i]
        new_velocity[i] = momentum * velocity[i] + g
        new_weight[i] = weight[i] - lr * new_velocity[i]
    return new_weight, new_velocity


def with_one_formula(weight, gradient, velocity, lr, momentum, weight_decay):
    shrunk = (1 - lr * weight_decay) * weight
    moved = shrunk - lr * gradient - lr * momentum * velocity
    return moved, velocity * momentum + gradient + weight * weight_decay


def with_copies_changed_in_place(weight, gradient, velocity, lr, momentum, weight_decay):
    w, g, v = weight.copy(), gradient.copy(), velocity.copy()
    g += weight_decay * w
    v *= momentum
    v += g
    w -= lr * v
    return [w, v]


def with_the_convention_of_the_papers(weight, gradient, velocity, lr, momentum, weight_decay):
    """The velocity of the papers is -lr times PyTorch's."""
    v = -lr * velocity
    v = momentum * v - lr * weight_decay * weight - lr * gradient
    return weight + v, v / -lr
