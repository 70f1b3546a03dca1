"""
3 · Is the gradient right?
==========================

*A wrong gradient raises no error, and the network that uses it still learns. Here you see three
wrong rules train to a plausible accuracy, and a check of a few lines that catches every one.*

**Prerequisites:** lesson 2 (a tape of numbers).

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* compare any gradient with the function it belongs to, and choose the size of the step,
* say why such a check needs float64, random directions and a random first gradient,
* check a function of your own with ``gradcheck`` and understand what it answers.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, gradcheck, record
from minivision import functional as F
from minivision.analysis.gradient_cases import check_all
from minivision.datasets import DataLoader, load_dataset
from minivision.gradcheck import GradientError
from minivision.nn import Conv2d, Linear, Module
from minivision.optim import Adam
from minivision.training import classification_loss, evaluate, fit

BLUE, VERMILION, GREY, PALE = "#0072B2", "#D55E00", "#666666", "#E8E8E8"

# %%
# A promise about small steps
# ---------------------------
# A gradient promises: go a small step ε from x, and f changes by about ε times me. Whoever wants to
# know whether a rule keeps that promise takes the step and looks. There are two ways of looking.
# The *forward* difference compares f(x + ε) with f(x). The *central* difference compares f(x + ε)
# with f(x - ε), and so lets the bend of the curve, which is the same on both sides, cancel.


def f(x):
    return np.exp(x)


x, eps = 0.2, 1.0
true_slope = np.exp(x)
forward = (f(x + eps) - f(x)) / eps
central = (f(x + eps) - f(x - eps)) / (2 * eps)
print(f"slope at {x}: {true_slope:.4f}   forward: {forward:.4f}   central: {central:.4f}")

figure, axes = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
line = np.linspace(-1.25, 1.4, 200)
axes.plot(line, f(line), color="black", linewidth=2, label="f")
for start, name, colour, style in (
    (x, "forward", VERMILION, "--"),
    (x - eps, "central", BLUE, "-."),
):
    ends = np.array([start, x + eps])
    axes.plot(ends, f(ends), "o", color=colour, linestyle=style, linewidth=1.8, label=name)
tangent = np.array([x - 0.9, x + 1.1])
axes.plot(tangent, f(x) + true_slope * (tangent - x), color=GREY, label="tangent at x")
axes.set_xticks([x - eps, x, x + eps], ["x - ε", "x", "x + ε"])
axes.set(ylabel="f(x) = eˣ", title="Which secant is nearly parallel to the tangent? (ε = 1)")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# How small is small?
# -------------------
# The smaller ε, the straighter the curve looks, and the better the promise should be kept. But a
# computer stores f with a fixed number of digits. When ε is tiny, f(x + ε) and f(x - ε) agree in
# nearly all of them, and their difference consists of what was rounded.
#
# We measure both effects on a real loss: the cross-entropy of a small linear classifier. A weight
# matrix has many entries, so a step needs a direction v, and the promise reads
# L(w + ε·v) - L(w - ε·v) ≈ 2ε·⟨dw, v⟩.

rng = np.random.default_rng(0)
inputs, labels = rng.normal(size=(16, 8)), rng.integers(0, 4, 16)
weights = rng.normal(size=(4, 8))


def loss_at(w):
    """The loss, computed in the precision of w."""
    return F.cross_entropy(F.linear(inputs.astype(w.dtype), w), labels).data


leaf = Tensor(weights, requires_grad=True)
F.cross_entropy(F.linear(inputs, leaf), labels).backward()
dw = leaf.grad

steps = 10.0 ** np.arange(0, -13.5, -0.5)
directions = rng.normal(size=(20, *weights.shape))


def typical_error(dtype, central, promised):
    """For each ε, the median over the directions of |difference - promise| / |promise|."""
    w, errors = weights.astype(dtype), []
    for eps in steps:
        of_this_step = []
        for v in directions:
            ahead = loss_at((w + eps * v).astype(dtype))
            behind = loss_at((w - eps * v).astype(dtype)) if central else loss_at(w)
            slope = (float(ahead) - float(behind)) / (eps * (2 if central else 1))
            promise = (promised * v).sum()
            of_this_step.append(abs(slope - promise) / abs(promise))
        errors.append(np.median(of_this_step))
    return np.array(errors)


curves = {
    "float32, forward": (typical_error(np.float32, False, dw), VERMILION, "--"),
    "float32, central": (typical_error(np.float32, True, dw), VERMILION, "-"),
    "float64, forward": (typical_error(np.float64, False, dw), BLUE, "--"),
    "float64, central": (typical_error(np.float64, True, dw), BLUE, "-"),
}
wrong_by_one_percent = typical_error(np.float64, True, 1.01 * dw)
for name, (errors, _, _) in curves.items():
    print(f"{name}: best at ε = {steps[errors.argmin()]:.0e}, error {errors.min():.0e}")

# %%
figure, axes = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
axes.loglog(steps, wrong_by_one_percent, color=GREY, linewidth=1.6, linestyle=":")
axes.text(3e-7, 1.5e-2, "float64, central, for a gradient 1 % too large", color=GREY, fontsize=9)
for name, (errors, colour, style) in curves.items():
    shown = errors > 0
    axes.loglog(steps[shown], errors[shown], color=colour, linestyle=style, label=name)
axes.axvline(1e-5, color=PALE, zorder=0, linewidth=6)
axes.text(1e-5, 2e-12, "gradcheck's ε", ha="center", color=GREY, fontsize=9)
axes.set(xlabel="step ε (from large to small)", ylabel="relative error", ylim=(1e-12, 30))
axes.set_xlim(2, 1e-13)
axes.legend(frameon=False, loc="lower right", fontsize=9)
axes.set_title("Too large a step meets the bend; too small a step meets rounding", fontsize=11)
axes.spines[["top", "right"]].set_visible(False)

# %%
# Each curve is a V. On the left, where steps are large, the error is the bend of the function; the
# dashed forward differences fall in proportion to ε, the central ones with ε², twice as steep. On
# the right it is rounding, and grows as ε shrinks.
#
# In float32 the two sides meet high up, and a mistake that is smaller than the error at the best
# step would pass. In float64 there is a deep valley around ε = 1e-5, and even the dotted line, a
# mistake of one percent, stands above it by many powers of ten. That is why ``gradcheck`` computes
# in float64, takes central differences and steps of 1e-5, and can afford a tolerance of one
# millionth.
#
# Why directions at random
# ------------------------
# One could move each weight on its own. A direction moves all of them together, so that two
# evaluations put the whole gradient to the test; a wrong entry anywhere spoils the sum, except
# by a coincidence that a second random direction will not repeat.

entries, drawn = weights.size, 3
print(f"one by one: {2 * entries} evaluations for {entries} weights;")
print(f"along {drawn} random directions: {2 * drawn}, whatever the number of weights")

# %%
# Why ones are a trap
# -------------------
# Softmax turns scores into probabilities, and these sum to 1 whatever the scores. So the gradient
# of their *sum* is zero. Here is a rule with a mistake that is easy to make: softmax's gradient is
# q·(dy - Σ dy·q), and this one subtracts the plain mean of dy instead of the mean weighted by q.


def mean_softmax(z):
    """softmax over the last axis, with a wrong rule."""
    q = F.softmax(z).data

    def backward(dy):
        return (q * (dy - dy.mean(axis=-1, keepdims=True)),)  # right: (dy * q).sum(…)

    return record(q, (z,), backward)


scores = rng.normal(size=(2, 5))
for name, first in (("ones", np.ones((2, 5))), ("random", rng.normal(size=(2, 5)))):
    gradients = []
    for function in (F.softmax, mean_softmax):
        leaf = Tensor(scores, requires_grad=True)
        function(leaf).backward(first)
        gradients.append(leaf.grad)
    print(f"first gradient: {name}")
    print(f"    right rule, first row {gradients[0][0].round(4) + 0}")
    print(f"    wrong rule, first row {gradients[1][0].round(4) + 0}")

# %%
# Under ones both rules say "nothing", which is true, and a check that starts from ones is content.
# Under a random first gradient they part. ``gradcheck`` draws one:


def verdict(name, function, inputs):
    """What gradcheck says about a function at these inputs."""
    try:
        report = gradcheck(function, inputs, rng=np.random.default_rng(0))
    except GradientError as error:
        print(f"{name}: NOT PASSED\n    {error}\n")
    else:
        print(f"{name}: passed, worst relative error {report.worst_error:.1e}\n")


verdict("softmax", F.softmax, [scores])
verdict("softmax with a plain mean", mean_softmax, [scores])

# %%
# Three rules, broken on purpose
# ------------------------------
# All of them return gradients of the right shape, so the tape accepts them without a word.


def maskless_relu(x):
    """max(x, 0), but its gradient passes everywhere: it forgot where x was negative."""

    def backward(dy):
        return (dy,)  # right: dy * (y > 0)

    return record(np.maximum(x.data, 0), (x,), backward)


def averaging_linear(x, weight, bias):
    """x Wᵀ + b, but the bias gets the mean of dy; it was added to every row, so: the sum."""
    a, w = x.data, weight.data

    def backward(dy):
        return dy @ w, dy.T @ a, dy.mean(axis=0)  # right: dy.sum(axis=0)

    return record(a @ w.T + bias.data, (x, weight, bias), backward)


def sharing_max_pool(x, size):
    """The maximum of each window, but all its pixels share the gradient as if it were the mean."""
    y = F.max_pool2d(x, size).data

    def backward(dy):
        dx = np.repeat(np.repeat(dy, size, axis=2), size, axis=3)
        return (dx / size**2,)  # right: all of dy to the first maximum, 0 to the others

    return record(y, (x,), backward)


image = rng.normal(size=(2, 3, 4, 6))
matrices = [rng.normal(size=(6, 5)), rng.normal(size=(4, 5)), rng.normal(size=4)]
verdict("relu", F.relu, [image])
verdict("relu without its mask", maskless_relu, [image])
verdict("linear", F.linear, matrices)
verdict("linear with an averaged bias gradient", averaging_linear, matrices)
verdict("max pooling", lambda x: F.max_pool2d(x, 2), [image])
verdict("max pooling that shares", lambda x: sharing_max_pool(x, 2), [image])

# %%
# Each sentence names the input (``linear`` has three: x, the weight and the bias, numbered from 0),
# what the rule promised along a direction, and what the function did.
#
# Why not look at the accuracy?
# -----------------------------
# "It trains, so it must be right." Let us see. A small network, with each of the wrong rules in
# turn and then with all three, learns to read digits. Three seeds each, five epochs, and the
# accuracy on held-out digits.


class SmallNetwork(Module):
    """Convolution, relu, pooling, and two fully connected layers, with exchangeable functions."""

    def __init__(self, rng, relu=F.relu, linear=F.linear, pool=F.max_pool2d):
        self.conv = Conv2d(1, 8, 5, stride=2, rng=rng)
        self.hidden, self.output = Linear(8 * 6 * 6, 32, rng=rng), Linear(32, 10, rng=rng)
        self.relu, self.linear, self.pool = relu, linear, pool

    def forward(self, x):
        x = F.flatten(self.pool(self.relu(self.conv(x)), 2))
        x = self.relu(self.linear(x, self.hidden.weight, self.hidden.bias))
        return self.linear(x, self.output.weight, self.output.bias)


train, validation, _ = load_dataset("digits")  # the third part is for testing: lesson 6 opens it
wrong = {"relu": maskless_relu, "linear": averaging_linear, "pool": sharing_max_pool}
variants = {
    "all rules right": {},
    "relu without mask": {"relu": wrong["relu"]},
    "averaged bias gradient": {"linear": wrong["linear"]},
    "pooling that shares": {"pool": wrong["pool"]},
    "all three wrong": wrong,
}
accuracies = {}
for name, functions in variants.items():
    accuracies[name] = []
    for seed in range(3):
        model = SmallNetwork(np.random.default_rng(seed), **functions)
        batches = DataLoader(train, 32, shuffle=True, seed=seed)
        adam = Adam(model.parameters(), 3e-3)
        fit(model, batches, classification_loss, adam, epochs=5, seed=seed, device="cpu")
        accuracies[name].append(evaluate(model, DataLoader(validation, 256))["accuracy"])
    each = "  ".join(f"{accuracy:.1%}" for accuracy in accuracies[name])
    print(f"{name:<24} {each}   mean {np.mean(accuracies[name]):.1%}")

# %%
figure, axes = plt.subplots(figsize=(7.2, 3.0), layout="constrained")
for row, values in enumerate(accuracies.values()):
    colour, marker = (BLUE, "o") if row == 0 else (VERMILION, "D")
    axes.plot(values, [row] * len(values), marker, color=colour, alpha=0.75, markersize=7)
    axes.plot([np.mean(values)] * 2, [row - 0.28, row + 0.28], color="black", linewidth=1.5)
axes.axvline(0.1, color=GREY, linestyle=":")
axes.text(0.11, 4.3, "guessing", color=GREY, fontsize=9)
axes.set_yticks(range(len(accuracies)), list(accuracies))
axes.set(xlim=(0, 1.02), ylim=(4.6, -0.6), xlabel=f"accuracy on {len(validation)} held-out digits")
axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.set_title("A point for each of three seeds, a line for their mean", fontsize=10)
axes.tick_params(left=False)
axes.spines[["top", "right", "left"]].set_visible(False)

# %%
# Every network learned, also the one with three wrong rules out of three. The missing mask costs
# some points, which one would put down to a small network or a bad learning rate; nobody who saw
# only that row would suspect a mistake. The other two rules cost next to nothing here. For the
# averaged bias gradient we can say why: Adam divides every gradient by its typical size, so one
# that is too small by a constant factor makes almost the same steps. With another optimizer the
# mistake would be felt.
#
# An accuracy tells how good a network is. Only a check of the gradient tells whether it is the
# network you meant to train.
#
# Kinks: where no promise can be kept
# -----------------------------------
# At 0, relu has a corner. To the right its slope is 1, to the left it is 0. The engine chooses 0,
# as PyTorch does; the central difference finds the mean of both sides, for every ε.

corner = Tensor(np.zeros(1), requires_grad=True)
F.relu(corner).backward(np.ones(1))
for eps in (1e-2, 1e-5):
    ahead, behind = F.relu(np.full(1, eps)).item(), F.relu(np.full(1, -eps)).item()
    print(f"ε = {eps:g}: the rule says {corner.grad[0]:g}, the central difference says "
          f"{(ahead - behind) / (2 * eps):g}")  # fmt: skip

# %%
# Neither is wrong; there is no gradient to be right about. The same happens where two pixels tie
# for the maximum of a window. A check at such a place would accuse a correct rule, so ``gradcheck``
# looks for a corner within the step and says what to do:

verdict("relu at 0", F.relu, [np.zeros(1)])
verdict("max pooling of equal pixels", lambda x: F.max_pool2d(x, 2), [np.zeros((1, 1, 4, 4))])

# %%
# In training kinks do no harm: to land on one exactly is rare, and either slope is a fair choice.
#
# The whole engine
# ----------------
# For every function of minivision there is a recipe that draws shapes, strides and paddings at
# random and inputs away from kinks. The command ``minivision gradcheck`` runs them all. Here with
# three geometries for each function:

print(f"{'function':<14} {'worst relative error':>20}")
for row in check_all(geometries=3):
    print(f"{row.name:<14} {row.worst_error:>20.1e}")

# %%
# Three things to try
# -------------------
# 1. Take the broken ``squash`` from the end of lesson 2 and write
#    ``verdict("squash", squash, [rng.normal(size=(3, 4))])``. It should be caught, with a promise
#    that is one and a half times what the function does.
# 2. In ``SmallNetwork``'s training replace ``Adam(model.parameters(), 3e-3)`` by
#    ``SGD(model.parameters(), 0.02, momentum=0.9)``, from ``minivision.optim``. The right rules
#    still learn. Expect the network without relu's mask to grow beyond all bounds: ``fit`` stops
#    and names the function in which the first number that is not finite arose.
# 3. In ``verdict`` pass ``eps=1e-12`` to ``gradcheck``. Read off the figure what must happen: the
#    error of a right rule rises above the tolerance, and correct functions are accused.
#
# **Next lesson:** 4 · One fully connected layer

plt.show()
