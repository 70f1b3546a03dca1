"""Write the loss of FixMatch on unlabelled images, and its gradient.

The network sees each unlabelled image twice, once weakly and once strongly augmented. With

    p = softmax(weak logits)        q = softmax(strong logits)

the likeliest class of p is the image's pseudo-label, and is accepted if p is confident enough. The
network is then trained to find the same class in the strongly augmented image:

    loss = 1/N Σ_n [max p_n ≥ threshold] · -log q_n[argmax p_n]

[…] is 1 if the condition is true and 0 if not. The mean is over all N images: those that are not
accepted count, with a loss of 0.

For one image that is accepted, the gradient of -log q[label] with respect to the strong logits is
q minus 1 at the label. From this you get dstrong, the gradient of the loss. The pseudo-labels are
constants, so the weak logits receive no gradient.

Logits may be large, so compute the logarithm of softmax in one step:

    log softmax(z)_k = z_k - max z - log Σ_j exp(z_j - max z)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def pseudo_label_loss(weak_logits, strong_logits, threshold):
    """weak_logits and strong_logits (N, K), threshold from 0 to 1 -> (loss, dstrong (N, K)).

    >>> weak = np.array([[0.0, np.log(9)], [0.0, np.log(2)]])  # p = 1/10, 9/10 and 1/3, 2/3
    >>> loss, dstrong = pseudo_label_loss(weak, np.zeros((2, 2)), 0.8)
    >>> round(float(loss / np.log(2)), 4)  # log 2 and 0 for the two images
    0.5
    >>> dstrong[0], dstrong[1].any()
    (array([ 0.25, -0.25]), np.False_)
    """
    N, K = strong_logits.shape

    def log_softmax(z):
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    p, log_q = np.exp(log_softmax(weak_logits)), log_softmax(strong_logits)
    accepted = p.max(axis=1, keepdims=True) >= threshold
    target = np.arange(K) == p.argmax(axis=1)[:, None]
    loss = -(accepted * target * log_q).sum() / N
    dstrong = accepted * (np.exp(log_q) - target) / N
    return loss, dstrong


@st.composite
def inputs(draw):
    N, K = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    weak, strong = draw(numbers((N, K))), draw(numbers((N, K)))
    # At least one image is accepted. The threshold is above 1/2 and is never met exactly.
    row, column = draw(st.integers(0, N - 1)), draw(st.integers(0, K - 1))
    weak[row, column] = weak[row].max() + 5
    large = draw(st.sampled_from((1, 1, 1000)))
    return weak, strong * large, draw(st.sampled_from((0.95, 0.8, 0.6)))


def rejects_all_above_one(function, inputs):
    """No probability reaches a threshold of 1.5."""
    loss, dstrong = function(*inputs[:2], 1.5)
    return loss == 0 and not dstrong.any()


def has_this_slope(function, inputs):
    """Change all strong logits a little."""
    weak, strong, threshold = inputs
    step = 1e-5 * np.sin(1 + np.arange(strong.size)).reshape(strong.shape)
    after, before = [function(weak, strong + s, threshold)[0] for s in (step, -step)]
    _, dstrong = function(weak, strong, threshold)
    return np.isclose(after - before, 2 * (dstrong * step).sum(), rtol=1e-3, atol=1e-8)


EXERCISE = Exercise(
    pseudo_label_loss,
    lesson=17,
    page="methods/pseudo_label.py",
    inputs=inputs(),
    returns=("loss", "dstrong"),
    mistakes=(
        Mistake(
            "the mean is over the accepted images only",
            "/ N",
            "/ int(accepted.sum())",
            "If one image in a hundred is accepted, how much weight should it have?",
        ),
        Mistake(
            "all pseudo-labels are accepted",
            "p.max(axis=1, keepdims=True) >= threshold",
            "np.full((N, 1), True)",
            "What should happen to an image that the network is unsure about?",
        ),
        Mistake(
            "the images below the threshold are accepted",
            ">= threshold",
            "< threshold",
            "Which predictions can be trusted, the sure ones or the unsure ones?",
        ),
        Mistake(
            "the largest logit is compared with the threshold, and not the largest probability",
            "p.max(axis=1, keepdims=True) >=",
            "weak_logits.max(axis=1, keepdims=True) >=",
            "The threshold is 0.95, say. 0.95 of what?",
        ),
        Mistake(
            "the confidence is that of the strongly augmented image",
            "p.max(axis=1, keepdims=True) >=",
            "np.exp(log_q).max(axis=1, keepdims=True) >=",
            "Which of the two views decides what is accepted?",
        ),
        Mistake(
            "the pseudo-labels are the classes of the strongly augmented images",
            "p.argmax(axis=1)",
            "log_q.argmax(axis=1)",
            "In which of the two views is the class easier to see?",
        ),
        Mistake(
            "the pseudo-labels are soft",
            "np.arange(K) == p.argmax(axis=1)[:, None]",
            "p",
            "Is a pseudo-label a class or a distribution?",
        ),
        Mistake(
            "images that are not accepted receive a gradient too",
            "dstrong = accepted * (",
            "dstrong = (",
            "If the strong logits of an image that is not accepted change, does the loss change?",
        ),
        Mistake(
            "dstrong is not divided by N",
            "(np.exp(log_q) - target) / N",
            "(np.exp(log_q) - target)",
            "The loss is a mean. By how much does it change if the loss of one image grows by 1?",
        ),
    ),
    hints=(
        "p.max(axis=1) is the confidence of each image and p.argmax(axis=1) its class. Both come "
        "from the weak logits, and the loss from the strong ones.",
        "confidence >= threshold is an array of True and False. Multiplied by a number, True "
        "counts as 1 and False as 0.",
        "log_q[np.arange(N), labels] picks the entry of the pseudo-label from each row. Multiply "
        "by the mask, sum, divide by -N.",
        "np.arange(K) == labels[:, None] has shape (N, K) and is True at the pseudo-labels. "
        "dstrong is softmax(strong logits) minus this array, times the mask as a column, divided "
        "by N.",
    ),
    laws=(
        Law("nothing is accepted if no probability reaches the threshold", rejects_all_above_one),
        Law("dstrong is the slope of the loss", has_this_slope),
    ),
)
