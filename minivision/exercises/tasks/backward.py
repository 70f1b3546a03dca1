"""Write the backward pass of a graph of numbers.

The nodes of the graph are numbered 0, 1, 2, … in the order in which they were computed. For node i,

    parents[i]    lists the numbers of the nodes it was computed from, all smaller than i,
    slopes[i]     lists the derivatives of node i with respect to these parents, in the same order.

A leaf has no parents, so its two lists are empty. A parent that is used twice is listed twice: for
x·x both slopes are x. The last node is the output, L.

Compute ∂L/∂node for every node. The chain rule multiplies along a path and adds where paths meet:

    ∂L/∂p = Σ (∂i/∂p) · ∂L/∂i        over all nodes i that list p as a parent

The sum has one term for each time p is listed. ∂L/∂L = 1, and the gradient of a node that L does
not depend on is 0.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake


def backward(parents, slopes):
    """parents and slopes, two lists of n lists -> the n gradients, an array (n,) of float64.

    >>> backward([[], [0, 0], [1, 0]], [[], [3.0, 3.0], [1.0, 2.0]])  # L = x·x + 2x at x = 3
    array([8., 1., 1.])
    """
    gradients = np.zeros(len(parents))
    gradients[-1] = 1
    for i in reversed(range(len(parents))):
        for parent, slope in zip(parents[i], slopes[i], strict=True):
            gradients[parent] += slope * gradients[i]
    return gradients


GRAPHS = [
    # chains, x·x, and one value used by two or three nodes
    [[], [0]], [[], [0, 0]], [[], [0], [1]], [[], [], [1, 0]], [[], [0], [0, 1]], [[], [0], [1, 1]],
    [[], [0], [1], [1, 2]], [[], [0], [1], [2, 1]], [[], [0], [0], [1, 2]],
    [[], [0], [1], [2], [1, 3]], [[], [], [0, 1], [2, 0, 0]], [[], [0, 0], [1], [1, 2], [0, 3]],
    # nodes that the output does not depend on
    [[], [], [0]], [[], [0], [0], [1, 1]], [[], [], [0, 1], [1], [0, 2]],
    # larger ones
    [[], [], [1, 0, 1], [], [0, 2], [2, 4]], [[], [0], [0, 1], [1, 2], [3, 0], [1, 4, 3]],
    [[], [], [0, 1], [2], [2, 2], [3], [0, 4, 5]],
]  # fmt: skip


def with_slopes(parents):
    slope = st.sampled_from([2.0, 3.0, -1.0, 0.5, -1.5, 0.0])
    slopes = [st.lists(slope, min_size=len(p), max_size=len(p)) for p in parents]
    return st.tuples(*slopes).map(lambda lists: ([list(p) for p in parents], list(lists)))


def is_linear_in_the_last_slopes(function, inputs):
    parents, slopes = inputs
    once = function(parents, slopes)
    twice = function(parents, [*slopes[:-1], [2 * slope for slope in slopes[-1]]])
    return np.allclose(twice[:-1], 2 * once[:-1])


EXERCISE = Exercise(
    backward,
    lesson=2,
    page="autograd.py",
    inputs=st.sampled_from(GRAPHS).flatmap(with_slopes),
    returns=("gradients",),
    keeps_dtype=False,
    mistakes=(
        Mistake(
            "the nodes are visited in the order in which they were computed",
            "reversed(range(len(parents)))",
            "range(len(parents))",
            "Which is the only node whose gradient you know before you begin?",
        ),
        Mistake(
            "each node is visited as soon as it is reached, before its gradient is complete",
            "    for i in reversed(range(len(parents))):\n",
            "    reached = [len(parents) - 1]\n"
            "    for i in reached:\n"
            "        reached += [p for p in dict.fromkeys(parents[i]) if p not in reached]\n",
            "A node is used by two others. How many gradients must have arrived before it may pass "
            "anything on?",
        ),
        Mistake(
            "a node passes on its whole gradient again whenever something is added to it",
            "    for i in reversed(range(len(parents))):\n"
            "        for parent, slope in zip(parents[i], slopes[i], strict=True):\n"
            "            gradients[parent] += slope * gradients[i]\n",
            "    def visit(i):\n"
            "        for parent, slope in zip(parents[i], slopes[i], strict=True):\n"
            "            gradients[parent] += slope * gradients[i]\n"
            "            visit(parent)\n"
            "    visit(len(parents) - 1)\n",
            "If two gradients arrive at a node, how often does it pass on the first one?",
        ),
        Mistake(
            "a new gradient replaces the one that a node already has",
            "+= slope",
            "= slope",
            "If x is used twice, two gradients arrive. What happens to the first one when the "
            "second arrives?",
        ),
        Mistake(
            "a parent that is listed twice is counted only once",
            "zip(parents[i], slopes[i], strict=True)",
            "dict(zip(parents[i], slopes[i])).items()",
            "In x·x, the node x is listed twice. Does your gradient become 2x?",
        ),
        Mistake(
            "only the first parent of each node receives a gradient",
            "zip(parents[i], slopes[i], strict=True)",
            "zip(parents[i][:1], slopes[i][:1])",
            "How many parents does a product have, and which of them influence it?",
        ),
        Mistake(
            "the gradient is passed on without the slope",
            "slope * gradients[i]",
            "gradients[i]",
            "If i grows twice as fast as its parent and L as fast as i, how fast does L grow "
            "compared with the parent?",
        ),
        Mistake(
            "the slope is passed on without the gradient of the node",
            "slope * gradients[i]",
            "slope",
            "The slope says how fast i grows with its parent. But how fast does L grow with i?",
        ),
        Mistake(
            "slope and gradient are added instead of multiplied",
            "slope * gradients[i]",
            "slope + gradients[i]",
            "If i grows 3 times as fast as its parent and L 4 times as fast as i, how fast does L "
            "grow compared with the parent?",
        ),
        Mistake(
            "all gradients start at 1",
            "np.zeros(len(parents))",
            "np.ones(len(parents))",
            "What is the gradient of a node that no other node uses, and that is not the output?",
        ),
        Mistake(
            "the gradient of the output starts at 0",
            "gradients[-1] = 1",
            "gradients[-1] = 0",
            "How fast does L grow with respect to itself?",
        ),
    ),
    laws=(
        Law(
            "doubling the slopes of the last node doubles the gradients of all the nodes before it",
            is_linear_in_the_last_slopes,
        ),
    ),
    hints=(
        "Begin with an array of n zeros, one gradient per node. The gradient of the last node is "
        "known at once.",
        "A node may pass on its gradient only when nothing more will be added to it. Which nodes "
        "can still add to it? Only those that were computed from it, and they have larger numbers.",
        "So a loop over the nodes from the last to the first is enough. At node i, go through its "
        "parents and slopes together (zip) and add something to the gradient of each parent.",
        "What node i adds (+=) to the gradient of a parent is the slope for this parent times the "
        "gradient of node i.",
    ),
)
