"""Cross-entropy by the engine, and written in other ways."""

import math

import numpy as np

from minivision import Tensor
from minivision import functional as F


def engine(logits, labels):
    leaf = Tensor(logits, requires_grad=True)
    loss = F.cross_entropy(leaf, labels)
    loss.backward()
    return loss.data, leaf.grad


def with_one_hot(logits, labels):
    p = np.eye(logits.shape[1], dtype=logits.dtype)[labels]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total = powers.sum(axis=1, keepdims=True)
    log_q = logits - logits.max(axis=1, keepdims=True) - np.log(total)
    return -np.mean(np.sum(p * log_q, axis=1)), (powers / total - p) / len(logits)


def with_log_sum_exp(logits, labels):
    log_q = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    chosen = np.take_along_axis(log_q, labels[:, None], axis=1)
    right = np.arange(logits.shape[1]) == labels[:, None]
    return -chosen.mean(), np.where(right, np.expm1(log_q), np.exp(log_q)) / len(labels)


def with_loops(logits, labels):
    N, K = logits.shape
    loss, dlogits = 0.0, np.zeros_like(logits)
    for n in range(N):
        largest = max(logits[n])
        total = sum(math.exp(score - largest) for score in logits[n])
        loss += (math.log(total) + largest - logits[n, labels[n]]) / N
        for k in range(K):
            dlogits[n, k] = (math.exp(logits[n, k] - largest) / total - (k == labels[n])) / N
    return loss, dlogits
