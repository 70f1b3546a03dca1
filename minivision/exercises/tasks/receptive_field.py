"""Write the rule by which receptive fields grow.

A network is a stack of convolutions and poolings. What part of the image does one unit of the last
layer see? Two numbers describe every layer, both in pixels along one axis:

    size    how many pixels wide the window is that one unit sees,
    jump    how far apart the windows of two neighbouring units are.

For the image itself both are 1: a pixel sees only itself, and the next pixel is one pixel away.

A unit of a layer with kernel k and stride s looks at k neighbouring units of the layer below. The
next unit of the same layer also looks at k units, which begin s units further on. So both numbers
of a layer follow from its k and s and the two numbers of the layer below.

layers is a list of (kernel, stride), with the layer next to the image first. Padding only shifts
the windows, so it is not needed here.
"""

from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake


def receptive_field(layers):
    """A list of (kernel, stride), from the image upward -> (size, jump) of the last layer.

    >>> receptive_field([(5, 1), (2, 2)])  # a convolution and a pooling, as in LeNet-5
    (6, 2)
    >>> receptive_field([(5, 1), (2, 2), (5, 1)])
    (14, 2)
    """
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size, jump


layer = st.tuples(st.integers(1, 5), st.integers(1, 3))  # kernel, stride


def ignores_identity(function, inputs):
    (layers,) = inputs
    return (
        tuple(function([(1, 1), *layers]))
        == tuple(function([*layers, (1, 1)]))
        == tuple(function([*layers]))
    )


def two_small_equal_one_large(function, inputs):
    (layers,) = inputs
    small, large = function([*layers, (3, 1), (3, 1)]), function([*layers, (5, 1)])
    return tuple(small) == tuple(large)


EXERCISE = Exercise(
    receptive_field,
    lesson=8,
    page="analysis/receptive_field.py",
    inputs=st.tuples(st.lists(layer, min_size=1, max_size=4)),
    returns=("size", "jump"),
    keeps_dtype=False,
    mistakes=(
        Mistake(
            "the jump is updated before the size",
            "        size += (kernel - 1) * jump\n        jump *= stride\n",
            "        jump *= stride\n        size += (kernel - 1) * jump\n",
            "The k units that a unit sees belong to the layer below. Whose jump is the distance "
            "between them?",
        ),
        Mistake(
            "every layer adds kernel jumps to the size, which is one too many",
            "(kernel - 1) * jump",
            "kernel * jump",
            "From the first to the last of k units, how many steps are there? What does a 1x1 "
            "layer add?",
        ),
        Mistake(
            "the layers are taken from the last one down to the image",
            "in layers",
            "in reversed(layers)",
            "Which layer does the list begin with, and which layer sees the pixels?",
        ),
        Mistake(
            "strides have no effect on the size",
            "(kernel - 1) * jump",
            "kernel - 1",
            "After a pooling with stride 2, how many pixels apart are two neighbouring units?",
        ),
        Mistake(
            "the size grows by the layer's own stride instead of the jump of the layer below",
            "(kernel - 1) * jump",
            "(kernel - 1) * stride",
            "Does a unit see more pixels if the next unit of the same layer is further away?",
        ),
        Mistake(
            "the jump is the stride of the last layer instead of the product of all strides",
            "jump *= stride",
            "jump = stride",
            "One step in the second layer is 2 steps in the first, and each of these is 2 pixels. "
            "How many pixels is it?",
        ),
        Mistake(
            "strides are added instead of multiplied",
            "jump *= stride",
            "jump += stride",
            "One step in the second layer is 3 steps in the first, and each of these is 3 pixels. "
            "How many pixels is it?",
        ),
        Mistake(
            "the size starts at 0",
            "size, jump = 1, 1",
            "size, jump = 0, 1",
            "How many pixels does a pixel of the image see?",
        ),
        Mistake(
            "kernels are multiplied",
            "size += (kernel - 1) * jump",
            "size *= kernel",
            "With stride 1, the windows of neighbouring units overlap. How many pixels do two 3x3 "
            "layers see?",
        ),
    ),
    laws=(
        Law("a layer with kernel 1 and stride 1 changes nothing", ignores_identity),
        Law(
            "two layers with kernel 3 and stride 1 see as much as one with kernel 5",
            two_small_equal_one_large,
        ),
    ),
    hints=(
        "Start with size = 1 and jump = 1, for the image, and update both numbers for one layer "
        "after the other.",
        "Draw the windows of k neighbouring units of the layer below as bars, each shifted by one "
        "jump. How much longer than one bar are all of them together?",
        "The last of the k windows is shifted by k - 1 jumps from the first, so the size grows by "
        "this much. The jump that counts is the one of the layer below, so update the size first.",
        "Then update the jump: moving on by s units of the layer below means moving on by s of its "
        "jumps.",
    ),
)
