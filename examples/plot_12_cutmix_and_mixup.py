"""
12 · CutMix and Mixup
=====================

**Half a flower and half a tower: what can a network learn from an image with two labels?**

*You mix images and their labels, prove an identity that makes the loss of a mixed label easy to
compute, and see where mixing helps on photographs and where it does not.*

**Prerequisites:** lessons 6 (training) and 10 (augmentation).

**Minutes:** 20 to read, about 15 seconds to run.

**You will be able to**

* write down what Mixup, CutMix and Cutout do to two images and their labels,
* prove that the loss for a mixed label is a mixture of two losses, and say why it never reaches 0,
* predict how much of an image CutMix keeps on average, allowing for the image border.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import Tensor, datasets, manual_seed, models, no_grad, optim, training, transforms
from minivision import functional as F
from minivision.analysis.localization import box_overlap, boxes_around_evidence

from lesson import (
    BLUE,
    GREEN,
    GREY,
    PALE,
    VERMILION,
    YELLOW,
    chosen_rows,
    device,
    recorded_rows,
    show_claim,
    to_device,
)

# %%
# Two images in one
# -----------------
# The augmentation in lesson 10 changes one image and keeps its label. Mixup, CutMix and Cutout work
# on a whole batch of images, an array of shape (N, C, H, W), and Mixup and CutMix change the labels
# as well. In these two, every image x gets a partner x' from the same batch, and a number λ says
# how much of x is kept.
#
# .. code-block:: none
#
#    Mixup    x̃ = λ·x + (1 - λ)·x'             ỹ = λ·y + (1 - λ)·y'       every pixel is blended
#    CutMix   x̃ = x, but x' inside a box        ỹ = λ·y + (1 - λ)·y'       λ: how much of x is left
#    Cutout   x̃ = x, but grey inside a box      ỹ = y
#
# (Zhang et al. 2018; Yun et al. 2019; DeVries & Taylor 2017.) A label y is now a row of
# probabilities. Normally ``draw`` chooses λ, the partners and the box at random; here we choose
# them ourselves.

names = ("flower", "tower")
cuts = (load_sample_image("flower.jpg")[:, 100:527], load_sample_image("china.jpg")[:, :427])
photos = np.stack([transforms.ToArray()(transforms.Resize((128, 128))(photo)) for photo in cuts])
labels = np.array([0, 1])
partners, box = np.array([1, 0]), transforms.Box(top=30, left=50, bottom=110, right=130 - 2)
left_over = 1 - box.area / (128 * 128)
shown = {
    "as they are": (photos, np.eye(2)),
    "Mixup": transforms.Mixup(classes=2).apply(photos, labels, transforms.Mixing(0.6, partners)),
    "CutMix": transforms.CutMix(classes=2).apply(
        photos, labels, transforms.Mixing(left_over, partners, box)
    ),
    "Cutout": transforms.Cutout(80, fill=0.5).apply(photos, np.eye(2), [box, box]),
}
figure, grid = plt.subplots(2, 4, figsize=(9.2, 5.2), layout="constrained")
for (title, (images, targets, *_)), column in zip(shown.items(), grid.T, strict=True):
    for axes, image, target in zip(column, images, targets, strict=True):
        axes.imshow(image.transpose(1, 2, 0))
        words = [f"{p:.2f} {name}" for p, name in zip(target, names, strict=True) if p > 0]
        axes.set(xticks=[], yticks=[], xlabel=" + ".join(words))
    column[0].set_title(title)
    print(f"{title:<12} labels {np.asarray(targets, float).round(2).tolist()}")

# %%
# Mixup's images look like two slides on top of each other; no camera takes such a photograph.
# CutMix's images look real locally: except along the edge of the box, every small window that a
# filter sees comes from a single photograph. Cutout makes the network look beyond its favourite
# part of the object, but it throws pixels away. CutMix fills the box with pixels from a different
# image instead of grey.
#
# Is the label right? The label of a CutMix image says what was *pasted*, not what can be *seen*: a
# box full of sky counts as a third of a tower. This noise in the labels is the price of the method.
#
# How much is left?
# -----------------
# λ is drawn from the Beta(α, α) distribution. With α = 1, the authors' choice for CutMix, λ is
# uniform from 0 to 1. With a small α, one of the two images usually dominates; with a large α, λ is
# nearly always close to one half.
#
# The box should cover a share 1 - λ of the image, so its sides are √(1-λ) times the sides of the
# image. Its centre may be any pixel, so part of the box may lie outside the image. This part is
# clipped, **and λ then has to be recomputed from the area that is really left**. Before this
# correction the mean of λ is 1/2. What is it afterwards? Let the image have sides of length 1, and
# write u = 1 - λ. A side of length √u, whose centre is uniform from 0 to 1, has on average a length
# of √u - u/4 inside the image. The row and the column of the centre are drawn independently, so:
#
# .. code-block:: none
#
#    mean of λ = 1 - ∫₀¹ (√u - u/4)² du = 1 - (1/2 - 1/5 + 1/48) = 0.679…

print(f"in the limit of infinitely small pixels: {1 - (1 / 2 - 1 / 5 + 1 / 48):.4f}")
rng, drawn = np.random.default_rng(0), {}
for side in (28, 32, 224):
    drawn[side] = [
        transforms.CutMix(classes=10).draw((2, 3, side, side), rng) for _ in range(30_000)
    ]
    mean = np.mean([mixing.lam for mixing in drawn[side]])
    print(f"{side}x{side}: mean λ over 30,000 draws {mean:.3f}")

covered = np.zeros((224, 224))
for mixing in drawn[224]:
    if mixing.box is not None:
        top, left, bottom, right = mixing.box
        covered[top:bottom, left:right] += 1 / len(drawn[224])

figure, (first, second, third) = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for alpha, colour, style in ((0.2, GREEN, ":"), (1, BLUE, "-"), (4, VERMILION, "--")):
    values = rng.beta(alpha, alpha, 100_000)
    heights, edges = np.histogram(values, 40, (0, 1), density=True)
    first.stairs(heights, edges, color=colour, linestyle=style, label=f"α = {alpha}")
first.set(title="λ ~ Beta(α, α)", xlabel="λ", ylim=(0, 4))
first.legend(frameon=False)
second.hist([m.lam for m in drawn[224]], 40, range=(0, 1), density=True, color=BLUE)
second.axhline(1, color=GREY, linestyle="--", linewidth=1)
second.text(0.02, 1.05, "before the\ncorrection", color=GREY, va="bottom")
second.set(title="CutMix: λ after the correction", xlabel="λ")
for axes in (first, second):
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
heat = third.imshow(covered, cmap="cividis", vmin=0)
third.set(title="how often a pixel is replaced", xticks=[], yticks=[])
figure.colorbar(heat, ax=third, format=lambda value, _: f"{value:.0%}", shrink=0.9)

# %%
# The authors' code rounds the sides of the box down to even numbers, so in small images slightly
# more is left, as the results for 28x28 and 32x32 pixels show. The third panel shows that although
# the centre may be any pixel, not all pixels are replaced equally often: the corners are replaced
# least.
#
# The loss for a mixed label
# --------------------------
# For a label y that is a row of probabilities, the cross-entropy is ``-Σ_k y_k log p_k``. This is
# *linear in y*, so the loss for a mixed label is the same mixture of two ordinary losses. The
# gradient with respect to the logits is ``p - y``, so it is mixed in the same way. We check this
# identity on random numbers:

logits = rng.normal(size=(6, 10))
own, other, lam = rng.integers(0, 10, 6), rng.integers(0, 10, 6), 0.7


def loss_and_gradient(targets):
    """The cross-entropy of the logits with these targets, and its gradient."""
    z = Tensor(logits, requires_grad=True)
    loss = F.cross_entropy(z, targets)
    loss.backward()
    return loss.item(), z.grad


mixed, mixed_gradient = loss_and_gradient(lam * np.eye(10)[own] + (1 - lam) * np.eye(10)[other])
(a, gradient_a), (b, gradient_b) = loss_and_gradient(own), loss_and_gradient(other)
print(f"loss for the mixed label        {mixed:.12f}")
print(f"mixture of the two losses       {lam * a + (1 - lam) * b:.12f}")
difference = mixed_gradient - (lam * gradient_a + (1 - lam) * gradient_b)
print(f"largest gradient difference     {abs(difference).max():.1e}")

# %%
# So a program can train with CutMix even if it supports only hard labels: it computes the loss once
# for each of the two labels and mixes the results. (Many programs do.) The identity is about
# *labels* only: the images are mixed before they enter the network, and the network is not linear.
#
# There is one more consequence. The smallest cross-entropy that any prediction can reach is the
# entropy of the label, H(λ) = -λ log λ - (1-λ) log(1-λ), and this is 0 only if the label is not
# mixed.

uniform = np.linspace(0, 1, 100_001)[1:-1]
entropy = -uniform * np.log(uniform) - (1 - uniform) * np.log(1 - uniform)
print(f"H(0.7) = {-0.7 * np.log(0.7) - 0.3 * np.log(0.3):.3f} nats;",
      f"mean over λ from 0 to 1: {entropy.mean():.3f} nats")  # fmt: skip

# %%
# So if the training loss levels off at half a nat, training has not failed. And the training
# *accuracy* that ``fit`` reports counts only the class with the larger share of the label as
# correct. Compare networks on validation images, which are never mixed.
#
# Between the training images
# ---------------------------
# What does a network learn from mixed images? We train LeNet-5 on the digits with and without
# Mixup, which needs only the argument ``batch_transform``. Then we move in a straight line from one
# test digit to a test digit of a different class, through images that are neither, and watch the
# outputs.

train, validation, test = datasets.load_dataset("digits")
numbers = transforms.Compose(
    [
        transforms.ToArray(),
        transforms.Normalize(train.images.mean() / 255, train.images.std() / 255),
    ]
)


def trained(mixing, epochs=10):
    """Train LeNet-5 on the digits, mixing each batch if asked to."""
    manual_seed(0)
    model = models.lenet5()
    training.fit(
        model,
        datasets.DataLoader(train, 32, shuffle=True, transform=numbers),
        training.classification_loss,
        optim.Adam(model.parameters(), lr=2e-3),
        epochs,
        schedule=optim.cosine(epochs),
        batch_transform=mixing,
        device=device,
    )
    return model.eval()


networks = {"plain": trained(None), "Mixup": trained(transforms.Mixup(classes=10))}
x, y = numbers(test.images), test.labels
start, end = np.arange(len(y)), np.roll(np.arange(len(y)), 1)
start, end = start[y[start] != y[end]], end[y[start] != y[end]]
steps = np.linspace(0, 1, 21)
figure, grid = plt.subplots(1, 2, figsize=(9.2, 3.3), layout="constrained", sharey=True)
for axes, (name, model) in zip(grid, networks.items(), strict=True):
    walk = []
    for t in steps:
        between = ((1 - t) * x[start] + t * x[end]).astype(np.float32)
        with no_grad():
            p = F.softmax(model(Tensor(to_device(between, device))), axis=1).numpy()
        pair = np.arange(len(p))
        one, two = p[pair, y[start]], p[pair, y[end]]
        walk.append((one.mean(), two.mean(), (1 - one - two).mean(), p.max(axis=1).mean()))
    one, two, rest, surest = np.array(walk).T
    axes.plot(steps, one, color=BLUE, label="the first digit")
    axes.plot(steps, two, color=VERMILION, linestyle="--", label="the second digit")
    axes.plot(steps, rest, color=GREY, linestyle=":", label="the other eight digits")
    axes.plot((0, 1), (1, 0), color=PALE, linewidth=4, zorder=0)
    axes.plot((0, 1), (0, 1), color=PALE, linewidth=4, zorder=0)
    axes.set(title=name, xlabel="share of the second digit in the image")
    axes.spines[["top", "right"]].set_visible(False)
    batches = datasets.DataLoader(test, 180, transform=numbers)
    accuracy = training.evaluate(model, batches)["accuracy"]
    print(f"{name:<6} test accuracy {accuracy:.1%}; halfway: the two digits {one[10]:.2f},",
          f"{two[10]:.2f}, the others {rest[10]:.2f}, largest output {surest[10]:.2f}")  # fmt: skip
grid[0].set_ylabel("mean probability")
grid[1].legend(frameon=False, loc="center right", fontsize=9)

# %%
# Plain training does not constrain what the network does between the training images. Its
# prediction flips halfway, and it is confident nearly everywhere: look at its largest output
# halfway, on digits that nobody would write. Mixup trains the network to follow the pale straight
# lines, and its outputs move towards them. It has become less confident everywhere, even at the two
# ends, where the images are not mixed. The test accuracies printed above are for unmixed images.
#
# Does mixing raise accuracy?
# ---------------------------
# On digits there is nothing left to gain; photographs are harder. We trained a small network on
# 2,000 CIFAR-10 images with each augmentation, always for 40 epochs and at the learning rate that
# was best on the validation images (``examples/measure_augmentation.py``). In this time the network
# without augmentation learns its images by heart.

rows = recorded_rows("augmentation.json")
measured = {
    name: chosen_rows(rows, method=name) for name in dict.fromkeys(row["method"] for row in rows)
}
figure, axes = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
for place, (name, found) in enumerate(measured.items()):
    values = np.array([row["test_accuracy"] for row in found])
    train_accuracy = np.mean([row["train_accuracy"] for row in found])
    print(f"{name:<26} train {train_accuracy:.1%}, test {values.mean():.1%} ({len(values)} seeds)")
    colour = GREY if name == "none" else (BLUE if "Mix" in name else VERMILION)
    axes.plot(values, np.full(len(values), place), "o", color=colour, alpha=0.5)
    axes.plot(values.mean(), place, "|", color=colour, markersize=22, markeredgewidth=2)
axes.set_yticks(range(len(measured)), list(measured))
axes.invert_yaxis()
axes.set(title="2,000 images from CIFAR-10: test accuracy, seeds and mean")
axes.grid(color=PALE, axis="x")
axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
axes.spines[["top", "right"]].set_visible(False)
show_claim(36)

# %%
# CutMix helps: every seed gains. Flips and crops, which are far simpler, help more than twice as
# much, and then a network as small as this one no longer learns all of its training images. So we
# cannot tell what CutMix would add to them. In the paper it is added to flips and crops, and the
# networks have hundreds of times as many weights and are trained for 300 epochs.
#
# Does the network look at more of the object?
# --------------------------------------------
# The CutMix paper also claims that a network trained with CutMix knows better *where* the object
# is. As with Cutout, the part that gives the class away is often missing, so the network must look
# at the rest. We have no boxes for the photographs, but the ``shapes`` dataset has exact ones, so
# we test the claim there (``examples/measure_cutmix_localization.py``).
#
# A class activation map (lesson 20) shows how strongly each part of the image supports the true
# class. The map is thresholded at a given share of the way from its smallest to its largest value,
# and a box is drawn around the largest connected component. We compare this box with the true one:
# their overlap is the area of their intersection divided by the area of their union. The figure
# shows how the overlap depends on the threshold, for one image and a made-up map.

scene = datasets.load_dataset("shapes").validation
y, x = np.mgrid[:32, :32]
x0, y0, x1, y1 = scene.boxes[3]
evidence = np.exp(-((x - x0 - 9) ** 2 + (y - y0 - 9) ** 2) / 100)
figure, grid = plt.subplots(1, 4, figsize=(9.2, 2.7), layout="constrained")
for axes, share in zip(grid, (0.2, 0.4, 0.6, 0.8), strict=True):
    (found,) = boxes_around_evidence(evidence[None], share)
    (overlap,) = box_overlap([found], [scene.boxes[3]])
    axes.imshow(scene.images[3])
    level = evidence.min() + share * np.ptp(evidence)
    axes.contour(evidence, levels=[level], colors=YELLOW, linewidths=1)
    for (left, top, right, bottom), colour, style in (
        (scene.boxes[3], "white", "--"), (found, YELLOW, "-"),
    ):  # fmt: skip
        axes.add_patch(plt.Rectangle((left - 0.5, top - 0.5), right - left, bottom - top,
                                     fill=False, edgecolor=colour, linestyle=style,
                                     linewidth=2))  # fmt: skip
    axes.set(xticks=[], yticks=[], title=f"share {share}: overlap {overlap:.2f}")

# %%
# The true box is dashed. The threshold matters as much as the map, so each network is measured at
# the threshold that suits it best on the validation images. We use two versions of the dataset: in
# one the shapes are plain, and in the other each shape has a coloured spot that is enough to give
# the class away. On spotted shapes a network may look only at the spot, so this is where CutMix has
# the most to teach.

show_claim(37)

# %%
# The paper measures this claim on photographs of birds and on ImageNet, with far larger networks.
# An effect that a small experiment does not show may be real in a large one, but then it has to be
# measured there.
#
# Three things to try
# -------------------
# 1. Print the mean λ of ``transforms.CutMix(classes=10, alpha=0.2)`` for 224x224 images. Is it
#    above or below 0.68? Expect about 0.70: with a small α the box is either tiny or nearly as
#    large as the image, and the largest boxes lose most at the border.
# 2. Train on the digits with ``transforms.CutMix(classes=10)`` and move along the same straight
#    lines. Expect low confidence again, but more probability for the other eight classes: CutMix
#    does not blend pixels, so the blended images are as new to this network as to the plain one.
# 3. Leave out the correction: paste the box of a drawn ``Mixing``, but label the image with the λ
#    drawn from the Beta distribution. How wrong are the labels on average? Expect labels with a
#    mean λ of 0.5 for images that keep 0.68 of their pixels.
#
# **Write it yourself:** ``minivision exercise start cutmix``.
#
# **Next lesson:** 13 · RandAugment

plt.show()
