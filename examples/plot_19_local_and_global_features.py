"""
19 · Local and global features
==============================

**What makes two photographs look alike, and can a program measure it?**

*Given one image, find others that look like it, without labels and without training. You detect
corners and describe their surroundings, describe the texture of the whole image, combine the two
descriptions, and measure whether together they find more than either does alone.*

**Prerequisites:** lessons 1 (nearest neighbours), 5 (convolution) and 6 (training).

**Minutes:** 20 to read, about 15 seconds to run.

**You will be able to**

* tell corners, edges and noise apart with two eigenvalues,
* say which changes in lighting and position leave a description of an image unchanged, and check
  it,
* judge a list of search results by precision at k and by mean average precision.
"""

# sphinx_gallery_thumbnail_number = 4

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import datasets, manual_seed, methods, models, optim, training, transforms
from minivision.methods import features
from minivision.methods.features.local_binary_patterns import lbp_sums

from lesson import BLUE, GREEN, GREY, PALE, VERMILION, YELLOW, device, recorded_rows

COLOURS = {"local": BLUE, "global": YELLOW, "both": GREEN}

# %%
# Corner, edge or noise?
# ----------------------
# A point in one photograph can be found again in another only if it looks different from its
# surroundings. So we shift a small window slightly and measure how much its content changes. On a
# blank wall, the content hardly changes. On an edge, it changes if the window moves across the
# edge, but not along it. At a corner, it changes in every direction.
#
# Let Ix and Iy be the horizontal and vertical slopes of the grey levels, and let ⟨ ⟩ be the average
# over the window. One matrix, the *structure tensor* S, then gives the change for every direction.
# Its eigenvalues λ1 ≥ λ2 are the change in the direction of greatest change and in the direction
# perpendicular to it:
#
# .. code-block:: none
#
#    S = [[⟨Ix²⟩, ⟨Ix Iy⟩],      λ1 small: noise     λ1 large, λ2 small: edge     both large: corner
#         [⟨Ix Iy⟩, ⟨Iy²⟩]]      R = λ1·λ2 - 0.04·(λ1 + λ2)²  is above 0 at corners, below at edges
#
# (Moravec 1980; Harris & Stephens 1988.) ``corner_score`` computes R for every pixel and classifies
# the pixel as noise, edge or corner; ``interest_points`` returns the pixels whose R is larger than
# that of their eight neighbours, best first. Both functions compute the same numbers as OpenCV.

photo = load_sample_image("china.jpg")[20:340, 120:440]
score, kind = features.corner_score(photo)
points = features.interest_points(photo, most=150)
for name, value in (("noise", 0), ("edge", 1), ("corner", 2)):
    print(f"{name:<7}{(kind == value).mean():6.1%} of the pixels")
x, y = points.T
print(f"{len(points)} points; R from {score[y[0], x[0]]:.4f} down to {score[y[-1], x[-1]]:.4f}")

figure, (first, second) = plt.subplots(1, 2, figsize=(9.2, 4.8), layout="constrained")
first.imshow(photo)
for colour, width in (("white", 2.4), (VERMILION, 1.2)):
    first.plot(x, y, "o", markersize=5, markerfacecolor="none", markeredgecolor=colour,
               markeredgewidth=width)  # fmt: skip
first.set(title="the 150 best corners", xticks=[], yticks=[])
strength = (
    np.sign(score) * abs(score) ** 0.5
)  # without the root, only the very best would be visible
strength[kind == 0] = 0
limit = np.percentile(abs(strength), 99.5)
second.imshow(strength, cmap="RdBu_r", vmin=-limit, vmax=limit)
second.set(title="√R: corners red, edges blue, noise white", xticks=[], yticks=[])

# %%
# There are no corners in the sky. Straight beams and the parallel rows of tiles are blue: they are
# edges. Much of the rest is slightly corner-like, as the percentages above show, because R is below
# 0 only on clean edges. That is why we keep only the peaks of R, best first. They lie at the ends
# of the eaves and of the rows of tiles.
#
# A patch in 128 numbers
# ----------------------
# How should we describe the surroundings of a point? The pixel values themselves are a poor choice:
# a shift by one pixel or different lighting changes all of them. So the patch of 16x16 pixels
# around the point is divided into 4x4 cells, and in each cell every pixel votes for one of eight
# directions, that of its slope. A vote counts more if the slope is steep, and less if the pixel is
# far from the centre of the patch. The vector of all 4·4·8 = 128 votes is scaled to length 1,
# clipped at 0.2, and scaled to length 1 again. This is the SIFT descriptor (Lowe 2004), computed as
# in OpenCV.

best_point = points[:1]
column, row = best_point[0]
(descriptor,) = features.patch_descriptors(photo, best_point)
darker = (photo * 0.5).astype(np.uint8)
brighter = (photo // 2 + 100).astype(np.uint8)
for name, changed in (("half as bright", darker), ("half the contrast, +100", brighter)):
    (other,) = features.patch_descriptors(changed, best_point)
    (elsewhere,) = features.patch_descriptors(photo, best_point + np.array([0, 40]))
    print(f"{name:<24} distance {np.linalg.norm(descriptor - other):.3f};",
          f"from a patch 40 pixels lower {np.linalg.norm(descriptor - elsewhere):.3f}")  # fmt: skip

figure, (first, second) = plt.subplots(1, 2, figsize=(7.6, 3.9), layout="constrained")
window = slice(row - 8, row + 8), slice(column - 8, column + 8)
first.imshow(photo[window], extent=(0, 4, 4, 0))
first.set(title="the patch", xticks=range(5), yticks=range(5))
first.tick_params(labelbottom=False, labelleft=False, length=0)
first.grid(color="white", linewidth=1)
for i, cell in enumerate(descriptor.reshape(16, 8)):
    down, right = i // 4 + 0.5, i % 4 + 0.5
    for direction, vote in enumerate(cell):
        angle = 2 * np.pi * direction / 8
        reach = 0.48 * vote / descriptor.max()
        second.plot((right, right + reach * np.cos(angle)), (down, down - reach * np.sin(angle)),
                    color=BLUE, linewidth=2)  # fmt: skip
second.set(title="its 4·4·8 numbers", xlim=(0, 4), ylim=(4, 0), xticks=range(5), yticks=range(5))
second.set_aspect("equal")
second.tick_params(labelbottom=False, labelleft=False, length=0)
second.grid(color=PALE)

# %%
# Each blue line points from dark to bright. Adding a constant to the grey levels changes no slope,
# and multiplying them by a factor changes all slopes by the same factor, which the scaling to
# length 1 removes. The small distances printed above come from rounding: the grey levels are
# integers, and OpenCV stores the 128 numbers as bytes.
#
# The mean of the descriptors of an image's 100 best corners is the **local part** of its
# description: it says what the details look like, but not where they are.
#
# Brighter or not
# ---------------
# The other description compares every pixel with its eight neighbours: is the neighbour at least as
# bright as the pixel? The eight yes-or-no answers, read counter-clockwise, form one of 256 *local
# binary patterns*. The 58 patterns that change between yes and no at most twice around the circle
# are called uniform, and each gets its own bin of a histogram; all other patterns share one bin.
# The histogram with these 59 bins is the **global part** of an image's description.

grey = photo[:, :, 1:2] // 2 * 2  # only even levels, so that there is room to shift them
level = np.arange(128)
table = np.zeros(256, np.uint8)
table[2 * level] = np.maximum(level, 255 * (level / 127) ** 4)  # strictly increasing
figure, grid = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
pictures = {
    "grey": grey,
    "its patterns": features.lbp_codes(grey),
    "new lighting, same order": table[grey],
    "its patterns: the same": features.lbp_codes(table[grey]),
}
for axes, (title, picture) in zip(grid, pictures.items(), strict=True):
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set(title=title, xticks=[], yticks=[])
before = features.lbp_histogram(grey)
histograms = {
    "new lighting": features.lbp_histogram(table[grey]),
    "sixteen levels of grey": features.lbp_histogram(grey // 16),
    "a quarter turn": features.lbp_histogram(np.rot90(grey)),
}
for name, histogram in histograms.items():
    print(f"{name:<24} largest change in a bin {abs(histogram - before).max():.4f},",
          f"in a sum {abs(lbp_sums(histogram) - lbp_sums(before)).max():.4f}")  # fmt: skip

# %%
# A change in lighting that keeps the order of the grey levels changes *no pattern at all*. A change
# that makes different levels equal does change patterns, because "at least as bright" includes
# equality. A quarter turn moves patterns to other bins, but the number of ones in a pattern stays
# the same, so sums over all bins with the same number of ones do not change. The sky, which has no
# corner at all, is full of patterns: a difference of one grey level counts as much as the edge of
# the roof. The two parts fail on different images, so together they may do better.
#
# Two parts, one vector
# ---------------------
# For each image, each part is scaled to length 1. Then the part's mean over all images is
# subtracted, and the result is divided by its spread, so that both parts vary equally. The two
# parts are weighted, with weights w and 1 - w, and concatenated into one vector. The squared
# distance between two images is then
#
# .. code-block:: none
#
#    d² = w·d_local² + (1 - w)·d_global²
#
# Finally, principal component analysis keeps the directions in which the vectors vary most. Ahmed,
# Irtaza & Iqbal (2017) combine these ingredients; we had access only to their abstract, so the
# sizes and weights are our own choice. Our collection consists of two photographs, cut into tiles.
# A query is excluded from its own results.

tiles, source = [], []
for number, name in enumerate(("china.jpg", "flower.jpg")):
    whole = load_sample_image(name)
    for y in range(0, 427 - 70, 71):
        for x in range(0, 640 - 79, 80):
            tiles.append(whole[y : y + 71, x : x + 80])
            source.append(number)
source, parts = np.array(source), methods.ClassicFeatures()(tiles)
queries = (2, 64)
figure, grid = plt.subplots(6, 7, figsize=(8.6, 7), layout="constrained")
for block, query in enumerate(queries):
    for line, (part, w) in enumerate((("local", 1), ("global", 0), ("both", 0.5))):
        vectors = methods.FeatureFusion(w).fit(parts).transform(parts)
        near = features.ranking(vectors, vectors[query : query + 1])[0]
        near = near[near != query][:6]
        for i, (axes, tile) in enumerate(zip(grid[3 * block + line], (query, *near), strict=True)):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(i == 0)
            if i == 0 and line > 0:
                axes.spines[:].set_visible(False)
            else:
                axes.imshow(tiles[tile])
        grid[3 * block + line, 0].set_ylabel(part, color=COLOURS[part], fontsize=11)

# %%
# The query is on the left. For each query, the first row shows what the local part finds, the
# second what the global part finds, and the third what both find together with equal weights.
# Neither part sees colour, and neither knows what a roof is. We chose the two queries so that each
# part does better on one of them. Around the spire, the global part sees the smooth sky and
# confuses it with the flower's background, which is just as smooth. If the query is a tile of that
# background, the local part has only a few weak corners to go by. Two hand-picked queries are an
# illustration and prove nothing.
#
# How good is a list?
# -------------------
# A result is *relevant* if it shows what the query shows. *Precision at k* is the fraction of
# relevant results among the first k. *Average precision* is the mean of the precisions at the ranks
# of the relevant results, so it covers the whole list, with most weight on its beginning. Its mean
# over many queries is the *mean average precision*, or **mAP**. For a list of four results, of
# which the first and the third are relevant, we can compute it by hand:

relevant = np.array([[True, False, True, False]])
print(f"precision at 2: {features.precision_at_k(relevant, 2):.2f};  average precision "
      f"(1/1 + 2/3) / 2 = {features.average_precision(relevant)[0]:.3f}")  # fmt: skip

# %%
# In our collection, a tile is relevant if it comes from the same photograph as the query. We use
# every tile as a query and search among all the others:


def tiles_found(w):
    """Precision at 6 and mAP, with each tile as a query among all the others."""
    vectors = methods.FeatureFusion(w).fit(parts).transform(parts)
    order = np.array([[j for j in line if j != i] for i, line in
                      enumerate(features.ranking(vectors, vectors))])  # fmt: skip
    relevant = source[order] == source[:, None]
    return features.precision_at_k(relevant, 6), features.mean_average_precision(relevant)


for part, w in (("local", 1), ("global", 0), ("both", 0.5)):
    print("{:<7} precision at 6 {:.1%}, mAP {:.1%}".format(part, *tiles_found(w)))
chance = np.mean([(source == s).sum() - 1 for s in source]) / (len(source) - 1)
print(f"by guessing {chance:.1%}")

# %%
# Equal weights were a guess, and here a poor one: the two parts together find less than the better
# part alone.
#
# How much weight?
# ----------------
# A better way is to choose w on separate queries, the validation images. Here we use drawn shapes
# with random rotation, position and lighting: 500 are in the *index*, the collection that is
# searched, 200 are queries for choosing w, and 300 more are queries for the test.

shapes = datasets.ShapeDataset(1000, seed=19)
described = methods.ClassicFeatures()(shapes.images)
cuts = {"index": slice(0, 500), "validation": slice(500, 700), "test": slice(700, 1000)}
part_of = {
    name: ({part: rows[cut] for part, rows in described.items()}, shapes.labels[cut])
    for name, cut in cuts.items()
}
scores = methods.choose_weight(
    *part_of["index"], *part_of["validation"], weights=np.round(np.linspace(0, 1, 11), 1)
)
best = float(next(iter(scores)))


def found(w, index, test):
    """The mAP of test queries in an index."""
    (rows, labels), (asked, wanted) = index, test
    fusion = methods.FeatureFusion(w).fit(rows)
    order = features.ranking(fusion.transform(rows), fusion.transform(asked))
    return features.mean_average_precision(labels[order] == wanted[:, None])


for part, w in (("local", 1), ("global", 0), ("both", best)):
    print(f"{part:<7} w = {w:g}: mAP {found(w, part_of['index'], part_of['test']):.1%}")
print(f"by guessing {1 / len(shapes.classes):.1%}")

figure, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
weights = sorted(scores)
axes.plot(weights, [scores[w] for w in weights], "o-", color=GREEN)
axes.plot(best, scores[best], "o", markersize=13, markerfacecolor="none", markeredgecolor=VERMILION)
axes.annotate("chosen", (best, scores[best]), xytext=(0, -20), textcoords="offset points",
              ha="center", color=VERMILION)  # fmt: skip
axes.set(xlabel="w: 0 is the global part alone, 1 the local part alone", ylabel="validation mAP")
axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
axes.grid(color=PALE)
axes.spines[["top", "right"]].set_visible(False)

# %%
# The same two parts from a network
# ---------------------------------
# A trained network provides both parts, too: a trained classifier serves as a backbone (lesson 14)
# for a task other than classification. Each position in the feature maps of its last convolution
# describes a window of the image, and the mean over all positions is the local part. The input of
# its last fully connected layer is the global part. ``DeepFeatures`` returns the two parts in the
# same form as ``ClassicFeatures``, and the rest of the procedure does not change. LeNet-5 is
# trained on half of the training digits; the other half is the index.

train, validation, test = datasets.load_dataset("digits")
prepare = transforms.Compose(
    [
        transforms.ToArray(),
        transforms.Normalize(train.images.mean() / 255, train.images.std() / 255),
    ]
)
half = len(train) // 2
learned, rest = datasets.stratified_split(train, (half, len(train) - half))
index, asked = (part.batch(np.arange(len(part))) for part in (rest, test))
networks = {}
for name in ("trained", "fresh"):
    manual_seed(0)
    networks[name] = models.lenet5().to(device)
training.fit(
    networks["trained"],
    datasets.DataLoader(learned, 32, shuffle=True, transform=prepare),
    training.classification_loss,
    optim.Adam(networks["trained"].parameters(), 2e-3),
    epochs=6,
    device=device,
)
sources = {name: methods.DeepFeatures(model, prepare, 1) for name, model in networks.items()}
sources = {"classic": methods.ClassicFeatures()} | sources
for name, describe in sources.items():
    known, unknown = (describe(index[0]), index[1]), (describe(asked[0]), asked[1])
    line = [f"{part} {found(w, known, unknown):.1%}"
            for part, w in (("local", 1), ("global", 0), ("both", 0.5))]  # fmt: skip
    print(f"{name:<8} mAP: {', '.join(line)}")

# %%
# ``fresh`` is the control: the same network before training. Random filters are a description, too,
# and not the worst one; the contribution of training is the difference between ``trained`` and
# ``fresh``. And for the trained network, equal weights give a lower mAP than its good global part
# alone.
#
# Does fusion help?
# -----------------
# ``examples/measure_feature_fusion.py`` has measured this with several seeds on CIFAR-10
# photographs, shapes and digits. The images for training the network, for the index, for choosing w
# and for the test do not overlap. w is one of 0.1, 0.2, …, 0.9, so both parts always contribute.
# *First ten* is the precision at 10, and *ten vote* is the accuracy if the ten nearest images vote
# for the class. Each line ends with the difference between both parts together and the better part
# alone, in points, paired by seed; ± is its standard error. A difference is called a gain or a loss
# if it exceeds two standard errors, and *not clear* otherwise.

rows = recorded_rows("feature_fusion.json")
MEASURES = {
    "precision_at_10": "first ten",
    "mean_average_precision": "mAP",
    "neighbor_accuracy": "ten vote",
}


def of(collection, source, part, measure="mean_average_precision"):
    """The recorded values, one number per seed."""
    mine = [r for r in rows
            if (r["collection"], r["source"], r["part"]) == (collection, source, part)]  # fmt: skip
    return np.array([r[measure] for r in sorted(mine, key=lambda r: r["seed"])])


def compared(values, others):
    """The mean difference in points: a gain or a loss if it exceeds two standard errors."""
    gains = values - others
    error = gains.std(ddof=1) / len(gains) ** 0.5
    sure = abs(gains.mean()) > 2 * error
    seen = ("a gain" if gains.mean() > 0 else "a loss") if sure else "not clear"
    return f"{100 * gains.mean():+.2f} ± {100 * error:.2f}: {seen}"


collections = list(dict.fromkeys(row["collection"] for row in rows))
enough = [c for c in collections if len(of(c, "classic", "both")) > 2]
for collection in enough:
    seeds = len(of(collection, "classic", "both"))
    pixels, chance = (of(collection, control, "all").mean() for control in ("pixels", "chance"))
    print(f"\n{collection}, {seeds} seeds; mAP of pixels {pixels:.1%}, by guessing {chance:.1%}")
    for source_name in ("classic", "deep", "untrained network"):
        w = of(collection, source_name, "both", "local_weight")
        print(f"  {source_name}, chosen w {w.min():g} to {w.max():g}")
        for measure, short in MEASURES.items():
            values = {part: of(collection, source_name, part, measure) for part in COLOURS}
            better = max(("local", "global"), key=lambda part: values[part].mean())
            text = ", ".join(f"{part} {value.mean():.1%}" for part, value in values.items())
            difference = compared(values["both"], values[better])
            print(f"    {short:<12}{text}; both minus {better} {difference}")
if enough:
    figure, grid = plt.subplots(1, len(enough), figsize=(9.6, 3), layout="constrained")
    for axes, collection in zip(np.atleast_1d(grid), enough, strict=True):
        for place, source_name in enumerate(("classic", "deep", "untrained network")):
            for shift, part in enumerate(COLOURS):
                values = of(collection, source_name, part)
                x = place + 0.24 * (shift - 1)
                axes.bar(x, values.mean(), 0.22, color=COLOURS[part],
                         label=part if place == 0 else None)  # fmt: skip
                axes.plot(np.full(len(values), x), values, ".", color="black", markersize=3)
        axes.axhline(
            of(collection, "pixels", "all").mean(), color=GREY, linestyle="--", linewidth=1
        )
        axes.axhline(of(collection, "chance", "all").mean(), color=GREY, linestyle=":", linewidth=1)
        axes.set_xticks(range(3), ["classic", "deep", "untrained"])
        axes.set(title=collection)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.spines[["top", "right"]].set_visible(False)
    np.atleast_1d(grid)[0].set_ylabel("mAP")
    np.atleast_1d(grid)[0].legend(frameon=False, fontsize=9)
else:
    print("docs/results/feature_fusion.json does not have three seeds yet")

# %%
# The dashed line is the mAP of the raw pixels, and the dotted line that of guessing. Combining two
# descriptions helps only if each captures something that the other misses, as corners and textures
# do. In a trained network, the global part is *computed from* the maps whose mean is the local
# part, by layers that were trained to keep what matters. So the local part has little to add, and
# the w chosen for the deep features is small. Read each line to its end: losses are part of the
# result, and so are differences that are not clear. And look at the dashed line before you praise a
# description: on digits, which are all centred and lit alike, the raw pixels are hard to beat.
#
# To search your own photographs, without labels, run ``minivision search-images FOLDER QUERY.jpg``.
#
# Three things to try
# -------------------
# 1. Draw the 150 best corners of ``flower.jpg``. Where are they, and where are there none? Expect
#    most of them in the centre of the flower, some on the petals, and none in the background, which
#    is out of focus and therefore mostly classified as noise.
# 2. Rotate a tile that shows a roof by 90° (``np.rot90``), describe it with
#    ``methods.ClassicFeatures()`` and use it as a query. What is the rank of the original tile?
#    Expect it far down the list with the local part, whose cells and directions rotate with the
#    image, and often among the first ten with the global part, whose patterns only move to bins
#    with the same number of ones. Neither part is designed for rotations.
# 3. Replace the histogram of 59 bins with its ten sums (``lbp_sums``), which do not change under
#    quarter turns, and search the randomly rotated shapes with the global part alone. Expect an mAP
#    about one point *lower*: a description that ignores rotation also loses other information.
#
# **Next lesson:** 20 · Looking inside

plt.show()
