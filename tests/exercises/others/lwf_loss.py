"""The loss of learning without forgetting by the engine, and written in other ways."""

import math

import numpy as np

from minivision import Tensor, methods
from minivision.training.loop import Batch


def engine(new_logits, labels, old_logits, recorded, temperature, old_weight):
    new, old = Tensor(new_logits, requires_grad=True), Tensor(old_logits, requires_grad=True)
    batch = Batch(Tensor(new_logits), labels, indices=np.arange(len(labels)))
    criterion = methods.lwf_loss({"old": recorded}, temperature, old_weight)
    loss, _ = criterion(lambda images: {"old": old, "new": new}, batch)
    loss.backward()
    return loss.data, new.grad, old.grad


def with_loops(new_logits, labels, old_logits, recorded, temperature, old_weight):
    def softmax(row, T):
        weights = [math.exp((float(number) - float(max(row))) / T) for number in row]
        return [weight / sum(weights) for weight in weights]

    def log_softmax(row, T):
        total = sum(math.exp((float(number) - float(max(row))) / T) for number in row)
        return [(float(number) - float(max(row))) / T - math.log(total) for number in row]

    N, loss = len(labels), 0.0
    dnew, dold = np.zeros_like(new_logits), np.zeros_like(old_logits)
    for n in range(N):
        loss -= log_softmax(new_logits[n], 1)[labels[n]] / N
        for k, q in enumerate(softmax(new_logits[n], 1)):
            dnew[n, k] = (q - (k == labels[n])) / N
        targets, logs = softmax(recorded[n], temperature), log_softmax(old_logits[n], temperature)
        for k, (p, log_q) in enumerate(zip(targets, logs, strict=True)):
            loss -= old_weight * p * log_q / N
            dold[n, k] = old_weight * (math.exp(log_q) - p) / temperature / N
    return loss, dnew, dold


def with_indices(new_logits, labels, old_logits, recorded, temperature, old_weight):
    def log_softmax(z):
        return z - np.logaddexp.reduce(z, axis=1, keepdims=True)

    rows, log_new = np.arange(len(labels)), log_softmax(new_logits)
    log_old, target = log_softmax(old_logits / temperature), log_softmax(recorded / temperature)
    loss = -log_new[rows, labels].mean()
    loss -= old_weight * np.einsum("nk,nk->n", np.exp(target), log_old).mean()
    dnew = np.exp(log_new)
    dnew[rows, labels] -= 1
    dold = old_weight / temperature * (np.exp(log_old) - np.exp(target))
    return loss, dnew / len(rows), dold / len(rows)


def as_two_cross_entropies(new_logits, labels, old_logits, recorded, temperature, old_weight):
    """The same function for both tasks, with a distribution as the target."""

    def cross_entropy(z, targets):
        centred = z - z.max(axis=1, keepdims=True)
        total = np.exp(centred).sum(axis=1, keepdims=True)
        loss = (targets * (np.log(total) - centred)).sum(axis=1).mean()
        return loss, (np.exp(centred) / total - targets) / len(z)

    above = np.exp((recorded - recorded.max(axis=1, keepdims=True)) / temperature)
    one_hot = np.eye(new_logits.shape[1], dtype=new_logits.dtype)[labels]
    new_loss, dnew = cross_entropy(new_logits, one_hot)
    soft = above / above.sum(axis=1, keepdims=True)
    old_loss, dold = cross_entropy(old_logits / temperature, soft)
    return new_loss + old_weight * old_loss, dnew, old_weight * dold / temperature
