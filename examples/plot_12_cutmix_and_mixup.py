"""
12 · CutMix and Mixup
=====================

**Half a flower and half a tower: what can a network learn from an image with two labels?**

*You mix images and their labels, prove a law that makes the mixed loss simple, and see where it
helps on photographs and where it does not.*

**Prerequisites:** lessons 6 (training) and 10 (augmentation).

**Minutes:** 20 to read, about 15 seconds to run.

**You will be able to**

* write down what Mixup, CutMix and Cutout do to two images and their labels,
* prove that the loss of a mixed label is the mixture of two losses, and say why it never reaches 0,
* predict how much of an image CutMix leaves on average, including at the border.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import Tensor, datasets, manual_seed, models, no_grad, optim, training, transforms
from minivision import functional as F
from minivision.analysis.localization import box_overlap, boxes_around_evidence

from lesson import BLUE, GREEN, GREY, PALE, VERMILION, YELLOW, device, recorded_rows, to_device

# %%
# Two images in one
# -----------------
# The augmentation of lesson 10 changes one image and keeps its label. These three work on a whole
# batch of numbers, (N, C, H, W), and two of them change the labels as well. Every image x gets a
# partner x' from the same batch, and a number λ says how much of x stays.
#
# .. code-block:: none
#
#    Mixup    x̃ = λ·x + (1 - λ)·x'             ỹ = λ·y + (1 - λ)·y'       every pixel is blended
#    CutMix   x̃ = x, but x' inside a box        ỹ = λ·y + (1 - λ)·y'       λ: the area that is left
#    Cutout   x̃ = x, but grey inside a box      ỹ = y
#
# (Zhang et al. 2018; Yun et al. 2019; DeVries & Taylor 2017.) A label is now a row of
# probabilities. Usually ``draw`` chooses λ, partners and box; here we choose them.

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
# CutMix's are locally real: every small window that a filter sees contains real pixels, except
# along the edge of the box. Cutout makes the network look beyond its favourite part of the object,
# but throws pixels away; CutMix pastes another image where Cutout puts grey.
#
# Is the label right? It says what was *pasted*, not what can be *seen*. A box full of sky counts as
# a third of a tower. That is noise in the labels, and it is the price.
#
# How much is left?
# -----------------
# λ is drawn from the Beta(α, α) distribution. With α = 1, the authors' choice for CutMix, it is
# uniform from 0 to 1. Small α: one image dominates. Large α: always half and half.
#
# CutMix wants a box with the share 1 - λ of the area, so its sides are √(1-λ) of the image's. Its
# centre may be any pixel, so at the border the box is cut off, **and then λ has to be corrected to
# what is really left**. Before the correction the mean of λ is 1/2. After it? Write u = 1 - λ. A
# side of √u, with its centre anywhere from 0 to 1, keeps √u - u/4 of its length on average, and
# height and width are drawn independently:
#
# .. code-block:: none
#
#    mean of λ = 1 - ∫₀¹ (√u - u/4)² du = 1 - (1/2 - 1/5 + 1/48) = 0.679…

print(f"in the limit of fine pixels {1 - (1 / 2 - 1 / 5 + 1 / 48):.4f}")
rng, drawn = np.random.default_rng(0), {}
for side in (28, 32, 224):
    drawn[side] = [
        transforms.CutMix(classes=10).draw((2, 3, side, side), rng) for _ in range(30_000)
    ]
    mean = np.mean([mixing.lam for mixing in drawn[side]])
    print(f"{side}x{side}: mean λ of 30,000 draws {mean:.3f}")

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
second.set(title="CutMix: λ after the border", xlabel="λ")
for axes in (first, second):
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
heat = third.imshow(covered, cmap="cividis", vmin=0)
third.set(title="how often a pixel is replaced", xticks=[], yticks=[])
figure.colorbar(heat, ax=third, format=lambda value, _: f"{value:.0%}", shrink=0.9)

# %%
# The authors' code rounds sides down to even numbers, so on small images a little more is left, as
# the lines for 28 and 32 show. The third picture shows that even if the centre may be anywhere, not
# all pixels are pasted equally often: the corners are pasted least.
#
# The loss of a mixed label
# -------------------------
# Cross-entropy with a row of probabilities y is ``-Σ_k y_k log p_k``. It is *linear in y*, so for a
# label that is a mixture the loss is the same mixture of two ordinary losses. Its gradient with
# respect to the logits is ``p - y``, so the gradient mixes in the same way. A check on random
# numbers:

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
print(f"loss of the mixed label        {mixed:.12f}")
print(f"mixture of the two losses      {lam * a + (1 - lam) * b:.12f}")
difference = mixed_gradient - (lam * gradient_a + (1 - lam) * gradient_b)
print(f"largest difference of gradients {abs(difference).max():.1e}")

# %%
# So a program without soft labels can train with CutMix: it computes the loss twice. (Many do.) The
# law is about *labels* only: the images are mixed before the network, which is not linear.
#
# One more consequence. The smallest cross-entropy that any prediction can reach is the entropy of
# the label, H(λ) = -λ log λ - (1-λ) log(1-λ), and that is 0 only for an unmixed one.

uniform = np.linspace(0, 1, 100_001)[1:-1]
entropy = -uniform * np.log(uniform) - (1 - uniform) * np.log(1 - uniform)
print(f"H(0.7) = {-0.7 * np.log(0.7) - 0.3 * np.log(0.3):.3f} nats;",
      f"mean over λ from 0 to 1: {entropy.mean():.3f} nats")  # fmt: skip

# %%
# A training loss that stops at half a nat has not failed. And the training *accuracy* that ``fit``
# reports counts the more likely of the two classes; compare networks on validation images, which
# are never mixed.
#
# Between the training images
# ---------------------------
# What does a network learn from this? We train LeNet-5 on the digits with and without Mixup, which
# takes one argument, ``batch_transform``. Then we walk in a straight line from one test digit to
# another of a different class, through images that are neither, and watch the outputs.

train, validation, test = datasets.load_dataset("digits")
numbers = transforms.Compose(
    [
        transforms.ToArray(),
        transforms.Normalize(train.images.mean() / 255, train.images.std() / 255),
    ]
)


def trained(mixing, epochs=10):
    """LeNet-5 on the digits."""
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
    axes.plot(steps, rest, color=GREY, linestyle=":", label="the eight others")
    axes.plot((0, 1), (1, 0), color=PALE, linewidth=4, zorder=0)
    axes.plot((0, 1), (0, 1), color=PALE, linewidth=4, zorder=0)
    axes.set(title=name, xlabel="share of the second digit in the image")
    axes.spines[["top", "right"]].set_visible(False)
    batches = datasets.DataLoader(test, 180, transform=numbers)
    accuracy = training.evaluate(model, batches)["accuracy"]
    print(f"{name:<6} test accuracy {accuracy:.1%}; halfway: the two {one[10]:.2f} and",
          f"{two[10]:.2f}, any other {rest[10]:.2f}, the largest {surest[10]:.2f}")  # fmt: skip
grid[0].set_ylabel("mean probability")
grid[1].legend(frameon=False, loc="center right", fontsize=9)

# %%
# Plain training does not constrain the space between the images. The prediction flips in the
# middle, and is confident nearly everywhere; compare the most confident outputs halfway, where the
# image is not a digit that anybody would write. Mixup trains for the pale straight lines, and the
# outputs bend towards them. The network has become less confident everywhere, at the two ends too;
# its accuracy there, on unmixed images, is printed above.
#
# Does it raise accuracy?
# -----------------------
# On digits there is nothing left to gain. On 2,000 photographs of CIFAR-10 there is
# (``examples/measure_augmentation.py``: a small network, 18 epochs for all, the learning rate of
# each chosen on validation images). The end of each line compares with no augmentation; its ± is
# the standard error of the difference.

rows = recorded_rows("augmentation.json")
CHOOSING = 100


def counted(rows, **wanted):
    """The rows with test images, at the rate that was best on validation images."""
    mine = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    tried = {row["lr"]: row["validation_accuracy"] for row in mine if row["seed"] == CHOOSING}
    best = max(sorted(tried), key=tried.get, default=None)
    return [row for row in mine if row["lr"] == best and "test_accuracy" in row]


def compared(values, others):
    """How much larger the mean of values is, in points, and whether by two standard errors."""
    gain = values.mean() - others.mean()
    error = np.hypot(*(v.std(ddof=1) / len(v) ** 0.5 for v in (values, others)))
    seen = "seen" if abs(gain) > 2 * error else "not seen: within two standard errors"
    return f"{100 * gain:+.1f} points ± {100 * error:.1f}, {seen}"


measured = {}
for name in dict.fromkeys(row["augmentation"] for row in rows):
    found = counted(rows, augmentation=name)
    if len(found) > 1:
        measured[name] = np.array([row["test_accuracy"] for row in found])
        train_accuracy = np.mean([row["train_accuracy"] for row in found])
        text = f"train {train_accuracy:.1%}, test {measured[name].mean():.1%} ({len(found)} seeds)"
        against = f"  {compared(measured[name], measured['none'])}" if name != "none" else ""
        print(f"{name:<26}{text}{against}")
if measured:
    figure, axes = plt.subplots(figsize=(7.6, 2.9), layout="constrained")
    for place, (name, values) in enumerate(measured.items()):
        colour = GREY if name == "none" else (BLUE if "Mix" in name else VERMILION)
        axes.plot(values, np.full(len(values), place), "o", color=colour, alpha=0.5)
        axes.plot(values.mean(), place, "|", color=colour, markersize=22, markeredgewidth=2)
    axes.axvline(measured["none"].mean(), color=GREY, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(measured)), list(measured))
    axes.invert_yaxis()
    axes.set(title="2,000 photographs of CIFAR-10: test accuracy, seeds and mean")
    axes.grid(color=PALE, axis="x")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.spines[["top", "right"]].set_visible(False)
else:
    print("docs/results has no augmentation.json with two seeds yet")

# %%
# A network this small, trained for so few steps, is the hard case: in the paper CutMix trains large
# networks for 300 epochs, and they have the capacity for more images.
#
# Does it see more of the object?
# -------------------------------
# The paper's other claim: a network trained with CutMix knows better *where* the object is. As with
# Cutout, a part that gives the class away is often missing, so the network must look at the rest.
# For photographs we have no boxes. For ``shapes`` we have them to the pixel
# (``examples/measure_cutmix_localization.py``).
#
# A class activation map (lesson 20) for the true class is cut off at a threshold, and a box is
# drawn around the largest part of what is left; its overlap with the true box is their
# intersection over their union. By hand, for one image and an invented map:

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
# Dashed is the true box. The threshold matters as much as the map, so each network is measured
# at the threshold that suits it best on validation images. The networks know two collections: the
# plain shapes, and shapes with a coloured spot that alone gives the class away. There a network may
# look only at the spot, and there CutMix has the most to teach.

rows = recorded_rows("cutmix_localization.json")
for scene_name in dict.fromkeys(row["scene"] for row in rows):
    both = {name: counted(rows, scene=scene_name, augmentation=name) for name in ("none", "CutMix")}
    if min(map(len, both.values())) < 2:
        continue
    for name, found in both.items():
        means = {key: np.mean([row[f"test_{key}"] for row in found])
                 for key in ("accuracy", "overlap", "boxes_right")}  # fmt: skip
        print(f"{scene_name:<8} {name:<7} test accuracy {means['accuracy']:.1%},",
              f"mean overlap {means['overlap']:.1%}, boxes with at least one half",
              f"{means['boxes_right']:.1%} ({len(found)} seeds)")  # fmt: skip
    for key in ("accuracy", "overlap", "boxes_right"):
        of = {n: np.array([row[f"test_{key}"] for row in found]) for n, found in both.items()}
        print(
            f"{scene_name:<8} CutMix, {key.replace('_', ' ')}: {compared(of['CutMix'], of['none'])}"
        )
if not rows:
    print("docs/results has no cutmix_localization.json yet")

# %%
# Read each line to its end before you believe the claim. The paper measures it on photographs of
# birds and of ImageNet, with far larger networks. An effect that a small experiment does not show
# may be real in a large one; but then it has to be measured there.
#
# Three things to try
# -------------------
# 1. Print the mean λ of ``transforms.CutMix(classes=10, alpha=0.2)`` for 224x224. Is it above or
#    below 0.68? Expect about 0.70: with a small α the box is nothing, or nearly the whole image,
#    and it is the largest boxes that lose most at the border.
# 2. Train the digits with ``transforms.CutMix(classes=10)`` and walk along the same straight lines.
#    Expect low confidence again, but more probability for the eight other classes: CutMix blends no
#    pixels, so these images are as new to it as to plain training.
# 3. Forget the correction: paste the box of a drawn ``Mixing`` but label with the λ of the Beta
#    distribution. How wrong are the labels on average? Expect a mean of 0.5 where 0.68 is shown.
#
# **Next lesson:** 13 · RandAugment

plt.show()
