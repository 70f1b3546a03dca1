"""FixMatch's loss on unlabelled images by the engine, and written in other ways."""

import math

import numpy as np

from minivision import Tensor, methods
from minivision.training.loop import Batch


def engine(weak_logits, strong_logits, threshold):
    """A network whose outputs are its inputs, with one labelled image in front of the others."""
    outputs = []

    def model(images):
        outputs.append(Tensor(images.data, requires_grad=True))
        return outputs[-1]

    x = Batch(Tensor(strong_logits[:1]), np.zeros(1, int))
    unlabelled = [Batch(Tensor(logits), None) for logits in (strong_logits, weak_logits)]
    _, report = methods.pseudo_label_loss(threshold=threshold)(model, [x, *unlabelled])
    loss = report["unlabelled_loss"]
    loss.backward()
    return loss.data, outputs[0].grad[1:]


def with_loops(weak_logits, strong_logits, threshold):
    N, K = strong_logits.shape
    loss, dstrong = 0.0, np.zeros_like(strong_logits)
    for n in range(N):
        weak, strong = weak_logits[n].tolist(), strong_logits[n].tolist()
        confidence = 1 / sum(math.exp(number - max(weak)) for number in weak)
        if confidence < threshold:
            continue
        label = weak.index(max(weak))
        total = sum(math.exp(number - max(strong)) for number in strong)
        loss -= (strong[label] - max(strong) - math.log(total)) / N
        for k in range(K):
            q = math.exp(strong[k] - max(strong)) / total
            dstrong[n, k] = (q - (k == label)) / N
    return loss, dstrong


def with_the_accepted_rows_only(weak_logits, strong_logits, threshold):
    weights = np.exp(weak_logits - weak_logits.max(axis=1, keepdims=True))
    rows = np.flatnonzero(1 / weights.sum(axis=1) >= threshold)
    labels, z = weak_logits[rows].argmax(axis=1), strong_logits[rows]
    log_q = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    dstrong = np.zeros_like(strong_logits)
    dstrong[rows] = np.exp(log_q)
    dstrong[rows, labels] -= 1
    return -log_q[np.arange(len(rows)), labels].sum() / len(dstrong), dstrong / len(dstrong)


def with_one_hot_targets_and_where(weak_logits, strong_logits, threshold):
    def softmax(logits):
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    N, K = strong_logits.shape
    p, q = softmax(weak_logits), softmax(strong_logits)
    one_hot = np.eye(K, dtype=q.dtype)[p.argmax(axis=1)]
    centred = strong_logits - strong_logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(centred).sum(axis=1)) - np.einsum("nk,nk->n", one_hot, centred)
    sure = p.max(axis=1) >= threshold
    dstrong = np.where(sure[:, None], q - one_hot, 0) / N
    return np.where(sure, losses, 0).mean(), dstrong
