"""
8 · Receptive fields
====================

**How much of the image does a unit of a deep layer see, and where does it really look?**

*A unit of a convolution sees a window of the image. Three numbers per layer say which; the gradient
shows what it really looks at, and that turns out to be less.*

**Prerequisites:** lessons 5 (convolution) and 6 (LeNet-5).

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* compute by hand which pixels a unit of any layer sees, and which units see a given pixel,
* say why networks went from 11x11 filters to stacks of 3x3, in sizes, weights and operations,
* measure the effective receptive field, and say how it differs from the full window.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import Tensor, manual_seed, models, nn, transforms
from minivision.analysis.effective_field import effective_field, effective_size
from minivision.analysis.receptive_field import receptive_fields
from minivision.analysis.summary import summary

from lesson import BLUE, GREY, PALE, VERMILION, device, to_device, to_host

# %%
# What one unit sees
# ------------------
# Here are the convolutions and poolings of AlexNet, without the two things that make no difference
# here (its groups and its local normalisation): on images of 227x227, a first filter of 11x11, then
# smaller ones. The weights are random; what a unit can see does not depend on them. We draw the
# windows of a unit in the middle of each layer, or next to it: ``pool5`` has 6x6 units, so none is
# in the middle.

# (name, filters or "pool", kernel, stride, padding)
ALEXNET = [
    ("conv1", 96, 11, 4, 0), ("pool1", "pool", 3, 2, 0),
    ("conv2", 256, 5, 1, 2), ("pool2", "pool", 3, 2, 0),
    ("conv3", 384, 3, 1, 1), ("conv4", 384, 3, 1, 1), ("conv5", 256, 3, 1, 1),
    ("pool5", "pool", 3, 2, 0),
]  # fmt: skip


def build(table, channels=3):
    """The layers of a table, and the position of each in the network."""
    layers, place = [], {}
    for name, filters, kernel, stride, padding in table:
        place[name] = str(len(layers))
        if filters == "pool":
            layers.append(nn.MaxPool2d(kernel, stride, padding))
        else:
            layers += [nn.Conv2d(channels, filters, kernel, stride, padding), nn.ReLU()]
            channels = filters
    return nn.Sequential(*layers).to(device), place


manual_seed(0)
alexnet, place = build(ALEXNET)
fields = receptive_fields(alexnet, 227)

photo = transforms.Resize((227, 227))(load_sample_image("flower.jpg")[:, 100:527])
figure, axes = plt.subplots(figsize=(7.4, 5.6), layout="constrained")
axes.imshow(photo)
colours = {
    "pool5": "#F0E442", "conv5": "#56B4E9", "conv3": "white", "pool2": "#CC79A7",
    "pool1": "#0072B2", "conv1": "black",
}  # fmt: skip
for name, colour in colours.items():
    field = fields[place[name]]
    (H, W), side = field.units, field.size[0]
    box = field.box(H // 2, W // 2)
    frame = plt.Rectangle((box.left - 0.5, box.top - 0.5), side, side, fill=False, linewidth=2.2,
                          edgecolor=colour, label=f"{name}: {side} x {side}")  # fmt: skip
    axes.add_patch(frame)
figure.legend(loc="outside right upper", facecolor="#B0B0B0", edgecolor="none")
axes.set(xticks=[], yticks=[], title="What one unit of each layer sees")

# %%
# Three numbers
# -------------
# All units of a layer see windows of the same size, and the windows of neighbours are always the
# same distance apart. So three numbers describe a layer: the size r of what a unit sees, the jump j
# from one unit's window to the next one's, and the centre c of the first unit's window, in pixels
# from the edge. The image itself has r = 1, j = 1, c = 0.5: a pixel sees itself, and its middle is
# half a pixel from the edge. A layer with kernel k, stride s and padding p looks at k units of the
# layer below, which are j pixels apart:

n, r, j, c = 227, 1, 1, 0.5
print(f"{'layer':<7}{'k':>4}{'s':>4}{'p':>4}{'units':>8}{'sees r':>8}{'jump j':>8}{'centre c':>10}")
for name, _, k, s, p in ALEXNET:
    n = (n + 2 * p - k) // s + 1
    c += ((k - 1) / 2 - p) * j
    r += (k - 1) * j
    j *= s
    print(f"{name:<7}{k:>4}{s:>4}{p:>4}{n:>8}{r:>8}{j:>8}{c:>10}")
    field = fields[place[name]]
    assert (field.units, field.size, field.jump, field.start) == ((n, n), (r, r), (j, j), (c, c))

# %%
# The package computes the same numbers; the assertion compares them. Unit u of a
# layer has its middle at c + u·j and sees r/2 to both sides. Follow the column of jumps: each
# stride multiplies it, and from then on *every* layer adds that much more. Strides are how a
# network comes to see far.
#
# Conv K, pool P
# --------------
# Lectures give a formula for the most common case: a pooling of P after a convolution of K sees
# P + K - 1 pixels. With k - 1 steps of jump 1, that is what the recurrence says. It holds as long
# as the convolution has stride 1. With a stride S the pooled windows are S pixels apart, and the
# field is K + (P - 1)·S.

for name, K, S, P in (("LeNet-5, conv 5, pool 2", 5, 1, 2), ("AlexNet, conv1, pool1", 11, 4, 3)):
    stack = nn.Sequential(nn.Conv2d(1, 1, K, S), nn.MaxPool2d(P))
    found = receptive_fields(stack, 64)["1"].size[0]
    print(f"{name:<24} P + K - 1 = {P + K - 1:>2}    K + (P - 1)·S = {K + (P - 1) * S:>2}"
          f"    the network: {found:>2}")  # fmt: skip

# %%
# Is it true?
# -----------
# A formula about a program can be checked on the program: the pixels in the field of a unit should
# be those with a nonzero gradient. (We use positive weights and average pooling, so that nothing
# cancels.) Below, two units of LeNet-5's second convolution, in the middle and in the corner.

positive = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5)).to(
    device
)
for parameter in positive.parameters():
    parameter.data[...] = 0.1
field = receptive_fields(positive, 28)["2"]


def gradient(row, column):
    """∂unit/∂image of the second convolution's unit at this place."""
    x = Tensor(to_device(np.ones((1, 1, 28, 28), np.float32), device), requires_grad=True)
    positive(x)[0, :, row, column].sum().backward()
    return to_host(x.grad)[0, 0]


figure, grid = plt.subplots(1, 2, figsize=(7.2, 4.0), layout="constrained")
for axes, (row, column) in zip(grid, ((4, 5), (0, 0)), strict=True):
    dx = gradient(row, column)
    axes.imshow(np.where(dx > 0, dx, np.nan), cmap="Oranges", vmin=-0.3 * dx.max())
    box = field.box(row, column)
    frame = plt.Rectangle((box.left - 0.5, box.top - 0.5), 14, 14, fill=False,
                          edgecolor=BLUE, linewidth=2.5)  # fmt: skip
    axes.add_patch(frame)
    axes.add_patch(plt.Rectangle((-0.5, -0.5), 28, 28, fill=False, edgecolor=GREY))
    axes.set(xlim=(-3.5, 28.5), ylim=(28.5, -3.5), xticks=[], yticks=[])
    axes.set_title(f"unit ({row}, {column}): rows {box.top} to {box.bottom}", fontsize=10)
    axes.spines[:].set_visible(False)
    rows, columns = field.pixels(row, column)
    seen = np.zeros((28, 28), bool)
    seen[np.ix_(rows, columns)] = True
    print(f"unit ({row}, {column}): {(dx > 0).sum()} pixels have a gradient,",
          f"{seen.sum()} are in the field; the same ones: {((dx > 0) == seen).all()};",
          f"padding: {box.padding(28, 28) or 'none'}")  # fmt: skip
figure.suptitle("Coloured: the gradient is not zero. Blue: the formula")

# %%
# The unit in the corner sees two rows and two columns that do not exist: the padding of the first
# layer, zeros. Near the edge of an image a network knows less, and it can detect the edge. The
# question can be reversed, too: which units of the second convolution see a given pixel?

for pixel in ((0, 0), (14, 14)):
    rows, columns = field.units_seeing(*pixel)
    print(f"pixel {pixel} is seen by units {rows[0]} to {rows[-1]} in both directions,",
          f"{len(rows) * len(columns)} of {field.units[0] * field.units[1]}")  # fmt: skip

# %%
# Large filters or many
# ---------------------
# Networks for small images had small first filters, networks for large images large ones.

for name, size, kernel in (("LeNet-5", 28, 5), ("AlexNet", 227, 11)):
    print(f"{name}: filters of {kernel}x{kernel} on {size}x{size} pixels,",
          f"{kernel / size:.0%} of the width")  # fmt: skip

# %%
# An image eight times as wide needs larger filters, though they did not grow as much as the images.
# But the table above shows another way to a large field: more layers. Compare one layer of 7x7 with
# three of 3x3, all with C maps in and out and without a bias. What do they see, and what do they
# cost?

C = 64
one = nn.Sequential(nn.Conv2d(C, C, 7, padding=3, bias=False), nn.ReLU())
three = nn.Sequential(*[
    layer
    for _ in range(3)
    for layer in (nn.Conv2d(C, C, 3, padding=1, bias=False), nn.ReLU())
])  # fmt: skip
for name, network in (("one 7x7", one), ("three 3x3", three)):
    *_, last = receptive_fields(network, (C, 56, 56)).values()
    table = summary(network, (C, 56, 56))
    print(f"{name:<10} sees {last.size[0]}x{last.size[1]}, {table.parameters:>9,} weights"
          f" = {table.parameters / C**2:g}·C², {table.multiply_adds / 1e6:>5.0f} M multiply-adds,"
          f" keeps {table.kept_bytes / 2**20:.2f} MB")  # fmt: skip

# %%
# The field is the same. The weights are 27·C² against 49·C², and the multiply-adds fall by the same
# factor. There are three ReLUs instead of one. The last column is the price: every layer keeps its
# output for the backward pass. This is why large filters are hardly used today: VGG, the next
# lesson, is built of 3x3 filters.
#
# What it really looks at
# -----------------------
# Three 3x3 see the same 7x7 pixels as one 7x7. Do they look at all of them alike? The pixel in the
# middle reaches the unit along many paths, one in the corner along a single one. We measure it:
# the **effective receptive field** is the size of the gradient at every pixel, averaged over random
# images and random combinations of the filters, divided by its sum. The networks are stacks of 3x3
# convolutions and ReLUs with random weights. As the size of the effective field we take the number
# of pixels, strongest first, that carry 90 % of it, and draw the root of that number, the side of
# a square with as many pixels. (After Luo, Li, Urtasun & Zemel 2016.)

DEPTHS = (1, 2, 4, 8, 12, 16, 20)
SIZE, WIDTH, IMAGES = 45, 16, 4
shares = {}
for depth in DEPTHS:
    total = np.zeros((SIZE, SIZE))
    for seed in range(3):  # three networks of each depth
        layers = []
        with manual_seed(seed) as rng:
            for i in range(depth):
                layers += [nn.Conv2d(WIDTH if i else 1, WIDTH, 3, padding=1), nn.ReLU()]
        images = rng.normal(size=(IMAGES, 1, SIZE, SIZE)).astype(np.float32)
        network, last = nn.Sequential(*layers).to(device), str(2 * depth - 2)
        total += effective_field(network, last, SIZE // 2, SIZE // 2, images, rng=rng)
    shares[depth] = total / 3

boxes = np.array([2 * depth + 1 for depth in DEPTHS])
sides = np.array([effective_size(shares[depth]) for depth in DEPTHS])
print("3x3 layers        " + "".join(f"{depth:>7}" for depth in DEPTHS))
print("side of the box   " + "".join(f"{box:>7}" for box in boxes))
print("effective side    " + "".join(f"{side:>7.1f}" for side in sides))
print(
    "share of the area "
    + "".join(f"{(s / b) ** 2:>7.0%}" for s, b in zip(sides, boxes, strict=True))
)
slope, _ = np.polyfit(np.log(DEPTHS[2:]), np.log(sides[2:]), 1)
growth, _ = np.polyfit(np.log(DEPTHS[2:]), np.log(boxes[2:]), 1)
print(f"from {DEPTHS[2]} layers on, the side grows like depth^{slope:.2f}, the box like",
      f"depth^{growth:.2f}")  # fmt: skip

# %%
figure = plt.figure(figsize=(9.4, 5.6), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.15])
for axes, depth in zip(upper.subplots(1, 4), (2, 4, 8, 20), strict=True):
    axes.imshow(np.sqrt(shares[depth]), cmap="Oranges")
    corner = SIZE // 2 - depth - 0.5
    frame = plt.Rectangle((corner, corner), 2 * depth + 1, 2 * depth + 1, fill=False,
                          edgecolor=BLUE, linewidth=1.8)  # fmt: skip
    axes.add_patch(frame)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{depth} layers, box of {2 * depth + 1}", fontsize=10)
left, right = lower.subplots(1, 2)
left.plot(DEPTHS, boxes, "s--", color=BLUE, label="the box, 2·depth + 1")
left.plot(DEPTHS, sides, "o-", color=VERMILION, label="90 % of the gradient")
left.set(xlabel="number of 3x3 layers", ylabel="side (pixels)", ylim=0, xticks=DEPTHS)
left.legend(frameon=False)
for depth, style in ((4, ":"), (8, "--"), (20, "-")):
    profile = shares[depth].sum(axis=0)
    right.plot(
        np.arange(SIZE) - SIZE // 2, profile, style, color=VERMILION, label=f"{depth} layers"
    )
right.set(xlabel="columns from the middle", ylabel="share of the gradient", ylim=0)
right.legend(frameon=False)
for axes in (left, right):
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
upper.suptitle("Effective receptive fields (square root of the shares) in their boxes")

# %%
# The figure shows two things. The field is a bell: strong in the middle, with hardly anything at
# the rim of the box. And it grows more slowly than the box: a path through the layers is a sum of
# small steps up, down, left and right, and a sum of n random steps spreads as the root of n. So "a
# unit of pool5 sees 195x195 pixels" is true but misleading.
#
# These weights are random; training can change the field. Finally the same question for AlexNet's
# last pooling, on the photograph and with random weights.

standardised = (photo / 255 - (photo / 255).mean()) / (photo / 255).std()
images = np.repeat(np.moveaxis(standardised, -1, 0)[None], 2, axis=0).astype(np.float32)
field = fields[place["pool5"]]
share = effective_field(alexnet, place["pool5"], 2, 2, images, rng=np.random.default_rng(0))
box = field.box(2, 2)
print(f"pool5, unit (2, 2): box of {field.size[0]}x{field.size[1]};",
      f"90 % of the gradient is on {effective_size(share) ** 2:.0f} pixels,",
      f"as many as {effective_size(share):.0f}x{effective_size(share):.0f}")  # fmt: skip

figure, axes = plt.subplots(figsize=(5.4, 5.6), layout="constrained")
axes.imshow(255 - (255 - photo.mean(axis=2)) * 0.5, cmap="gray", vmin=0, vmax=255)
heat = np.zeros((227, 227, 4))
heat[..., :3] = (0.835, 0.369, 0.0)
heat[..., 3] = np.sqrt(np.minimum(share / np.quantile(share, 0.999), 1))
axes.imshow(heat)
frame = plt.Rectangle((box.left - 0.5, box.top - 0.5), *field.size[::-1], fill=False,
                      edgecolor=BLUE, linewidth=2.2)  # fmt: skip
axes.add_patch(frame)
axes.set(xticks=[], yticks=[], title=f"pool5: box of {field.size[0]}, and where the gradient is")

# %%
# The same on the command line
# ----------------------------
# .. code-block:: none
#
#    minivision receptive-field lenet5
#    minivision receptive-field lenet5 --layer features.3 --unit 0 0 --out field.png
#    minivision summary lenet5

for name, f in receptive_fields(models.lenet5()).items():
    print(f"{name:<13} {f.kind:<10} {f.units[0]:>3} units, sees {f.size[0]:>2}, jump {f.jump[0]}")

# %%
# Three things to try
# -------------------
# 1. Change the padding of ``conv1`` to 2 and the images to 224. What will change in the table?
#    Expect only the centres to change, by two pixels: 224 + 2·2 - 11 leaves the same 55 units.
# 2. Replace the last three convolutions of ``ALEXNET`` with a single one. Which kernel and padding
#    give ``pool5`` the same 195 pixels? Expect the 7x7 from above, with a padding of 3, and more
#    weights.
# 3. Four layers of 5x5 have the same box of 17 as eight of 3x3. Is their effective side the same,
#    too? Give the stacks filters of 5 with padding 2 and ``DEPTHS`` up to 8, and compare with the
#    numbers above. Expect it to be larger: fewer, longer steps spread more.
#
# **Next lesson:** 9 · VGG

plt.show()
