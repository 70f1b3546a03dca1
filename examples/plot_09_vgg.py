"""
9 · VGG
=======

**What does depth contribute to a network, and why were deep networks hard to train?**

*VGG stacks one kind of filter ever deeper. You count what depth costs, slide a whole network over a
larger image, and watch a signal explode, vanish or survive as it passes through many layers.*

**Prerequisites:** lessons 6 (training), 7 (AlexNet) and 8 (receptive fields).

**Minutes:** 25 to read, about 30 seconds to run.

**You will be able to**

* say where VGG's weights and multiplications are, and what each kind of head costs,
* turn fully connected layers into convolutions and read the score maps that they output,
* predict from the initial weights whether a deep network can train at all.
"""

# sphinx_gallery_thumbnail_number = 5

import math

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, manual_seed, models, nn, no_grad, optim, training, transforms
from minivision import functional as F
from minivision.analysis.effective_field import effective_field, effective_size
from minivision.analysis.receptive_field import receptive_fields
from minivision.analysis.summary import summary
from minivision.backend import to_device
from minivision.datasets import DataLoader, ShapeDataset

from lesson import (
    BLUE,
    CHOOSING,
    GREEN,
    GREY,
    PALE,
    PURPLE,
    VERMILION,
    YELLOW,
    device,
    recorded_rows,
    show_claim,
)  # fmt: skip

# %%
# Six networks in one table
# -------------------------
# AlexNet mixes 11x11, 5x5 and 3x3 filters, strided convolutions, overlapping pooling and local
# response normalisation (LRN). Two years later, VGG (Simonyan & Zisserman 2014) came second in the
# classification task of ILSVRC 2014. It uses 3x3 convolutions with padding 1 almost exclusively,
# and 2x2 pooling, and asks one question: what does depth contribute? The paper answers it with six
# networks of five blocks each. They differ mainly in the number of convolutions per block; in
# addition, A-LRN adds LRN to A, and C has some 1x1 convolutions. ``CONFIGURATIONS`` is the paper's
# Table 1. We count the parameters and multiply-adds of each network without drawing any weights.

with nn.skip_init():
    tables = {
        name: summary(models.vgg_network(name, head="flatten"))
        for name in models.vgg.CONFIGURATIONS
    }
COLOURS = {3: BLUE, 1: YELLOW, "LRN": VERMILION}
figure, axes = plt.subplots(figsize=(9.4, 3.6), layout="constrained")
for row, (name, blocks) in enumerate(models.vgg.CONFIGURATIONS.items()):
    for block, cells in enumerate(blocks):
        for i, cell in enumerate(cells):
            axes.add_patch(plt.Rectangle((block * 4.6 + i, row - 0.36), 0.92, 0.72,
                                         color=COLOURS[cell]))  # fmt: skip
            axes.text(block * 4.6 + i + 0.46, row, cell, ha="center", va="center", color="white")
    layers = sum(r.kind in ("Conv2d", "Linear") for r in tables[name].rows)
    axes.text(23.6, row, f"{layers} layers", va="center")
    axes.text(29.8, row, f"{tables[name].parameters / 1e6:.0f} M", va="center", ha="right")
    axes.text(34, row, f"{tables[name].multiply_adds / 1e9:.1f} G", va="center", ha="right")
    print(f"{name:<6} {layers:>2} layers with weights, {tables[name].parameters:>11,} parameters,"
          f" {tables[name].multiply_adds:>14,} multiply-adds")  # fmt: skip
for block, width in enumerate((64, 128, 256, 512, 512)):
    axes.text(block * 4.6, -0.9, f"{width}: {224 // 2**block}²", va="center", color=GREY)
axes.text(29.8, -0.9, "weights", va="center", ha="right", color=GREY)
axes.text(34, -0.9, "mult.-adds", va="center", ha="right", color=GREY)
axes.text(-0.4, -0.9, "maps", va="center", ha="right", color=GREY)
axes.set(xlim=(-0.2, 34.2), ylim=(5.6, -1.3), xticks=[], yticks=range(6))
axes.set_yticklabels(models.vgg.CONFIGURATIONS)
axes.tick_params(length=0)
axes.spines[:].set_visible(False)

# %%
# The numbers in the names VGG-16 and VGG-19 count the layers with weights in D and E. From A to E
# the number of convolutions doubles and the work grows with it, yet the number of parameters hardly
# changes. Why?
#
# Where the weights are, and where the work is
# --------------------------------------------

table = tables["D"]
linear = [row for row in table.rows if row.kind == "Linear"]
convolutions = [row for row in table.rows if row.kind == "Conv2d"]
for name, part in (("convolutions", convolutions), ("fully connected", linear)):
    weights, work = (sum(getattr(r, q) for r in part) for q in ("parameters", "multiply_adds"))
    print(f"{name:<16} {weights:>11,} parameters ({weights / table.parameters:>5.1%}),"
          f" {work:>14,} multiply-adds ({work / table.multiply_adds:>5.1%})")  # fmt: skip
print(f"the first fully connected layer: 512·7·7·4096 + 4096 = {512 * 7 * 7 * 4096 + 4096:,},",
      f"counted {linear[0].parameters:,}")  # fmt: skip

shown = [*convolutions, *linear]
figure, grid = plt.subplots(2, 1, figsize=(8.4, 4.0), layout="constrained", sharex=True)
for axes, quantity, unit, label in (
    (grid[0], "parameters", 1e6, "weights (M)"), (grid[1], "multiply_adds", 1e9, "mult.-adds (G)"),
):  # fmt: skip
    values = [getattr(row, quantity) / unit for row in shown]
    colours = [BLUE if row.kind == "Conv2d" else VERMILION for row in shown]
    axes.bar(range(len(shown)), values, color=colours)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
names = [
    f"{b + 1}_{i + 1}" for b, c in enumerate(models.vgg.CONFIGURATIONS["D"]) for i in range(len(c))
]
grid[1].set_xticks(range(len(shown)), [*names, "fc6", "fc7", "fc8"], fontsize=8)
figure.suptitle("VGG-16 (D): convolutions blue, fully connected layers orange")

# %%
# A filter is used at every position of the image, but each weight of a fully connected layer is
# used only once. So most of the weights are in the fully connected layers (the *head*), and most of
# the work is in the convolutions (the *backbone*).
#
# A linear layer needs a vector as its input, so the feature maps have to be turned into one. The
# paper **flattens** them into 512·7·7 numbers, one for each channel and position. The alternative
# is to take the **average** of each map, which leaves 512 numbers, and to follow it with a single
# linear layer. What difference does this make?

for head in ("flatten", "average"):
    with nn.skip_init():
        model = models.vgg_network("D", head=head).eval()
    print(f"{head:<8} {model.parameter_count():>12,} parameters", end="; ")
    for side in (224, 256):
        empty = Tensor(np.zeros((0, 3, side, side), np.float32))  # no image: sizes only
        try:
            print(f"{side}x{side} -> {model(empty).shape[1:]}", end="; ")
        except ValueError:
            print(f"{side}x{side} raises an error", end="; ")
    print()

# %%
# The flattening head accepts only one image size. The averaging head accepts any, and has far fewer
# weights, but it forgets where in the image a feature was found.
#
# Sliding a network over a larger image
# -------------------------------------
# Each output of a linear layer on flattened maps is an inner product with all of their values. A
# convolution whose kernel is as large as the maps computes the same product if it has the same
# weights. ``fully_convolutional`` replaces every linear layer by such a convolution. (The paper
# tests its networks this way and calls it *dense evaluation*.) We try it on a small network with a
# flattening head, trained to recognise shapes.

train = ShapeDataset(1500, clutter=(0, 2), angle=(-30.0, 30.0))
validation = ShapeDataset(300, first=1500, clutter=(0, 2), angle=(-30.0, 30.0))
prepare = transforms.Compose(
    [
        transforms.ToArray(),
        transforms.Normalize(train.images.mean() / 255, train.images.std() / 255),
    ]
)
manual_seed(0)
model = models.vgg_small(5, widths=(8, 16, 32), batch_norm=True)
training.fit(
    model,
    DataLoader(train, 30, shuffle=True, transform=prepare),
    training.classification_loss,
    optim.Adam(model.parameters(), lr=4e-3),
    epochs=6,
    schedule=optim.cosine(6),
    device=device,
)
model.eval()
accuracy = training.evaluate(model, DataLoader(validation, 150, transform=prepare))["accuracy"]
dense = models.fully_convolutional(model)


def score_maps(images):
    """The class scores of the fully convolutional network: one map per class."""
    with no_grad():
        return dense(Tensor(to_device(prepare(images), device)))


with no_grad():
    logits = model(Tensor(to_device(prepare(validation.images[:100]), device))).numpy()
same = score_maps(validation.images[:100]).numpy()
print(f"validation accuracy {accuracy:.1%}")
print(f"32x32: scores {same.shape}, largest difference from the logits",
      f"{abs(same[:, :, 0, 0] - logits).max():.1e}")  # fmt: skip

# %%
# At the training size the two networks differ only by rounding. Now we take a 96x128 image with
# twelve shapes, a size that the network was never trained on. The kernel slides over the larger
# maps, so each position in the output is the prediction for a different 32x32 window of the image.
# Neighbouring windows are eight pixels apart.

tiles = ShapeDataset(
    12, first=2000, clutter=(0, 0), angle=(-30.0, 30.0), background=(0.1, 0.1), position=(0.5, 0.5)
)
large = tiles.images.reshape(3, 4, 32, 32, 3).swapaxes(1, 2).reshape(96, 128, 3)
probabilities = F.softmax(score_maps(large[None]), axis=1).numpy()[0]
K, OH, OW = probabilities.shape
found, sure = probabilities.argmax(axis=0), probabilities.max(axis=0)
right = (found[::4, ::4].ravel() == tiles.labels).sum()
once = summary(dense, (3, 96, 128)).multiply_adds
one = summary(dense, (3, 32, 32)).multiply_adds
print(f"{OH}x{OW} predictions; in windows that hold exactly one shape, {right} of 12 are right")
print(f"{once / 1e6:.0f} M multiply-adds; {OH * OW} separate windows: {OH * OW * one / 1e6:.0f} M")

figure, (left, middle) = plt.subplots(1, 2, figsize=(9.4, 3.5), layout="constrained")
left.imshow(large)
left.set_title("96x128 pixels")
middle.imshow(255 - (255 - large.mean(axis=2)) * 0.4, cmap="gray", vmin=0, vmax=255)
for k, colour, marker in zip(
    range(5), (BLUE, VERMILION, GREEN, YELLOW, PURPLE), "so^*D", strict=True
):
    rows, columns = np.nonzero(found == k)
    middle.scatter(8 * columns + 15.5, 8 * rows + 15.5, 60 * sure[rows, columns] ** 4, color=colour,
                   marker=marker, label=train.classes[k])  # fmt: skip
middle.set_title("predictions, larger where more certain")
middle.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
for axes in (left, middle):
    axes.set(xticks=[], yticks=[])

# %%
# Between two shapes a window holds half of each, and the network must still choose one of its five
# classes; it was never shown "nothing". To classify a whole image, the paper averages the scores
# over all positions. (A window inside a large image has real pixels around it, whereas a window
# that is cut out has zero padding, so the scores of the two are close but not equal.)
#
# Many small filters
# ------------------
# Lesson 8 showed that two 3x3 layers see 5x5 pixels and three see 7x7. We check this on layers with
# C input and C output channels.

C = 64
for name, kernels in (
    ("two 3x3", [3] * 2),
    ("one 5x5", [5]),
    ("three 3x3", [3] * 3),
    ("one 7x7", [7]),
):
    stack = nn.Sequential(*[nn.Conv2d(C, C, k, padding=k // 2, bias=False) for k in kernels])
    *_, last = receptive_fields(stack, (C, 32, 32)).values()
    print(f"{name:<10} sees {last.size[0]}x{last.size[1]},",
          f"{stack.parameter_count() / C**2:g}·C² weights")  # fmt: skip

# %%
# Three 3x3 layers see the same pixels as one 7x7 layer, but do they weight them equally? As in
# lesson 8, we measure the effective receptive field with random weights: the number of pixels that
# carry 90 % of the gradient.

images = np.random.default_rng(1).normal(size=(4, 1, 15, 15)).astype(np.float32)
for name, kernels in (("three 3x3", [3, 3, 3]), ("one 7x7", [7])):
    share = 0
    for seed in range(5):
        layers = []
        with manual_seed(seed) as rng:
            for i, k in enumerate(kernels):
                layers += [nn.Conv2d(16 if i else 1, 16, k, padding=k // 2), nn.ReLU()]
        stack = nn.Sequential(*layers).to(device)
        share += effective_field(stack, str(len(layers) - 2), 7, 7, images, rng=rng) / 5
    print(f"{name:<10} box of 49 pixels, 90 % of the gradient on {effective_size(share) ** 2:.0f}")

# %%
# Which of the two learns better? In a first experiment we put both into the middle of a small
# network and trained it on photographs for 6 epochs:

show_claim(26)

# %%
# What VGG left out
# -----------------
# AlexNet normalises across neighbouring channels (LRN). The VGG paper compared A with A-LRN, found
# no gain, and dropped LRN from the deeper networks. LRN has no weights, so A and A-LRN have the
# same counts in the table above. These are the errors in the paper, in per cent of the validation
# photographs (single scale): the right class is not the first guess (top-1), or is not among the
# first five (top-5).
#
# .. code-block:: none
#
#               A    A-LRN    B      C      D      E
#    layers    11       11   13     16     16     19
#    top-1   29.6     29.7   28.7   27.3   25.6   25.5
#    top-5   10.4     10.5    9.9    8.8    8.1    8.0
#
# LRN does not help: the difference is a tenth of a point. (We did not try to measure that again. In
# networks as small as ours the accuracy varies by about a point from seed to seed, so several
# hundred runs of each kind would be needed.) Depth does help, up to 16 layers, and then the gain
# runs out; but part of the step from B to C is due to the training images, whose scale varied for
# C, D and E. C and D have equally many layers, but three of C's convolutions have 1x1 filters: it
# also matters that the filters see their neighbourhood.
#
# Is VGG better than AlexNet?
# ---------------------------
# On ImageNet VGG makes fewer errors than AlexNet, but a prediction takes about twenty times as many
# multiply-adds. To separate the effect of the architecture from that of the extra work, we trained
# a small VGG and a small AlexNet that need about the same number of multiply-adds, on 4,000
# photographs with flips and crops. Both have batch normalisation after every convolution.

show_claim(24)

# %%
# VGG is ahead with every seed. But neither network had finished learning: twice as many epochs add
# more points to each of them than VGG was ahead. So by our rules we cannot tell whether VGG ends up
# better or only learns faster. (After twice as many epochs it is still ahead, but we have only one
# seed for that.)
#
# Whether VGG's features also serve other tasks better is a separate question, which lesson 14
# measures.
#
# VGG at the scale of CIFAR-10
# ----------------------------
# ``vgg_small`` has three blocks of two 3x3 convolutions. We trained it, with batch normalisation
# and the averaging head, on all of CIFAR-10 (``examples/train_vgg_small_cifar10.py``).

headline = recorded_rows("vgg_small_cifar10.json")
if headline:
    row = headline[-1]
    history = row["history"]
    print(f"{row['parameters']:,} parameters, {len(history)} epochs,",
          f"{row['training_seconds'] / 60:.0f} minutes:",
          f"test accuracy {row['test_accuracy']:.2%}")  # fmt: skip
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    for part, colour, style in (("train", BLUE, "o-"), ("validation", VERMILION, "s--")):
        axes.plot([record["epoch"] for record in history],
                  [record[f"{part}_accuracy"] for record in history],
                  style, color=colour, markersize=4, label=part)  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="epoch", title="vgg_small on CIFAR-10: accuracy")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
else:
    print("docs/results has no vgg_small_cifar10.json yet")

# %%
# Why depth was hard
# ------------------
# Each unit sums n inputs, each multiplied by a weight with standard deviation σ, and ReLU removes
# half of the signal's energy. So a layer multiplies the size of the signal by about σ·√(n/2). For a
# 3x3 convolution, n is 9 times the number of input maps. If σ = √(2/n), which is He's rule, the
# factor is 1. Any other factor is raised to the power of the depth. To see this, we send noise
# through 32 convolutions with 16 maps each.

RULES = {
    "0.01": nn.initializers.normal(0.01),
    "0.1": nn.initializers.normal(0.1),
    "0.3": nn.initializers.normal(0.3),
    "He": nn.initializers.he_normal,
}
STYLES = {
    "0.01": (BLUE, "o:"),
    "0.1": (GREEN, "s--"),
    "0.3": (VERMILION, "^-."),
    "He": ("black", "-"),
}
signal = {}
for rule, draw in RULES.items():
    signal[rule] = []
    with manual_seed(0) as rng, no_grad():
        x = Tensor(rng.normal(size=(4, 16, 16, 16)).astype(np.float32))
        for _ in range(32):
            layer = nn.Conv2d(16, 16, 3, padding=1)
            nn.initialize(layer, draw)
            x = layer(x)
            signal[rule].append(x.numpy().astype(np.float64).std())
            x = F.relu(x)
    n = 9 * 16
    sigma = math.sqrt(2 / n) if rule == "He" else float(rule)
    measured = (signal[rule][-1] / signal[rule][0]) ** (1 / 31)
    print(f"σ = {sigma:.3f}: factor per layer {sigma * math.sqrt(n / 2):.2f} by the formula,",
          f"{measured:.2f} measured")  # fmt: skip

# %%
# The measured factors differ slightly from the formula, because sixteen maps are few and padding
# adds zeros. The first panel of the figure shows this stack. The other two show recorded values for
# the sixteen convolutions of VGG-E at the paper's widths: the size of the outputs in the forward
# pass and of the gradients in the backward pass (``examples/measure_initialization.py``; each thin
# line is one of three seeds).

recorded = recorded_rows("initialization.json")
figure, grid = plt.subplots(1, 3, figsize=(9.8, 3.5), layout="constrained", sharey=True)
for rule, (colour, style) in STYLES.items():
    name = f"σ = {rule}" if rule != "He" else "He"
    grid[0].semilogy(range(1, 33), signal[rule], style, color=colour, markersize=3, label=name)
    for row in recorded:
        if row["kind"] == "signal" and (row["network"], row["rule"]) == ("VGG-E", rule):
            for axes, quantity in ((grid[1], "output"), (grid[2], "gradient")):
                axes.semilogy(range(1, 17), row[quantity], style, color=colour, markersize=3,
                              linewidth=0.8)  # fmt: skip
for axes, title in zip(
    grid, ("32 convolutions, 16 maps", "VGG-E: outputs", "VGG-E: gradients"), strict=True
):
    axes.set(xlabel="convolution", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
grid[0].set_ylabel("size (root mean square)")
grid[0].legend(frameon=False, fontsize=9)

print("output size: last / first convolution; gradient size: first / last convolution")
for name in dict.fromkeys(row["network"] for row in recorded if row["kind"] == "signal"):
    for rule in RULES:
        rows = [r for r in recorded if r["kind"] == "signal"
                and (r["network"], r["rule"]) == (name, rule)]  # fmt: skip
        if rows:
            forward = np.median([r["output"][-1] / r["output"][0] for r in rows])
            back = np.median([r["gradient"][0] / r["gradient"][-1] for r in rows])
            print(f"{name:<8} {rule:>5} {forward:>9.1e} {back:>9.1e}  ({len(rows)} seeds)")

# %%
# A fixed σ is right for only one width: compare σ = 0.1 in the stack with 16 maps and in the much
# wider VGG-E. The paper drew its weights with "10⁻² variance". As printed, this means σ = 0.1, but
# it is often read as σ = 0.01. In He's rule, published a few months later, σ depends on the width.
#
# Which networks learn?
# ---------------------
# The paper trained A first, and then initialised the first four convolutions and the fully
# connected layers of the deeper networks with A's weights (§3.1). We repeat this on a small scale,
# with narrow versions of A and E trained on the digits for 320 steps. ``E from A`` starts with the
# first four convolutions and the only linear layer of a trained A. Guessing gives a loss of ln 10;
# we count a network as having learned if its loss is below 90 % of this value.

print(f"ln 10 = {math.log(10):.3f}; final training loss for each seed")
runs = [row for row in recorded if row["kind"] == "training" and row["seed"] not in CHOOSING]
for rule, name in dict.fromkeys((row["rule"], row["network"]) for row in runs):
    rows = [row for row in runs if (row["rule"], row["network"]) == (rule, name)]
    losses = [row.get("train_loss", math.nan) for row in rows]
    learned = sum(loss < 0.9 * math.log(10) for loss in losses)
    words = "  ".join("diverged" if math.isnan(loss) else f"{loss:8.3f}" for loss in losses)
    print(
        f"{rule:>5} {name:<9} rate {rows[0]['lr']:<5g} {words}   {learned} of {len(rows)} learned"
    )
if not runs:
    print("nothing has been recorded yet")

# %%
# Compare the table with the figure. These networks are narrow, so σ = 0.01 is much too small for
# them. Even A does not learn with it, and then it has no weights worth borrowing. Where A does
# learn, compare E with and without the borrowed layers. He's rule preserves the signal, which is
# necessary but may not be sufficient; its row shows whether sixteen convolutions can learn in so
# few steps. Batch normalisation (lesson 7), and later the shortcut connections of residual
# networks, made deep networks reliable to train.
#
# The same on the command line
# ----------------------------
# .. code-block:: none
#
#    minivision summary vgg16
#    minivision receptive-field vgg16
#
# Three things to try
# -------------------
# 1. Print the receptive fields of ``models.vgg_network("C")`` and ``models.vgg_network("D")`` and
#    compare what their last pooling layers see. Expect 156 and 212 pixels: 1x1 convolutions do not
#    enlarge the receptive field.
# 2. Use 64 maps instead of 16 in the stack of 32 convolutions, with σ = 0.1. By what factor does
#    each layer multiply the signal? Expect 0.1·√(9·64/2), about 1.7, so that the signal grows about
#    ten million times on its way through the stack.
# 3. Train the network for shapes with ``head="average"`` and draw its predictions again. Expect
#    12x16 positions, one for every 8x8 pixels: now only the pooling layers reduce the resolution.
#
# **Next lesson:** 10 · The data set is biased

plt.show()
