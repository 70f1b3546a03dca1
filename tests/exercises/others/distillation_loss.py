"""The distillation loss by the engine, and written in other ways."""

import math

import numpy as np

from minivision import Tensor
from minivision import functional as F


def engine(student_logits, teacher_logits, temperature):
    z = Tensor(student_logits, requires_grad=True)
    loss = F.distillation_loss(z, teacher_logits, temperature)
    loss.backward()
    return loss.data, z.grad


def with_loops(student_logits, teacher_logits, temperature):
    N, K = student_logits.shape
    loss, dstudent = 0.0, np.zeros_like(student_logits)
    for n in range(N):
        logs = []
        for logits in (student_logits[n], teacher_logits[n]):
            z = [float(number) / temperature for number in logits]
            total = sum(math.exp(number - max(z)) for number in z)
            logs.append([number - max(z) - math.log(total) for number in z])
        for k, (log_q, log_p) in enumerate(zip(*logs, strict=True)):
            loss += math.exp(log_p) * (log_p - log_q) * temperature**2 / N
            dstudent[n, k] = temperature * (math.exp(log_q) - math.exp(log_p)) / N
    return loss, dstudent


def as_cross_entropy_minus_entropy(student_logits, teacher_logits, temperature):
    def log_softmax(logits):
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    log_q, log_p = (
        log_softmax(student_logits / temperature),
        log_softmax(teacher_logits / temperature),
    )
    p = np.exp(log_p)
    cross_entropy, entropy = -(p * log_q).sum(axis=1), -(p * log_p).sum(axis=1)
    loss = (cross_entropy - entropy).mean() * temperature**2
    return loss, (np.exp(log_q) - p) * temperature / len(p)


def with_one_softmax_for_both(student_logits, teacher_logits, temperature):
    logits = np.stack([student_logits, teacher_logits]) / temperature
    logits -= logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits)
    totals = weights.sum(axis=-1, keepdims=True)
    q, p = weights / totals
    log_q, log_p = logits - np.log(totals)
    kl = np.einsum("nk,nk->n", p, log_p - log_q)
    return temperature**2 * np.mean(kl), temperature / len(q) * (q - p)
