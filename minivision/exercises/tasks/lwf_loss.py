"""Write the loss of learning without forgetting, and its gradients.

A network with two heads learns a new task from images whose labels are known. What the old network
had output for the same images was recorded before, and the old head should keep outputting it:

    loss = L_new + λ·L_old

    L_new = mean over the N images of  -log softmax(new logits)[label]
    L_old = mean over the N images of  -Σ_k y'_k log ŷ'_k
            with  y' = softmax(recorded / T)  and  ŷ' = softmax(old logits / T)

λ is old_weight. Both tasks have the same images, but they may have different numbers of classes.
Unlike the loss of distillation, this one has no factor T².

For one image, the gradient of its term of L_new with respect to the new logits is softmax(new
logits) minus 1 at the label; the gradient of its term of L_old with respect to the old logits is
(ŷ' - y') / T. From these you get dnew and dold, the gradients of the loss. What was recorded is a
constant.

Logits may be large, so compute the logarithm of softmax in one step:

    log softmax(z)_k = z_k - max z - log Σ_j exp(z_j - max z)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def lwf_loss(new_logits, labels, old_logits, recorded, temperature, old_weight):
    """new_logits (N, K), labels (N,) integers, old_logits and recorded (N, J), T > 0, λ >= 0
    -> (loss, dnew (N, K), dold (N, J)).

    >>> new, old, recorded = np.zeros((1, 2)), np.zeros((1, 2)), np.array([[2 * np.log(3), 0.0]])
    >>> loss, dnew, dold = lwf_loss(new, np.array([1]), old, recorded, 2.0, 8.0)
    >>> round(float(loss / np.log(2)), 4)  # log 2 for each head
    9.0
    >>> dnew, dold
    (array([[ 0.5, -0.5]]), array([[-1.,  1.]]))
    """
    N, K = new_logits.shape
    T = temperature

    def log_softmax(z):
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    log_new, log_old = log_softmax(new_logits), log_softmax(old_logits / T)
    kept = np.exp(log_softmax(recorded / T))
    is_label = np.arange(K) == labels[:, None]
    new_loss = -log_new[is_label].sum() / N
    old_loss = -(kept * log_old).sum() / N
    loss = new_loss + old_weight * old_loss
    dnew = (np.exp(log_new) - is_label) / N
    dold = old_weight * (np.exp(log_old) - kept) / (N * T)
    return loss, dnew, dold


@st.composite
def inputs(draw):
    N, K, J = draw(st.integers(1, 3)), draw(st.integers(2, 4)), draw(st.integers(2, 3))
    large = draw(st.sampled_from((1, 1, 1000)))
    labels = np.array([draw(st.integers(0, K - 1)) for _ in range(N)])
    new, old, recorded = [draw(numbers((N, size))) * large for size in (K, J, J)]
    temperature = draw(st.sampled_from((2.0, 1.0, 4.0)))
    return new, labels, old, recorded, temperature, draw(st.sampled_from((1.0, 3.0, 0.5)))


def leaves_a_head_alone_that_kept_everything(function, inputs):
    new, labels, _, recorded, *settings = inputs
    return np.allclose(function(new, labels, recorded, recorded, *settings)[2], 0)


def has_these_slopes(function, inputs):
    """Change all logits a little."""
    new, labels, old, *others = inputs
    up, across = [1e-5 * np.sin(1 + np.arange(a.size)).reshape(a.shape) for a in (new, old)]
    after = function(new + up, labels, old + across, *others)[0]
    before = function(new - up, labels, old - across, *others)[0]
    _, dnew, dold = function(new, labels, old, *others)
    expected = 2 * ((dnew * up).sum() + (dold * across).sum())
    return np.isclose(after - before, expected, rtol=1e-3, atol=1e-8)


EXERCISE = Exercise(
    lwf_loss,
    lesson=16,
    page="methods/learning_without_forgetting.py",
    inputs=inputs(),
    returns=("loss", "dnew", "dold"),
    mistakes=(
        Mistake(
            "the old loss is multiplied by T², as in distillation",
            "old_weight * ",
            "old_weight * T**2 * ",
            "Which factors does the statement put in front of L_old?",
        ),
        Mistake(
            "what was recorded is not divided by T",
            "recorded / T",
            "recorded",
            "Which of the two distributions does the temperature soften?",
        ),
        Mistake(
            "the old head's logits are not divided by T",
            "old_logits / T",
            "old_logits",
            "Which of the two distributions does the temperature soften?",
        ),
        Mistake(
            "the new logits are divided by T too",
            "log_softmax(new_logits)",
            "log_softmax(new_logits / T)",
            "For which of the two tasks are there soft labels?",
        ),
        Mistake(
            "1/T, the slope of z/T, is missing from dold",
            "(N * T)",
            "N",
            "If an old logit changes by 1, by how much does it change after the division by T?",
        ),
        Mistake(
            "λ is in the loss but not in dold",
            "dold = old_weight * (",
            "dold = (",
            "If L_old counts three times as much, what happens to its gradient?",
        ),
        Mistake(
            "the recorded outputs are turned into hard labels",
            "np.exp(log_softmax(recorded / T))",
            "np.eye(recorded.shape[1], dtype=recorded.dtype)[recorded.argmax(axis=1)]",
            "What do the recorded outputs say about the classes that are not the likeliest?",
        ),
        Mistake(
            "L_old is KL(y'‖ŷ'), and not the cross-entropy",
            "kept * log_old",
            "kept * (log_old - log_softmax(recorded / T))",
            "Does the statement subtract the entropy of the recorded outputs?",
        ),
        Mistake(
            "y' and ŷ' are exchanged in L_old",
            "kept * log_old",
            "np.exp(log_old) * log_softmax(recorded / T)",
            "Which of the two distributions is the target? The logarithm is of the other.",
        ),
        Mistake(
            "λ is in front of the new loss",
            "    loss = new_loss + old_weight * old_loss\n"
            "    dnew = (np.exp(log_new) - is_label) / N\n"
            "    dold = old_weight * (np.exp(log_old) - kept) / (N * T)\n",
            "    loss = old_weight * new_loss + old_loss\n"
            "    dnew = old_weight * (np.exp(log_new) - is_label) / N\n"
            "    dold = (np.exp(log_old) - kept) / (N * T)\n",
            "Which task does a large λ protect?",
        ),
    ),
    hints=(
        "Write a small function for log softmax first; you need it three times: for the new "
        "logits as they are, for the old logits divided by T, and for the recorded ones divided "
        "by T.",
        "log_new[np.arange(N), labels] picks the entry of the label from each row. Its mean, with "
        "a minus, is L_new.",
        "np.arange(K) == labels[:, None] has shape (N, K) and is True at the labels. Subtract it "
        "from softmax(new logits), and divide by N: that is dnew.",
        "L_old is minus the sum of y' · log ŷ' over all images and classes, divided by N. For "
        "dold, multiply (ŷ' - y') / T by λ and divide by N. In the end, loss = L_new + λ·L_old.",
    ),
    laws=(
        Law(
            "dold is 0 if the old head still outputs what was recorded",
            leaves_a_head_alone_that_kept_everything,
        ),
        Law("dnew and dold are the slopes of the loss", has_these_slopes),
    ),
)
