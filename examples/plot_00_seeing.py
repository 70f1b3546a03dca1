"""
0 · Seeing
==========

**You see at once what an image shows. How sure can you be, and how sure can a network be?**

*First you look at three figures that deceive you; then you find out what deceives a trained
network. There is no mathematics yet.*

**Prerequisites:** none. Later lessons explain every line of code; here, just look.

**Minutes:** 15 to read, about 10 seconds to run.

**You will be able to**

* explain why it is harder to get from an image to a scene than from a scene to an image,
* show that your perception is a guess, and that a network guesses differently,
* test a classifier on images unlike its training images, and treat its confidence with caution.
"""

# sphinx_gallery_thumbnail_number = 3

import cv2
import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, models, no_grad, optim, training, transforms
from minivision import functional as F

from lesson import BLUE, GREY, PALE, VERMILION, device, to_device

# %%
# Drawing is easy, seeing is not
# ------------------------------
# Computer graphics goes from a scene to an image: once you know the size of a ball and its
# distance, you can compute the pixels. This is *synthesis*, and it is called rendering. Vision is
# *analysis*: it goes the other way, from the image to the scene. But many different scenes produce
# the same image. Here are three balls of different sizes at different distances, rendered as a
# camera would photograph them.


def photograph(radius, distance, side=120):
    """A ball as a pinhole camera sees it: the size of its picture is radius / distance."""
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    r = radius / distance
    height = np.sqrt(np.clip(r**2 - u**2 - v**2, 0, None)) / r
    return np.where(u**2 + v**2 < r**2, 0.15 + 0.85 * height, 0.05)


scenes = {  # radius and distance, in metres
    "a marble, radius 1 cm,\n2 cm away": (0.01, 0.02),
    "a football, radius 11 cm,\n22 cm away": (0.11, 0.22),
    "the moon, radius 1,737 km,\n3,474 km away": (1_737e3, 3_474e3),
}
figure, grid = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
pictures = [photograph(*scene) for scene in scenes.values()]
for axes, picture, name in zip(grid, pictures, scenes, strict=True):
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()
print("largest difference between the three pictures:",
      f"{max(abs(picture - pictures[0]).max() for picture in pictures):.0e}")  # fmt: skip

# %%
# The three pictures are identical, pixel by pixel. Neither a program nor an eye can tell from such
# an image alone which scene it shows. Any answer is a *guess* based on experience, and that is what
# perception is, in animals and in machines.
#
# Kinds of perception
# -------------------
# Each of our senses gives us a kind of perception: sight, hearing, touch, smell and taste. Machines
# perceive, too, through cameras, microphones and other sensors. Vision itself can answer several
# kinds of question about one image:
#
# * is something there? (detection)
# * where is it? (localisation)
# * which pixels belong to it? (segmentation)
# * how far away is it, and how does it move? (depth and motion)
# * what is it? (classification, or recognition)
#
# This course is about the last question.
#
# Our own guesses
# ---------------
# Your visual system guesses so well that you rarely notice it guessing. Here are three figures in
# which it guesses wrong:

grey = 0.5
contrast = np.tile(np.linspace(0.1, 0.9, 300), (120, 1))
patches = [slice(start, start + 30) for start in (30, 100, 170, 240)]
for patch in patches:
    contrast[45:75, patch] = grey

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.4, 2.7), layout="constrained")
left.imshow(contrast, cmap="gray", vmin=0, vmax=1)
left.set_title("Which square is the darkest?", fontsize=10)
for y, direction in ((1, 1), (0, -1)):
    middle.plot([0, 4], [y, y], color="black", linewidth=2)
    for x, side in ((0, 1), (4, -1)):
        fin = x + side * direction * 0.5
        middle.plot([fin, x, fin], [y + 0.22, y, y - 0.22], color="black", linewidth=2)
middle.set(xlim=(-1, 5), ylim=(-0.6, 1.6))
middle.set_title("Which line is longer?", fontsize=10)
corners = np.exp(1j * (np.pi / 2 + 2 * np.pi / 3 * np.arange(3)))
for corner in corners:
    right.add_patch(plt.Circle((corner.real, corner.imag), 0.42, color="black"))
right.fill(1.0 * corners.real, 1.0 * corners.imag, color="white")
right.set(xlim=(-1.6, 1.6), ylim=(-1.1, 1.6), aspect="equal")
right.set_title("Do you see a triangle?", fontsize=10)
for axes in (left, middle, right):
    axes.set_axis_off()
print("grey levels of the four squares:", [float(contrast[60, patch].mean()) for patch in patches])

# %%
# All four squares are the same grey, the two lines have the same length, and the triangle has no
# outline: between the discs, its sides run through blank paper. Your visual system judges the
# brightness of a square relative to its surroundings and the length of a line relative to the fins
# at its ends, and it completes shapes that seem to be partly hidden. In the real world these are
# good rules, because lighting varies, corners have depth, and objects hide one another.
#
# A network's guesses
# -------------------
# Now for the other observer: a small network, LeNet-5 (the subject of lesson 6), which we train on
# 1,257 handwritten digits. The next lessons explain how it learns.

train, validation, test = datasets.load_dataset("digits")
prepare = transforms.Compose(
    [
        transforms.ToArray(),
        transforms.Normalize(train.images.mean() / 255, train.images.std() / 255),
    ]
)
manual_seed(0)
model = models.lenet5()
training.fit(
    model,
    datasets.DataLoader(train, batch_size=32, shuffle=True, transform=prepare),
    training.classification_loss,
    optim.Adam(model.parameters(), lr=2e-3),
    epochs=6,
    schedule=optim.cosine(6),
    device=device,
)
model.eval()


def probabilities(images):
    """The network's probabilities (N, 10) for the ten digits; the images are uint8."""
    with no_grad():
        return F.softmax(model(Tensor(to_device(prepare(images), device)))).numpy()


# %%
# We test the network on 360 digits that it has never seen: as they are, with black and white
# swapped, rotated by a quarter turn and by half a turn, with the lower or the right half hidden,
# and behind bars.

digits, labels = test.images, test.labels
N, H, W, _ = digits.shape


def hidden(images, rows=slice(None), columns=slice(None)):
    covered = images.copy()
    covered[:, rows, columns] = 0
    return covered


def behind_bars(images):
    barred = images.copy()
    barred[:, ::6] = barred[:, 1::6] = 128
    return barred


views = {
    "as it is": digits,
    "inverted": 255 - digits,
    "quarter turn": np.rot90(digits, axes=(1, 2)),
    "half turn": np.rot90(digits, 2, axes=(1, 2)),
    "lower half hidden": hidden(digits, rows=slice(H // 2, None)),
    "right half hidden": hidden(digits, columns=slice(W // 2, None)),
    "behind bars": behind_bars(digits),
}
found = {name: probabilities(np.ascontiguousarray(images)) for name, images in views.items()}

print(f"{'view':<20}{'correct':>9}{'mean confidence':>17}    (guessing: 10 %)")
for name, p in found.items():
    print(f"{name:<20}{(p.argmax(axis=1) == labels).mean():>9.1%}{p.max(axis=1).mean():>17.1%}")

# %%
chosen = [int(np.flatnonzero(labels == k)[3]) for k in (2, 4, 5, 6)]
figure, grid = plt.subplots(len(chosen), len(views), figsize=(9.4, 6), layout="constrained")
for row, i in zip(grid, chosen, strict=True):
    for axes, (name, images) in zip(row, views.items(), strict=True):
        p = found[name][i]
        prediction, right = p.argmax(), p.argmax() == labels[i]
        axes.imshow(images[i], cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{prediction} ({p.max():.0%})", fontsize=10,
                       color="black" if right else VERMILION)  # fmt: skip
        axes.set(xticks=[], yticks=[])
        if row is grid[-1]:
            axes.set_xlabel(name.replace(" hidden", "\nhidden"), fontsize=9)
figure.suptitle("The network's predictions and its confidence; wrong predictions in orange")

# %%
# Read the table one column at a time. You recognise most of these digits at a glance, but the
# network does not. And its confidence falls far less than its accuracy: it has to judge every image
# by what it has learned, even if it has never seen anything like it.
#
# One of the errors is not the network's fault: a six rotated by half a turn *is* a nine.

upside_down = found["half turn"].argmax(axis=1)
for before, after in ((6, 9), (9, 6), (0, 0), (8, 8)):
    share = (upside_down[labels == before] == after).mean()
    print(f"of the {before}s turned upside down, {share:.0%} are read as {after}")

# %%
# Step by step
# ------------
# How much can the network tolerate? We rotate all test digits further and further, and we hide a
# growing part of every digit, starting from the right.


def turned(images, degrees):
    matrix = cv2.getRotationMatrix2D(((W - 1) / 2, (H - 1) / 2), degrees, 1)
    return np.stack([cv2.warpAffine(image, matrix, (W, H)) for image in images])[..., None]


def share_correct(images):
    return (probabilities(images).argmax(axis=1) == labels).mean()


angles, columns = range(0, 181, 15), range(0, W + 1, 2)
by_angle = [share_correct(turned(digits, angle)) for angle in angles]
by_columns = [share_correct(hidden(digits, columns=slice(W - n, None))) for n in columns]
print("rotated by (degrees):", {a: f"{s:.0%}" for a, s in zip(angles, by_angle, strict=True)})

figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3), layout="constrained", sharey=True)
left.plot(angles, by_angle, "o-", color=BLUE)
left.set(xlabel="rotated by (degrees)", ylabel="correct predictions", ylim=(0, 1.02))
left.set_xticks(range(0, 181, 45))
right.plot([100 * n / W for n in columns], by_columns, "s-", color=VERMILION)
right.set(xlabel="hidden from the right (% of the image)")
for axes in (left, right):
    axes.axhline(0.1, color=GREY, linestyle=":")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
left.text(90, 0.13, "guessing", color=GREY, fontsize=9)
left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")

# %%
# The network copes with small rotations, because handwriting leans to either side anyway; it has
# never been trained on larger ones. We trained a single network once, so this is a demonstration,
# not a measurement. But you will see the pattern again. A classifier learns only from the images
# that it is shown, and this course asks how it can learn more from them: with better networks
# (lessons 1 to 9), and with more images and more varied ones (lessons 10 to 19).
#
# Three things to try
# -------------------
# 1. Cover the lower half of the digits on this page with your hand and read them yourself; then
#    compare your guesses with the fifth column. When you are unsure, is the network unsure, too?
#    Expect it to be far too confident: in the table, its confidence on half-hidden digits is much
#    higher than its accuracy, whereas you probably hesitated more often than you were wrong.
# 2. Hide the *upper* half instead of the lower one: ``rows=slice(None, H // 2)``. Expect far more
#    correct predictions, because the lower half of a digit says more about its class.
# 3. In the call to ``fit``, train for one epoch instead of six. Expect lower accuracy on the
#    unchanged digits and lower confidence everywhere: a network that knows less is also less
#    confident, but not about the same images.
#
# **Next lesson:** 1 · Memorise everything

plt.show()
