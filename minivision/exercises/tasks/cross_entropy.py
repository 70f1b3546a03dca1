"""Write the cross-entropy of a classifier, and its gradient.

The logits of an image, one score per class, become probabilities by softmax:

    q[n, k] = exp(logits[n, k]) / Σ_j exp(logits[n, j])

labels[n] is the number of the right class of image n. The loss is the mean surprise at the right
class, over the N images of the batch,

    loss = -1/N Σ_n log q[n, labels[n]]

where log is the natural logarithm, so the loss is in nats. Its gradient with respect to the logits
is

    dlogits[n, k] = (q[n, k] - p[n, k]) / N

where p[n, k] is 1 if k is the right class of image n, and 0 otherwise.

Logits of ±2000 occur. exp(2000) is infinite in floating-point numbers; exp(-2000) is 0, and log 0
is -∞. So compute log q directly, without computing q first:

    log q[n, k] = logits[n, k] - log Σ_j exp(logits[n, j])

It does not change if you add the same number to all logits of a row. Choose a number for which exp
does not overflow, and for which the sum is not 0.
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def cross_entropy(logits, labels):
    """logits (N, K), labels (N,) integers from 0 to K-1 -> (loss, dlogits); dlogits is (N, K).

    >>> logits = np.array([[0.0, 0.0], [2000.0, -2000.0]])
    >>> loss, dlogits = cross_entropy(logits, np.array([0, 1]))
    >>> print(f"{loss:.4f} = ({np.log(2):.4f} + 4000) / 2")
    2000.3466 = (0.6931 + 4000) / 2
    >>> dlogits
    array([[-0.25,  0.25],
           [ 0.5 , -0.5 ]])
    """
    N, K = logits.shape
    images = np.arange(N)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_q)
    dlogits[images, labels] -= 1
    loss = -log_q[images, labels].sum() / N
    return loss, dlogits / N


@st.composite
def inputs(draw):
    N, K = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    logits = draw(numbers((N, K)))
    kind = draw(st.sampled_from(("small", "shifted", "large")))
    if kind == "shifted":
        logits = logits + 1000 * draw(numbers((N, 1), ties=True))
    if kind == "large":
        logits = logits * 1000
    labels = draw(st.lists(st.integers(0, K - 1), min_size=N, max_size=N))
    return logits, np.array(labels)


def a_shift_of_a_row_changes_nothing(function, inputs):
    logits, labels = inputs
    shift = 1000.0 * np.arange(1, len(logits) + 1)[:, None]
    return np.allclose(function(logits + shift, labels)[0], function(logits, labels)[0])


def every_row_of_dlogits_sums_to_0(function, inputs):
    return np.allclose(function(*inputs)[1].sum(axis=1), 0)


def a_batch_twice_has_the_same_loss(function, inputs):
    logits, labels = inputs
    twice = np.concatenate([logits, logits]), np.concatenate([labels, labels])
    return np.allclose(function(*twice)[0], function(*inputs)[0])


EXERCISE = Exercise(
    cross_entropy,
    lesson=4,
    page="functional/losses.py",
    inputs=inputs(),
    returns=("loss", "dlogits"),
    mistakes=(
        Mistake(
            "the exponentials are taken of the logits as they are, and overflow",
            "log_q = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "log_q = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))",
            "What is exp(2000)? Which number can you add to all logits of a row?",
        ),
        Mistake(
            "the largest logit of the whole batch is subtracted, and not that of each row",
            "logits.max(axis=1, keepdims=True)",
            "logits.max()",
            "What becomes of a row whose logits are all far below those of another?",
        ),
        Mistake(
            "q is computed first and then its logarithm, although q may be 0",
            "log_q = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "log_q = np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True))",
            "The logarithm of a fraction is a difference. Which exp cancels then?",
        ),
        Mistake(
            "the gradient is not divided by N",
            "dlogits / N",
            "dlogits",
            "The loss is a mean. How much does one image count in it?",
        ),
        Mistake(
            "the gradient is q alone, and p is not subtracted",
            "    dlogits[images, labels] -= 1\n",
            "",
            "Should the logit of the right class grow or shrink?",
        ),
        Mistake(
            "the gradient has the wrong sign",
            "return loss, dlogits",
            "return loss, -dlogits",
            "If the logit of a wrong class grows, does the loss grow or shrink?",
        ),
        Mistake(
            "the loss has the wrong sign",
            "loss = -log_q",
            "loss = log_q",
            "Is the logarithm of a probability positive or negative? And a surprise?",
        ),
        Mistake(
            "the loss is in bits, with the logarithm to base 2",
            "loss = -log_q[images, labels].sum() / N",
            "loss = -log_q[images, labels].sum() / N / np.log(2)",
            "Which logarithm belongs to nats?",
        ),
        Mistake(
            "the losses of the images are summed, but the gradient is that of the mean",
            ".sum() / N",
            ".sum()",
            "By what is the loss divided in the statement?",
        ),
        Mistake(
            "both the loss and the gradient are sums over the batch",
            " / N",
            "",
            "If you put every image into the batch twice, should the loss change?",
        ),
        Mistake(
            "the loss is a mean over all N·K numbers",
            ".sum() / N",
            ".sum() / (N * K)",
            "How many probabilities of each image occur in the loss?",
        ),
        Mistake(
            "both the loss and the gradient are divided by N·K",
            " / N",
            " / (N * K)",
            "How many probabilities of each image occur in the loss?",
        ),
        Mistake(
            "the loss contains the probabilities, and not their logarithms",
            "loss = -log_q",
            "loss = -np.exp(log_q)",
            "How large should the loss be if the right class has probability 0? And 1?",
        ),
        Mistake(
            "the loss contains the logits, without softmax",
            "loss = -log_q",
            "loss = -logits",
            "Can your loss be negative? Can the right one?",
        ),
        Mistake(
            "softmax is applied twice",
            "    log_q = shifted",
            "    shifted = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)\n"
            "    log_q = shifted",
            "Are the numbers that you exponentiate logits or already probabilities?",
        ),
        Mistake(
            "softmax runs down the columns, over the images",
            "axis=1",
            "axis=0",
            "Which numbers should sum to 1: those of one image or those of one class?",
        ),
        Mistake(
            "a small number such as 1e-12 is added to q before the logarithm",
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True) + 1e-12)",
            "How large can your loss become? Can you compute log q without computing q?",
        ),
        Mistake(
            "every label selects a column of all images, [:, labels], instead of one entry",
            "[images, labels]",
            "[:, labels]",
            "How many entries does your index select? There should be one per image.",
        ),
    ),
    hints=(
        "Subtract the largest logit of each row first. Then no exponent is greater than 0, and the "
        "sum of the exponentials is at least 1.",
        "With axis=1 and keepdims=True, max and sum return one number per row in the shape (N, 1), "
        "which fits next to (N, K). That is all you need for log q.",
        "a[np.arange(N), labels] selects one entry per row: a[0, labels[0]], a[1, labels[1]] and "
        "so on. You can also subtract from these entries.",
        "Compute log q (N, K). The loss is minus the mean of the entries at the labels. For the "
        "gradient, take exp of log q, subtract 1 from the entries at the labels, and divide by N.",
    ),
    laws=(
        Law(
            "the loss stays the same if you add 1000 to all logits of a row",
            a_shift_of_a_row_changes_nothing,
        ),
        Law("every row of dlogits sums to 0", every_row_of_dlogits_sums_to_0),
        Law(
            "the loss stays the same if every image is in the batch twice",
            a_batch_twice_has_the_same_loss,
        ),
    ),
)
