"""
2 · A tape of numbers
=====================

*A network learns because every number it computes remembers how it was made. Here you watch one
such memory being written, walk it backwards, and let it fit a line to 24 galaxies.*

**Prerequisites:** Python, NumPy arrays, and what a derivative is. No earlier lesson is needed.

**Minutes:** 20 to read, a few seconds to run.

**You will be able to**

* compute the gradient of a small formula by hand and find the same numbers on a tape,
* give the engine a function of your own, with its rule,
* write gradient descent in fifteen lines and say what each of them is for.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minivision import Tensor, backward_steps, no_grad, record
from minivision import functional as F

BLUE, VERMILION, GREY, PALE = "#0072B2", "#D55E00", "#666666", "#E8E8E8"

# %%
# First by hand
# -------------
# A neuron with one input computes y = w·x + b. We would like it to answer 5, so we measure how
# wrong it is by the loss L = (y - 5)². Four small steps lead from w, x and b to L, and each step
# has a *rule*: how much does its result change when its input changes a little?
#
# ============  ==================================================
# value         rule
# ============  ==================================================
# p = w·x       one more w makes x more p; one more x makes w more
# y = p + b     one more p, or one more b, makes one more y
# e = y - 5     one more y makes one more e
# L = e²        one more e makes 2e more L
# ============  ==================================================
#
# The *chain rule* says that along a path such rates multiply: if L changes twice as fast as e, and
# e as fast as y, then L changes twice as fast as y. So we compute the values from left to right,
# and the rates from right to left, always starting with the rate of L against itself, which is 1.

w, x, b = 2.0, 3.0, 1.0

p = w * x
y = p + b
e = y - 5
L = e**2
print(f"values     p = {p:g}   y = {y:g}   e = {e:g}   L = {L:g}")

start = 1.0  # L against itself
de = start * 2 * e
dy = de * 1
dp, db = dy * 1, dy * 1
dw, dx = dp * x, dp * w
print(f"gradients  de = {de:g}  dy = {dy:g}  dp = {dp:g}  dw = {dw:g}  dx = {dx:g}  db = {db:g}")

# %%
# We write dw for ∂L/∂w, the *gradient* of w: how fast L grows when w grows. It is a prediction
# that you can test. Push w by a thousandth, and L should grow by about dw thousandths:

pushed = ((w + 0.001) * x + b - 5) ** 2
print(f"L grew by {pushed - L:.6f}; dw promised {0.001 * dw:.6f}")

# %%
# The same with a tape
# --------------------
# A :class:`minivision.Tensor` is an array (here of a single number) with a *node*. The node knows
# from which nodes the value was computed, its *parents*, and the rule that leads back to them.
# The formula is written as before; the tape is written while it is computed.

w, x, b = (Tensor(value, requires_grad=True) for value in (2.0, 3.0, 1.0))
p = w * x
y = p + b
e = y - 5
L = e**2
print(L)
print("its node has the number", L.node.number, "and was made by", L.node.name)
print("its parent has the number", L.node.parents[0].number, "and belongs to e:",
      L.node.parents[0] is e.node)  # fmt: skip

# %%
# A picture of it needs no more than that: start at the last node and follow ``node.parents``. Nodes
# are numbered in the order of their making, so sorting by number gives an order in which every
# value comes after all that it was made from.


def nodes_of(last):
    """All nodes that `last` depends on, parents first."""
    found, waiting = {last}, [last]
    while waiting:
        for parent in waiting.pop().parents:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return sorted(found, key=lambda node: node.number)


def place(nodes):
    """Columns from left to right; in a column, one node below the other."""
    column = {}
    for node in nodes:
        column[node] = 1 + max((column[parent] for parent in node.parents), default=-1)
    for node in nodes:  # what was given stands just before its first use
        if not node.parents:
            column[node] = min(column[n] for n in nodes if node in n.parents) - 1
    at = {}
    for node in sorted(nodes, key=lambda node: (not node.parents, node.number)):
        rows = sum(column[other] == column[node] for other in at)
        at[node] = (column[node], -rows)
    return at


def draw_tape(last, labels, gradients):
    """A box for every node, arrows for the way of the values, gradients below the boxes."""
    nodes = nodes_of(last.node)
    at = place(nodes)
    columns = 1 + max(column for column, _ in at.values())
    rows = 1 - min(row for _, row in at.values())
    figure, axes = plt.subplots(figsize=(1.75 * columns, 1.25 * rows + 0.5), layout="constrained")
    boxes = {}
    for node in nodes:
        column, row = at[node]
        boxes[node] = FancyBboxPatch(
            (column - 0.28, row - 0.22), 0.56, 0.44, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=PALE if node.parents else "white", edgecolor=GREY,
        )  # fmt: skip
        axes.add_patch(boxes[node])
        axes.text(column, row, labels[node], ha="center", va="center", fontsize=11, linespacing=1.4)
        if node in gradients:
            axes.text(column, row - 0.28, gradients[node], ha="center", va="top", color=VERMILION)
        for i, parent in enumerate(node.parents):
            twice = node.parents.count(parent) > 1  # two arrows between the same two boxes
            arrow = FancyArrowPatch(
                at[parent], at[node], patchA=boxes[parent], patchB=boxes[node], shrinkA=2,
                shrinkB=2, arrowstyle="-|>", mutation_scale=12, color=GREY, linewidth=1.3,
                connectionstyle=f"arc3,rad={0.35 * (-1) ** i if twice else 0}",
            )  # fmt: skip
            axes.add_patch(arrow)
    axes.set(xlim=(-0.4, columns - 0.6), ylim=(0.45 - rows, 0.35))
    axes.set_axis_off()
    return figure


# %%
# Now the walk back. ``backward_steps`` yields one step for each rule: the function's name, the
# gradient dy that arrived at its value, and the gradients it hands on, one for each input (None
# for the constant 5, which nobody wants to change). We keep what arrives at every node, to write it
# into the picture. (The walk takes the tape apart as it goes, so ``retain_graph=True`` asks it
# not to: we want to draw it afterwards.)

for tensor in (p, y, e, L):
    tensor.retain_grad()  # keep the gradients on the way, too, not only those of w, x and b
print(f"{'function':<10} {'dy arrives':>10}   hands on")
for name, arrived, handed_on in backward_steps(L, retain_graph=True):
    shown = [None if gradient is None else float(gradient) for gradient in handed_on]
    print(f"{name:<10} {float(arrived):>10g}   {shown}")

print("by hand     dw, dx, db =", (dw, dx, db))
print("on the tape dw, dx, db =", tuple(float(t.grad) for t in (w, x, b)))
assert (dw, dx, db) == (w.grad, x.grad, b.grad)

# %%
names = {"w": w, "x": x, "b": b, "p = w·x": p, "y = p + b": y, "e = y - 5": e, "L = e²": L}
labels = {tensor.node: f"{name}\n{float(tensor):g}" for name, tensor in names.items()}
labels[e.node.parents[1]] = "constant\n5"
gradients = {tensor.node: f"gradient {float(tensor.grad):g}" for tensor in names.values()}
figure = draw_tape(L, labels, gradients)
figure.suptitle("Values run right along the arrows; gradients come back left", fontsize=11)

# %%
# Read the picture from the right: 1 at L; times 2e at e; nothing is lost in the subtraction and the
# addition; and the product hands w the value of x, and x the value of w. That is all of
# *backpropagation*. A network of a hundred layers has a longer tape and the same walk.
#
# Where two paths meet, gradients add
# -----------------------------------
# In a² + 3a the number a is used three times, two of them in the same product. A small push of a
# reaches the sum on every one of these paths, and the effects add up. So do the gradients: by hand
# the derivative is 2a + 3. (``minivision backward "a * a + 3 * a" a=2`` makes a page with a slider
# that shows the numbers arrive.)

a = Tensor(2.0, requires_grad=True)
square = a * a
triple = 3 * a
total = square + triple
for tensor in (square, triple, total):
    tensor.retain_grad()
for name, _, handed_on in backward_steps(total, retain_graph=True):
    print(name, "hands on", [None if g is None else float(g) for g in handed_on])
print("a.grad =", float(a.grad), "  by hand 2a + 3 =", 2 * float(a) + 3)

# %%
names = {"a": a, "a·a": square, "3·a": triple, "a·a + 3·a": total}
labels = {tensor.node: f"{name}\n{float(tensor):g}" for name, tensor in names.items()}
labels[triple.node.parents[0]] = "constant\n3"
gradients = {tensor.node: f"gradient {float(tensor.grad):g}" for tensor in names.values()}
figure = draw_tape(total, labels, gradients)
figure.suptitle("Three arrows leave a; three gradients come back and add", fontsize=11)

# %%
# The first gradient
# ------------------
# The walk began with 1, because ∂L/∂L = 1. That needs a value that is a single number. For three
# numbers there is no such thing as *the* gradient, and the engine says so:

z = Tensor([0.5, 1.0, 2.0], requires_grad=True)
try:
    (z * z).backward()
except ValueError as error:
    print("ValueError:", error)

# %%
# You may hand it the first gradient yourself: one weight for each output. What comes back is the
# gradient of the weighted sum. Ones ask for the gradient of the plain sum; other weights ask about
# other mixtures of the outputs. (Lesson 3 checks rules with *random* weights, and shows an error
# that ones would never have found.)

for weights in ([1, 1, 1], [0, 1, 0], [0.3, -1.2, 0.7]):
    z.grad = None
    (z * z).backward(np.float32(weights))
    print(f"weights {weights!s:<16} -> z.grad {z.grad.round(3)}")

# %%
# Note the line ``z.grad = None``. Gradients of different walks add up just as those of different
# paths do, until somebody says that a new sum begins. In training that is ``zero_grad()``.
#
# No tape where none is needed
# ----------------------------
# A tape keeps alive what its rules need, so it costs memory. Whoever only wants an answer computes
# it under ``no_grad``:

with no_grad():
    answer = z * z
print("requires_grad:", answer.requires_grad, "  parents:", answer.node.parents)

# %%
# A function of your own
# ----------------------
# The first LeNet did not use tanh as it is, but the *squash* function
# f(a) = 1.7159·tanh(2a/3) (LeCun et al. 1998, appendix A). Its derivative is
# 1.7159 · 2/3 · (1 - tanh²(2a/3)).
# A function of the engine is a Python function that computes its value, defines ``backward(dy)``,
# and hands both to ``record``. Rules work on arrays, not on Tensors. That is the whole interface:
# every function in ``minivision/functional`` has this form, conv2d included. (A ``print`` or a
# ``breakpoint()`` that you put into one of them is reached only with ``MINIVISION_FAST=0`` in the
# environment or inside ``with fast.off():``, for the larger ones hand their work to faster code
# first. Lesson 21 is about that code.)


def squash(x):
    """1.7159·tanh(2x/3).  dx = dy · 1.7159 · 2/3 · (1 - tanh²(2x/3))."""
    t = np.tanh(x.data * (2 / 3))

    def backward(dy):
        return (dy * (1.7159 * (2 / 3)) * (1 - t * t),)

    return record(1.7159 * t, (x,), backward)


inputs = Tensor(np.linspace(-4, 4, 161), requires_grad=True)
outputs = squash(inputs)
outputs.backward(np.ones(161))  # every output depends on its own input only: ones give each slope
print(squash(Tensor([-1.0, 0.0, 1.0])))

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axes.axhline(0, color=PALE, linewidth=1)
axes.plot(inputs.data, outputs.data, color=BLUE, linewidth=2)
axes.plot(inputs.data, inputs.grad, color=VERMILION, linewidth=2, linestyle="--")
axes.plot([-1, 1], squash(Tensor([-1.0, 1.0])).data, "o", color=BLUE)
axes.annotate("f(1) = 1", (1, 1), (1.15, 0.72), color=BLUE)
axes.annotate("f(-1) = -1", (-1, -1), (-0.85, -1.1), color=BLUE)
axes.text(2.6, 1.78, "value", color=BLUE)
axes.text(2.6, 0.3, "gradient", color=VERMILION)
axes.set(xlabel="x", xlim=(-4, 4), ylim=(-2, 2.1), title="squash, and its slope read off the tape")
axes.spines[["top", "right"]].set_visible(False)

# %%
# The odd constants make f(1) = 1 and f(-1) = -1 to the accuracy printed above: the two answers
# that the old networks were asked for. See also what the dashed curve does at the sides: where f is
# flat, hardly any gradient comes back, and a network that lives there learns slowly. Lesson 7 meets
# a function that does not do this.
#
# Fifteen lines that learn
# ------------------------
# In 1929 Edwin Hubble listed 24 "nebulae" with their distance and the speed at which they move
# away. (Proceedings of the National Academy of Sciences 15, table 1. Distances in millions of
# parsecs, speeds in km/s; negative means approaching.) We fit speed = w·distance + b.

distance = np.float32(
    [0.032, 0.034, 0.214, 0.263, 0.275, 0.275, 0.45, 0.5, 0.5, 0.63, 0.8, 0.9,
     0.9, 0.9, 0.9, 1.0, 1.1, 1.1, 1.4, 1.7, 2.0, 2.0, 2.0, 2.0]
)  # fmt: skip
speed = np.float32(
    [170, 290, -130, -70, -185, -220, 200, 290, 270, 200, 300, -30,
     650, 150, 500, 920, 450, 500, 500, 960, 500, 850, 800, 1090]
)  # fmt: skip

w = Tensor(0.0, requires_grad=True)  # we begin with the line that is 0 everywhere
b = Tensor(0.0, requires_grad=True)
rate = 0.2  # how far to go along the gradient
losses = []
for _ in range(150):
    loss = F.mean((w * distance + b - speed) ** 2)  # how wrong is the line, as one number?
    losses.append(loss.item())
    loss.backward()  # which way do w and b make it worse?
    for parameter in (w, b):
        parameter.data -= rate * parameter.grad  # a small step the other way
        parameter.grad = None  # the next sum begins at nothing

slope, intercept = np.polyfit(distance.astype(float), speed.astype(float), 1)
best = float(np.mean((slope * distance + intercept - speed) ** 2))
print(f"after {len(losses)} steps  w = {float(w):7.2f}   b = {float(b):7.2f}")
print(f"least squares    w = {slope:7.2f}   b = {intercept:7.2f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.5), layout="constrained")
left.axhline(0, color=PALE, linewidth=1)
left.scatter(distance, speed, s=22, color=GREY)
ends = np.array([0, 2.1])
left.plot(ends, float(w) * ends + float(b), color=BLUE, linewidth=2)
left.set(xlabel="distance (millions of parsecs)", ylabel="speed away from us (km/s)")
left.set_title("24 nebulae and the line that was learned", fontsize=10)
right.plot(losses[:60], color=BLUE, linewidth=2)
right.axhline(best, color=VERMILION, linestyle="--", linewidth=1.3)
right.text(60, best * 1.04, "the best any line can do", color=VERMILION, ha="right")
right.set(xlabel="step", ylabel="loss (km²/s²)", yscale="log")
right.yaxis.set_minor_formatter("")
right.set_yticks([5e4, 1e5, 2e5], ["50,000", "100,000", "200,000"])
right.set_title("The loss falls fast, then slowly (first 60 steps)", fontsize=10)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)

# %%
# The formula for least squares finds the line at once, so nobody needs gradient descent for a line.
# But there is no formula for a network of many thousand weights, and the fifteen lines stay as they
# are: only the expression for the loss gets longer. (The line's slope is six to seven times what is
# measured today, about 70. The arithmetic is right; the distances of 1929 were not.)
#
# What backward refuses
# ---------------------
# A wrong gradient looks like any other array. So where the engine can know that a walk would give
# a wrong one, it stops instead. A second walk over a tape that is used up:

loss = F.mean((w * distance + b - speed) ** 2)
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", error)

# %%
# A weight that changed between the way there and the way back. The rule of the product would use
# the new w with values that were computed from the old one:

loss = F.mean((w * distance + b - speed) ** 2)
w.data -= 1.0
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", error)

# %%
# An operator that would change a value which some rule may have kept:

try:
    w += 1.0
except TypeError as error:
    print("TypeError:", error)

# %%
# And a rule that returns a gradient of the wrong shape. The message names the function and the
# argument, so you know which lines to read:


def careless_scale(x, factor):
    """x·factor, for one factor; its gradient forgets to sum over x."""
    a, f = x.data, factor.data

    def backward(dy):
        return dy * f, dy * a

    return record(a * f, (x, factor), backward)


try:
    careless_scale(Tensor(distance), w).sum().backward()
except ValueError as error:
    print("ValueError:", error)

# %%
# It cannot see a gradient that has the right shape and the wrong numbers. That is the subject of
# the next lesson.
#
# Three things to try
# -------------------
# 1. Set ``rate = 0.2`` to ``0.6``. The loss, which fell, should now grow with every step, because a
#    step of this size jumps over the valley and lands higher on the other side. At which rate does
#    it turn? (At 1 divided by the larger eigenvalue of the matrix of means
#    [[mean(x²), mean(x)], [mean(x), 1]], x being the distance.)
# 2. Delete ``parameter.grad = None``. Each step now follows the sum of all gradients so far, a ball
#    without friction: expect a loss that swings up and down and does not settle.
# 3. In ``squash``, forget the inner derivative: leave ``(2 / 3)`` out of ``backward``. Nothing
#    raises, every shape is right, and the dashed curve stands higher by a half. Keep the broken
#    function for lesson 3.
#
# **Next lesson:** :doc:`3 · Is the gradient right? <plot_03_is_the_gradient_right>`

plt.show()
