"""
5 · Convolution
===============

**An edge is an edge wherever it is. How does a layer make use of that?**

*Start from a fully connected layer with fourteen million weights. If every unit looks only at a
small window, 357,504 weights are left. If all windows share their weights, only 456 remain. The
result is a convolution, and it knows something about images that the other layers have to learn.*

**Prerequisites:** lesson 4 (one fully connected layer).

**Minutes:** 20 to read, a few seconds to run.

**You will be able to**

* count the weights and the multiply-adds of dense, locally connected and convolutional layers,
* write a convolution as a fully connected layer, and show which of its weights are fixed at zero
  and which are shared,
* explain what shift-equivariance is, and what it is not.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from minivision import datasets, models, transforms
from minivision import functional as F

from lesson import BLUE, PALE, VERMILION, device, recorded_rows, to_device, to_host

# %%
# Fourteen million weights
# ------------------------
# We want to compute six feature maps of 28x28 units from a colour image of 32x32 pixels. If every
# unit sees every number in the image, as in lesson 4, it has 32·32·3 = 3,072 weights and a bias.
# That is the *dense* layer. Two ideas make it smaller:
#
# * *Local connectivity*: a unit looks only at a window of 5x5 pixels. That is large enough for an
#   edge or a corner.
# * *Shared weights*: an edge is an edge wherever it is, so all units of a map use the same 5x5x3
#   weights and the same bias. Such a map needs only one *filter*, however large it is.

units, window, image = 6 * 28 * 28, 5 * 5 * 3, 32 * 32 * 3
multiply_adds = {"dense": units * image, "local": units * window, "convolution": units * window}
print(f"{'first layer':<13}{'parameters':>12}{'multiply-adds':>15}{'as float32':>12}")
for kind, work in multiply_adds.items():
    network = models.first_layer_network(kind, in_channels=3, size=32)
    count = network.features[0].parameter_count()
    print(f"{kind:<13}{count:>12,}{work:>15,}{4 * count / 1e6:>9.3f} MB")
print(f"by hand: {units * (image + 1):,}, {units * (window + 1):,}, {6 * (window + 1):,}")

# %%
# The first idea divides both the weights and the work by forty. The second saves only weights: each
# window is still multiplied by a filter, but there are six filters instead of 4,704.
#
# Three matrices
# --------------
# All three layers are linear apart from their biases, so each can be written as a matrix, with one
# row per unit and one column per pixel. To see the whole matrix we take a smaller case: an image of
# 6x6 pixels, and one map of 4x4 units that look at windows of 3x3 pixels. A column of the matrix is
# the output of the layer for an image with a single bright pixel, so we feed it all 36 such images.

rng = np.random.default_rng(3)
pixels = np.eye(36, dtype=np.float32).reshape(36, 1, 6, 6)
every_place = rng.normal(size=(4, 4, 1, 1, 3, 3)).astype(np.float32)  # one per position
one_filter = every_place[1, 1]  # the same everywhere

matrices = {
    "dense": rng.normal(size=(16, 36)).astype(np.float32),
    "local": F.locally_connected2d(pixels, every_place).numpy().reshape(36, 16).T,
    "convolution": F.conv2d(pixels, one_filter).numpy().reshape(36, 16).T,
}
figure, panels = plt.subplots(3, 1, figsize=(7.4, 9.2), layout="constrained")
for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
    shown = np.ma.masked_equal(matrix, 0)  # leave zeros white
    picture = axes.imshow(shown, cmap="PuOr_r", vmin=-2.5, vmax=2.5)
    different = len(np.unique(matrix[matrix != 0]))
    print(f"{name:<12} {np.count_nonzero(matrix):>3} of {matrix.size} weights are not zero,",
          f"{different} of them different")  # fmt: skip
    axes.set_title(f"{name}: {different} different weights", fontsize=10)
    axes.set_ylabel("unit of the map")
    axes.set_xticks(np.arange(-0.5, 36, 6), [""] * 7)
    axes.set_yticks(np.arange(-0.5, 16, 4), [""] * 5)
    axes.grid(color=PALE)
    axes.tick_params(length=0)
panels[2].set_xlabel("pixel of the image, row by row")
figure.colorbar(picture, ax=panels, label="weight", shrink=0.4)
figure.suptitle("Each layer as a matrix: a row is a unit, a column is a pixel", fontsize=11)

# %%
# Each row contains the weights of one unit. In the dense layer all 36 are there. In the local layer
# there are nine, in three groups of three, because the window covers three rows of the image; for
# the next unit to the right they are one pixel further to the right. The convolution has the same
# pattern, but along each diagonal of a block all weights are the same. (A matrix in which each
# diagonal is constant is called a *Toeplitz* matrix; this one consists of Toeplitz blocks.)
#
# So a convolution is nothing new: it is a fully connected layer in which most weights are fixed at
# zero and the others are shared. We compute the same outputs with all three kinds of layer, and
# they agree up to rounding:

x = rng.normal(size=(5, 1, 6, 6)).astype(np.float32)
by_convolution = F.conv2d(x, one_filter).numpy()
shared = np.broadcast_to(one_filter, (4, 4, 1, 1, 3, 3)).copy()
by_local = F.locally_connected2d(x, shared).numpy()
by_dense = (x.reshape(5, 36) @ matrices["convolution"].T).reshape(5, 1, 4, 4)
print(f"largest output {abs(by_convolution).max():.2f}; difference from the local layer with equal",
      f"weights {abs(by_local - by_convolution).max():.1e},")  # fmt: skip
print(f"from the dense layer with that matrix {abs(by_dense - by_convolution).max():.1e}")

# %%
# The map moves with the image
# ----------------------------
# What do shared weights gain besides memory? If the image moves, every window finds what one of its
# neighbours found before, so the map moves along and is otherwise unchanged. This property is
# called *shift-equivariance*. In a convolution it is built in, not learned. A locally connected
# layer, which has a different filter at every position, does not have it.
#
# The filter in our example responds where the image is bright on the right and dark on the left.

_, _, test = datasets.load_dataset("digits")
digit = test[int(np.flatnonzero(test.labels == 4)[0])][0]
edge = np.float32([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None] / 4
places = rng.normal(size=(26, 26, 1, 1, 3, 3)).astype(np.float32) / 2
DOWN, RIGHT = 3, 2


def convolve(image):
    """The edge filter's outputs (26, 26) for a uint8 image (28, 28, 1)."""
    x = to_device(np.float32(image.transpose(2, 0, 1)[None] / 255), device)
    return to_host(F.conv2d(x, to_device(edge, device)).data)[0, 0]


def connect_locally(image):
    """The outputs (26, 26) of a layer with 676 filters, one for each position."""
    x = to_device(np.float32(image.transpose(2, 0, 1)[None] / 255), device)
    return to_host(F.locally_connected2d(x, to_device(places, device)).data)[0, 0]


moved = transforms.Translate(RIGHT, DOWN)(digit)
figure, grid = plt.subplots(3, 3, figsize=(7.2, 7.4), layout="constrained")
for axes, picture, name in zip(grid[:, 0], (digit, moved), ("a digit", "moved"), strict=False):
    axes.imshow(picture, cmap="gray")
    axes.set_ylabel(name)
grid[2, 0].set_axis_off()
for column, layer, title in (
    (1, convolve, "convolution"),
    (2, connect_locally, "locally connected"),
):
    before, after = layer(digit), layer(moved)
    carried = np.zeros_like(before)
    carried[DOWN:, RIGHT:] = before[:-DOWN, :-RIGHT]
    difference = (after - carried)[DOWN:, RIGHT:]  # where both maps have values
    for axes, values in zip(grid[:, column], (before, after, after - carried), strict=True):
        axes.imshow(values, cmap="PuOr_r", vmin=-2, vmax=2)
    grid[0, column].set_title(title, fontsize=10)
    print(f"{title:<18} largest output {abs(before).max():.2f}; from the moved map, the map of the",
          f"moved digit differs by at most {abs(difference).max():.2g}")  # fmt: skip
grid[0, 0].set_title("image", fontsize=10)
grid[2, 1].set_ylabel("difference from the moved map", fontsize=9)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
figure.suptitle(f"Move the digit {DOWN} px down and {RIGHT} px right: does the map move along?",
                fontsize=11)  # fmt: skip

# %%
# Equivariance is not *invariance*. The map has moved, too; nothing in this layer says "a 4,
# wherever it is". Pooling (lesson 6) takes the first step in that direction. And a convolution is
# equivariant only to shifts. If we mirror the image, the map is not simply mirrored, because our
# filter looks for brightness on the right.

mirrored = abs(convolve(digit[:, ::-1]) - convolve(digit)[:, ::-1]).max()
print(f"mirrored image: the maps differ by up to {mirrored:.2f}")

# %%
# Do fewer weights learn better?
# ------------------------------
# A layer with less freedom can also learn less nonsense. We put each of the three kinds of first
# layer in front of the same remaining layers (ReLU, 2x2 pooling, one fully connected layer) and
# trained the networks on 1,000 MNIST digits for 30 epochs (``examples/measure_first_layers.py``,
# run beforehand). First we tried six learning rates for each network, with three seeds, and
# compared them on the validation digits:

rows = recorded_rows("first_layers.json")
counted = [row for row in rows if "test_accuracy" in row]
choosing = [row for row in rows if "test_accuracy" not in row]
kinds = ("dense", "local", "convolution")
rates = sorted({row["lr"] for row in choosing})
print("validation accuracy at rate" + "".join(f"{rate:>8g}" for rate in rates))
for kind in kinds:
    mine = [row for row in choosing if row["first_layer"] == kind]
    tried = [[row["validation_accuracy"] for row in mine if row["lr"] == rate] for rate in rates]
    print(f"{kind:<27}" + "".join(f"{np.mean(values):>8.1%}" for values in tried))

# %%
# The fewer the weights, the larger the best learning rate. At the best rate for the dense layer,
# the dense layer would have looked like the best of the three: a comparison is only as fair as its
# settings. Now we compare the networks on the test digits, each at its own best rate:

table = {}
for kind in kinds:
    group = [row for row in counted if row["first_layer"] == kind]
    parts = {p: np.array([r[f"{p}_accuracy"] for r in group]) for p in ("train", "test")}
    gap = parts["train"] - parts["test"]
    table[kind] = {**parts, "gap": gap, "parameters": group[0]["first_layer_parameters"]}
    print(f"{kind:<12}{table[kind]['parameters']:>10,} parameters",
          f"  train {parts['train'].mean():.1%}  test {parts['test'].mean():.2%}",
          f"± {parts['test'].std(ddof=1):.2%}  gap {gap.mean():.2%}")  # fmt: skip
for one, other in (("dense", "local"), ("local", "convolution"), ("dense", "convolution")):
    gain = table[other]["test"] - table[one]["test"]  # the same digits for the same seed
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    print(f"{other} minus {one}: {gain.mean():+.2%}, {gain.mean() / error:.1f} standard errors")

# %%
figure, axes = plt.subplots(figsize=(6.8, 3.4), layout="constrained")
for i, kind in enumerate(kinds):
    row = table[kind]
    axes.plot([row["test"].mean(), row["train"].mean()], [i, i], color=PALE, linewidth=8, zorder=0)
    axes.plot(row["test"], np.full(len(row["test"]), i), "o", color=VERMILION, alpha=0.7)
    axes.plot(row["train"].mean(), i, "s", color=BLUE)
    axes.text((row["test"].mean() + row["train"].mean()) / 2, i + 0.2,
              f"gap {100 * row['gap'].mean():.1f} points", ha="center", fontsize=9)  # fmt: skip
axes.set_yticks(range(3), [f"{k}\n{table[k]['parameters']:,}" for k in kinds])
axes.set(
    ylim=(-0.5, 2.6), xlabel="accuracy", title="Trained on 1,000 digits: blue train, orange test"
)
axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.grid(axis="x", color=PALE)
axes.spines[["top", "right", "left"]].set_visible(False)

# %%
# All three networks know their 1,000 digits by heart, and the fewer weights the first layer has,
# the smaller the gap between training and test accuracy. So fewer weights do learn better, but do
# not make too much of it: most of the gap remains. A dense layer with millions of weights does not
# fail on a thousand digits; it only does a little worse. (The standard errors show whether two
# networks differ at all. A difference of less than two standard errors does not count. With five
# seeds, the standard errors themselves are only rough estimates.)
#
# It is more remarkable that 156 weights, used everywhere, see at least as well as 2.7 million. In
# all three networks the decision is still left to the same dense layer, which in the convolutional
# network now holds nearly all of the weights. LeNet-5 goes further: it pools, looks for patterns
# among the patterns, pools again, and only then decides.
#
# Three things to try
# -------------------
# 1. Give the small case a stride: with ``F.conv2d(pixels, one_filter, stride=2)`` it has 4 units,
#    so its matrix has 4 rows. Before you look: by how many pixels do the weights move from one row
#    to the next? Expect 2 from the first row to the second, where the window moves two pixels to
#    the right, and 10 from the second to the third, where it moves two rows of 6 pixels down and 2
#    pixels back.
# 2. In ``convolve``, pad the image with ``F.conv2d(…, padding=2)``, and set ``RIGHT = 8``, so that
#    part of the digit leaves the image. Expect a difference: equivariance ends at the border.
# 3. Replace ``edge`` with a filter that ignores mirroring, such as its transpose,
#    ``edge.transpose(0, 1, 3, 2)``. What would a filter look like that ignores quarter turns as
#    well? Expect the mirrored maps to agree. A filter ignores quarter turns if it looks the same
#    from all four sides, like a bright centre on a dark background.
#
# **Write it yourself:** ``minivision exercise start im2col``, and then ``conv2d`` and
# ``conv2d_backward``.
#
# **Next lesson:** :doc:`6 · LeNet-5 reads digits <plot_06_lenet5_reads_digits>`

plt.show()
