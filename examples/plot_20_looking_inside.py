"""
20 · Looking inside
===================

**A network is nearly always right. Is it right for the right reason?**

*A network with an excellent validation accuracy has learned something absurd. You look inside it in
four ways to find out what, repair the network, and check the repair in the same four ways.*

**Prerequisites:** lessons 2 (gradients), 5 (convolution), 6 (training and confusion) and 8
(receptive fields).

**Minutes:** 25 to read, about 20 seconds to run.

**You will be able to**

* draw filters, feature maps, saliency, class activation maps, Grad-CAM and occlusion, and say what
  each of them measures,
* catch a network that is right for the wrong reason, prove it by an experiment, and repair it,
* find a network's most confident mistakes, and draw a map of the images that it finds similar.
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
# Suppose that someone gives us 2,000 photographs of squares, discs, triangles, stars and rings. We
# keep 500 of them for validation. (In fact ``ShapeDataset`` draws them, so we know the exact
# position of each shape, which we will use. The 500 images in ``others`` play the part of
# photographs from a different camera; we will need them later.) Look at the images before you read
# on: one of the classes has something that the other classes lack.

RANGES = {"angle": (-20.0, 20.0), "clutter": (0, 3), "position": (0.4, 0.75), "scale": (0.35, 0.6)}
STAR = 3
SHOWN = 4  # the index, within its class, of the image that is drawn below


def with_mark(data, which):
    """A copy of the data; the images in `which` get a white 4x4 mark in the upper left corner."""
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
figure.suptitle("Eight training images from each class")

# %%
# The network has three convolutions, and its last layers will be useful later: every feature map of
# the last convolution is averaged over all positions, and one linear layer computes the scores from
# these averages.


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
    """A network trained on the given data."""
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
# That looks like a good accuracy. But an accuracy only tells us how often a network is right; it
# cannot tell us *why*. So we look inside.
#
# Filters and feature maps
# ------------------------
# The filters of the first layer are applied to pixels, so they can be drawn as small images. The
# output of a layer can be drawn, too, map by map: a map is bright where its filter found what it
# responds to.

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
figure.suptitle(
    "A star: filters of the first layer, their maps, and eight maps of the last convolution"
)

# %%
# Filters of 3x3 pixels are too small for the eye to see much in them. Their maps still resemble the
# image: they show its edges and surfaces. The last maps have only 8x8 positions and represent more
# than edges. You may have noticed which corner is bright in several of them. But a bright map need
# not affect the prediction, so we have to ask how the prediction depends on the image.
#
# Saliency
# --------
# Training uses the gradient of the loss with respect to the weights. We can also compute a gradient
# with respect to the pixels: ∂s/∂x, where s is the score (the logit) of a class. Where this
# gradient is large, a small change in a pixel changes the score a lot. The *saliency* of a pixel is
# the absolute value of its gradient, or the largest of the three values for a colour image
# (Simonyan, Vedaldi & Zisserman 2013).
#
# Class activation maps
# ---------------------
# The gradient shows how the score would change if a pixel changed; the last feature maps show where
# the network *found* what it was looking for. This network averages each map A_f over its positions
# and then computes a weighted sum of the averages, with weights w_f and bias b. Exchanging the sum
# and the average shows how much each position contributes to the score:
#
# .. code-block:: none
#
#    s = Σ_f w_f · mean(A_f) + b = mean over the positions of (Σ_f w_f A_f) + b
#
# The expression in parentheses is the **class activation map** (Zhou et al. 2016). The code below
# checks that its mean plus the bias is the score.

evidence = grad_cam_evidence(suspect, x[star : star + 1], classes=STAR)
head = suspect[-1].state_dict()
bracket = np.einsum("f,fij->ij", head["weight"][STAR], evidence.maps[0])
score = training.predict_logits(suspect, [(x[star : star + 1], labels[:1])])[0][0, STAR]
assert np.isclose(bracket.mean() + head["bias"][STAR], score, rtol=1e-3, atol=1e-3)
print(f"mean of the map {bracket.mean():.3f} + bias {head['bias'][STAR]:.3f} = score {score:.3f}")

# %%
# Most networks have more layers after their last feature maps. **Grad-CAM** (Selvaraju et al. 2017)
# therefore weights each map by the mean of the score's gradient with respect to it, and keeps only
# the positive part of the sum. For our network, these weights are those of the linear layer up to a
# constant: because each map is averaged over 8x8 positions, the gradient is w_f / 64 at every
# position.

ratio = head["weight"][STAR] / evidence.weights[0]
print(f"weights of the linear layer / weights of Grad-CAM: {ratio.min():.2f} to {ratio.max():.2f}")

# %%
# Occlusion
# ---------
# The last method needs no gradient. We slide a grey patch over the image and run the network again
# for every position of the patch: where does covering the image lower the probability of the class
# (Zeiler & Fergus 2014)? The figure shows all four methods together, for one image from each class.
# Red regions are evidence for the class; covering a blue region raises the probability.


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


look(suspect, "The suspect: the evidence behind its predictions")

# %%
# In four of the rows, the red regions are on the shape. In the star's row they are mostly in the
# corner, whichever method we use. The network seems to ignore the star itself and to look at the
# white mark.
#
# Caught, in numbers
# ------------------
# A single image can mislead, so we play the **pointing game** with all 500: is the largest value of
# a map inside the shape's bounding box, or in the 8x8 pixels of the upper left corner, where the
# mark is? We need two controls. The first is chance: a random pixel hits a box with a probability
# equal to the box's share of the area. The second is a network with random weights, because such a
# network has maps, too.


def pointing(heat):
    """For each image, whether the largest value is in the box, and whether it is in the corner."""
    row, column = np.divmod(heat.reshape(len(heat), -1).argmax(axis=1), heat.shape[2])
    x0, y0, x1, y1 = boxes.T
    in_box = (x0 <= column) & (column < x1) & (y0 <= row) & (row < y1)
    return in_box, (row < 8) & (column < 8)


def play(*models):
    """Print the hit rates on the validation images, averaged over the models."""
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
print("\nthree networks with random weights")
play(*[network(seed) for seed in (1, 2, 3)])
print("\nthe suspect")
play(suspect)

# %%
# In images of stars, Grad-CAM's maximum is hardly ever on the star. But look at the table for
# random weights, too: those networks have learned nothing, and yet Grad-CAM often points at the
# mark, because it is the brightest thing in the image. So a map can raise a suspicion, but it
# proves nothing. An experiment can settle the question, because here we can change the cause: we
# show the network stars without the mark, and other shapes with it. The images from the other
# camera have no marks, so we use them as they are and with a mark added to every image.


def share_read_as(model, data, true, predicted):
    logits, of = training.predict_logits(model, datasets.DataLoader(data, 250, transform=prepare))
    return (logits.argmax(axis=1) == predicted)[true(of)].mean()


def experiment(model):
    marked = with_mark(others, slice(None))
    stars = [share_read_as(model, data, lambda of: of == STAR, STAR) for data in (others, marked)]
    rest = [share_read_as(model, data, lambda of: of != STAR, STAR) for data in (others, marked)]
    print(
        f"accuracy on {len(others)} images from the other camera {accuracy_on(model, others):.1%}"
    )
    print(f"stars read as stars:      without the mark {stars[0]:>4.0%}, with it {stars[1]:>4.0%}")
    print(f"others read as stars:     without the mark {rest[0]:>4.0%}, with it {rest[1]:>4.0%}")


experiment(suspect)

# %%
# So the validation accuracy was correct but worthless: the validation images came from the same
# collection and had the same secret. Such shortcuts are common. Networks have relied on hospital
# marks in X-ray images, on a photographer's name under pictures of horses, and on the snow behind
# huskies. A network uses whatever lowers the loss, and a mark is easier to recognise than a star.
#
# The repair
# ----------
# A mark that is unrelated to the class is useless to a network. So we cover the corner of *every*
# training image with the colour of a neighbouring pixel, and then add the mark to a random half of
# all images. Then we train the same network again, from the same initial weights.


def without_corner(data):
    """A copy of the data whose images have their upper left corner covered."""
    images = data.images.copy()
    images[:, :6, :6] = images[:, 6:7, 6:7]
    return datasets.ArrayDataset(images, data.labels, data.classes)


half = np.random.default_rng(0).random(len(train)) < 0.5
repaired = trained(with_mark(without_corner(train), half))
experiment(repaired)
print()
play(repaired)

# %%
look(repaired, "Repaired: the same images, including the mark")

# %%
# The images still have their marks, but the predictions hardly depend on the marks any more. On
# images from the other camera, which are what counts, the accuracy has risen by many points. On the
# old validation images, however, it has fallen! If we had used the validation accuracy to choose
# between the two networks, we would have chosen the wrong one:

print(f"validation accuracy: suspect {accuracy_on(suspect, validation):.1%},",
      f"repaired {accuracy_on(repaired, validation):.1%}")  # fmt: skip

# %%
# What does it still get wrong?
# -----------------------------
# A confusion matrix counts mistakes. The mistakes that a network is most confident about are worth
# looking at one by one: in real data sets, they include images with wrong labels and images that
# nobody could recognise.

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
figure.suptitle("The most common mistakes; in each row, the most confident first")

# %%
# Look at the stray lines: where one of them touches a shape with corners, it can pass for a point
# of a star.
#
# A map of what it finds similar
# ------------------------------
# The last layer receives 32 numbers per image, the averages of the last feature maps. Two images
# with similar numbers get similar predictions. If we draw the images along the two directions in
# which these numbers vary most, the first two **principal components**, we get a map of the data
# set as the network sees it.

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
    print(f"{name}: the two components explain {shares[0]:.0%} + {shares[1]:.0%} of the variance")
grid[1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# In the repaired network's map the classes are separated, and classes that it confuses are next to
# each other.
#
# How far to trust a picture
# --------------------------
# * Saliency is local: it shows only the effect of an infinitesimal change. And it follows the
#   outlines of objects even if the network has learned nothing: compare the random networks above
#   with chance.
# * Grad-CAM has only as many positions as its layer, here 8x8, which are stretched over the image;
#   and each unit sees more of the image than the square to which its value is stretched (lesson 8).
# * In occlusion, the patch is itself visible to the network, and its size matters: evidence that is
#   larger than the patch, or present in two places at once, is missed.
# * All the methods show *where* the evidence is, but none shows *what* it is: the tip of a star and
#   the tip of a triangle look the same in a map.
#
# So use several methods, count over many images, and let an experiment decide.
#
# The same on the command line
# ----------------------------
# The command ``explain`` draws one page for each of your own images:
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
#    fainter mark, and hardly at all on the faintest: a network takes a shortcut only if the
#    shortcut is easier than the task.
# 2. Mark only every second star in the training set. The network then has to recognise stars
#    without a mark as well. Expect it to recognise nearly all of them, and still to be fooled by a
#    mark on some of the other shapes.
# 3. Cover the corner of the training images, but do not add any marks. Expect the network to
#    recognise unmarked stars as well as the repaired one does, and fewer of the marked stars: a
#    network that has never seen a mark has not learned to ignore it.
#
# **Next lesson:** 21 · How it is fast

plt.show()
