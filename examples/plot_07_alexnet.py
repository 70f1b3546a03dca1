"""
7 · AlexNet
===========

**Which of AlexNet's ideas helped, and by how much?**

*In 2012 one network won the ImageNet contest by a margin that changed the field. Take it apart:
every idea in it is a few lines here, and each one has been measured, whether or not it helped.*

**Prerequisites:** lessons 2 (gradients), 5 (convolution) and 6 (LeNet-5).

**Minutes:** 30 to read, about 10 seconds to run.

**You will be able to**

* account for the neurons, parameters and operations of AlexNet, and say where they are,
* show what ReLU, local response normalisation, overlapping pooling and dropout do,
* say what crosses between the two towers, and why so little does.
"""

# sphinx_gallery_thumbnail_number = 8

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import Tensor, manual_seed, models, nn, no_grad, transforms
from minivision import functional as F
from minivision.analysis.summary import summary

from lesson import BLUE, GREY, PALE, VERMILION, device, recorded_rows, to_device

# %%
# The network of 2012
# -------------------
# AlexNet (Krizhevsky, Sutskever & Hinton 2012) sorts photographs into 1,000 classes. It is LeNet-5
# grown up: convolutions and poolings that see, fully connected layers that decide. Five
# convolutions and two hidden fully connected layers make seven hidden layers; the eighth computes
# the scores. Drawing its weights would take some seconds, and a table does not need them.

with nn.skip_init():
    whole = models.alexnet()
table = summary(whole)
print(table)

# %%
# How many neurons is that? Every number that a convolution or a fully connected layer outputs is
# one. The paper's abstract says 650,000. Lectures sometimes say 605,000, perhaps because two digits
# were swapped. We can simply count:

layers = [row for row in table.rows if row.kind in ("Conv2d", "Linear")]
names = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
neurons = [math.prod(row.output) for row in layers]
print(" + ".join(f"{n:,}" for n in neurons), f"= {sum(neurons):,} neurons")
print(f"{table.parameters:,} parameters, {table.multiply_adds:,} multiply-adds for one image")

# %%
# Where are they? It depends on what you count.

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
figure.suptitle("Convolutions (blue) do the work, fully connected layers (orange) own the weights")

# %%
# The convolutions use each weight at every position of the image. That is why a few weights cause
# most of the work, while nearly all weights are in the layers that use each of them once.
#
# Runs made beforehand
# --------------------
# Each idea below was removed from, or added to, a small AlexNet for images of 32x32 pixels
# (``alexnet_small``: the same layers with fewer maps), on a few thousand images of CIFAR-10
# (``examples/measure_network_choices.py``). Every variant got its own learning rate: the best on
# the validation images, in runs with a seed that is not used again. The other seeds determine the
# images, the initial weights and the order, and use the test images once. So the variants can be
# compared seed by seed. (A validation accuracy of 0 means that the loss became infinite.) These are
# small networks, trained for a short time; the results need not hold for 1.2 million photographs.

rows = recorded_rows("network_choices.json")
CHOOSING = 100  # the seed whose runs chose the rates
VARIANTS = {
    "activation": ["tanh", "relu"],
    "activation, calm start": ["tanh", "relu"],
    "normalization": ["none", "lrn, alpha 0.1", "batch_norm"],
    "pooling": ["2 by 2", "3 by 2"],
    "head": ["flatten", "average"],
    "dropout": ["none", "0.5"],
}
# One network, recorded under one of these names.
SAME = {
    ("activation", "relu"), ("normalization", "none"), ("pooling", "3 by 2"), ("head", "flatten")
}  # fmt: skip


def recorded(comparison, variant):
    """The rows that chose a variant's rate, by rate, and those that count at that rate, by seed."""
    names = {(comparison, variant)}
    names = SAME if names <= SAME else names
    mine = [row for row in rows if (row["comparison"], row["variant"]) in names]
    tried = {row["lr"]: row for row in mine if row["seed"] == CHOOSING}
    tried = dict(sorted(tried.items()))
    best = max(tried, key=lambda rate: tried[rate]["validation_accuracy"], default=None)
    counted = [row for row in mine if row["lr"] == best and "test_accuracy" in row]
    return tried, {row["seed"]: row for row in counted}


def mean_and_spread(found, quantity):
    """Mean and standard deviation over the seeds of `recorded`'s rows."""
    values = np.array([row[quantity] for row in found.values()])
    return values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0


def report(comparison):
    """Print what was recorded, and every variant against the first one, seed by seed."""
    first = VARIANTS[comparison][0]
    base = recorded(comparison, first)[1]
    for variant in VARIANTS[comparison]:
        tried, found = recorded(comparison, variant)
        if not found:
            print(f"{variant}: not recorded yet; examples/measure_network_choices.py does it")
            continue
        one = next(iter(found.values()))
        print(f"{variant}: {one['parameters']:,} parameters")
        rates = (f"{rate:g}: {row['validation_accuracy']:.1%}" for rate, row in tried.items())
        print("    validation accuracy at rate " + ", ".join(rates))
        train, test = (mean_and_spread(found, f"{part}_accuracy") for part in ("train", "test"))
        results = f"train {train[0]:.1%} ± {train[1]:.1%}, test {test[0]:.1%} ± {test[1]:.1%}"
        print(f"    rate {one['lr']:g}, seeds {', '.join(map(str, sorted(found)))}: {results}")
        both = sorted(set(base) & set(found))
        if variant != first and both:
            gains = [found[s]["test_accuracy"] - base[s]["test_accuracy"] for s in both]
            print(f"    against {first}: {100 * np.mean(gains):+.1f} points on the test images;",
                  "seed by seed " + ", ".join(f"{100 * gain:+.1f}" for gain in gains))  # fmt: skip


print(f"{len(rows)} recorded runs")

# %%
# ReLU instead of tanh
# --------------------
# A neuron of the nineties passed its sum through tanh, or a function of that shape. For large sums
# such a curve is flat: the unit is *saturated*, and hardly any gradient passes. ReLU, max(0, a),
# passes all of the gradient or none.
#
# How much survives several layers? We send random numbers through five layers whose sums have the
# standard deviation s, and a random gradient through each activation. What fraction of its squared
# length is left after all five?


def survives(activation, s, depth=5, units=400):
    """The share of the squared gradient that passes the activations, and of nearly closed units."""
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
right.set(xlabel="standard deviation s of the sums", title="gradient² that passes five layers")
right.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
for axes in (left, right):
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)

# %%
# Be fair to both. While the sums are small, tanh passes everything, and ReLU loses half at every
# layer, because half of the units are off. But that half is the same at every scale, so the initial
# weights can make up for it: He's variance is 2 over the number of inputs, not 1. What tanh passes
# depends on how large the sums have become, and in training they grow. (These are the activations
# alone; the weights between them multiply the gradient, too.)
#
# The paper reports that on CIFAR-10 a network reached 25 % training error six times as fast with
# ReLU as with tanh. And the small AlexNet?

report("activation")

# %%
# Look at the learning rates, too: above which one does accuracy fall? Each variant is judged at the
# rate that suits it best. Here is one thing that may matter, measured on fresh weights: how large
# are the scores before anything has been learned? The largest of overlapping windows is larger than
# the mean; tanh bends it back, ReLU passes it on, and the layers add up. (Whether this explains the
# table is another question; the third thing to try below asks it.) The paper's six-fold speed was
# measured with another network, trained differently.

noise = Tensor(np.random.default_rng(1).normal(size=(16, 3, 32, 32)).astype(np.float32))
for name in VARIANTS["activation"]:
    manual_seed(0)
    small = models.alexnet_small(activation=name, normalization=None, dropout=0.0)
    with no_grad():
        print(f"{name}: standard deviation of the first scores {small(noise).numpy().std():.2f}")

# %%
curves = {variant: recorded("activation", variant)[1] for variant in VARIANTS["activation"]}
if all(curves.values()):
    figure, axes = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    for (variant, found), colour, style in zip(
        curves.items(), (VERMILION, BLUE), ("s--", "o-"), strict=True
    ):
        losses = np.array([row["train_loss"] for row in found.values()])
        epochs = np.arange(1, losses.shape[1] + 1)
        axes.plot(epochs, losses.mean(axis=0), style, color=colour, markersize=5, label=variant)
        axes.fill_between(epochs, losses.min(axis=0), losses.max(axis=0), color=colour, alpha=0.2)
    axes.set(xlabel="epoch", ylabel="training loss", title="tanh and ReLU, all seeds of each")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
else:
    print("The curves are not recorded yet.")

# %%
# So we try again, without what might have held ReLU back: the last layer's weights begin ten times
# smaller, so both networks start with small scores; the learning rate rises during the first epoch;
# and training takes twice as long.

report("activation, calm start")

# %%
# Whichever is ahead, this table is the fairer comparison of the two, though still one of small
# networks trained for minutes. In the paper the network is deeper and wider, and it is trained
# until it fits.
#
# Neighbours that inhibit each other
# ----------------------------------
# A neuron that fires strongly quiets its neighbours: *lateral inhibition*, as in the retina. Local
# response normalisation (LRN) does it between maps. Each activation is divided by a power of
# k + α·(sum of squares of the five maps around it), at its own place in the image. Here is a row of
# 21 channels, one of them excited. (With an α large enough to see the effect.)

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
    print(f"{what} in units of the quiet ones:",
          f"{channels[which].mean() / channels[far].mean():.2f} before,",
          f"{after[which].mean() / after[far].mean():.2f} after")  # fmt: skip

# %%
# The neighbours are pressed down, and so is the excited channel, but it still stands out. The right
# panel shows the inhibition as a gradient: raising channel 10 lowers channel 12.
#
# The paper's α is 1e-4. Is that much? It depends on the pixels. In 2012 they went from 0 to 255,
# minus their mean. Today nearly everybody divides by the standard deviation, too, which makes the
# squares thousands of times smaller. We measure the inhibition: the fraction of an activation that
# LRN removes beyond the constant k^-β that all activations share. The filters are random, drawn as
# in the paper.

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
                  f"{np.quantile(taken, 0.99):7.3%} or more of one activation in 100")  # fmt: skip

# %%
# On standardised pixels the paper's α does almost nothing but divide by a constant. Switching LRN
# off there and finding no difference is not a test of LRN. The comparison below therefore includes
# an α of 0.1.
#
# Before the pooling or after it?
# -------------------------------
# The paper has Conv-LRN-Pool. The lecture has Conv-Pool-LRN, which is the order of CaffeNet, a
# later copy. Both are here. They have the same parameters, but a pooled map is smaller, so LRN has
# less to do, and it computes something different.

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
# LRN compares a unit with other channels at the same place. *Batch normalisation* (Ioffe & Szegedy
# 2015) compares it with the same channel at all places and in all images of the batch: every
# channel gets mean 0 and variance 1, and then a learned scale and shift. Here are four channels of
# very different sizes. The last column changes image 1 and looks at image 0.

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
# So batch normalisation keeps every channel in a range where the next layer can learn. The price:
# in training, the output for one image depends on the others in the batch, and for inference it
# needs running means from training. The small AlexNet without normalisation, with LRN (with α =
# 0.1, as these pixels are standardised) and with batch normalisation at the same places:

report("normalization")
seconds = {
    variant: float(np.median([row["seconds_an_epoch"] for row in found.values()]))
    for variant in VARIANTS["normalization"]
    if (found := recorded("normalization", variant)[1])
}
if "none" in seconds:
    ratios = (f"{name} {t / seconds['none']:.2f}" for name, t in seconds.items())
    print("approximate time per epoch, in units of none: " + ", ".join(ratios))

# %%
# Windows that overlap
# --------------------
# LeNet-5 pooled windows of 2x2, side by side. AlexNet's are 3x3 with a stride of 2, so neighbours
# share a row. The sizes are the same; but each window sees more, and a strong activation at a
# border can count in two of them. The paper reports an error 0.4 points lower.

row = Tensor(np.array([0, 1, 0, 0, 5, 0, 2, 0, 0], np.float64).reshape(1, 1, 1, 9))
print("a row of units      ", row.numpy().ravel().astype(int))
for kernel in (2, 3):
    sizes = [(n - kernel) // 2 + 1 for n in (55, 27, 13)]
    pooled = F.max_pool2d(row, (1, kernel), (1, 2)).numpy().ravel().astype(int)
    print(f"windows of {kernel}, stride 2:", pooled, "  in AlexNet 55, 27, 13 ->", sizes)
report("pooling")

# %%
# Two towers
# ----------
# A GPU of 2012 had 3 GB, and the network was too large to train on one. So the maps were split
# between two GPUs, half on each, and so were the hidden layers: 4096 units are 2 x 2048. The GPUs
# exchange maps only before the third convolution and in the fully connected layers, because
# transfers are slow. ``alexnet_two_tower`` is that arrangement; here it is a quarter as wide, with
# the same weights as the whole network. (Each tower normalises with the two nearest maps of the
# other, as the paper's formula says.)

manual_seed(0)
narrow = models.alexnet(10, width=0.25).to(device).eval()
manual_seed(0)
towers = models.alexnet_two_tower(10, width=0.25).to(device).eval()
image = Tensor(to_device(centred / np.float32(crop.std()), device))
with no_grad():
    difference = abs(narrow(image).numpy() - towers(image).numpy()).max()
print(f"the largest difference of the ten scores: {difference:.1e}")

# %%
# Is it true that nothing crosses in the second convolution? We take the maps of both towers after
# ``pool1``, change all maps of tower 2, and look at what changes in tower 1.

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
# ``conv2`` of tower 1 does not notice. The normalisation after it changes the two maps at the
# border, and ``conv3`` sees everything. Here is the same as a picture: change one input map of a
# convolution, and colour every output map that changes. Each row is one input map.

reach = {}
with no_grad():
    for name, i in (("conv2", 4), ("conv3", 8), ("conv4", 10), ("conv5", 12)):
        half = towers.towers[0].features[i].in_channels // (2 if name == "conv3" else 1)
        C = 2 * half
        base = np.repeat(rng.uniform(size=(1, C, 5, 5)), C + 1, axis=0).astype(np.float32)
        base[np.arange(C), np.arange(C)] += 1  # image c has map c raised; the last is unchanged
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
# Pale quarters are weights that do not exist; a *grouped* convolution gives such a picture, and
# that is how one GPU computes it today. It halves the weights of these layers. Now the traffic of
# the network at full width, for one image and one forward pass; training sends as much back.

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
print(f"total {sum(sent.values()):,}; if conv2, conv4 and conv5 crossed, too,",
      f"{sum(sent.values()) + sum(more.values()):,}")  # fmt: skip
print("units of fc6 in each tower:", full.towers[0].classifier[0].out_features)
del full

# %%
# From maps to a vector
# ---------------------
# A linear layer takes a vector; maps must be *vectorised*. AlexNet puts all numbers of all maps in
# a row: 256·6·6 = 9,216, and each has a weight to every hidden unit. The alternative is to keep
# only the mean of every map, 256 numbers.

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
# Flattening fixes the size of the images; a mean does not, but it forgets where in the image
# something was. (The paper itself says that its images are 224x224. Windows of 11 at a stride of 4
# do not fit those: ask ``alexnet`` for 224, and it raises an error like the line above.)

try:
    with no_grad():
        narrow(Tensor(to_device(np.zeros((1, 3, 224, 224), np.float32), device)))
except ValueError as error:
    print(error)
report("head")

# %%
# Dropout
# -------
# In each training step every hidden unit is switched off with probability one half, so that no unit
# can rely on another one. It is meant to reduce overfitting: the gap between the accuracy on
# training images and on test images. With 1,000 images and many epochs a network can learn them by
# heart, so we measured it there. A smaller gap does not by itself mean a better network; look at
# both.

report("dropout")
for variant in VARIANTS["dropout"]:
    if found := recorded("dropout", variant)[1]:
        gaps = [row["train_accuracy"] - row["test_accuracy"] for row in found.values()]
        print(f"dropout {variant}: gap of {100 * np.mean(gaps):.1f} points,",
              f"from {100 * min(gaps):.1f} to {100 * max(gaps):.1f}")  # fmt: skip

# %%
# More images from each
# ---------------------
# The other remedy for overfitting is to show every image differently each time. AlexNet took random
# crops, mirrored them, and changed the light. Real light varies along certain colours, the
# *principal components* of the pixels. In ImageNet that is mostly from dark to bright; a single
# photograph, such as this orange flower before dark leaves, has its own. The image is moved at
# random along ImageNet's components, by α·λ for each, with α from N(0, 0.1²) and λ the variance.

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
figure.suptitle("PCA colour: what is added to red, green and blue (of 255)")

# %%
# With the paper's 0.1 you have to look twice. The second row has ten times as much.
#
# At test time, too, AlexNet looks more than once: at ten crops, the four corners, the centre and
# all five mirrored. The ten outputs are averaged. The paper reports that this reduced its error
# from 39.0 % to 37.5 %, at ten times the work.

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
# What each idea contributed here
# -------------------------------
# All recorded comparisons side by side: each point is the mean over the seeds, its bar their
# standard deviation. If bars overlap, these runs do not distinguish the variants. Look at what was
# confirmed and at what was not; both are results.

found = {
    comparison: {v: got for v in variants if (got := recorded(comparison, v)[1])}
    for comparison, variants in VARIANTS.items()
}
if any(found.values()):
    figure, panels = plt.subplots(2, 3, figsize=(7.6, 5.6), layout="constrained", sharey=True)
    for axes, (comparison, variants) in zip(panels.flat, found.items(), strict=True):
        for i, of_seeds in enumerate(variants.values()):
            mean, spread = mean_and_spread(of_seeds, "test_accuracy")
            colour = GREY if i == 0 else BLUE
            axes.errorbar(i, mean, spread, fmt="o", color=colour, capsize=4, markersize=6)
        labels = [name.replace("lrn, ", "lrn,\n").replace("_", "\n") for name in variants]
        axes.set_xticks(range(len(variants)), labels)
        axes.set(title=comparison, xlim=(-0.6, len(variants) - 0.4))
        axes.grid(color=PALE, axis="y")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.supylabel("test accuracy")
    figure.suptitle("CIFAR-10, small AlexNet: mean and standard deviation over the seeds")
else:
    print("Nothing is recorded; examples/measure_network_choices.py would fill this figure.")

# %%
# Dropout was measured on fewer images than the others, so it has its own panel.
#
# Three things to try
# -------------------
# 1. Give ``survives`` a depth of 20. What is left of ReLU's gradient, and of that of
#    ``F.leaky_relu``? Expect half of the squares at every layer, so about one millionth at every
#    scale, and hardly any difference between the two.
# 2. In the picture of lateral inhibition take ``size=9``; then size 5 again and ``alpha=2``. Expect
#    four lower neighbours on each side for the larger window (the colours show only two). With the
#    larger α the excited channel hardly stands out any more.
# 3. Compare the learning rates in the two tables of activations. Does the ReLU network tolerate a
#    larger one after the calm start? Expect it to: its validation accuracy collapsed at 0.02
#    before, and holds at 0.04 now. Which of the three changes did that, these runs cannot say; to
#    find out, make one of them at a time in ``measure_network_choices.py``.
#
# **Next lesson:** :doc:`8 · Receptive fields <plot_08_receptive_fields>`

plt.show()
