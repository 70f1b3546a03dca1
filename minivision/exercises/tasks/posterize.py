"""Write posterize, an operation of RandAugment that reduces the number of colours.

Every channel of a pixel is a byte, eight bits, from 0 to 255. Posterize sets the lowest bits to 0
and leaves the others as they are. If three bits are dropped,

    173 = 1010 1101  becomes  1010 1000 = 168

The magnitude M is a whole number from 0 to 30, and decides how many bits are dropped:

    dropped = round(4·M / 30)

So M = 0 changes nothing, M = 30 drops four of the eight bits, and a larger M is never weaker. (In
some libraries, M is the number of bits that remain, so the operation gets weaker as M grows.)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake


def posterize(image, magnitude):
    """image uint8 (H, W, C), magnitude an integer from 0 to 30 -> a new uint8 image (H, W, C).

    >>> posterize(np.array([[[173, 15, 8]]], np.uint8), 22)
    array([[[168,   8,   8]]], dtype=uint8)
    """
    dropped = round(4 * magnitude / 30)
    return image >> dropped << dropped


@st.composite
def inputs(draw):
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from((1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return rng.integers(0, 256, shape, dtype=np.uint8), draw(st.integers(0, 30))


def zero_changes_nothing(function, inputs):
    image, _ = inputs
    return np.array_equal(function(image, 0), image)


def larger_is_never_weaker(function, inputs):
    """Count the different values of a channel in which every byte occurs."""
    bytes_ = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    counts = [len(np.unique(function(bytes_, magnitude))) for magnitude in range(31)]
    return counts == sorted(counts, reverse=True)


def twice_is_once(function, inputs):
    image, magnitude = inputs
    once = function(image, magnitude)
    return np.array_equal(function(once, magnitude), once)


def never_lightens(function, inputs):
    image, magnitude = inputs
    return bool((function(image, magnitude) <= image).all())


EXERCISE = Exercise(
    posterize,
    lesson=13,
    page="transforms/tables.py",
    inputs=inputs(),
    returns=("image",),
    keeps_dtype=False,
    mistakes=(
        Mistake(
            "the lowest bits are kept, and the highest are dropped",
            "image >> dropped << dropped",
            "image << dropped >> dropped",
            "Which bits of a byte hardly change the colour?",
        ),
        Mistake(
            "the bits that remain are not moved back to their place",
            "image >> dropped << dropped",
            "image >> dropped",
            "What should become of 128, whose lowest bits are 0 already?",
        ),
        Mistake(
            "as many bits are kept as should be dropped",
            "round(4 * magnitude / 30)",
            "8 - round(4 * magnitude / 30)",
            "What should magnitude 0 do to an image?",
        ),
        Mistake(
            "the number of bits is rounded down",
            "round(4 * magnitude / 30)",
            "int(4 * magnitude / 30)",
            "At magnitude 29, 4·M/30 is 3.87. How many bits are dropped?",
        ),
        Mistake(
            "magnitude 30 drops all eight bits",
            "4 * magnitude",
            "8 * magnitude",
            "How many bits are left at the largest magnitude?",
        ),
        Mistake(
            "the largest magnitude is taken to be 10",
            "/ 30",
            "/ 10",
            "From 0 to what does the magnitude range here?",
        ),
        Mistake(
            "the number of bits that remain is taken for the number of levels",
            "return image >> dropped << dropped",
            "step = 256 // (8 - dropped)\n    return image // step * step",
            "How many different numbers can you write with eight bits?",
        ),
        Mistake(
            "every value is rounded to the nearest one whose lowest bits are 0",
            "image >> dropped << dropped",
            "np.minimum(np.round(image / 2**dropped) * 2**dropped, 255).astype(np.uint8)",
            "Can a value grow if some of its bits are set to 0?",
        ),
    ),
    hints=(
        "Python's round rounds to the nearest integer: round(2.93) is 3.",
        "Setting the lowest three bits to 0 makes a number a multiple of 2³ = 8, the largest one "
        "that is not above it.",
        "x >> 3 moves all bits three places to the right, so that the lowest three fall off. "
        "x << 3 moves them to the left, and zeros come in. Both also work for whole arrays.",
        "Compute the number of bits to drop from the magnitude. Shift the image to the right by "
        "that number, and then to the left by the same number.",
    ),
    laws=(
        Law("magnitude 0 changes nothing", zero_changes_nothing),
        Law("a larger magnitude never leaves more different values", larger_is_never_weaker),
        Law("doing it twice is the same as doing it once", twice_is_once),
        Law("no value becomes larger", never_lightens),
    ),
)
