"""
8 · Receptive fields
====================

**How much of the image does a unit in a deep layer see, and where does it really look?**

*A unit of a convolutional layer sees a window of the image. Three numbers per layer tell us which
window. The gradient shows which of its pixels really matter, and there are fewer than you might
expect.*

**Prerequisites:** lessons 5 (convolution) and 6 (LeNet-5).

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* compute by hand which pixels a unit of any layer sees, and which units see a given pixel,
* explain why networks moved from 11x11 filters to stacks of 3x3 filters: what they see and cost,
* measure the effective receptive field, and explain how it differs from the full window.
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
# Here are AlexNet's convolutional and pooling layers, without two details that make no difference
# here (grouped convolutions and local response normalisation). The images are 227x227 pixels; the
# first filters are 11x11, the later ones smaller. The weights are random, because what a unit can
# see does not depend on them. For each layer we draw the window of the middle unit, or of a unit
# next to the middle if there is no middle unit: ``pool5``, for example, has 6x6 units.

# (name, filters or "pool", kernel, stride, padding)
ALEXNET = [
    ("conv1", 96, 11, 4, 0), ("pool1", "pool", 3, 2, 0),
    ("conv2", 256, 5, 1, 2), ("pool2", "pool", 3, 2, 0),
    ("conv3", 384, 3, 1, 1), ("conv4", 384, 3, 1, 1), ("conv5", 256, 3, 1, 1),
    ("pool5", "pool", 3, 2, 0),
]  # fmt: skip


def build(table, channels=3):
    """Build the network of a table; also return the position of each layer in it."""
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
axes.set(xticks=[], yticks=[], title="What one unit in each layer sees")

# %%
# Three numbers
# -------------
# All units in a layer see windows of the same size, and the windows of neighbouring units are
# always the same distance apart. So three numbers, all in pixels, describe a layer: the size r of
# each window, the jump j from one unit's window to the next, and the centre c of the first unit's
# window, measured from the edge of the image. The image itself has r = 1, j = 1 and c = 0.5: each
# pixel sees only itself, and the centre of the first pixel is half a pixel from the edge. Now take
# a layer with kernel size k, stride s and padding p. Each of its units looks at k units of the
# layer below in each direction, whose windows are j pixels apart. So the layer changes the three
# numbers like this:

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
# ``receptive_fields`` computes the same numbers, as the assertion checks. The window of unit u is
# centred at c + u·j and extends r/2 pixels to each side. Follow the column of jumps: each stride
# multiplies the jump, and from then on *every* layer enlarges the window by that much more. It is
# mainly the strides that make receptive fields grow.
#
# Conv K, pool P
# --------------
# Lectures often give a formula for the most common case: a PxP pooling layer after a KxK
# convolution sees P + K - 1 pixels in each direction. The recurrence above gives the same result if
# the convolution has stride 1, so that the jump is 1. With stride S, the P pooled windows are S
# pixels apart, and the receptive field is K + (P - 1)·S.

for name, K, S, P in (("LeNet-5, conv 5, pool 2", 5, 1, 2), ("AlexNet, conv1, pool1", 11, 4, 3)):
    stack = nn.Sequential(nn.Conv2d(1, 1, K, S), nn.MaxPool2d(P))
    found = receptive_fields(stack, 64)["1"].size[0]
    print(f"{name:<24} P + K - 1 = {P + K - 1:>2}    K + (P - 1)·S = {K + (P - 1) * S:>2}"
          f"    computed: {found:>2}")  # fmt: skip

# %%
# Is it true?
# -----------
# We can check the formula on a real network: the pixels in a unit's receptive field should be
# exactly those with a nonzero gradient. (We use positive weights and average pooling, so that
# nothing cancels.) Here are two units of LeNet-5's second convolution, one near the middle and one
# in the corner.

positive = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5)).to(
    device
)
for parameter in positive.parameters():
    parameter.data[...] = 0.1
field = receptive_fields(positive, 28)["2"]


def gradient(row, column):
    """∂unit/∂image for the unit of the second convolution at this row and column."""
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
    print(f"unit ({row}, {column}): {(dx > 0).sum()} pixels have a nonzero gradient,",
          f"{seen.sum()} are in the field; same pixels: {((dx > 0) == seen).all()};",
          f"padding: {box.padding(28, 28) or 'none'}")  # fmt: skip
figure.suptitle("Orange: nonzero gradient. Blue: the window given by the formula")

# %%
# The window of the corner unit includes two rows and two columns outside the image, which are zeros
# that the first layer adds as padding. So near the edge of an image a network has less information,
# and the zeros can tell it where the edge is. We can also reverse the question: which units of the
# second convolution see a given pixel?

for pixel in ((0, 0), (14, 14)):
    rows, columns = field.units_seeing(*pixel)
    print(f"pixel {pixel} is seen by units {rows[0]} to {rows[-1]} in each direction,",
          f"{len(rows) * len(columns)} of {field.units[0] * field.units[1]}")  # fmt: skip

# %%
# Large filters or many layers
# ----------------------------
# Early networks matched the size of their first filters to the size of their images:

for name, size, kernel in (("LeNet-5", 28, 5), ("AlexNet", 227, 11)):
    print(f"{name}: {kernel}x{kernel} filters on {size}x{size} pixels,",
          f"{kernel / size:.0%} of the width")  # fmt: skip

# %%
# AlexNet's images are eight times as wide as LeNet-5's, but its first filters are only about twice
# as wide. And the table above shows a different way to get a large receptive field: more layers.
# Compare one 7x7 layer with three 3x3 layers, all with C input channels, C output channels and no
# bias. What do they see, and what do they cost?

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
# Both see 7x7 pixels, but the three 3x3 layers need only 27·C² weights instead of 49·C², and the
# number of multiply-adds falls by the same factor. They also have three ReLUs instead of one. The
# last column shows the price: every layer keeps its output for the backward pass. Because stacks of
# small filters are cheaper, large filters became rare. VGG, the subject of the next lesson, is
# built from 3x3 filters.
#
# What a unit really looks at
# ---------------------------
# Three 3x3 layers see the same 7x7 pixels as one 7x7 layer. Do all of these pixels matter equally?
# The pixel in the middle reaches the unit along many paths, a pixel in the corner along only one.
# We can measure the difference. The **effective receptive field** is the magnitude of the gradient
# at every pixel, averaged over random images and random combinations of the filters, and divided by
# its sum. The networks here are stacks of 3x3 convolutions and ReLUs with random weights. To
# measure the size of the effective field, we count the pixels, strongest first, that together carry
# 90 % of the gradient. We plot the square root of this count, which is the side of a square with as
# many pixels. (After Luo, Li, Urtasun & Zemel 2016.)

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
print(f"from {DEPTHS[2]} layers on, the effective side grows like depth^{slope:.2f},",
      f"the box like depth^{growth:.2f}")  # fmt: skip

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
    axes.set_title(f"{depth} layers, {2 * depth + 1}-pixel box", fontsize=10)
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
upper.suptitle("Effective receptive fields (square roots of the shares) and their boxes")

# %%
# The figure shows two things. First, the effective field is bell-shaped: strong in the middle and
# almost zero near the edge of the box. Second, it grows more slowly than the box. A path through
# the layers is a sum of small steps up, down, left and right, and a sum of n random steps spreads
# only as √n. So "a unit of pool5 sees 195x195 pixels" is true but misleading.
#
# The weights here are random, and training can change the effective field. Finally, we measure the
# effective field of AlexNet's last pooling layer on the photograph, again with random weights.

standardised = (photo / 255 - (photo / 255).mean()) / (photo / 255).std()
images = np.repeat(np.moveaxis(standardised, -1, 0)[None], 2, axis=0).astype(np.float32)
field = fields[place["pool5"]]
share = effective_field(alexnet, place["pool5"], 2, 2, images, rng=np.random.default_rng(0))
box = field.box(2, 2)
print(f"pool5, unit (2, 2): the box is {field.size[0]}x{field.size[1]};",
      f"90 % of the gradient is on {effective_size(share) ** 2:.0f} pixels,",
      f"about {effective_size(share):.0f}x{effective_size(share):.0f}")  # fmt: skip

figure, axes = plt.subplots(figsize=(5.4, 5.6), layout="constrained")
axes.imshow(255 - (255 - photo.mean(axis=2)) * 0.5, cmap="gray", vmin=0, vmax=255)
heat = np.zeros((227, 227, 4))
heat[..., :3] = (0.835, 0.369, 0.0)
heat[..., 3] = np.sqrt(np.minimum(share / np.quantile(share, 0.999), 1))
axes.imshow(heat)
frame = plt.Rectangle((box.left - 0.5, box.top - 0.5), *field.size[::-1], fill=False,
                      edgecolor=BLUE, linewidth=2.2)  # fmt: skip
axes.add_patch(frame)
axes.set(xticks=[], yticks=[], title=f"pool5: the {field.size[0]}-pixel box and the gradient")

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
# 1. Change the padding of ``conv1`` to 2 and the image size to 224x224. What will change in the
#    table? Expect only the centres to change, by two pixels: (224 + 2·2 - 11) // 4 + 1 is still 55
#    units.
# 2. Replace the last three convolutions of ``ALEXNET`` with a single one. Which kernel and padding
#    give ``pool5`` the same 195 pixels? Expect the 7x7 kernel from above, with a padding of 3, and
#    more weights.
# 3. Four 5x5 layers have the same 17-pixel box as eight 3x3 layers. Is their effective side the
#    same? Use 5x5 filters with padding 2 in the stacks, let ``DEPTHS`` end at 8, and compare with
#    the numbers above. Expect a larger side: fewer but longer steps spread further.
#
# **Write it yourself:** ``minivision exercise start receptive_field``.
#
# **Next lesson:** 9 · VGG

plt.show()
