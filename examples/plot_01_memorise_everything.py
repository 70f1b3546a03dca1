"""
1 · Memorise everything
=======================

**Could you recognise digits by remembering every one that you have ever seen?**

*Store every image, and label a new one like the stored image that it resembles most. This reads
digits without any training, and it shows what training is for: accuracy grows with the amount of
data, but so do the time per prediction and the memory, without limit.*

**Prerequisites:** Python and NumPy arrays. No earlier lesson is needed.

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* classify images with k nearest neighbours, and choose k without touching the test set,
* compute all distances with one matrix product, and say why float32 is not precise enough for it,
* say what more data cost such a classifier in time and memory, compared with a small network.
"""

# sphinx_gallery_thumbnail_number = 1

import time

import matplotlib.pyplot as plt
import numpy as np

from minivision import datasets, models

from lesson import BLUE, GREY, PALE, VERMILION, device, recorded_rows, to_device, to_host

# %%
# A function from images to categories
# ------------------------------------
# A *classifier* is a function: an image goes in, and one of K categories comes out. Here the image
# has 28x28 grey pixels, each a number from 0 to 255, and the categories are the ten digits. The
# images come with scikit-learn and were written by 13 people. They are divided into three sets: a
# training set to learn from, a validation set for choosing settings, and a test set that stays
# untouched until the end.

train, validation, test = datasets.load_dataset("digits")
print(f"{len(train)} training, {len(validation)} validation and {len(test)} test digits")
print(f"one image: {train[0][0].shape} {train[0][0].dtype}, {train[0][0].size} numbers")

# %%
# How would you write that function? Nobody can say which pixels make a 4. But we have many examples
# of a 4. So we remember all training digits, find the one that is most similar to the new image,
# and predict its label. This method is called *nearest neighbours*.
#
# How far are two images apart?
# -----------------------------
# The simplest way to measure this is to treat each image as a point with 784 coordinates and take
# the straight-line distance between the two points: subtract pixel from pixel, square the
# differences, add them up, and take the square root.


def distance(x, y):
    """Euclidean distance between two images, pixel by pixel."""
    total = 0.0
    for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True):
        total += (a - b) ** 2
    return total**0.5


query = validation[0][0]
by_loop = [distance(query, image) for image in train.images]
nearest = int(np.argmin(by_loop))
print(f"this {validation[0][1]} is nearest to image {nearest}, a {train[nearest][1]},",
      f"at a distance of {by_loop[nearest]:.1f} grey levels")  # fmt: skip

# %%
# ``KNearestNeighbors`` gives the same answer much faster. It is used like a classifier in
# scikit-learn: ``fit`` stores the images, and ``predict`` returns labels. In addition,
# ``neighbors`` returns the neighbours that each prediction is based on.

model = models.KNearestNeighbors(k=3).fit(to_device(train.images, device), train.labels)
distances, indices = model.neighbors(to_device(validation.images, device))
distances, indices = to_host(distances), to_host(indices)
print(f"its three nearest neighbours are images {indices[0].tolist()}, the first at a distance of",
      f"{distances[0, 0]:.1f}")  # fmt: skip
assert indices[0, 0] == nearest

# %%
predictions = model.predict(to_device(validation.images, device))
wrong = np.flatnonzero(predictions != validation.labels)
shown = [*np.flatnonzero(predictions == validation.labels)[:3], *wrong[:3]]
figure, grid = plt.subplots(4, len(shown), figsize=(7.6, 5.4), layout="constrained")
for column, i in zip(grid.T, shown, strict=True):
    column[0].imshow(validation[i][0], cmap="gray")
    colour = VERMILION if i in wrong else "black"
    column[0].set_title(f"a {validation[i][1]}, read as {predictions[i]}", fontsize=9, color=colour)
    for axes, neighbour, d in zip(column[1:], indices[i], distances[i], strict=True):
        axes.imshow(train[neighbour][0], cmap="gray")
        axes.set_title(f"{train[neighbour][1]}, at {d:,.0f}", fontsize=9)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
for axes, name in zip(grid[:, 0], ("query", "nearest", "second", "third"), strict=True):
    axes.set_ylabel(name, fontsize=9)
figure.suptitle(
    "The three nearest neighbours, with distances; wrong predictions in orange", fontsize=11
)
print(f"{len(wrong)} of {len(predictions)} predictions are wrong")

# %%
# The three neighbours vote. If all three disagree, the nearest one decides. And if two images are
# at exactly the same distance, the one that was stored first counts as nearer. Such rules seldom
# matter, but without them a prediction could differ from one machine to the next.
#
# All distances at once
# ---------------------
# The loop above visits the pixels one by one. With n stored images and m queries, it would have to
# do so for n·m pairs of images. There is a faster way: multiply out the square.
#
# .. code-block:: none
#
#    |x - y|² = |x|² - 2 x·y + |y|²
#
# The only term that involves both images is the product x·y. For all pairs together these products
# form a single matrix product, and that is what computers do fastest.
#
# The formula has a catch: it subtracts large numbers to obtain a small one. A float32 number has 24
# binary digits, so beyond 2²⁴ = 16,777,216 it can no longer represent every whole number. Two
# bright images that differ by one grey level in a single pixel show the effect:

x = np.full(784, 250.0)
y = x.copy()
y[0] += 1
for dtype in (np.float32, np.float64):
    a, b = x.astype(dtype), y.astype(dtype)
    formula = a @ a - 2 * a @ b + b @ b
    print(f"{dtype.__name__}: |x|² = {a @ a:,.0f}, and by the formula |x - y|² = {formula:g}")

# %%
# The true answer is 1. So ``KNearestNeighbors`` computes in float64, in which every sum of whole
# numbers up to 9,007,199,254,740,992 is exact: if the pixels are bytes, it always finds the true
# neighbours and the true ties. It also processes queries and images in blocks, so that the search
# fits into the memory you allow it.
#
# How many neighbours?
# --------------------
# With a single neighbour, one odd image is enough to mislead the prediction; with too many
# neighbours, other digits get a vote, too. We let the validation digits decide.

print("k   validation accuracy")
for k in (1, 3, 5, 9, 15, 51):
    model = models.KNearestNeighbors(k).fit(to_device(train.images, device), train.labels)
    right = model.predict(to_device(validation.images, device)) == validation.labels
    print(f"{k:<3} {right.mean():>8.1%}")

# %%
# One of the 180 validation digits is worth about half a percentage point, so they cannot tell the
# small values of k apart. We choose k = 3 and use the test digits, once:

model = models.KNearestNeighbors(k=3).fit(to_device(train.images, device), train.labels)
right = model.predict(to_device(test.images, device)) == test.labels
print(f"test accuracy {right.mean():.1%}: {right.sum()} of {len(test)}")

# %%
# That is not bad for a method that has learned nothing. (It benefits from the random split of the
# digits: the person who wrote a test digit most likely wrote some of the stored digits, too.)
#
# What does it cost?
# ------------------
# A query is compared with every stored image, which takes one multiplication per pixel. So time and
# memory should both be proportional to n. We measure them here, while the lesson runs. (Beyond
# 1,257 images we store copies, which cost the search as much as new images would.)

queries = to_device(test.images, device)
sizes = [157, 314, 628, 1257, 2514, 5028, 10056]
milliseconds, megabytes = [], []
for n in sizes:
    copies = np.resize(np.arange(len(train)), n)
    model = models.KNearestNeighbors(k=3).fit(
        to_device(train.images[copies], device), train.labels[copies]
    )
    times = []
    for _ in range(3):
        start = time.perf_counter()
        model.predict(queries)
        times.append(time.perf_counter() - start)
    milliseconds.append(1000 * min(times) / len(test))
    megabytes.append(model.nbytes / 1e6)
slope = np.polyfit(np.log(sizes[-4:]), np.log(milliseconds[-4:]), 1)[0]
print(f"{'n':>6} {'ms per query':>14} {'MB':>7} {'multiply-adds per query':>25}")
for n, ms, mb in zip(sizes, milliseconds, megabytes, strict=True):
    print(f"{n:>6,} {ms:>14.4f} {mb:>7.2f} {n * 784:>25,}")
print(f"from n = {sizes[-4]:,} on, time grows as n to the power {slope:.2f} on this machine")

# %%
figure, (left, right_axes) = plt.subplots(1, 2, figsize=(8.4, 3.3), layout="constrained")
for axes, values, colour, label in (
    (left, milliseconds, VERMILION, "time per query (ms)"),
    (right_axes, megabytes, BLUE, "memory (MB)"),
):
    axes.loglog(sizes, values, "o-", color=colour)
    steady = [values[-1] * n / sizes[-1] for n in sizes]
    axes.loglog(sizes, steady, ":", color=GREY)
    axes.set(xlabel="stored images, n", ylabel=label)
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
left.text(sizes[2], 0.5 * milliseconds[2], "proportional to n", color=GREY, fontsize=9)
right_axes.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
right_axes.yaxis.set_minor_formatter("")
figure.suptitle("Twice the data: twice the time and twice the memory", fontsize=11)

# %%
# All the data in the world?
# --------------------------
# What would more data bring? To find out, we need a larger data set, and MNIST has 70,000 digits.
# We ran the search beforehand, storing the first 100 to 60,000 training digits in each of three
# random orders (``examples/measure_knn_mnist.py``; the numbers are read from ``docs/results``). The
# full set of 60,000 is the same in any order, so the last line shows no spread.

recorded = recorded_rows("knn_mnist.json")
trained = recorded_rows("lenet5_mnist.json")
# The file has other networks and settings, too; `chosen` marks the best on validation digits.
lenet = [row for row in trained if row["model"] == "lenet5" and row["chosen"]]
stored = np.array(sorted({row["stored"] for row in recorded}))


def column(name):
    """Mean and standard deviation over the seeds, for each number of digits stored."""
    groups = [[row[name] for row in recorded if row["stored"] == n] for n in stored]
    return np.array([[np.mean(g), np.std(g, ddof=1)] for g in groups]).T


accuracy, spread = column("test_accuracy")
seconds, _ = column("processor_seconds_per_query")
size, _ = column("bytes")
large = stored >= 10_000
recorded_slope = np.polyfit(np.log(stored[large]), np.log(seconds[large]), 1)[0]
print(f"{'n':>6} {'test accuracy':>16} {'ms per query':>14} {'MB':>6}")
for n, a, s, t, b in zip(stored, accuracy, spread, seconds, size, strict=True):
    print(f"{n:>6,} {a:>8.2%} ± {s:.2%} {1000 * t:>14.3f} {b / 1e6:>6.2f}")
print(f"from n = 10,000 on, time grew as n to the power {recorded_slope:.2f}")

# %%
# Accuracy rises with every step and shows no sign of stopping. So with all the data in the world,
# would nearest neighbours be enough? Look at the *errors* on logarithmic axes. They fall along a
# nearly straight line: every tenfold increase in the data removes the same share of the errors.
# Follow the line down to the error rate of LeNet-5, the small network of lesson 6.

errors = 1 - accuracy
lenet_error = 1 - np.mean([row["test_accuracy"] for row in lenet])
steepness, height = np.polyfit(np.log(stored[-4:]), np.log(errors[-4:]), 1)
needed = float(np.exp((np.log(lenet_error) - height) / steepness))
lenet_bytes = 4 * models.lenet5().parameter_count()
print(f"with ten times as many digits, {10**steepness:.0%} of the errors remain")
print(f"LeNet-5: {lenet_error:.2%} errors, {lenet_bytes:,} bytes of weights")
print(f"60,000 neighbours: {errors[-1]:.2%} errors, {size[-1]:,.0f} bytes,",
      f"{size[-1] / lenet_bytes:.0f} times as many")  # fmt: skip
print(f"needed to match LeNet-5, if the line continued: {needed:,.0f} digits,",
      f"{needed * size[-1] / stored[-1] / 1e9:.1f} GB")  # fmt: skip

# %%
figure, (left, right_axes) = plt.subplots(
    1, 2, figsize=(9.2, 3.8), layout="constrained", sharey=True
)
beyond = np.array([stored[-4], needed])
for axes, scale in ((left, 1), (right_axes, size[-1] / stored[-1] / 1e6)):
    axes.errorbar(stored * scale, 100 * errors, 100 * spread, fmt="o-", color=BLUE, capsize=3,
                  label="3 nearest neighbours")  # fmt: skip
    line = 100 * np.exp(height + steepness * np.log(beyond))
    axes.plot(beyond * scale, line, ":", color=BLUE, label="the line, extended")
    axes.set(xscale="log", yscale="log")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
left.axhline(100 * lenet_error, color=VERMILION, linestyle="--", linewidth=1.3)
left.text(stored[0], 106 * lenet_error, "LeNet-5, trained on 55,000", color=VERMILION, fontsize=9)
right_axes.plot(lenet_bytes / 1e6, 100 * lenet_error, "s", color=VERMILION, markersize=7)
right_axes.text(lenet_bytes / 1e6 * 1.35, 98 * lenet_error, "LeNet-5", color=VERMILION, fontsize=9)
left.set(xlabel="digits stored, n", ylabel="errors on the test digits (%)")
right_axes.set(xlabel="memory (MB)")
left.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
left.yaxis.set_minor_formatter("")
right_axes.legend(frameon=False, fontsize=9)
figure.suptitle("MNIST: errors against stored digits and against memory", fontsize=11)

# %%
# That is the bargain that learning offers. LeNet-5 has seen 55,000 of the same digits (shifted at
# random by up to one pixel) and has stored none of them. It packs what they have in common into
# 61,706 numbers, a size that is fixed in advance: more data make the numbers better, not more
# numerous. LeNet-5 is also faster: it needs 416,520 multiply-adds per image, the neighbours
# 47,040,000. (The dotted line is an extrapolation, of course; nothing was measured there.)
#
# And digits are an easy case. For ImageNet, with its 1,281,167 training photographs at 224x224
# pixels, nearest neighbours would need:

numbers = 1_281_167 * 224 * 224 * 3
print(f"{numbers / 1e9:.0f} GB as bytes, {4 * numbers / 1e9:.0f} GB as float32,",
      f"and {numbers / 1e9:.0f} billion multiply-adds for one prediction")  # fmt: skip

# %%
# Besides, a cat on a sofa may have more pixels in common with a dog on the same sofa than with a
# different cat. We need a better notion of *similar* than a comparison pixel by pixel. The rest of
# this course looks for one.
#
# Three things to try
# -------------------
# 1. Build ``models.KNearestNeighbors(3, metric="cosine")``, which ignores how bright an image is.
#    Compare the two metrics on the test digits and on darkened ones, ``test.images // 4``. Expect
#    nearly the same accuracy on the test digits. On the darkened ones, the Euclidean distance
#    fails, while the cosine metric hardly changes.
# 2. Construct ``KNearestNeighbors`` with ``memory_budget=20_000`` (bytes), and then with 10_000.
#    Expect the first budget to give the same predictions a hundred times more slowly, because
#    images are compared almost one by one. The second is too small for even one comparison, and the
#    error message says how much is needed.
# 3. Shift the test digits by two pixels: ``np.roll(test.images, 2, axis=2)``. To you they look the
#    same. Expect far more errors, because no pixel is where it was. Lesson 4 looks into this.
#
# **Next lesson:** :doc:`2 · A tape of numbers <plot_02_a_tape_of_numbers>`

plt.show()
