"""
3 · Is the gradient right?
==========================

**A network learns to read nine digits out of ten. Does that prove that its gradients are right?**

*A wrong gradient raises no error. First you meet a check that takes a few lines; then you visit a
museum of wrong gradients, which this check catches although the accuracy looks fine.*

**Prerequisites:** lesson 2 (a tape of numbers).

**Minutes:** 35 to read, about 25 seconds to run.

**You will be able to**

* check any gradient against the function it belongs to, and choose a suitable step size,
* say why such a check needs float64, random directions and a random upstream gradient,
* use controls to show why a plausible accuracy proves nothing about a gradient.
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, gradcheck, manual_seed, nn, optim, record, training
from minivision import functional as F
from minivision.analysis.gradient_cases import check_all
from minivision.gradcheck import GradientError

from lesson import BLUE, GREY, PALE, VERMILION, recorded_rows

# %%
# A promise about small steps
# ---------------------------
# A gradient makes a promise: if x grows by a small step ε, f changes by about ε times the gradient.
# To find out whether a backward function keeps this promise, take the step and measure the change.
# There are two ways to do so. The *forward* difference compares f(x + ε) with f(x). The *central*
# difference compares f(x + ε) with f(x - ε); the effect of the curvature is the same on both sides
# of x, so it cancels out.


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
# The smaller ε is, the straighter the curve looks, and the better the promise should hold. But a
# computer stores f with a fixed number of digits. If ε is tiny, f(x + ε) and f(x - ε) agree in
# nearly all of them, and little but rounding error is left of their difference.
#
# We measure both effects on a real loss: the cross-entropy of a small linear classifier. A weight
# matrix has many entries, so a step needs a direction v, and the promise becomes
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
axes.set_title("Large steps suffer from curvature, small steps from rounding", fontsize=11)
axes.spines[["top", "right"]].set_visible(False)

# %%
# Each curve has the shape of a V. On the left, where the steps are large, the error comes from the
# curvature of the function: it falls in proportion to ε for forward differences (dashed) and in
# proportion to ε² for central ones (solid), which are therefore twice as steep. On the right, the
# error comes from rounding and grows as ε shrinks.
#
# In float32 the two sides of the V meet high up, so a mistake smaller than the error at the best
# step would pass unnoticed. In float64 there is a deep valley around ε = 1e-5, and even a gradient
# that is wrong by one percent (the dotted line) is above it by many powers of ten. That is why
# ``gradcheck`` uses float64 and central differences with a step of 1e-5, and can afford a tolerance
# of one millionth.
#
# Why random directions
# ---------------------
# You could change one weight at a time. A random direction changes all of them at once, so two
# evaluations put the whole gradient to the test. A wrong entry anywhere makes the result wrong,
# except by a coincidence that a second random direction will not repeat.

entries, drawn = weights.size, 3
print(f"one by one: {2 * entries} evaluations for {entries} weights")
print(f"along {drawn} random directions: {2 * drawn} evaluations for any number of weights")

# %%
# Why ones are a trap
# -------------------
# Softmax turns scores into probabilities, which sum to 1 whatever the scores are. So the gradient
# of their *sum* is zero. The backward function below has a mistake that is easy to make: the
# gradient of softmax is q·(dy - Σ dy·q), but this function subtracts the plain mean of dy instead
# of the mean weighted by q.


def mean_softmax(z):
    """softmax over the last axis, with a wrong gradient."""
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
    print(f"upstream gradient: {name}")
    print(f"    right gradient, first row {gradients[0][0].round(4) + 0}")
    print(f"    wrong gradient, first row {gradients[1][0].round(4) + 0}")

# %%
# If the upstream gradient consists of ones, both functions return zero. That is correct, so a check
# that uses ones lets the mistake pass. With a random upstream gradient the results differ.
# ``gradcheck`` always draws a random one:


def verdict(name, function, inputs):
    """Print what gradcheck says about a function at the given inputs."""
    try:
        report = gradcheck(function, inputs, rng=np.random.default_rng(0))
    except GradientError as error:
        print(f"{name}: NOT PASSED\n    {error}\n")
    else:
        print(f"{name}: passed, worst relative error {report.worst_error:.1e}\n")


verdict("softmax", F.softmax, [scores])
verdict("softmax with a plain mean", mean_softmax, [scores])

# %%
# Kinks: where no promise can be kept
# -----------------------------------
# At 0, relu has a corner: its slope is 1 on the right and 0 on the left. The engine uses 0, as
# PyTorch does; the central difference is the mean of the two slopes, for every ε.

corner = Tensor(np.zeros(1), requires_grad=True)
F.relu(corner).backward(np.ones(1))
for eps in (1e-2, 1e-5):
    ahead, behind = F.relu(np.full(1, eps)).item(), F.relu(np.full(1, -eps)).item()
    print(f"ε = {eps:g}: the engine gives {corner.grad[0]:g}, the central difference "
          f"{(ahead - behind) / (2 * eps):g}")  # fmt: skip

# %%
# Neither value is wrong, because relu has no gradient at 0. Max pooling has the same problem if two
# pixels tie for the maximum of a window. A check at such a point would reject a correct backward
# function, so ``gradcheck`` looks for a kink within the step, and if there is one, its error
# message says what to do:

verdict("relu at 0", F.relu, [np.zeros(1)])
verdict("max pooling of equal pixels", lambda x: F.max_pool2d(x, 2), [np.zeros((1, 1, 4, 4))])

# %%
# In training, kinks do no harm: a value rarely lies exactly on one, and either slope will do.
#
# The whole engine
# ----------------
# For every function in minivision there is a recipe that draws random shapes, strides and paddings,
# and inputs away from kinks. The command ``minivision gradcheck`` checks all functions in this way.
# Here we do the same with three random geometries per function:

print(f"{'function':<14} {'worst relative error':>20}")
for row in check_all(geometries=3):
    print(f"{row.name:<14} {row.worst_error:>20.1e}")

# %%
# The museum of wrong gradients
# -----------------------------
# So much for the check. But do we need it? Some would say: "It trains, so it must be right." The
# museum shows six backward functions, each with a mistake that is easy to make. All of them return
# gradients of the right shape, so the engine raises no error, and with any of them a network learns
# to read digits.
#
# The first three exhibits are about convolution, the subject of lesson 5. For now it is enough to
# know that a convolution places a small *kernel* of weights at every position of an image and sums
# the products. (You can also skip these three and come back after lesson 5.) With a stride of 1,
# both gradients are convolutions again. For dx, a kernel runs over dy: the original one *turned* by
# 180 degrees, with filters and channels swapped. For dW, dy itself slides over the image as if it
# were a kernel.

PADDING = 2  # a 5x5 kernel then keeps the size of the image
SWAPPED = (1, 0, 2, 3)


def conv(x, weight, bias):
    """The engine's convolution, whose gradients are right."""
    return F.conv2d(x, weight, bias, padding=PADDING)


def right_dx(dy, weight):
    turned = weight[:, :, ::-1, ::-1]
    return F.conv2d(dy, turned.transpose(SWAPPED), padding=PADDING).data


def right_dw(dy, x):
    dw = F.conv2d(x.transpose(SWAPPED), dy.transpose(SWAPPED), padding=PADDING).data
    return dw.transpose(SWAPPED)


# %%
# **Exhibit 1.** In mathematics, a convolution turns its kernel. If you follow a mathematics
# textbook, you may turn dW as well, although the forward pass did not turn W.


def conv_turning_dw(x, weight, bias):
    y = conv(x.data, weight.data, bias.data).data

    def backward(dy):
        dw = right_dw(dy, x.data)[:, :, ::-1, ::-1]  # right: right_dw(dy, x.data)
        return right_dx(dy, weight.data), dw, dy.sum(axis=(0, 2, 3))

    return record(y, (x, weight, bias), backward)


# %%
# **Exhibit 2.** For dx the kernel has to be turned, which is easy to forget.


def conv_not_turning_dx(x, weight, bias):
    y = conv(x.data, weight.data, bias.data).data

    def backward(dy):
        kernel = weight.data  # right: weight.data[:, :, ::-1, ::-1]
        dx = F.conv2d(dy, kernel.transpose(SWAPPED), padding=PADDING).data
        return dx, right_dw(dy, x.data), dy.sum(axis=(0, 2, 3))

    return record(y, (x, weight, bias), backward)


# %%
# **Exhibit 3.** All images in the batch use the same weights, so the gradient of the weights is a
# sum over the images. Here the loop has ``=`` instead of ``+=``, so only the last image counts.


def conv_of_last_image(x, weight, bias):
    y = conv(x.data, weight.data, bias.data).data
    columns = F.unfold(x.data, weight.shape[2:], padding=PADDING).data  # each column is a window

    def backward(dy):
        dw = np.zeros_like(weight.data)
        for windows, dy_image in zip(columns, dy, strict=True):
            dy_image = dy_image.reshape(len(dw), -1)
            dw = (dy_image @ windows.T).reshape(dw.shape)  # right: dw += …
        return right_dx(dy, weight.data), dw, dy.sum(axis=(0, 2, 3))

    return record(y, (x, weight, bias), backward)


# %%
# **Exhibit 4.** This relu lacks its mask: the gradient passes even where x was negative.


def maskless_relu(x):
    def backward(dy):
        return (dy,)  # right: dy * (x.data > 0)

    return record(np.maximum(x.data, 0), (x,), backward)


# %%
# **Exhibit 5.** This max pooling has the gradient of average pooling, copied from the function next
# to it: all pixels of a window share the gradient.


def sharing_max_pool(x, size):
    y = F.max_pool2d(x.data, size).data

    def backward(dy):
        dx = np.repeat(np.repeat(dy, size, axis=2), size, axis=3)
        return (dx / size**2,)  # right: all of dy to the largest, 0 to the others

    return record(y, (x,), backward)


# %%
# **Exhibit 6.** The loss is the mean over N images, but its backward function returns the gradient
# of their sum. So every gradient in the network is N times too large.


def undivided_cross_entropy(logits, labels):
    loss, q = F.cross_entropy(logits.data, labels).data, F.softmax(logits.data).data

    def backward(dy):
        p = np.eye(q.shape[1], dtype=q.dtype)[labels]
        return (dy * (q - p),)  # right: dy * (q - p) / len(q)

    return record(loss, (logits,), backward)


# %%
# The seventh exhibit combines mistakes 3, 4, 5 and 6. (They are in different functions, so one
# network can have them all.)

RIGHT = {"conv": conv, "relu": F.relu, "pool": F.max_pool2d, "loss": F.cross_entropy}
EXHIBITS = {
    "1 dW turned": {"conv": conv_turning_dw},
    "2 dx not turned": {"conv": conv_not_turning_dx},
    "3 last image only": {"conv": conv_of_last_image},
    "4 relu, no mask": {"relu": maskless_relu},
    "5 pooling shares": {"pool": sharing_max_pool},
    "6 not divided by N": {"loss": undivided_cross_entropy},
    "3, 4, 5 and 6": {
        "conv": conv_of_last_image,
        "relu": maskless_relu,
        "pool": sharing_max_pool,
        "loss": undivided_cross_entropy,
    },
}

# %%
# Do they train?
# --------------
# The network is small: two 5x5 convolutions, each followed by relu and pooling, and one fully
# connected layer. Its functions are arguments, so that we can replace any of them by an exhibit.


class SmallNetwork(nn.Module):
    """Two convolutions and a fully connected layer, with the given functions."""

    def __init__(self, conv, relu, pool, loss):
        self.first = nn.Conv2d(1, 6, 5, padding=PADDING)
        self.second = nn.Conv2d(6, 8, 5, padding=PADDING)
        self.output = nn.Linear(8 * 7 * 7, 10)
        self.conv, self.relu, self.pool, self.loss = conv, relu, pool, loss

    def forward(self, x):
        for layer in (self.first, self.second):
            x = self.pool(self.relu(self.conv(x, layer.weight, layer.bias)), 2)
        return self.output(F.flatten(x))


# %%
# On its own, an accuracy says little. So besides the exhibits we train three *controls*, networks
# for which we know what they can and cannot have learned. All their gradients are right:
#
# * *all rules right* is trained like the exhibits, but all its backward functions (its "rules") are
#   right. It shows the accuracy without any mistake.
# * In *frozen filters*, the convolutions keep their random initial weights, and only the last layer
#   is trained. This control shows the accuracy without any gradient for the convolutions.
# * In *shuffled labels*, the labels are assigned to the training images at random. This control
#   shows the accuracy if there is nothing to learn.

CONTROLS = ("all rules right", "frozen filters", "shuffled labels")
EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 32, 3e-3


def trained(name, data, seed):
    """Train an exhibit or a control; return the network and its history."""
    with manual_seed(seed) as rng:
        network = SmallNetwork(**{**RIGHT, **EXHIBITS.get(name, {})})
    learning = network.output if name == "frozen filters" else network
    if name == "shuffled labels":
        data = datasets.ArrayDataset(data.images, rng.permutation(data.labels), data.classes)
    batches = datasets.DataLoader(data, BATCH_SIZE, shuffle=True, seed=seed)
    adam = optim.Adam(learning.parameters(), LEARNING_RATE)
    history = training.fit(
        network, batches, training.classification_loss, adam, EPOCHS, seed=seed, device="cpu"
    )
    return network, history


# The third set, the test digits, is not used here.
train, validation, _ = datasets.load_dataset("digits")
losses = {}
for name in (*CONTROLS, *EXHIBITS):
    network, history = trained(name, train, seed=0)
    losses[name] = history["train_loss"]
    accuracy = training.evaluate(network, datasets.DataLoader(validation, 256))["accuracy"]
    print(f"{name:<20} loss {losses[name][0]:.2f} -> {losses[name][-1]:.2f}",
          f"  accuracy on {len(validation)} held-out digits {accuracy:.1%}")  # fmt: skip

# %%
# That was a single seed. We ran the same experiment beforehand with five seeds and evaluated it on
# the 360 test digits (``examples/measure_wrong_gradients.py``, which takes its functions from this
# file). The exhibits and the size of the network were chosen by trials on the validation digits. We
# subtract the accuracies of the controls seed by seed, because networks with the same seed start
# from the same weights. We do not count a difference of less than two standard errors.

rows = recorded_rows("wrong_gradients.json")
tests = {
    name: np.array([row["test_accuracy"] for row in rows if row["name"] == name])
    for name in (*CONTROLS, *EXHIBITS)
}


def difference(name, control):
    """The mean difference between two networks in percentage points, and in standard errors."""
    points = 100 * (tests[name] - tests[control])
    error = points.std(ddof=1) / np.sqrt(len(points))
    return f"{points.mean():+6.1f} ({abs(points.mean()) / error:.1f})"


print(f"{'':<20}{'test accuracy':>16}   minus all rules right   minus frozen filters")
for name, values in tests.items():
    line = f"{name:<20}{values.mean():>8.1%} ± {values.std(ddof=1):.1%}"
    if name in EXHIBITS:
        line += f"{difference(name, CONTROLS[0]):>24}{difference(name, CONTROLS[1]):>23}"
    print(line)
print(
    f"points (and standard errors), {len(values)} seeds; ± is the standard deviation over the seeds"
)

# %%
figure, (whole, end) = plt.subplots(
    1, 2, figsize=(9.2, 4.4), layout="constrained", sharey=True, width_ratios=(1, 1.3)
)
bands = dict(zip(CONTROLS, (BLUE, GREY, "black"), strict=True))
for axes in (whole, end):
    for name, colour in bands.items():
        axes.axvspan(tests[name].min(), tests[name].max(), color=colour, alpha=0.25, linewidth=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
places = range(len(EXHIBITS))
whole.barh(places, [tests[name].mean() for name in EXHIBITS], color=VERMILION, height=0.55)
for place, name in zip(places, EXHIBITS, strict=True):
    end.plot(tests[name], [place] * len(tests[name]), "D", color=VERMILION, alpha=0.7)
    end.plot([tests[name].mean()] * 2, [place - 0.3, place + 0.3], color="black", linewidth=1.5)
whole.set_yticks(places, list(EXHIBITS))
whole.set(
    xlim=(0, 1), ylim=(len(EXHIBITS) - 0.4, -1.1), xlabel="test accuracy, mean over the seeds"
)
whole.text(tests["shuffled labels"].max() + 0.02, -0.75, "shuffled labels", va="center", fontsize=9)
end.set_xlim(min(tests[name].min() for name in EXHIBITS) - 0.01, 1)
end.set_xlabel("the right end, enlarged: one point per seed, a line at the mean")
for name, label in zip(CONTROLS, ("all rules\nright", "frozen\nfilters"), strict=False):
    end.text(tests[name].mean(), -0.75, label, ha="center", va="center", color=bands[name],
             fontsize=9)  # fmt: skip
figure.suptitle("All seven have wrong gradients. (Bands: lowest to highest accuracy of a control)")

# %%
figure, grid = plt.subplots(
    2, 4, figsize=(9.2, 5.2), layout="constrained", sharex=True, sharey=True
)
epochs = range(1, EPOCHS + 1)
for axes, name in zip(grid.flat, (*EXHIBITS, "the controls"), strict=True):
    axes.semilogy(epochs, losses["all rules right"], color=BLUE)
    axes.semilogy(epochs, losses["frozen filters"], "--", color=GREY)
    if name in EXHIBITS:
        axes.semilogy(epochs, losses[name], "o-", color=VERMILION, markersize=4)
        caption = f"test accuracy {tests[name].mean():.1%}"
        axes.text(0.96, 0.91, caption, transform=axes.transAxes, ha="right", fontsize=9)
    else:
        axes.semilogy(epochs, losses["shuffled labels"], ":", color="black")
        labels_at = ((2.1, 0.08), (3.4, 0.7), (3, 1.5))  # epoch and loss
        for control, (epoch, loss) in zip(CONTROLS, labels_at, strict=True):
            axes.text(epoch, loss, control, color=bands[control], fontsize=9, ha="center")
    axes.set_title(name, fontsize=10)
    axes.set_xticks(epochs)
figure.supxlabel("epoch", fontsize=10)
figure.supylabel("training loss (seed 0)", fontsize=10)
figure.suptitle("Seven networks with wrong gradients (orange), and seven losses that fall")

# %%
# Each of these networks reads more than nine test digits out of ten, and its loss fell. If you saw
# only one of these rows, you would not look for a mistake; at most you would try a different
# learning rate.
#
# The controls explain why. The network with frozen filters does not use the gradient of the
# convolutions at all, and yet it reads nearly as well, because its last layer learns to make do
# with random filters. So a convolution that learns nothing costs only a few points. An accuracy far
# above guessing, or far above that with shuffled labels, proves nothing about the gradient of the
# convolutions.
#
# The controls also show what the accuracy hides. Exhibit 1 is no better than the network with
# frozen filters, and neither is the exhibit with four mistakes: training the filters gained
# nothing. Exhibit 6, on the other hand, learns just like the network with the right gradients. Adam
# divides every gradient by its typical size, so a constant factor makes next to no difference. This
# mistake shows up only with a different optimizer.
#
# We chose these seven because they train. Mistakes that prevent learning are not shown; you would
# notice them anyway.
#
# What catches them
# -----------------
# We give ``gradcheck`` one small random example for each function. Its error message names the
# input (a convolution has three, numbered from 0) and says what the gradient promised along a
# direction and what the function did. The right functions come first, then the exhibits.


def example(part, draw, images):
    """Inputs to check a function with; `draw` makes a random array of a given shape."""
    shapes = {
        "conv": [(images, 2, 6, 7), (3, 2, 5, 5), (3,)],
        "relu": [(images, 2, 4, 6)],
        "pool": [(images, 2, 4, 6)],
        "loss": [(images, 5)],
    }
    return [draw(shape) for shape in shapes[part]]


def checkable(part, function):
    """The same function with its other arguments filled in."""
    if part == "pool":
        return lambda x: function(x, 2)
    if part == "loss":
        return lambda logits: function(logits, np.arange(logits.shape[0]) % 5)
    return function


WRONG = {name: next(iter(rules.items())) for name, rules in EXHIBITS.items() if len(rules) == 1}
for part, function in RIGHT.items():
    verdict(
        f"{part}, right", checkable(part, function), example(part, rng.standard_normal, images=3)
    )
for name, (part, function) in WRONG.items():
    verdict(name, checkable(part, function), example(part, rng.standard_normal, images=3))

# %%
# A check that passes too easily
# ------------------------------
# Not every check would have found these mistakes. The following one has a common form. It takes a
# single image of random numbers from 0 to 1 (``rng.random``), uses the sum of the outputs as the
# loss, and changes one entry of each input, the one in the middle. We improve this check one step
# at a time:
#
# 1. three images instead of one,
# 2. numbers of both signs,
# 3. a random upstream gradient dy instead of the ones that ``sum()`` gives,
# 4. all entries at once along random directions, as in ``gradcheck``.


def middle_check(function, inputs, first):
    """Change the middle entry of each input; `first` draws the upstream gradient."""
    leaves = [Tensor(a, requires_grad=True) for a in inputs]
    y = function(*leaves)
    dy = np.asarray(first(y.shape))
    y.backward(dy)
    for i, leaf in enumerate(leaves):
        step, middle = np.zeros(leaf.shape), tuple(n // 2 for n in leaf.shape)
        step[middle] = 1e-5
        around = [[*inputs[:i], inputs[i] + way * step, *inputs[i + 1 :]] for way in (1, -1)]
        ahead, behind = (function(*[Tensor(a) for a in moved]).data for moved in around)
        slope = ((ahead - behind) * dy).sum() / 2e-5
        if abs(leaf.grad[middle] - slope) > 1e-6 * max(1, abs(slope)):
            raise GradientError(f"input {i}: the gradient gives {leaf.grad[middle]}, not {slope}")


CHECKS = ("common form", "+ three images", "+ both signs", "+ random dy", "gradcheck")


def passes(level, part, function, seed):
    """Whether a function passes the check of this level (0 to 4) on one random example."""
    rng = np.random.default_rng(seed)
    inputs = example(
        part, rng.standard_normal if level >= 2 else rng.random, 3 if level >= 1 else 1
    )
    function = checkable(part, function)
    try:
        if level == 4:
            gradcheck(function, inputs, rng=rng)
        else:
            middle_check(function, inputs, rng.standard_normal if level == 3 else np.ones)
    except GradientError:
        return False
    return True


suspects = {f"{part}, right": (part, function) for part, function in RIGHT.items()} | WRONG
accused = np.zeros((len(suspects), len(CHECKS)))
for row, (part, function) in enumerate(suspects.values()):
    for level in range(len(CHECKS)):
        accused[row, level] = np.mean([not passes(level, part, function, s) for s in range(20)])

figure, axes = plt.subplots(figsize=(7.4, 4.6), layout="constrained")
axes.imshow(accused, cmap="Oranges", vmin=0, vmax=1.6, aspect="auto")
for (row, level), share in np.ndenumerate(accused):
    axes.text(level, row, f"{share:.0%}", ha="center", va="center", fontsize=9)
axes.axhline(len(RIGHT) - 0.5, color="black", linewidth=1)
axes.set_xticks(range(len(CHECKS)), CHECKS)
axes.set_yticks(range(len(suspects)), list(suspects))
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
axes.set_title("Share of 20 random examples on which the check rejects the function", fontsize=11)
for level, check in enumerate(CHECKS):
    missed = [name for name, row in zip(suspects, accused, strict=True) if row[level] == 0]
    print(f"{check:<16} misses: {'; '.join(name for name in missed if name in WRONG) or 'none'}")

# %%
# None of the checks rejects a right gradient, so each of them looks trustworthy. But the first lets
# five of the six wrong gradients pass, and every improvement catches one or two that passed before:
#
# * With *one image*, the mean is the sum, and the last image is the only one (exhibits 6 and 3).
# * If all *numbers are positive*, relu changes nothing and needs no mask (exhibit 4). Even with
#   both signs, the check catches the mistake only if the one entry that it changes happens to be
#   negative.
# * With *ones* as the upstream gradient, each pixel away from the border gets the sum of the
#   kernel, turned or not (exhibit 2).
# * The *middle* of a kernel stays where it is when the kernel is turned (exhibit 1).
#
# So a good check uses several images, numbers of both signs, a random upstream gradient, and all
# entries.
#
# An accuracy tells you how good a network is. Only a check of the gradient tells you whether you
# trained it the way you meant to.
#
# Three things to try
# -------------------
# 1. Take the broken ``squash`` from the end of lesson 2 and write ``verdict("squash", squash,
#    [rng.normal(size=(3, 4))])``. Expect ``gradcheck`` to reject it: the gradient promises one and
#    a half times the change that the function makes.
# 2. Run the museum with a different optimizer: in ``trained`` replace
#    ``optim.Adam(…, LEARNING_RATE)`` with ``optim.SGD(learning.parameters(), 0.02, momentum=0.9)``,
#    and let the loop below it run over ``("all rules right", "1 dW turned", "6 not divided by N",
#    "4 relu, no mask")``. Expect the control to learn and exhibit 1 to fall far behind. Exhibit 6,
#    whose steps are now 32 times too long, learns nothing. Exhibit 4 diverges: ``fit`` stops and
#    names the function that produced the first number that is not finite.
# 3. Add an exhibit of your own: max pooling whose gradient goes to the lower right corner of every
#    window, wherever the largest value was. It takes two lines, ``dx = np.zeros_like(x.data)`` and
#    ``dx[:, :, 1::2, 1::2] = dy``. Expect a network that reads more than nine digits out of ten,
#    and a ``gradcheck`` that rejects the function.
#
# **Write it yourself:** ``minivision exercise start conv2d_backward``, which recognises the first
# three exhibits.
#
# **Next lesson:** :doc:`4 · One fully connected layer <plot_04_one_fully_connected_layer>`

plt.show()
