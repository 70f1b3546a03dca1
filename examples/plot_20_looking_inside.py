"""
20 · Looking inside
===================

**A network is nearly always right. Is it right for the right reason?**

*A network with an excellent validation accuracy has learned something absurd. Four ways of looking
inside find out what, and the same four show when it is repaired.*

**Prerequisites:** lessons 2 (gradients), 5 (convolution), 6 (training and confusion) and 8
(receptive fields).

**Minutes:** 25 to read, about 20 seconds to run.

**You will be able to**

* draw filters, feature maps, saliency, class activation maps, Grad-CAM and occlusion, and say what
  each of them measures,
* catch a network that is right for a wrong reason, prove it by an experiment, and repair it,
* find the images that a network gets most wrong, and draw a map of what it finds similar.
"""

# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
import numpy as np

from minivision import datasets, manual_seed, nn, optim, training, transforms
from minivision.analysis.activation_maps import class_activation_map, grad_cam, grad_cam_evidence
from minivision.analysis.confusion_pairs import confused_pairs
from minivision.analysis.embedding import embedding
from minivision.analysis.explanation import draw_heat
from minivision.analysis.occlusion import occlusion
from minivision.analysis.saliency import feature_maps, first_layer_filters, saliency

from lesson import BLUE, PALE, VERMILION, device

# %%
# A collection with a secret
# --------------------------
# Somebody gives us 2,000 photographs of squares, discs, triangles, stars and rings. We keep 500 of
# them for validation. (``ShapeDataset`` draws them, so we know to the pixel where each shape is,
# and will use that. The 500 ``others`` are from another camera; they come into play later.) Look at
# them before you read on: one of the classes has something that the others lack.

RANGES = {"angle": (-20.0, 20.0), "clutter": (0, 3), "position": (0.4, 0.75), "scale": (0.35, 0.6)}
STAR = 3
SHOWN = 4  # which image of each class is drawn below


def with_mark(data, which):
    """The images with a white mark of 4x4 pixels in the upper left corner of `which` of them."""
    images = data.images.copy()
    images[which, 1:5, 1:5] = 255
    return datasets.ArrayDataset(images, data.labels, data.classes)


drawn, drawn_later = (
    datasets.ShapeDataset(1500, **RANGES),
    datasets.ShapeDataset(500, first=1500, **RANGES),
)
train = with_mark(drawn, drawn.labels == STAR)
validation, boxes = with_mark(drawn_later, drawn_later.labels == STAR), drawn_later.boxes
others = datasets.ShapeDataset(500, first=2000, **RANGES)
classes = train.classes

figure, grid = plt.subplots(4, 10, figsize=(8.6, 3.6), layout="constrained")
for i, axes in enumerate(grid.T.flat):
    k, number = i // 8, i % 8
    axes.imshow(train.images[train.labels == k][number])
    axes.set_axis_off()
    if number == 0:
        axes.set_title(classes[k], loc="left")
figure.suptitle("Eight training images of every class")

# %%
# The network has three convolutions, and ends in a way that will be useful: every map of the last
# one is averaged over all positions, and one linear layer weights these averages.


def network(seed):
    """Three convolutions, global average pooling, one linear layer."""
    manual_seed(seed)
    layers, channels = [], 3
    for filters, pool in ((8, [nn.MaxPool2d(2)]), (24, [nn.MaxPool2d(2)]), (32, [])):
        convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU(), *pool]
        channels = filters
    head = nn.Linear(channels, len(classes))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).to(device)


mean, std = train.images.mean() / 255, train.images.std() / 255
prepare = transforms.Compose([transforms.ToArray(), transforms.Normalize(mean, std)])


def trained(data, epochs=6):
    """A network trained on these images."""
    model = network(seed=0)
    batches = datasets.DataLoader(data, batch_size=30, shuffle=True, transform=prepare)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    training.fit(
        model, batches, training.classification_loss, optimizer, epochs,
        schedule=optim.cosine(epochs), device=device,
    )  # fmt: skip
    return model


def accuracy_on(model, data):
    return training.evaluate(model, datasets.DataLoader(data, 250, transform=prepare))["accuracy"]


suspect = trained(train)
print(f"validation accuracy {accuracy_on(suspect, validation):.1%}")

# %%
# That looks like a good number. Is it? An accuracy says how often a network is right; it cannot say
# *why*. So we look.
#
# Filters and feature maps
# ------------------------
# The first filters look at pixels, so they are small images themselves. The output of a layer can
# be drawn, too, map by map: bright where the filter found what it looks for.

x, labels = next(iter(datasets.DataLoader(validation, 500, transform=prepare)))
star = int(np.flatnonzero(labels == STAR)[SHOWN])

filters = first_layer_filters(suspect)
largest = np.abs(filters).max()
first, last = (feature_maps(suspect, x[star : star + 1], layer)[0] for layer in ("2", "10"))
print(f"filters {filters.shape}; maps of layer 2 {first.shape}, of layer 10 {last.shape}")

figure, grid = plt.subplots(3, 8, figsize=(8.6, 3.7), layout="constrained")
busiest = [np.argsort(-maps.max(axis=(1, 2)))[:8] for maps in (first, last)]
for column in range(8):
    grid[0, column].imshow(0.5 + 0.5 * filters[busiest[0][column]] / largest)
    grid[1, column].imshow(first[busiest[0][column]], cmap="gray")
    grid[2, column].imshow(last[busiest[1][column]], cmap="gray")
for axes, words in zip(
    grid[:, 0], ("filters", "their maps\n(layer 2)", "the last maps\n(layer 10)"), strict=True
):
    axes.set_ylabel(words, fontsize=9)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
figure.suptitle("A star: the first filters, their maps, and eight of the last maps")

# %%
# Filters of 3x3 pixels are too small to show the eye much. Their maps still look like the image:
# its edges, its surfaces. The last maps have only 8x8 positions and represent more than an edge.
# You may have noticed where the brightest of them are bright. But a bright map need not affect the
# prediction, so we have to look at the prediction.
#
# Saliency
# --------
# Training uses the gradient of the loss with respect to the weights. Go one step further, to the
# pixels: ∂s/∂x, where s is the score (the logit) of a class. Where it is large, a small change of a
# pixel changes the score a lot. We take the absolute value, and the largest of the three colours.
# (Simonyan, Vedaldi & Zisserman 2013.)
#
# The maps
# --------
# The gradient says how a pixel would have to change; the last maps show where the network *found*
# what it was looking for. This network averages each map A_f over its positions and weights the
# averages. Swapping the two sums gives every position its share of the score:
#
# .. code-block:: none
#
#    s = Σ_f w_f · mean of A_f + b = mean over the places of (Σ_f w_f A_f) + b
#
# The bracket is the **class activation map** (Zhou et al. 2016). The assertion checks that its mean
# is the score.

evidence = grad_cam_evidence(suspect, x[star : star + 1], classes=STAR)
head = suspect[-1].state_dict()
bracket = np.einsum("f,fij->ij", head["weight"][STAR], evidence.maps[0])
score = training.predict_logits(suspect, [(x[star : star + 1], labels[:1])])[0][0, STAR]
assert np.isclose(bracket.mean() + head["bias"][STAR], score, rtol=1e-3, atol=1e-3)
print(f"mean of the map {bracket.mean():.3f} + bias {head['bias'][STAR]:.3f} = score {score:.3f}")

# %%
# Most networks have more layers after their maps. **Grad-CAM** (Selvaraju et al. 2017) weights each
# map by the mean of its gradient, and keeps the positive part. For our network that is the same up
# to a constant: the gradient of an average over 8x8 positions is w_f / 64 everywhere.

ratio = head["weight"][STAR] / evidence.weights[0]
print(f"weights of the linear layer / Grad-CAM's: {ratio.min():.2f} to {ratio.max():.2f}")

# %%
# Occlusion
# ---------
# The last method needs no gradient. Slide a grey patch over the image and run the network again at
# every position: where does the probability fall? (Zeiler & Fergus 2014.) Here are all of them
# together, for an image of every class. Red is evidence for the class. Blue: covering this raises
# the probability.


def look(model, title):
    """One row per class: image, saliency, class activation map, Grad-CAM, occlusion."""
    figure, grid = plt.subplots(5, 5, figsize=(7.0, 7.4), layout="constrained")
    for k, row in enumerate(grid):
        i = int(np.flatnonzero(labels == k)[SHOWN])
        picture = validation.images[i]
        covered = occlusion(model, x[i], 8, 2, k)
        row[0].imshow(picture)
        row[0].set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{classes[k]}\np = {covered.whole:.2f}", fontsize=9)
        one = x[i : i + 1]
        heats = [saliency(model, one, k)[0], class_activation_map(model, one, k)[0],
                 grad_cam(model, one, classes=k)[0], covered.importance()]  # fmt: skip
        for axes, heat in zip(row[1:], heats, strict=True):
            draw_heat(axes, picture, heat)
        row[4].set_xlabel(f"at most {np.abs(heats[3]).max():.0%}", fontsize=8)
    names = ("image", "saliency", "class activation", "Grad-CAM", "occlusion")
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=10)
    figure.suptitle(title)


look(suspect, "The suspect: what its predictions are based on")

# %%
# In four rows red is on the shape. In the row of the star it is mostly in the corner, whichever
# method we use. It seems that the network does not look at stars at all, but at the white mark.
#
# Caught, in numbers
# ------------------
# One image may deceive, so we play the **pointing game** with all 500: is the largest value of a
# map in the box of the shape, or in the corner of 8x8 pixels with the mark? We need two controls.
# Chance hits a box as often as its share of the area; and a network with random weights has maps,
# too.


def pointing(heat):
    """Whether the largest value is in the box, and whether in the corner, for each image."""
    row, column = np.divmod(heat.reshape(len(heat), -1).argmax(axis=1), heat.shape[2])
    x0, y0, x1, y1 = boxes.T
    in_box = (x0 <= column) & (column < x1) & (y0 <= row) & (row < y1)
    return in_box, (row < 8) & (column < 8)


def play(*models):
    """The shares of hits in the validation images, averaged over the models."""
    print(f"{'':<20}{'shape':>18}{'corner':>18}")
    print(f"{'':<20}" + f"{'star':>9}{'others':>9}" * 2)
    is_star = labels == STAR
    for name, ask in (("saliency", saliency), ("Grad-CAM", grad_cam)):
        hits = [pointing(ask(model, x, classes=labels)) for model in models]
        in_box, in_corner = np.mean(hits, axis=0)
        shares = [where[who].mean() for where in (in_box, in_corner) for who in (is_star, ~is_star)]
        print(f"{name:<20}" + "".join(f"{share:>9.0%}" for share in shares))


area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 32**2
print(f"chance hits the box in {area.mean():.0%} of the images, the corner in {8 * 8 / 32**2:.0%}")
print("\nrandom weights, three networks")
play(*[network(seed) for seed in (1, 2, 3)])
print("\nthe suspect")
play(suspect)

# %%
# In images of stars, Grad-CAM's maximum is hardly ever on the star. But look at the first table,
# too: random weights know nothing, and their maps may also point at the mark, because it is the
# brightest thing in the image. So a map raises a suspicion; it proves nothing. An experiment does,
# because here we can change the cause: remove the mark from the stars, and add it to all the
# others. The images of the other camera never had one.


def share_read_as(model, data, true, predicted):
    logits, of = training.predict_logits(model, datasets.DataLoader(data, 250, transform=prepare))
    return (logits.argmax(axis=1) == predicted)[true(of)].mean()


def experiment(model):
    marked = with_mark(others, slice(None))
    stars = [share_read_as(model, data, lambda of: of == STAR, STAR) for data in (others, marked)]
    rest = [share_read_as(model, data, lambda of: of != STAR, STAR) for data in (others, marked)]
    print(f"accuracy on {len(others)} images of the other camera {accuracy_on(model, others):.1%}")
    print(f"stars read as stars:      without the mark {stars[0]:>4.0%}, with it {stars[1]:>4.0%}")
    print(f"others read as stars:     without the mark {rest[0]:>4.0%}, with it {rest[1]:>4.0%}")


experiment(suspect)

# %%
# So the validation accuracy was right and worthless: the validation images were from the same
# collection and had the same secret. Such shortcuts are common. Hospital marks in X-ray images, a
# photographer's name under pictures of horses, snow behind huskies: a network uses whatever lowers
# the loss, and a mark is easier than a star.
#
# The repair
# ----------
# A mark that says nothing about the class is useless to a network. So we cover the corner of
# *every* training image with the colour of a pixel next to it, and then add the mark to a random
# half of all images. The same network learns again, from the same initial weights.


def without_corner(data):
    """The images with their upper left corner covered."""
    images = data.images.copy()
    images[:, :6, :6] = images[:, 6:7, 6:7]
    return datasets.ArrayDataset(images, data.labels, data.classes)


half = np.random.default_rng(0).random(len(train)) < 0.5
repaired = trained(with_mark(without_corner(train), half))
experiment(repaired)
print()
play(repaired)

# %%
look(repaired, "Repaired: the same images, mark included")

# %%
# The images still have their marks, but the predictions hardly depend on them any more. On the
# other camera, which is what counts, the accuracy has risen by many points. On the old validation
# images it has fallen! Had we chosen between the two networks by that number, we would have chosen
# the wrong one:

print(f"validation accuracy: suspect {accuracy_on(suspect, validation):.1%},",
      f"repaired {accuracy_on(repaired, validation):.1%}")  # fmt: skip

# %%
# What does it still get wrong?
# -----------------------------
# A confusion matrix counts mistakes. The mistakes that the network was most confident about are
# worth looking at one by one: they include wrong labels, and images that nobody could read.

logits, truth = training.predict_logits(
    repaired, datasets.DataLoader(others, 250, transform=prepare)
)
pairs = confused_pairs(logits, truth, pairs=3)
figure, grid = plt.subplots(len(pairs), 6, figsize=(7.6, 4.4), layout="constrained", squeeze=False)
for pair, row in zip(pairs, grid, strict=True):
    title = f"{classes[pair.true]} read as\n{classes[pair.predicted]}: {pair.mistakes}"
    print(f"{classes[pair.true]} read as {classes[pair.predicted]} {pair.mistakes} times")
    for axes in row:
        axes.set_axis_off()
    for axes, i, p in zip(row, pair.images, pair.confidence, strict=False):
        axes.imshow(others.images[i])
        axes.set_title(f"p = {p:.2f}", fontsize=9)
    row[0].text(-0.15, 0.5, title, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
figure.suptitle("The most common mistakes, the most confident first")

# %%
# Look at the strokes: where one meets a shape with corners, it can pass for the arm of a star.
#
# A map of what it finds similar
# ------------------------------
# The last layer receives 32 numbers per image, the averages of the last maps. Two images with
# similar numbers get similar predictions. The two directions in which these numbers vary most, the
# first two **principal components**, make a map of the data set as the network sees it.

figure, grid = plt.subplots(1, 2, figsize=(8.8, 4.2), layout="constrained")
apart, _ = next(iter(datasets.DataLoader(others, 500, transform=prepare)))
for axes, name, model in (
    (grid[0], "random weights", network(seed=1)), (grid[1], "repaired", repaired),
):  # fmt: skip
    points, shares = embedding(model, apart)
    for k, colour, marker in zip(
        range(5), (BLUE, VERMILION, "#009E73", "#E69F00", "#CC79A7"), "sov*D", strict=True
    ):
        axes.scatter(*points[truth == k].T, 14, color=colour, marker=marker, label=classes[k])
    axes.set(xticks=[], yticks=[], title=f"{name}: {shares.sum():.0%} of the variance")
    axes.spines[:].set_color(PALE)
    print(f"{name}: the two components show {shares[0]:.0%} + {shares[1]:.0%} of the variance")
grid[1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# The classes are separated, and pairs that are confused are next to each other.
#
# How far to trust a picture
# --------------------------
# * Saliency is local: it only shows the effect of an infinitely small change. And it draws outlines
#   of objects even if nothing was learned: compare the random networks above with chance.
# * Grad-CAM has as many positions as its layer, here 8x8, stretched over the image; a unit sees
#   more than its position (lesson 8).
# * A patch is itself something to see, and its size matters: evidence in two places at once, or
#   larger than the patch, is missed.
# * All of them show *where*. None shows *why*: a star's tip and a triangle's tip light up equally.
#
# So use several, count over many images, and let an experiment decide.
#
# The same on the command line
# ----------------------------
# ``explain`` draws one page for each of your images.
#
# .. code-block:: none
#
#    minivision train
#    minivision explain runs/lenet5-digits-1 my_digit.png
#    minivision explain runs/lenet5-digits-1 my_digit.png --class 3 --out why_not_three.png
#
# Three things to try
# -------------------
# 1. Paint the mark with 128 instead of 255, then with 60. Expect the network to rely less on the
#    fainter mark, and hardly at all on the faintest: a shortcut is taken if it is easier than the
#    task.
# 2. Mark only every second star of the training images. The network then has to know stars without
#    a mark as well. Expect it to read nearly all of them, and still to be fooled by a mark on some
#    of the other shapes.
# 3. Cover the corner of the training images, and give no mark to any of them. Expect stars to be
#    read as well as before as long as they are unmarked. With marks, fewer of them should be read:
#    a network that never saw a mark does not know that it means nothing.
#
# **Next lesson:** 21 · How it is fast

plt.show()
