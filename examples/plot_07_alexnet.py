"""
7 · AlexNet
===========

**What is new in AlexNet, and which of its ideas can we see helping?**

*In 2012 one network won the ImageNet contest by a margin that changed the field. Here you take it
apart: each of its ideas needs only a few lines of code, and three of them we measure ourselves.*

**Prerequisites:** lessons 2 (gradients), 5 (convolution) and 6 (LeNet-5).

**Minutes:** 30 to read, about 10 seconds to run.

**You will be able to**

* account for the neurons, parameters and operations of AlexNet, and say where they are,
* show what ReLU, local response normalisation, overlapping pooling and dropout do,
* say what the two towers exchange, and why it is so little.
"""

# sphinx_gallery_thumbnail_number = 5

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import Tensor, datasets, manual_seed, models, nn, no_grad, training, transforms
from minivision import functional as F
from minivision.analysis.summary import summary
from minivision.optim import Adam

from lesson import (
    BLUE,
    GREY,
    PALE,
    VERMILION,
    chosen_rows,
    device,
    recorded_rows,
    show_claim,
    to_device,
)  # fmt: skip

# %%
# The network of 2012
# -------------------
# AlexNet (Krizhevsky, Sutskever & Hinton 2012) sorts photographs into 1,000 classes. It is LeNet-5
# grown up: its convolution and pooling layers look for patterns, and its fully connected layers
# decide. Five convolutions and two hidden fully connected layers make seven hidden layers; the
# eighth layer computes the scores. Initialising the weights at random would take a few seconds, and
# a table does not need them, so we skip that step.

with nn.skip_init():
    whole = models.alexnet()
table = summary(whole)
print(table)

# %%
# How many neurons does the network have? Every number that a convolution or a fully connected layer
# outputs counts as one. The paper's abstract says 650,000. Lectures sometimes say 605,000, perhaps
# because two digits were swapped. We can simply count:

layers = [row for row in table.rows if row.kind in ("Conv2d", "Linear")]
names = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
neurons = [math.prod(row.output) for row in layers]
print(" + ".join(f"{n:,}" for n in neurons), f"= {sum(neurons):,} neurons")
print(f"{table.parameters:,} parameters, {table.multiply_adds:,} multiply-adds for one image")

# %%
# In which layers are they? The answer depends on whether you count neurons, parameters or
# operations.

figure, panels = plt.subplots(1, 3, figsize=(9.2, 3.4), layout="constrained", sharey=True)
for axes, counts, what in zip(
    panels,
    (neurons, [row.parameters for row in layers], [row.multiply_adds for row in layers]),
    ("neurons", "parameters", "multiply-adds"),
    strict=True,
):
    shares = np.array(counts) / sum(counts)
    axes.barh(names, shares, color=[BLUE] * 5 + [VERMILION] * 3)
    for i, share in enumerate(shares):
        axes.text(share + 0.01, i, f"{share:.1%}", va="center", fontsize=9)
    axes.set(title=what, xlim=(0, 0.8), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    print(f"{what:<14} {shares[:5].sum():6.1%} in convolutions,",
          f"{shares[5:].sum():6.1%} in fully connected layers")  # fmt: skip
panels[0].invert_yaxis()
figure.suptitle("Convolutions (blue) do the work, fully connected layers (orange) hold the weights")

# %%
# A convolution uses each of its weights at every position in the image. That is why few weights
# cause most of the work, while nearly all weights are in the fully connected layers, which use each
# of them only once.
#
# Photographs, and many of them
# -----------------------------
# The contest that AlexNet won, ILSVRC 2012, had 1.2 million training photographs. An ensemble of
# seven networks won it: the right class was not among its first five guesses for 15.3 % of the test
# photographs, compared with 26.2 % for the runner-up. Fourteen years lie between LeNet-5 and
# AlexNet, and two more until VGG (lesson 9). The basic design had changed little; the data, the
# GPUs and the networks had grown.
#
# Can we train an AlexNet here? ``alexnet_small`` has the same layers with fewer maps and smaller
# filters, for images of 32x32 pixels. Two photographs come with scikit-learn. We cut small windows
# from the left parts of both, and train the network to say which photograph a window comes from.
# The test windows come from the right parts, which it has not seen.

photographs = {
    name: transforms.Resize((214, 320))(load_sample_image(f"{name}.jpg"))
    for name in ("china", "flower")
}


def windows(columns, count, seed):
    """Windows of 32x32 pixels between two columns of each photograph, as a dataset."""
    rng, cut = np.random.default_rng(seed), []
    for photo in photographs.values():
        for _ in range(count):
            y, x = rng.integers(0, 214 - 32), rng.integers(columns[0], columns[1] - 32)
            cut.append(photo[y : y + 32, x : x + 32])
    labels = np.repeat(np.arange(len(photographs)), count)
    return datasets.ArrayDataset(np.stack(cut), labels, list(photographs))


train, test = windows((0, 190), 300, seed=0), windows((190, 320), 100, seed=1)
mean, std = train.images.mean((0, 1, 2)) / 255, train.images.std((0, 1, 2)) / 255
prepare = transforms.Compose([transforms.ToArray(), transforms.Normalize(mean, std)])
manual_seed(0)
small = models.alexnet_small(2)
training.fit(
    small,
    datasets.DataLoader(train, 50, shuffle=True, transform=prepare),
    training.classification_loss,
    Adam(small.parameters(), lr=2e-3),
    epochs=4,
    device=device,
)
found = training.evaluate(small, datasets.DataLoader(test, 100, transform=prepare))
print(f"{small.parameter_count():,} parameters; test accuracy {found['accuracy']:.1%}")

# %%
# Two photographs are not much of a test. With photographs of your own, one folder per class, or
# with CIFAR-10, whose 50,000 photographs have 32x32 pixels, it is one command:
#
# .. code-block:: none
#
#    minivision train --dataset my_photos --model alexnet_small
#    minivision train --dataset cifar10 --model alexnet_small
#
# Three of the ideas below were measured on a few thousand images from CIFAR-10 or MNIST: ReLU,
# batch normalisation in the place of LRN, and dropout. The lines that we print for them are those
# of the page of claims, which explains how to read them. Each variant has the learning rate that
# suits it best, chosen with a seed whose other results do not count.
#
# ReLU instead of tanh
# --------------------
# In the 1990s, a neuron passed its sum through tanh or a function of similar shape. For large sums
# such a function is flat: the unit is *saturated*, and hardly any gradient passes. ReLU, max(0, a),
# passes either all of the gradient or none.
#
# How much of the gradient survives several layers? We send random numbers through five layers, in
# which we scale the sums to a standard deviation of s, and we send a random gradient back through
# each activation. What fraction of its squared length is left after all five?


def survives(activation, s, depth=5, units=400):
    """The share of the squared gradient that passes, and the share of nearly closed units."""
    rng = np.random.default_rng(0)
    y, share, closed = rng.normal(size=(50, units)), 1.0, []
    for _ in range(depth):
        sums = y @ rng.normal(size=(units, units))
        a = Tensor(s * sums / sums.std(), requires_grad=True)
        out = activation(a)
        dy = rng.normal(size=out.shape)
        out.backward(dy)
        share *= (a.grad**2).mean() / (dy**2).mean()
        closed.append((abs(a.grad) < 0.01 * abs(dy)).mean())
        y = out.numpy()
    return share, np.mean(closed)


scales = np.geomspace(0.1, 10, 9)
figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.3), layout="constrained")
at = np.linspace(-4, 4, 161)
print("standard deviation s   " + "".join(f"{s:>9.2g}" for s in scales[::2]))
for name, function, colour, style in (
    ("tanh", F.tanh, VERMILION, "s--"),
    ("ReLU", F.relu, BLUE, "o-"),
):
    a = Tensor(at, requires_grad=True)
    function(a).sum().backward()
    left.plot(at, a.grad, style[1:], color=colour, label=name)
    results = np.array([survives(function, s) for s in scales])
    right.loglog(scales, results[:, 0], style, color=colour, markersize=5, label=name)
    print(f"{name}: survives" + " " * 10 + "".join(f"{v:>9.1e}" for v in results[::2, 0]))
    print(f"{name}: closed units" + " " * 6 + "".join(f"{v:>9.0%}" for v in results[::2, 1]))
left.set(xlabel="sum a", title="derivative of the activation")
right.set(
    xlabel="standard deviation s of the sums", title="share of gradient² left after five layers"
)
right.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
for axes in (left, right):
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)

# %%
# Let us be fair to both. As long as the sums are small, tanh passes nearly everything, and ReLU
# loses half at every layer, because half of the units are off. But ReLU loses the same half at
# every scale, so the initial weights can make up for it: He initialization uses a variance of 2
# divided by the number of inputs, instead of 1 divided by that number. What tanh passes depends on
# how large the sums are, and they grow during training. (These are the activations alone; the
# weights between them multiply the gradient, too.)
#
# The paper's Figure 1 shows a network of four layers on CIFAR-10 that reaches a training error of
# 25 % six times as fast with ReLU as with tanh. We repeat it on 2,500 images
# (``examples/measure_activation.py``), with no regularisation and a constant learning rate, the
# fastest for each activation. We compare two set-ups, that of 2012 and that of today. In 2012 the
# mean was subtracted from the pixels but they were not rescaled, and we draw all weights with a
# standard deviation of 0.01, as for the paper's large network. Today pixels are standardised, and
# the weights are drawn as He or Glorot proposed.

rows = recorded_rows("activation.json")
CURVES = {"tanh": (VERMILION, "s--"), "relu": (BLUE, "o-")}
figure, panels = plt.subplots(1, 2, figsize=(8.8, 3.3), layout="constrained", sharey=True)
for axes, start in zip(panels, ("2012", "today"), strict=True):
    for activation, (colour, style) in CURVES.items():
        found = chosen_rows(rows, by="score", start=start, activation=activation)
        axes.plot([], [], style[1:], color=colour, label=activation)
        for row in found:
            epochs = np.arange(1, len(row["train_errors"]) + 1)
            axes.plot(epochs, row["train_errors"], style[1:], color=colour, alpha=0.6)
        if found:
            needed = np.mean([row["epochs_needed"] for row in found])
            flat = np.mean([row["in_flat_part"] for row in found])
            print(f"start {start:<6} {activation}: rate {found[0]['lr']:g}, {needed:.1f} epochs;",
                  f"{flat:.0%} of the units in a flat part after the first epoch")  # fmt: skip
    axes.axhline(0.25, color=GREY, linewidth=1)
    axes.set(xlabel="epoch", title=f"start: {start}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("training error")
panels[0].legend(frameon=False)
show_claim(14, "ReLU")

# %%
# Under the conditions of 2012, tanh does not get there within 30 epochs at ReLU's own learning
# rate. At a rate sixteen times as high it nearly keeps up: in a network this small, most of ReLU's
# advantage can be bought back with a larger step. The paper's advantage is far greater; its network
# learns twenty times as many images.
#
# With the start of today it is the other way round: tanh needs about half as many epochs as ReLU.
# The share of units in a flat part says why. Pixels that are not rescaled are large, so in 2012 a
# third of tanh's units are in its flat ends, where hardly any gradient passes. Standardised pixels
# and Glorot's weights keep the sums small: hardly any unit is flat, and tanh can use steps eight
# times as large as ReLU. What ReLU overcame in 2012 is saturation; other remedies work, too.
# (ReLU's flat part is its closed half. Batch normalisation, below, helps both.)
#
# Neighbours that inhibit each other
# ----------------------------------
# In the retina, a neuron that fires strongly quiets its neighbours; this is called *lateral
# inhibition*. Local response normalisation (LRN) does the same between maps. It divides each
# activation by a power of k + α·(sum of squares), where the sum runs over the map itself and the
# two maps on either side, at the same position in the image. Here is a row of 21 channels, one of
# them excited, with an α that is large enough to see the effect.

rng = np.random.default_rng(0)
channels = rng.uniform(0.8, 1.2, 21)
channels[10] = 6
x = Tensor(channels.reshape(1, 21, 1, 1), requires_grad=True)
y = F.local_response_norm(x, alpha=0.2)
y[0, 12].sum().backward()

figure, panels = plt.subplots(1, 3, figsize=(9.2, 3.0), layout="constrained")
colours = [VERMILION if i == 10 else BLUE if abs(i - 10) <= 2 else GREY for i in range(21)]
for axes, values, title in zip(
    panels,
    (channels, y.numpy().ravel(), x.grad.ravel()),
    ("before", "after", "gradient of channel 12 after\nwith respect to each before"),
    strict=True,
):
    axes.bar(range(21), values, color=colours)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(title=title, xlabel="channel", xticks=[0, 5, 10, 15, 20])
    axes.spines[["top", "right"]].set_visible(False)
figure.suptitle("Orange: the excited channel. Blue: the channels whose window contains it")
after = y.numpy().ravel()
near, far = [8, 9, 11, 12], [0, 1, 19, 20]
for what, which in (("the excited channel", [10]), ("its neighbours", near)):
    print(f"{what} relative to the quiet channels:",
          f"{channels[which].mean() / channels[far].mean():.2f} before,",
          f"{after[which].mean() / after[far].mean():.2f} after")  # fmt: skip

# %%
# The neighbours are suppressed, and so is the excited channel, but it still stands out. The right
# panel shows the inhibition as a gradient: raising channel 10 lowers channel 12.
#
# The paper's α is 1e-4. Is that a lot? It depends on the pixels. In 2012 they ranged from 0 to 255,
# minus their mean. Today nearly everybody divides by the standard deviation, too, which makes the
# squares thousands of times smaller. To see the difference, we measure the inhibition: the fraction
# of an activation that LRN removes beyond the constant factor k^-β, which all activations share.
# The filters are random, drawn as in the paper.

photo = transforms.Resize((256, 256))(load_sample_image("flower.jpg")[:, 100:527])
crop = photo[14:241, 14:241] / 255
centred = np.moveaxis(crop - crop.mean(), -1, 0)[None].astype(np.float32)
with nn.skip_init():
    conv1 = nn.Conv2d(3, 96, 11, 4).to(device)
manual_seed(0)
nn.initialize(conv1, nn.initializers.normal(0.01))
maps = {}
with no_grad():
    for name, scale in (("pixels 0..255", 255), ("standardised", 1 / crop.std())):
        x = F.relu(conv1(Tensor(to_device(np.float32(scale) * centred, device))))
        maps[name] = x
        for alpha in (1e-4, 0.1):
            kept = F.local_response_norm(x, alpha=alpha).numpy()[x.numpy() > 0]
            taken = 1 - kept / (x.numpy()[x.numpy() > 0] * 2**-0.75)
            print(f"{name:<14} α = {alpha:<7g} removes {taken.mean():7.3%} on average,",
                  f"{np.quantile(taken, 0.99):7.3%} or more from 1 activation in 100")  # fmt: skip

# %%
# On standardised pixels, LRN with the paper's α does almost nothing but divide by a constant.
# Switching it off and finding no difference would not be a test of LRN. The comparison below
# therefore uses an α of 0.1.
#
# Before the pooling or after it?
# -------------------------------
# In the paper the order is Conv-LRN-Pool. In the lecture course that this project accompanies it is
# Conv-Pool-LRN, as in CaffeNet, a later version of AlexNet. Both are available here. They have the
# same parameters, but a pooled map is smaller, so in the second order LRN has less to do, and it
# computes something different.

counts = {}
for build in (models.alexnet, models.alexnet_caffenet):
    with nn.skip_init():
        sizes = summary(build()).rows
    counts[build.__name__] = sum(
        math.prod(row.output) for row in sizes if row.kind == "LocalResponseNorm"
    )
    print(f"{build.__name__:<17} {sum(row.parameters for row in sizes):,} parameters,",
          f"LRN on {counts[build.__name__]:,} numbers")  # fmt: skip
print(f"{counts['alexnet'] / counts['alexnet_caffenet']:.1f} times as many in the paper's order")

lrn, pool = nn.LocalResponseNorm(), nn.MaxPool2d(3, 2)
with no_grad():
    for name, x in maps.items():
        paper, caffe = pool(lrn(x)).numpy(), lrn(pool(x)).numpy()
        print(f"{name:<14} the two orders differ by {abs(paper - caffe).mean() / paper.mean():.4%}",
              "of the mean after pool1")  # fmt: skip

# %%
# Today: batch normalisation
# --------------------------
# LRN compares a unit with other channels at the same position. *Batch normalisation* (Ioffe &
# Szegedy 2015) compares it with the same channel at all positions in all images of the batch: every
# channel is standardised to mean 0 and variance 1, and is then given a learned scale and shift.
# Here are four channels with very different standard deviations. The last column shows how much the
# output for image 0 changes if we change image 1.

batch = rng.normal(size=(32, 4, 6, 6)) * np.array([0.1, 1, 5, 20]).reshape(4, 1, 1) + 3
other = batch.copy()
other[1] *= 10
print(f"{'':<12}{'standard deviation of the channels':<38}image 0 changes by")
for name, layer in (
    ("before", Tensor),
    ("LRN", lambda x: F.local_response_norm(Tensor(x), alpha=0.1)),
    ("batch norm", lambda x: F.batch_norm(Tensor(x))),
):
    out = layer(batch).numpy()
    spread = out.std(axis=(0, 2, 3))
    print(f"{name:<12}" + "".join(f"{s:>8.3f}" for s in spread)
          + f"{abs(layer(other).numpy()[0] - out[0]).max():>14.3f}")  # fmt: skip

# %%
# So batch normalisation keeps every channel in a range where the next layer can learn. This has a
# price: in training, the output for one image depends on the other images in the batch, and
# inference needs running means and variances from training. Today it is usually placed between a
# convolution and its ReLU. In this first comparison it only takes LRN's two places, after the ReLU.
# (LRN has an α of 0.1, because the pixels are standardised.)

show_claim(20)

# %%
# For LRN itself, the paper reports that it reduced the top-1 and top-5 errors by 1.4 and 1.2
# points.
#
# Windows that overlap
# --------------------
# LeNet-5 pooled windows of 2x2, side by side. AlexNet's windows are 3x3 with a stride of 2, so
# neighbouring windows share a row or a column. The output sizes are the same, but each window sees
# more, and a strong activation at the edge of one window can count in the next window, too. The
# paper reports that this reduced the top-1 and top-5 errors by 0.4 and 0.3 points. We did not try
# to repeat that: in networks as small as ours the accuracy varies by about a point from seed to
# seed, so about fifty runs of each kind would be needed to see an effect of 0.4 points.

row = Tensor(np.array([0, 1, 0, 0, 5, 0, 2, 0, 0], np.float64).reshape(1, 1, 1, 9))
print("a row of units      ", row.numpy().ravel().astype(int))
for kernel in (2, 3):
    sizes = [(n - kernel) // 2 + 1 for n in (55, 27, 13)]
    pooled = F.max_pool2d(row, (1, kernel), (1, 2)).numpy().ravel().astype(int)
    print(f"windows of {kernel}, stride 2:", pooled, "  in AlexNet 55, 27, 13 ->", sizes)

# %%
# Two towers
# ----------
# A GPU in 2012 had 3 GB of memory, and the network was too large to train on one. So the maps were
# split between two GPUs, half on each, and so were the hidden layers: 4096 units became 2 x 2048.
# Because transfers are slow, the GPUs exchange maps only before the third convolution and in the
# fully connected layers. ``alexnet_two_tower`` has this arrangement; here it is a quarter as wide,
# and it has the same weights as the undivided network. (There is one more small exchange: each
# tower normalises with the two nearest maps of the other tower, as the formula in the paper says.)

manual_seed(0)
narrow = models.alexnet(10, width=0.25).to(device).eval()
manual_seed(0)
towers = models.alexnet_two_tower(10, width=0.25).to(device).eval()
image = Tensor(to_device(centred / np.float32(crop.std()), device))
with no_grad():
    difference = abs(narrow(image).numpy() - towers(image).numpy()).max()
print(f"largest difference between the ten scores of both networks: {difference:.1e}")

# %%
# Is it true that nothing crosses over in the second convolution? We take the maps of both towers
# after ``pool1``, change all maps of tower 2, and look at what changes in tower 1.

KINDS = {"Conv2d": "conv", "LocalResponseNorm": "norm", "MaxPool2d": "pool"}
with no_grad():
    a = towers.through((image, image), 0, 4)
    b = a[0], a[1] + 1.0
    number = 1
    for i in range(4, len(narrow.features)):
        a, b = towers.through(a, i, i + 1), towers.through(b, i, i + 1)
        kind = KINDS.get(type(narrow.features[i]).__name__)
        number += kind == "conv"
        if kind is not None:
            changed = (a[0].numpy() != b[0].numpy()).any(axis=(0, 2, 3))
            print(
                f"{kind}{number}: {changed.sum():>2} of the {len(changed)} maps of tower 1 changed"
            )

# %%
# ``conv2`` in tower 1 is not affected. The normalisation after it changes only the two maps next to
# tower 2, and ``conv3`` sees everything. The next figure shows the same thing as a picture: we
# change one input map of a convolution at a time, and colour every output map that changes. Each
# row is one input map.

reach = {}
with no_grad():
    for name, i in (("conv2", 4), ("conv3", 8), ("conv4", 10), ("conv5", 12)):
        half = towers.towers[0].features[i].in_channels // (2 if name == "conv3" else 1)
        C = 2 * half
        base = np.repeat(rng.uniform(size=(1, C, 5, 5)), C + 1, axis=0).astype(np.float32)
        base[np.arange(C), np.arange(C)] += 1  # map c is raised in image c; the last is unchanged
        x = to_device(base, device)
        out = towers.through((Tensor(x[:, :half]), Tensor(x[:, half:])), i, i + 1)
        out = np.concatenate([part.numpy() for part in out], axis=1)
        reach[name] = abs(out[:-1] - out[-1:]).max(axis=(2, 3))  # (input maps, output maps)

figure, panels = plt.subplots(1, 4, figsize=(9.4, 3.0), layout="constrained")
for axes, (name, change) in zip(panels, reach.items(), strict=True):
    touched = change > 1e-4 * change.max()
    axes.imshow(change, cmap="Oranges", vmax=0.6 * change.max(), aspect="auto")
    C, count = change.shape
    axes.axhline(C / 2 - 0.5, color=BLUE, linewidth=1)
    axes.axvline(count / 2 - 0.5, color=BLUE, linewidth=1)
    axes.set_title(f"{name}: {touched.mean():.0%}", fontsize=11)
    axes.set_xticks([count / 4, 3 * count / 4], ["tower 1", "tower 2"])
    axes.set_yticks(
        [C / 4, 3 * C / 4], ["1", "2"] if axes is not panels[0] else ["tower 1", "tower 2"]
    )
    axes.tick_params(length=0)
figure.supylabel("input maps", fontsize=10)
figure.suptitle("Which output map (across) depends on which input map (down)")

# %%
# The pale quarters are weights that do not exist. A *grouped* convolution produces the same
# picture, and that is how a single GPU computes these layers today. It halves the number of their
# weights. Next we count what the towers of the full-width network exchange, for one image and one
# forward pass; in training, the backward pass sends as much back.

with nn.skip_init():
    full = models.alexnet_two_tower().eval()
with no_grad():
    full(Tensor(np.zeros((1, 3, 227, 227), np.float32)))
sent = full.crossed
for name, count in sent.items():
    print(f"{name:<6} {count:>8,} bytes")
entering = {"conv2": "features.3", "conv4": "features.9", "conv5": "features.11"}
outputs = {row.name: math.prod(row.output) for row in table.rows}
more = {name: 4 * outputs[layer] for name, layer in entering.items()}
print(f"total {sum(sent.values()):,}; if conv2, conv4 and conv5 exchanged maps, too,",
      f"{sum(sent.values()) + sum(more.values()):,}")  # fmt: skip
print("units of fc6 in each tower:", full.towers[0].classifier[0].out_features)
del full

# %%
# From maps to a vector
# ---------------------
# A fully connected layer takes a vector, so the maps must be *vectorised*. AlexNet puts all numbers
# from all maps in a row: 256·6·6 = 9,216, each of which has a weight for every hidden unit. The
# alternative is to keep only the mean of every map, which gives 256 numbers.

fc6 = {name: (numbers + 1) * 4096 for name, numbers in (("flatten", 9216), ("average", 256))}
print("fc6: " + ", ".join(f"{name} {count:,}" for name, count in fc6.items()), "parameters")
for head in ("flatten", "average"):
    manual_seed(0)
    small = models.alexnet_small(head=head).eval()
    print(f"{head}: {small.parameter_count():,} parameters")
    for side in (32, 48):
        try:
            with no_grad():
                shape = small(Tensor(np.zeros((1, 3, side, side), np.float32))).shape
            print(f"  images of {side}x{side}: scores {shape}")
        except ValueError as error:
            print(f"  images of {side}x{side}: {error}")

# %%
# Flattening fixes the size of the images. Averaging does not, but it forgets where in the image
# something was. (The paper itself says that its images are 224x224 pixels, but windows of 11x11
# with a stride of 4 do not fit that size. If you give ``alexnet`` such an image, it raises an error
# like the one above.)

try:
    with no_grad():
        narrow(Tensor(to_device(np.zeros((1, 3, 224, 224), np.float32), device)))
except ValueError as error:
    print(error)

# %%
# Dropout
# -------
# In each training step, *dropout* switches off each unit of the hidden fully connected layers with
# probability one half, so that no unit can rely on another. It is meant to reduce overfitting, so
# it can be judged only where a network without it learns its training images by heart. Ours has two
# hidden layers of 800 units and is trained on 3,000 digits; it drops a fifth of the pixels, too.

show_claim(14, "dropout")

# %%
# More images from each
# ---------------------
# The other remedy for overfitting is to show every image differently each time. AlexNet was trained
# on random crops, some of them mirrored, with random changes to the lighting. Real lighting varies
# along certain colours, the *principal components* of the pixels. In ImageNet, the strongest
# component runs from dark to bright; a single photograph, such as this orange flower in front of
# dark leaves, has its own components. The augmentation adds a random multiple of each of ImageNet's
# components to all pixels: α·λ, with α drawn from N(0, 0.1²) and λ the variance along the
# component.

usual = transforms.PCAColor()
for where, (values, vectors) in (
    ("ImageNet", (np.array(usual.eigenvalues), np.array(usual.eigenvectors))),
    ("the flower", transforms.color_components([photo])),
):
    print(f"{where}: (red, green, blue) and the share of the variance")
    for i in range(3):
        print(f"    {vectors[:, i].round(2)!s:<22} {values[i] / values.sum():6.1%}")
figure, grid = plt.subplots(2, 4, figsize=(8.6, 4.5), layout="constrained")
draw = np.random.default_rng(1)
for line, sigma in zip(grid, (0.1, 1.0), strict=True):
    change = transforms.PCAColor(sigma=sigma)
    line[0].imshow(photo)
    line[0].set_title("as it is", fontsize=10)
    for axes in line[1:]:
        shift = change.draw(photo.shape[:2], draw)
        axes.imshow(change.apply(photo, shift))
        numbers = ", ".join(f"{v:+.0f}" for v in (shift.red, shift.green, shift.blue))
        axes.set_title(f"σ = {sigma:g}: {numbers}", fontsize=10)
for axes in grid.flat:
    axes.set_axis_off()
figure.suptitle("PCA colour: what is added to red, green and blue (out of 255)")

# %%
# With the paper's σ of 0.1, you have to look twice to see a change. In the second row, σ is ten
# times as large.
#
# AlexNet also looks at each test image more than once: at the four corners, the centre, and the
# mirror images of all five. The ten outputs are averaged. The paper reports that this reduced the
# error from 39.0 % to 37.5 %, at ten times the work.

figure = plt.figure(figsize=(9.2, 3.3), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 2])
axes = left.subplots()
axes.imshow(photo)
for (y, x), colour in zip(
    transforms.crop_offsets((256, 256), (192, 192)),
    (BLUE, VERMILION, "#F0E442", "#56B4E9", "white"),
    strict=True,
):
    axes.add_patch(plt.Rectangle((x, y), 191, 191, fill=False, edgecolor=colour, linewidth=2))
axes.set_axis_off()
for axes, seen in zip(
    right.subplots(2, 5).flat, transforms.ten_crops(photo, (192, 192)), strict=True
):
    axes.imshow(seen)
    axes.set_axis_off()
figure.suptitle("Ten crops (smaller than the paper's, so that the frames can be told apart)")

# %%
# Three things to try
# -------------------
# 1. Give ``survives`` a depth of 20. What is left of the gradient with ReLU, and with
#    ``F.leaky_relu``? Expect each layer to halve the squared gradient, which leaves about one
#    millionth at every scale, and expect hardly any difference between the two functions.
# 2. In the figure on lateral inhibition, set ``size=9``; then go back to size 5 and set
#    ``alpha=2``. Expect the larger window to lower four neighbours on each side (the colours show
#    only two). With the larger α, the excited channel hardly stands out any more.
# 3. Train the network for windows without batch normalisation, with ``normalization=None``, and
#    then with ``activation="tanh"``, too. Expect both to learn as well: this task is so easy that
#    it cannot tell you which of them is better.
#
# **Write it yourself:** ``minivision exercise start relu``, and then ``local_response_norm``,
# ``batch_norm`` and ``dropout``.
#
# **Next lesson:** :doc:`8 · Receptive fields <plot_08_receptive_fields>`

plt.show()
