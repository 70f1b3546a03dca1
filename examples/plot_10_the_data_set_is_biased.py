"""
10 · The data set is biased
===========================

**What happens when a classifier meets images that are darker than any it learned from?**

*Five lines make a photograph brighter, with two bugs that no error message reveals. Then a
classifier that has only seen bright images meets dark ones, and images that nobody took fill the
gap.*

**Prerequisites:** lessons 4 (one fully connected layer) and 6 (training).

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* brighten an image without overflowing bytes, mixing up channels or changing the caller's array,
* say what is wrong with a training set by comparing its distribution with that of the real task,
* write a random transform of your own, and measure how much of the gap it closes and what it costs.
"""

# sphinx_gallery_thumbnail_number = 3

import cv2
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA

from minivision import datasets, models, nn, optim, training, transforms

from lesson import BLUE, GREEN, GREY, PALE, VERMILION, device, recorded_rows

# %%
# A sample is not the world
# -------------------------
# A training set is a handful of points in a very large space. How large is this space? We count the
# possible greyscale images of 28x28 pixels, and the digits that we have for training.

train, _, test = datasets.load_dataset("digits")
print(f"possible images: 256^784, a number with {int(784 * np.log10(256)) + 1:,} digits")
print(f"training images: {len(train):,}")

# %%
# So the sample is *sparse*. That alone need not hurt, because images of digits fill only a small
# part of this space. What is worse, the sample is *biased*: it was collected at a particular place
# and time, with a particular camera. Most photographs on the web are taken by day, with the object
# in the middle and the right way up. But the model may be used at dusk.
#
# This lesson studies one such bias that is easy to see: **brightness**.
#
# Five lines with two bugs
# ------------------------
# An image is an array of bytes from 0 to 255, and adding a constant to every byte makes it
# brighter. This is how the notes of the lecture course that this project accompanies do it, line by
# line:


def brighter_by_the_notes(img):
    img[:, :, 0] = img[:, :, 0] + 100
    img[:, :, 0] = img[:, :, 1] + 100
    img[:, :, 0] = img[:, :, 2] + 100
    img[img > 255] = 255
    return img


# %%
# Find both bugs before you read on. (Hint: in NumPy, the sum of two bytes is again a byte.)

byte = np.array([200], np.uint8)
print(f"200 + 100 in bytes: {byte + 100}; is it above 255? {byte + 100 > 255}")

# %%
# **Bug 1.** Bytes wrap around: after 255 comes 0, so 200 + 100 becomes 300 - 256 = 44. No byte is
# ever above 255, so the line that should clip the values at 255 does nothing at all. **Bug 2.** All
# three sums are written into channel 0, each overwriting the one before. Red becomes blue + 100,
# while green and blue stay as they are.
#
# There is a third problem, which is harmless until somebody trips over it: the function changes the
# caller's array. Here is a fix in three steps: convert to a type with room for sums up to 355,
# clip, and convert back to bytes.


def brighter(image, addition=100):
    """Add a number to every byte and clip to 0..255; the image itself is not changed."""
    wide = image.astype(np.int16) + addition
    return np.clip(wide, 0, 255).astype(np.uint8)


photo = transforms.Resize((256, 256))(load_sample_image("china.jpg")[:, :427])
before = photo.copy()
spoiled = photo.copy()
by_the_notes = brighter_by_the_notes(spoiled)
print("the notes' function changes its input:    ", not np.array_equal(spoiled, before))
fixed = brighter(photo)
print("our function leaves its input unchanged:  ", np.array_equal(photo, before))
print("our function agrees with OpenCV's cv2.add:",
      np.array_equal(fixed, cv2.add(photo, np.full_like(photo, 100))))  # fmt: skip

pictures = {
    "the photograph": photo,
    "the notes: both bugs": by_the_notes,
    "channels fixed, bytes wrap": photo + np.uint8(100),
    "both bugs fixed": fixed,
}
figure, grid = plt.subplots(2, 4, figsize=(10, 4.6), layout="constrained", height_ratios=(3, 1.4))
for (title, picture), (above, below) in zip(pictures.items(), grid.T, strict=True):
    above.imshow(picture)
    above.set(xticks=[], yticks=[], title=title)
    for channel, colour in enumerate((VERMILION, GREEN, BLUE)):
        counts = np.bincount(picture[:, :, channel].ravel(), minlength=256)
        below.plot(np.convolve(counts, np.ones(5) / 5, "same"), color=colour, linewidth=1)
    below.set(xlim=(0, 255), xticks=(0, 128, 255), yticks=[], ylim=(0, 2200), xlabel="byte")
    below.spines[["top", "right"]].set_visible(False)
grid[1, 0].set_ylabel("pixels")

# %%
# Read the histograms from left to right. (The red channel is drawn in orange, and the counts are
# smoothed over five values.) With both bugs, green and blue have not moved, and the red channel
# holds blue, shifted and wrapped around. With only the channels fixed, the bright sky wraps around
# and starts again from black. With both bugs fixed, everything has moved up by 100, and all values
# that would exceed 255 are piled up there: the sky is blank. Its detail is lost, and no later step
# restores it. Always *look* at what an augmentation does.
#
# A sample taken at noon
# ----------------------
# Now we make a biased sample on purpose, so that we know its bias. Suppose that somebody scanned
# the training digits with a lamp on, so that every byte is brighter by 100. The digits that the
# model will have to read are unchanged.

noon = datasets.ArrayDataset(brighter(train.images), train.labels, train.classes)
mean, std = noon.images.mean() / 255, noon.images.std() / 255
numbers = [
    transforms.ToArray(),
    transforms.Normalize(mean, std),
]  # the statistics of the training images; we do not know any others

figure, grid = plt.subplots(2, 8, figsize=(8.4, 2.3), layout="constrained")
for i, (above, below) in enumerate(grid.T):
    above.imshow(noon.images[i], cmap="gray", vmin=0, vmax=255)
    below.imshow(test.images[i], cmap="gray", vmin=0, vmax=255)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
grid[0, 0].set_ylabel("training")
grid[1, 0].set_ylabel("in use")
figure.suptitle("The training sample, and the digits in use", fontsize=11)

# %%
# To us these are the same digits. Are they the same to the single layer of lesson 4? We train it on
# the bright digits and test it on the unchanged test digits, on the test digits plus 20, plus 40,
# and so on up to 120.

ADDITIONS = range(0, 121, 20)


def trained(augmentation, epochs=20):
    """A single layer trained on the bright digits."""
    with nn.skip_init():
        model = models.softmax_regression()
    training.fit(
        model,
        datasets.DataLoader(
            noon, 32, shuffle=True, transform=transforms.Compose([*augmentation, *numbers])
        ),
        training.classification_loss,
        optim.Adam(model.parameters(), lr=1e-3),
        epochs,
        device=device,
    )
    return model


def curve(model):
    """The accuracy on the test digits, for each number added to their bytes."""
    found = []
    for addition in ADDITIONS:
        changed = datasets.ArrayDataset(brighter(test.images, addition), test.labels, test.classes)
        batches = datasets.DataLoader(changed, 180, transform=transforms.Compose(numbers))
        found.append(training.evaluate(model, batches)["accuracy"])
    return found


plain = trained([])
print("added to each byte      " + "".join(f"{a:>8}" for a in ADDITIONS))
print("bright digits only      " + "".join(f"{a:>8.1%}" for a in curve(plain)))

# %%
# The further the test digits are from the training sample, the lower the accuracy. And no number
# measured on bright digits would have warned us: a validation set has the same bias as the sample
# it was split from.
#
# Images that nobody took
# -----------------------
# We cannot scan the digits again. But we can *compute* what they would look like in less light, and
# darken each digit by a different amount every time the layer sees it. That is **augmentation**. A
# custom transform has two methods (see ``minivision/transforms/pipeline.py``): ``draw`` chooses the
# random parameters, and ``apply`` uses them.


class RandomAddition(transforms.Transform):
    """Add a whole number to all bytes of an image, drawn from low to high for each image."""

    random = True

    def __init__(self, low, high):
        self.low, self.high = low, high

    def draw(self, size, rng=None):
        return int(rng.integers(self.low, self.high, endpoint=True))

    def apply(self, image, parameters):
        return brighter(image, parameters)


darker = RandomAddition(-100, 0)
print("drawn for the first digit in five epochs:",
      [darker.draw((28, 28), np.random.default_rng((0, epoch))) for epoch in range(5)])  # fmt: skip
augmented = trained([darker])
print("added to each byte      " + "".join(f"{a:>8}" for a in ADDITIONS))
for name, model in (("bright digits only", plain), ("with augmentation", augmented)):
    print(f"{name:<24}" + "".join(f"{a:>8.1%}" for a in curve(model)))

# %%
# Where are the augmented images? We cannot plot 784 dimensions, but we can plot two. Principal
# component analysis finds the two directions along which the images vary most and projects the
# images onto them.

sample = noon.images[:300]
made = np.stack([darker(image, np.random.default_rng((1, i))) for i, image in enumerate(sample)])
world = test.images[:300]
flat = PCA(2, random_state=0).fit(np.concatenate([sample, world]).reshape(600, -1) / 255)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9), layout="constrained")
for images, name, colour, marker in (
    (made, "computed from the sample", GREEN, "x"), (sample, "the sample", VERMILION, "o"),
    (world, "in use", BLUE, "s"),
):  # fmt: skip
    x, y = flat.transform(images.reshape(300, -1) / 255).T
    left.scatter(x, y, 12, color=colour, marker=marker, label=name, alpha=0.7, linewidths=1)
left.set(xlabel="first direction", ylabel="second direction", xticks=[], yticks=[])
left.legend(frameon=False, fontsize=9, loc="upper center", ncols=3, handletextpad=0.1)
left.margins(y=0.2)
right.plot(ADDITIONS, curve(plain), "o-", color=VERMILION, label="without augmentation")
right.plot(ADDITIONS, curve(augmented), "x--", color=GREEN, label="with augmentation")
right.axvline(100, color=GREY, linewidth=0.8, linestyle=":")
right.text(99, right.get_ylim()[0], "the sample ", ha="right", va="bottom", color=GREY)
right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
right.set(xlabel="added to the bytes of the test digits", title="test accuracy")
right.grid(color=PALE)
right.legend(frameon=False, loc="center right")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)

first = np.abs(
    np.corrcoef(
        flat.transform(np.concatenate([sample, world]).reshape(600, -1) / 255)[:, 0],
        np.concatenate([sample, world]).mean(axis=(1, 2, 3)),
    )[0, 1]
)
print(f"correlation of the first direction with the mean brightness: {first:.2f}")

# %%
# The empty space between the two clouds is the gap. The augmented images fill it and reach the
# cloud of the digits in use. They do not match this cloud exactly: whatever was clipped at 255 when
# the lamp was on is lost, and subtracting 100 does not bring it back. But a near match is enough.
#
# What the layer has learned
# --------------------------
# A single layer is simple enough to explain why augmentation works. For class k it computes the
# score Σ W_k[i, j]·x[i, j] + b_k, where W_k is the template of the class. If we add c to all
# pixels, the score changes by c·ΣW_k: the sum of the template's weights decides how strongly
# brightness favours the class. In bright images the bias b_k makes up for this; in dark ones it
# does not.

for name, model in (("bright digits only", plain), ("with augmentation", augmented)):
    sums = models.templates(model)[:, 0].sum(axis=(1, 2))
    print(f"{name:<20} ΣW_k " + " ".join(f"{s:6.2f}" for s in sums) + f"   spread {sums.std():.2f}")

# %%
# Only *differences* between classes matter. Trained on one brightness, the layer had no reason to
# make the sums equal; trained on many, it had to. Augmentation taught it, through examples alone,
# that brightness says nothing about the digit. This is called an *invariance*. (We could have built
# this invariance in, by subtracting its mean from every image. For most changes in the world nobody
# knows such a formula, but examples are easy to make.)
#
# Photographs
# -----------
# Digits are easy. We ran the same experiment beforehand on photographs from CIFAR-10
# (``examples/measure_brightness_gap.py``). A small convolutional network was trained on 8,000
# images, all from the brightest third, either unchanged or with every image multiplied by a random
# factor from 0.15 to 1.1 (``ColorJitter``). We multiply here because less light scales down
# everything that a camera sensor records. The network was then tested on the bright third of the
# test images, darkened by several factors, and on the other two thirds, which really are darker.

rows = recorded_rows("brightness_gap.json")
NAMES = {"none": "bright photographs only", "brightness": "with augmentation"}


def recorded(name, kind):
    """{factor or third: one accuracy per seed}, at the rate chosen on validation images."""
    found = [row[f"test_accuracy_by_{kind}"] for row in counted(name)]
    return {cell: np.array([one[cell] for one in found]) for cell in (found[0] if found else ())}


def counted(name):
    """The rows with test accuracies, at the best rate on bright validation images."""
    mine = [row for row in rows if row["augmentation"] == name]
    tried = {row["lr"]: row["validation_accuracy"] for row in mine if row["seed"] == 100}
    best = max(sorted(tried), key=tried.get, default=None)
    return [row for row in mine if row["lr"] == best and "test_accuracy_by_factor" in row]


if all(len(counted(name)) > 1 for name in NAMES):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.5), layout="constrained",
                                         sharey=True)  # fmt: skip
    for i, (name, colour, style) in enumerate((("none", VERMILION, "o-"),
                                               ("brightness", GREEN, "x--"))):  # fmt: skip
        for kind in ("factor", "third"):
            cells = recorded(name, kind)
            print(f"{NAMES[name]:<24}" + "   ".join(
                f"{'x' if kind == 'factor' else ''}{c} {v.mean():.1%} ± {v.std(ddof=1):.1%}"
                for c, v in cells.items()))  # fmt: skip
            means = [v.mean() for v in cells.values()]
            spread = [v.std(ddof=1) for v in cells.values()]
            if kind == "factor":
                left.errorbar([float(c) for c in cells], means, spread, fmt=style, color=colour,
                              capsize=3, label=NAMES[name])  # fmt: skip
            else:
                right.bar(np.arange(3) + 0.4 * i - 0.2, means, 0.36, yerr=spread, color=colour,
                          capsize=3)  # fmt: skip
    left.set(xlabel="factor applied to the bright test photographs", ylim=(0, None))
    left.legend(frameon=False, loc="lower right")
    right.set_xticks(range(3), list(recorded("none", "third")))
    right.set_xlabel("unchanged test photographs, by third of brightness")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for axes in (left, right):
        axes.grid(color=PALE)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("CIFAR-10, trained on the brightest third: test accuracy", fontsize=11)
    for kind, cell, words in (("factor", "0.4", "at x0.4"), ("factor", "1.0", "at x1"),
                              ("third", "dark", "dark third")):  # fmt: skip
        without, with_it = recorded("none", kind)[cell], recorded("brightness", kind)[cell]
        gain = with_it.mean() - without.mean()
        error = np.hypot(*(v.std(ddof=1) / len(v) ** 0.5 for v in (without, with_it)))
        seen = "more than" if abs(gain) > 2 * error else "not more than"
        print(f"{words:<10} augmentation changes accuracy by {100 * gain:+5.1f} points,",
              f"{seen} two standard errors ({100 * error:.1f})")  # fmt: skip
else:
    print("docs/results has no brightness_gap.json with two seeds yet")

# %%
# The table shows three things. First, a classifier is only as good as the space that its training
# images fill. Second, augmentation fills more of this space using images that we already have, at
# no cost but computation. Third, as the last column shows, capacity spent on dark images is not
# available for bright ones, so accuracy on bright images need not rise. Fill the space that the
# task *has*, not every space there is.
#
# Now compare the two panels. Darkening a bright photograph is not the same as taking one in the
# dark: dark photographs have different subjects, different colours and more noise. Augmentation
# closes only the part of the gap that we know how to simulate.
#
# The same on the command line
# ----------------------------
# .. code-block:: none
#
#    minivision augment PHOTO.jpg --policy jitter --histogram
#    minivision train --dataset cifar10 --augment flip+crop+jitter
#
# Three things to try
# -------------------
# 1. Reverse the bias: train on the unchanged digits (``brighter(train.images, 0)``) without
#    augmentation. At which end of the curve will the layer fail, and what range does
#    ``RandomAddition`` need? Expect it to fail on the right, on digits brighter than any in
#    training. With ``RandomAddition(0, 120)`` the curve is level.
# 2. Less light multiplies the pixel values. Test both models on digits darkened by a factor, with
#    ``cv2.multiply(image, 0.3)``. Does augmentation by *addition* help against a *multiplicative*
#    bias? Expect it to help less than the curve above suggests.
# 3. Subtract its own mean from every image, in training and in testing, and train without
#    augmentation. Where does the curve still fall? Expect it to be nearly level, because an
#    invariance that is built in needs no examples. It falls where bytes were clipped at 255,
#    because subtracting a number does not restore the differences that were lost there.
#
# **Next lesson:** 11 · Geometry

plt.show()
