"""The backward pass by the engine, and written in other ways."""

import numpy as np

from minivision import Tensor, record


def engine(parents, slopes):
    tensors = []
    for above, rates in zip(parents, slopes, strict=True):
        if above:
            tensors.append(_computed(tuple(tensors[parent] for parent in above), rates))
            tensors[-1].retain_grad()
        else:
            tensors.append(Tensor(np.zeros(()), requires_grad=True))
    tensors[-1].backward()
    return np.array([0.0 if t.grad is None else float(t.grad) for t in tensors])


def _computed(inputs, rates):
    """A node with these local derivatives; its value does not matter."""

    def backward(dy):
        return tuple(np.asarray(rate * dy) for rate in rates)

    return record(np.zeros(()), inputs, backward)


def with_all_paths(parents, slopes):
    """Each path from the output adds the product of its slopes."""
    gradients = np.zeros(len(parents))
    waiting = [(len(parents) - 1, 1.0)]
    while waiting:
        i, product = waiting.pop()
        gradients[i] += product
        for parent, slope in zip(parents[i], slopes[i], strict=True):
            waiting.append((parent, product * slope))
    return gradients


def with_the_users_of_each_node(parents, slopes):
    """The sum of the statement, node by node."""
    n = len(parents)
    gradients = np.zeros(n)
    gradients[n - 1] = 1
    for p in range(n - 2, -1, -1):
        for i in range(p + 1, n):
            for k in range(len(parents[i])):
                if parents[i][k] == p:
                    gradients[p] = gradients[p] + gradients[i] * slopes[i][k]
    return gradients


def with_a_linear_system(parents, slopes):
    """All equations at once: g = Sᵀ·g, plus 1 for the output."""
    n = len(parents)
    S = np.zeros((n, n))
    for i in range(n):
        np.add.at(S[i], np.array(parents[i], int), slopes[i])
    return np.linalg.solve(np.eye(n) - S.T, np.eye(n)[-1])


def with_a_count_of_users(parents, slopes):
    """A node is ready when all of its users have passed on their gradients."""
    n = len(parents)
    users = [sum(above.count(p) for above in parents) for p in range(n)]
    gradients = np.zeros(n)
    gradients[-1] = 1
    ready = [p for p in range(n) if users[p] == 0]
    while ready:
        i = ready.pop()
        for parent, slope in zip(parents[i], slopes[i], strict=True):
            gradients[parent] += slope * gradients[i]
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)
    return gradients
