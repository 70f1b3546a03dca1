"""Write the distillation loss and its gradient.

The student learns to output the teacher's probabilities, both softened by a temperature T. With
the student's logits z, the teacher's logits v, N images and K classes,

    q = softmax(z / T)        p = softmax(v / T)        KL(p‖q) = Σ_k p_k (log p_k - log q_k)

    loss = T² times the mean of KL(p‖q) over the N images

For one image, the gradient of KL(p‖q) with respect to z is (q - p) / T. From this you get dstudent,
the gradient of the loss. The teacher is a constant and receives none.

Logits may be large. exp(1000) is more than a floating-point number can hold, and log(0) is -∞, so
do not compute log(softmax(z / T)) in two steps:

    log softmax(z)_k = z_k - max z - log Σ_j exp(z_j - max z)
"""

import numpy as np
from hypothesis import strategies as st

from minivision.exercises.exercise import Exercise, Law, Mistake, numbers


def distillation_loss(student_logits, teacher_logits, temperature):
    """student_logits and teacher_logits (N, K), temperature > 0 -> (loss, dstudent (N, K)).

    >>> z, v = np.array([[0.0, 0.0]]), np.array([[2 * np.log(3), 0.0]])  # q = ½, ½ and p = ¾, ¼
    >>> loss, dstudent = distillation_loss(z, v, 2.0)
    >>> round(float(loss), 4)
    0.5232
    >>> dstudent
    array([[-0.5,  0.5]])
    """
    N, K = student_logits.shape
    T = temperature

    def log_softmax(logits, T):
        z = logits / T
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    log_q, log_p = log_softmax(student_logits, T), log_softmax(teacher_logits, T)
    q, p = np.exp(log_q), np.exp(log_p)
    factor = T**2 / N
    loss = factor * (p * (log_p - log_q)).sum()
    dstudent = factor * (q - p) / T
    return loss, dstudent


@st.composite
def inputs(draw):
    shape = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    large = draw(st.sampled_from((1, 1, 1000)))
    temperature = draw(st.sampled_from((2.0, 1.0, 4.0, 0.5)))
    return draw(numbers(shape)) * large, draw(numbers(shape)) * large, temperature


def has_this_slope(function, inputs):
    """Change all logits a little."""
    z, *others = inputs
    step = 1e-5 * np.sin(1 + np.arange(z.size)).reshape(z.shape)
    rise = function(z + step, *others)[0] - function(z - step, *others)[0]
    _, dstudent = function(z, *others)
    return np.isclose(rise, 2 * (dstudent * step).sum(), rtol=1e-3, atol=1e-8)


def is_zero_for_equals(function, inputs):
    _, teacher_logits, temperature = inputs
    loss, dstudent = function(teacher_logits, teacher_logits, temperature)
    return np.isclose(loss, 0) and np.allclose(dstudent, 0)


EXERCISE = Exercise(
    distillation_loss,
    lesson=15,
    page="functional/distillation.py",
    inputs=inputs(),
    returns=("loss", "dstudent"),
    mistakes=(
        Mistake(
            "the factor T² is missing",
            "T**2 / N",
            "1 / N",
            "The gradient of KL falls as 1/T². What makes up for this?",
        ),
        Mistake(
            "the factor is T, and not T²",
            "T**2 / N",
            "T / N",
            "T enters the gradient twice: through z/T, and because q and p get closer. By which "
            "power of T does it fall?",
        ),
        Mistake(
            "the factor T² is in the loss but not in dstudent",
            "factor * (q - p) / T",
            "(q - p) / (N * T)",
            "If a loss is multiplied by 16, what happens to its gradient?",
        ),
        Mistake(
            "1/T, the slope of z/T, is missing from dstudent",
            "(q - p) / T",
            "(q - p)",
            "If z changes by 1, by how much does z/T change?",
        ),
        Mistake(
            "the mean is over all N·K numbers",
            "T**2 / N",
            "T**2 / (N * K)",
            "KL is a sum over the classes. Over what is the mean?",
        ),
        Mistake(
            "dstudent has the wrong sign",
            "(q - p)",
            "(p - q)",
            "Say the teacher finds a class likelier than the student does. If z of this class "
            "grows, does the loss grow?",
        ),
        Mistake(
            "KL is taken the wrong way round, KL(q‖p)",
            "p * (log_p - log_q)",
            "q * (log_q - log_p)",
            "Whose probabilities weight the classes, the teacher's or the student's?",
        ),
        Mistake(
            "the loss is the cross-entropy of p and q, and not KL",
            "p * (log_p - log_q)",
            "p * -log_q",
            "What should the loss be if the student equals the teacher?",
        ),
        Mistake(
            "the teacher's logits are not divided by T",
            "log_softmax(teacher_logits, T)",
            "log_softmax(teacher_logits, 1)",
            "Which of the two distributions does the temperature soften?",
        ),
        Mistake(
            "the student's logits are not divided by T",
            "log_softmax(student_logits, T)",
            "log_softmax(student_logits, 1)",
            "Which of the two distributions does the temperature soften?",
        ),
    ),
    hints=(
        "Write a small function for log softmax first; you need it twice. exp of it gives the "
        "probabilities.",
        "z.max(axis=1, keepdims=True) is the largest logit of each image, with shape (N, 1). "
        "Subtract it from z before exp: the probabilities stay the same, and nothing overflows.",
        "The mean over images is the sum over all N·K numbers, divided by N.",
        "For dstudent, take the gradient of KL for one image, (q - p) / T, and multiply it by "
        "everything by which the loss multiplies KL: by T², and by 1/N.",
    ),
    laws=(
        Law("the loss and dstudent are 0 if the student equals the teacher", is_zero_for_equals),
        Law("dstudent is the slope of the loss", has_this_slope),
    ),
)
