"""Write one step of gradient descent with momentum and weight decay.

Plain gradient descent moves each weight a little against its gradient. Momentum moves it along a
*velocity* instead, which remembers the gradients of earlier steps. Weight decay adds a small
multiple of the weight itself to its gradient, which pulls the weight towards 0. With weight w,
gradient g and velocity v, one step computes, in this order,

    g ← g + weight_decay · w
    v ← momentum · v + g
    w ← w - lr · v

lr is the learning rate. This is PyTorch's convention: the velocity is a sum of gradients, and the
learning rate multiplies the whole sum. In the AlexNet paper, the learning rate multiplies each
gradient before it enters the velocity.

Return the new weight and the new velocity in new arrays; do not change the old ones.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers, shapes


def sgd(weight, gradient, velocity, lr, momentum, weight_decay):
    """Three arrays of the same shape and three numbers -> (the new weight, the new velocity).

    >>> w, g, v = np.array([2.0, -1.0]), np.array([1.0, 3.0]), np.array([10.0, 0.0])
    >>> weight, velocity = sgd(w, g, v, 0.1, 0.5, 1.0)
    >>> velocity
    array([8., 2.])
    >>> weight
    array([ 1.2, -1.2])
    """
    gradient = gradient + weight_decay * weight
    new_velocity = momentum * velocity + gradient
    new_weight = weight - lr * new_velocity
    return new_weight, new_velocity


@st.composite
def inputs(draw):
    shape = draw(st.one_of(shapes(4), shapes(2, 3)))
    weight, gradient, velocity = draw(numbers((3, *shape)))
    lr, momentum = draw(st.sampled_from([0.5, 0.1, 0.2])), draw(st.sampled_from([0.5, 0.9, 0.0]))
    return weight, gradient, velocity, lr, momentum, draw(st.sampled_from([0.5, 0.1, 0.0]))


def stands_still_at_rate_0(function, inputs):
    weight, gradient, velocity, _, momentum, weight_decay = inputs
    return np.array_equal(
        function(weight, gradient, velocity, 0.0, momentum, weight_decay)[0], weight
    )


def is_plain_without_extras(function, inputs):
    weight, gradient, velocity, lr, _, _ = inputs
    new_weight, _ = function(weight, gradient, velocity, lr, 0.0, 0.0)
    return np.allclose(new_weight, weight - lr * gradient)


EXERCISE = Exercise(
    sgd,
    lesson=6,
    page="optim/sgd.py",
    inputs=inputs(),
    returns=("weight", "velocity"),
    mistakes=(
        Mistake(
            "the learning rate multiplies each gradient before it enters the velocity",
            "    new_velocity = momentum * velocity + gradient\n"
            "    new_weight = weight - lr * new_velocity\n",
            "    new_velocity = momentum * velocity + lr * gradient\n"
            "    new_weight = weight - new_velocity\n",
            "The AlexNet paper does this. Which of the three lines of the statement contains lr?",
        ),
        Mistake(
            "the velocity is a weighted mean of the old velocity and the gradient",
            "momentum * velocity + gradient",
            "momentum * velocity + (1 - momentum) * gradient",
            "By what factor does the statement multiply the new gradient?",
        ),
        Mistake(
            "momentum multiplies the new gradient as well",
            "momentum * velocity + gradient",
            "momentum * (velocity + gradient)",
            "Should the newest gradient already be weakened when it enters the velocity?",
        ),
        Mistake(
            "the weight moves along the old velocity",
            "lr * new_velocity",
            "lr * velocity",
            "If the velocity is 0 but the gradient is not, should the weight move?",
        ),
        Mistake(
            "the weight moves along the gradient, and the velocity has no effect",
            "lr * new_velocity",
            "lr * gradient",
            "Where do earlier gradients influence the new weight?",
        ),
        Mistake(
            "the step goes up the gradient",
            "weight - lr",
            "weight + lr",
            "The gradient points to where the loss grows. Which way should the weight go?",
        ),
        Mistake(
            "the step is Nesterov's, the gradient plus momentum times the new velocity",
            "lr * new_velocity",
            "lr * (gradient + momentum * new_velocity)",
            "How often does momentum occur in the three lines of the statement?",
        ),
        Mistake(
            "weight decay is left out",
            "gradient + weight_decay * weight",
            "gradient",
            "If the gradient and the velocity are 0, should a weight of 2 stay at 2?",
        ),
        Mistake(
            "weight decay pushes the weight away from 0",
            "gradient + weight_decay * weight",
            "gradient - weight_decay * weight",
            "The step subtracts the gradient. If it is to make a weight of 2 smaller, which sign "
            "must the extra gradient have?",
        ),
        Mistake(
            "weight decay acts on the weight directly and does not enter the velocity",
            "    gradient = gradient + weight_decay * weight\n"
            "    new_velocity = momentum * velocity + gradient\n"
            "    new_weight = weight - lr * new_velocity\n",
            "    new_velocity = momentum * velocity + gradient\n"
            "    new_weight = weight - lr * new_velocity - lr * weight_decay * weight\n",
            "AdamW does this. In the statement, is the velocity computed before or after the decay "
            "is added to g?",
        ),
    ),
    laws=(
        Law("lr = 0 leaves the weight as it is", stands_still_at_rate_0),
        Law(
            "without momentum and weight decay, the new weight is w - lr·g",
            is_plain_without_extras,
        ),
    ),
    hints=(
        "The statement has three lines, and so has the function. In each line, the values on the "
        "right are those that the lines above have computed.",
        "Write gradient = gradient + …, not gradient += …, which would change the caller's array.",
        "The second line needs the old velocity and the gradient with the decay in it. The third "
        "line needs the old weight and the new velocity.",
        "Add weight_decay times the weight to the gradient. Add momentum times the old velocity to "
        "that: this is the new velocity. Subtract lr times the new velocity from the weight.",
    ),
)
