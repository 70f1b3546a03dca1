"""
2 · A tape of numbers
=====================

**How does a network know in which direction to change each of its weights?**

*A network can learn because every number that it computes remembers how it was made. Here you watch
that record being written, follow it backwards, and use it to fit a line to 24 galaxies.*

**Prerequisites:** Python, NumPy arrays, and what a derivative is. No earlier lesson is needed.

**Minutes:** 20 to read, a few seconds to run.

**You will be able to**

* compute the gradient of a small formula by hand, and get the same numbers from a graph,
* add a function of your own to the engine, together with its backward function,
* write gradient descent in fifteen lines and say what each of them is for.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minivision import Tensor, backward_steps, no_grad, record
from minivision import functional as F

from lesson import BLUE, GREY, PALE, VERMILION

# %%
# First by hand
# -------------
# A neuron with one input computes y = w·x + b. We want its output to be 5, so we measure how wrong
# it is by the loss L = (y - 5)². Four small steps lead from w, x and b to L. For each step we can
# say at what *rate* its result changes if an input changes a little:
#
# ============  ==================================================
# value         rate
# ============  ==================================================
# p = w·x       p grows x times as fast as w, w times as fast as x
# y = p + b     y grows as fast as p, and as fast as b
# e = y - 5     e grows as fast as y
# L = e²        L grows 2e times as fast as e
# ============  ==================================================
#
# The *chain rule* says that such rates multiply along a path: if L changes twice as fast as e, and
# e as fast as y, then L changes twice as fast as y. So we compute the values from left to right.
# Then we compute the rates of L from right to left, starting with the rate of L with respect to
# itself, which is 1.

w, x, b = 2.0, 3.0, 1.0

p = w * x
y = p + b
e = y - 5
L = e**2
print(f"values     p = {p:g}   y = {y:g}   e = {e:g}   L = {L:g}")

start = 1.0  # L with respect to itself
de = start * 2 * e
dy = de * 1
dp, db = dy * 1, dy * 1
dw, dx = dp * x, dp * w
print(f"gradients  de = {de:g}  dy = {dy:g}  dp = {dp:g}  dw = {dw:g}  dx = {dx:g}  db = {db:g}")

# %%
# We write dw for ∂L/∂w, the *gradient* of L with respect to w, or "the gradient of w" for short. It
# says how fast L grows as w grows, and you can test this prediction: if you increase w by a
# thousandth, L should grow by about dw thousandths.

pushed = ((w + 0.001) * x + b - 5) ** 2
print(f"L grew by {pushed - L:.6f}; dw predicted {0.001 * dw:.6f}")

# %%
# The same with a graph
# ---------------------
# A :class:`minivision.Tensor` is an array (here a single number) with a *node*. The node stores its
# *parents*, which are the nodes of the values that this value was computed from, and a *backward
# function*, which turns the gradient of the value into the gradients of its parents. All nodes
# together form the *graph*. You write the formula as before, and the engine records the graph while
# it computes the values. (This record is sometimes called a *tape*, because it is written in one
# direction and read in the other. Hence the title; from here on we call it the graph.)

w, x, b = (Tensor(value, requires_grad=True) for value in (2.0, 3.0, 1.0))
p = w * x
y = p + b
e = y - 5
L = e**2
print(L)
print("its node is number", L.node.number, "and was made by", L.node.name)
print("its parent is number", L.node.parents[0].number, "and belongs to e:",
      L.node.parents[0] is e.node)  # fmt: skip

# %%
# That is all we need to draw the graph: start at the last node and follow ``node.parents``. Nodes
# are numbered in the order in which they are made, so if we sort them by number, every value comes
# after the values that it was computed from.


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
    """Lay the nodes out in columns from left to right, one below the other in each column."""
    column = {}
    for node in nodes:
        column[node] = 1 + max((column[parent] for parent in node.parents), default=-1)
    for node in nodes:  # a leaf goes one column before its first use
        if not node.parents:
            column[node] = min(column[n] for n in nodes if node in n.parents) - 1
    at = {}
    for node in sorted(nodes, key=lambda node: (not node.parents, node.number)):
        rows = sum(column[other] == column[node] for other in at)
        at[node] = (column[node], -rows)
    return at


def draw_graph(last, labels, gradients):
    """A box for every node, arrows from parents to results, gradients below the boxes."""
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
# Now for the *backward pass*. It visits the nodes in reverse order, the highest number first, calls
# the backward function of each, and passes the gradients on to the parents. By the time it reaches
# a node, it has visited every operation that used the node's value, so the node's gradient is
# complete. The loop that does this is ``_chain_rule`` in ``minivision/autograd.py``.
#
# ``backward_steps`` runs the backward pass one function at a time. Each step yields the name of the
# function, the gradient dy that arrived at its output, and the gradients that it passes on, one for
# each input (None for the constant 5, which needs no gradient). We keep the gradient of every node
# for the picture. Normally the backward pass frees the graph as it goes, but we want to draw the
# graph afterwards, so we pass ``retain_graph=True``.

for tensor in (p, y, e, L):
    tensor.retain_grad()  # keep their gradients, too, not only those of w, x and b
print(f"{'function':<10} {'receives':>10}   passes on")
for name, arrived, handed_on in backward_steps(L, retain_graph=True):
    shown = [None if gradient is None else float(gradient) for gradient in handed_on]
    print(f"{name:<10} {float(arrived):>10g}   {shown}")

print("by hand      dw, dx, db =", (dw, dx, db))
print("in the graph dw, dx, db =", tuple(float(t.grad) for t in (w, x, b)))
assert (dw, dx, db) == (w.grad, x.grad, b.grad)

# %%
names = {"w": w, "x": x, "b": b, "p = w·x": p, "y = p + b": y, "e = y - 5": e, "L = e²": L}
labels = {tensor.node: f"{name}\n{float(tensor):g}" for name, tensor in names.items()}
labels[e.node.parents[1]] = "constant\n5"
gradients = {tensor.node: f"gradient {float(tensor.grad):g}" for tensor in names.values()}
figure = draw_graph(L, labels, gradients)
figure.suptitle(
    "Values flow to the right, along the arrows; gradients flow back to the left", fontsize=11
)

# %%
# Read the picture from right to left. The gradient is 1 at L and 2e at e. The subtraction and the
# addition pass it on unchanged. The product multiplies it by x on the way to w, and by w on the way
# to x. That is all there is to *backpropagation*: a network with a hundred layers has a larger
# graph, but the backward pass is the same.
#
# Where two paths meet, gradients add
# -----------------------------------
# In a·a + 3·a the number a is used three times, twice in the same product. A small change in a
# reaches the sum along each of these paths, and the effects add up. So do the gradients: by hand,
# the derivative is 2a + 3. (The command ``minivision backward "a * a + 3 * a" a=2`` makes a web
# page with a slider, on which you can watch the gradients arrive.)

a = Tensor(2.0, requires_grad=True)
square = a * a
triple = 3 * a
total = square + triple
for tensor in (square, triple, total):
    tensor.retain_grad()
for name, _, handed_on in backward_steps(total, retain_graph=True):
    print(name, "passes on", [None if g is None else float(g) for g in handed_on])
print("a.grad =", float(a.grad), "  by hand 2a + 3 =", 2 * float(a) + 3)

# %%
names = {"a": a, "a·a": square, "3·a": triple, "a·a + 3·a": total}
labels = {tensor.node: f"{name}\n{float(tensor):g}" for name, tensor in names.items()}
labels[triple.node.parents[0]] = "constant\n3"
gradients = {tensor.node: f"gradient {float(tensor.grad):g}" for tensor in names.values()}
figure = draw_graph(total, labels, gradients)
figure.suptitle("Three arrows leave a; three gradients flow back and are added", fontsize=11)

# %%
# The upstream gradient
# ---------------------
# The backward pass above started with 1, because ∂L/∂L = 1. This works only if L is a single
# number. If there are three outputs, there is no such thing as *the* gradient, and the engine says
# so:

z = Tensor([0.5, 1.0, 2.0], requires_grad=True)
try:
    (z * z).backward()
except ValueError as error:
    print("ValueError:", error)

# %%
# You can also pass a starting gradient of your own to ``backward``. This *upstream gradient* has
# one weight for each output, and the result is the gradient of the weighted sum of the outputs. If
# all weights are 1, that is the plain sum. (Lesson 3 checks gradients with *random* weights, and
# shows a mistake that a check with ones would never find.)

for weights in ([1, 1, 1], [0, 1, 0], [0.3, -1.2, 0.7]):
    z.grad = None
    (z * z).backward(np.float32(weights))
    print(f"weights {weights!s:<16} -> z.grad {z.grad.round(3)}")

# %%
# Note the line ``z.grad = None``. The gradients of several backward passes add up, just as those of
# several paths do, until you reset them. In training, ``zero_grad()`` does that.
#
# No graph where none is needed
# -----------------------------
# A graph costs memory, because it keeps every array that a backward function will need. If you only
# want the value, compute it under ``no_grad``:

with no_grad():
    squares = z * z
print("requires_grad:", squares.requires_grad, "  parents:", squares.node.parents)

# %%
# A function of your own
# ----------------------
# LeNet-5 did not use tanh itself but a scaled version, the *squashing function* f(a) =
# 1.7159·tanh(2a/3) (LeCun et al. 1998, appendix A). Its derivative is 1.7159 · 2/3 · (1 -
# tanh²(2a/3)).
#
# To add a function to the engine, write a Python function that computes the value, defines
# ``backward(dy)``, and passes both to ``record``. A backward function works on arrays, not on
# Tensors, and returns a tuple with one gradient for each input. That is the whole interface: all
# functions in ``minivision/functional`` are written this way, including conv2d. (If you put a
# ``print`` or a ``breakpoint()`` into one of them, also set ``MINIVISION_FAST=0`` in the
# environment or work inside ``with fast.off():``. Otherwise the larger functions may switch to a
# faster implementation before they reach your line. Lesson 21 is about these implementations.)


def squash(x):
    """1.7159·tanh(2x/3).  dx = dy · 1.7159 · 2/3 · (1 - tanh²(2x/3))."""
    t = np.tanh(x.data * (2 / 3))

    def backward(dy):
        return (dy * (1.7159 * (2 / 3)) * (1 - t * t),)

    return record(1.7159 * t, (x,), backward)


inputs = Tensor(np.linspace(-4, 4, 161), requires_grad=True)
outputs = squash(inputs)
outputs.backward(np.ones(161))  # output i depends only on input i: ones give every slope
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
axes.set(xlabel="x", xlim=(-4, 4), ylim=(-2, 2.1), title="squash, and its slope from backward()")
axes.spines[["top", "right"]].set_visible(False)

# %%
# The odd constants make f(1) = 1 and f(-1) = -1 to the accuracy printed above; 1 and -1 were the
# target values for the outputs of networks at the time. Look also at the ends of the dashed curve:
# where f is flat, hardly any gradient gets through, and a network whose values lie there learns
# slowly. Lesson 7 uses a function that does not have this problem.
#
# Fifteen lines that learn
# ------------------------
# In 1929 Edwin Hubble listed 24 "nebulae" with their distances and the speeds at which they move
# away from us. (Proceedings of the National Academy of Sciences 15, table 1. Distances are in
# millions of parsecs, speeds in km/s; a negative speed means that the nebula is approaching.) We
# fit speed = w·distance + b.

distance = np.float32(
    [0.032, 0.034, 0.214, 0.263, 0.275, 0.275, 0.45, 0.5, 0.5, 0.63, 0.8, 0.9,
     0.9, 0.9, 0.9, 1.0, 1.1, 1.1, 1.4, 1.7, 2.0, 2.0, 2.0, 2.0]
)  # fmt: skip
speed = np.float32(
    [170, 290, -130, -70, -185, -220, 200, 290, 270, 200, 300, -30,
     650, 150, 500, 920, 450, 500, 500, 960, 500, 850, 800, 1090]
)  # fmt: skip

w = Tensor(0.0, requires_grad=True)  # we start with the line that is 0 everywhere
b = Tensor(0.0, requires_grad=True)
rate = 0.2  # how far to go along the gradient
losses = []
for _ in range(150):
    loss = F.mean((w * distance + b - speed) ** 2)  # how wrong is the line, as one number?
    losses.append(loss.item())
    loss.backward()  # in which direction do w and b make it worse?
    for parameter in (w, b):
        parameter.data -= rate * parameter.grad  # a small step the other way
        parameter.grad = None  # the next step starts a new sum

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
left.set_title("24 nebulae and the learned line", fontsize=10)
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
# The least-squares formula finds the line directly, so nobody needs gradient descent to fit a line.
# But there is no such formula for a network with many thousands of weights, while the fifteen lines
# remain as they are: only the expression for the loss gets longer. (The slope is six to seven times
# today's value of about 70. The arithmetic is right; the distances measured in 1929 were not.)
#
# When backward raises an error
# -----------------------------
# A wrong gradient looks like any other array. So whenever the engine can tell that a backward pass
# would give a wrong gradient, it raises an error instead. The first example is a second backward
# pass through a graph that the first one has freed:

loss = F.mean((w * distance + b - speed) ** 2)
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", error)

# %%
# In the second example, a weight changes between the forward pass and the backward pass. A backward
# function may have kept the array of w, which no longer holds the number that the loss was computed
# from:

loss = F.mean((w * distance + b - speed) ** 2)
w.data -= 1.0
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", error)

# %%
# In the third, an operator would change a value in place, although a backward function may still
# need the old one:

try:
    w += 1.0
except TypeError as error:
    print("TypeError:", error)

# %%
# In the last example, a backward function returns a gradient of the wrong shape. The error message
# names the function and the argument, so you know where to look:


def careless_scale(x, factor):
    """x·factor for a single factor; its backward function forgets to sum over x."""
    a, f = x.data, factor.data

    def backward(dy):
        return dy * f, dy * a

    return record(a * f, (x, factor), backward)


try:
    careless_scale(Tensor(distance), w).sum().backward()
except ValueError as error:
    print("ValueError:", error)

# %%
# What the engine cannot recognise is a gradient with the right shape and the wrong numbers. How to
# find such a gradient is the subject of the next lesson.
#
# Three things to try
# -------------------
# 1. Change ``rate = 0.2`` to ``rate = 0.6``. At what rate does the loss start to grow? Expect it to
#    grow at every step with 0.6, because a step of this size jumps over the valley and lands higher
#    on the other side. The limit is 1 divided by the larger eigenvalue of the matrix of means
#    [[mean(x²), mean(x)], [mean(x), 1]], where x is the distance.
# 2. Delete ``parameter.grad = None``. Expect a loss that swings up and down and does not settle:
#    each step now follows the sum of all gradients so far, like a ball that rolls without friction.
# 3. In ``squash``, forget the inner derivative: leave ``(2 / 3)`` out of ``backward``. Expect no
#    error, since every shape is right, but a dashed curve that is one and a half times as high.
#    Keep the broken function for lesson 3.
#
# **Write it yourself:** ``minivision exercise start backward``, and then ``add`` and ``multiply``.
#
# **Next lesson:** :doc:`3 · Is the gradient right? <plot_03_is_the_gradient_right>`

plt.show()
