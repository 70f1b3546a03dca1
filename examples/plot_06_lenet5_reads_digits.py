"""
6 · LeNet-5 reads digits
========================

**How does LeNet-5 read digits, and what does it not understand?**

*You train a network that read cheques in the 1990s; today it learns to read digits in seconds. Then
you look inside it and change the digits until it fails.*

**Prerequisites:** lessons 2 and 3 (gradients), 4 (fully connected layers), 5 (convolution).

**Minutes:** 25 to read, about 25 seconds to run.

**You will be able to**

* account for every size and every parameter of LeNet-5,
* train it, read its learning curves and its confusion matrix, and use a test set properly,
* show where such a network fails despite its high accuracy, and repair one of the failures.
"""

# sphinx_gallery_thumbnail_number = 4

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, models, no_grad, optim, training, transforms
from minivision import functional as F
from minivision.models import lenet_original
from minivision.nn import Conv2d, Flatten, MaxPool2d
from minivision.training.metrics import accuracy, confusion_matrix, per_class_accuracy

from lesson import BLUE, GREY, PALE, VERMILION, device, to_device, to_host

# %%
# The data
# --------
# The digits come with scikit-learn: real handwriting from 13 people, stored as 8x8 pixels, which we
# enlarge to 28x28. They are divided into three sets with the same class proportions. The network
# learns from the training set, and we monitor it on the validation set. The test set stays
# untouched until the end.

train, validation, test = datasets.load_dataset("digits")
print(f"{len(train)} training, {len(validation)} validation and {len(test)} test images,",
      f"each {train[0][0].shape}, {train[0][0].dtype}")  # fmt: skip

figure, grid = plt.subplots(4, 10, figsize=(8.4, 3.6), layout="constrained")
for k in range(10):
    for row, i in enumerate(np.flatnonzero(train.labels == k)[::30][:4]):
        grid[row, k].imshow(train[i][0], cmap="gray")
        grid[row, k].set_axis_off()
    grid[0, k].set_title(train.classes[k])
figure.suptitle("Four training images from each class")

# %%
# A network learns best from numbers with a mean near 0 and a standard deviation near 1. So we
# subtract the mean of all training pixels and divide by their standard deviation. (We use only the
# *training* pixels: taking anything from the test set, even a mean, would be peeking at the exam
# paper.)

mean, std = train.images.mean() / 255, train.images.std() / 255
prepare = transforms.Compose([transforms.ToArray(), transforms.Normalize(mean, std)])
images, labels = next(iter(datasets.DataLoader(train, 256, transform=prepare)))
print(f"raw pixels: mean {mean:.3f} and standard deviation {std:.3f} on a scale from 0 to 1")
print(f"a batch {images.shape}: mean {images.mean():.2f}, standard deviation {images.std():.2f}")

# %%
# The network, layer by layer
# ---------------------------
# We can write LeNet-5 as a table. Its 5x5 convolutions look for patterns, max pooling keeps the
# strongest response in every 2x2 window, and three fully connected layers decide. To see the sizes
# along the way, we send one image through the network.

manual_seed(0)
model = models.lenet5()
x = Tensor(images[:1])
print(f"{'layer':<10} {'output':<14} {'parameters':>10}")
print(f"{'(image)':<10} {x.shape[1:]!s:<14}")
sides = [x.shape[2]]
with no_grad():
    for layer in [*model.features, Flatten(), *model.classifier]:
        x = layer(x)
        print(f"{type(layer).__name__:<10} {x.shape[1:]!s:<14} {layer.parameter_count():>10,}")
        if isinstance(layer, Conv2d | MaxPool2d):
            sides.append(x.shape[2])
print(f"{'total':<25} {model.parameter_count():>10,}")
print("side length of the maps:", " -> ".join(map(str, sides)))

# %%
# Let us check one line by hand. The second convolution has 16 filters, each of which looks at 5x5
# pixels in all 6 maps and has one bias: 16·(6·5·5 + 1). And look where the parameters are: the
# convolutions, which do the seeing, have only a few of them.

by_hand = 16 * (6 * 5 * 5 + 1)
first_linear = model.classifier[0].parameter_count()
print(
    f"by hand {by_hand:,}, counted {model.features[3].parameter_count():,};",
    f"the first fully connected layer alone has {first_linear / model.parameter_count():.0%}",
)

# %%
# Which LeNet-5?
# --------------
# Three networks go by this name. ``lenet5`` pads the image by two pixels on each side, so that the
# first convolution gets 32x32 pixels, as in 1998. ``lenet5_lecture`` is the version in many lecture
# notes: Conv-Pool-Conv-Pool-FC-FC, without padding and with one hidden layer. The third is the
# original network from LeCun et al. 1998, ``lenet5_original``, to which we return at the end.
#
# =================  =====================  =====================  ================================
# part               ``lenet5``             ``lenet5_lecture``     LeCun et al. 1998
# =================  =====================  =====================  ================================
# input              28x28, padded by 2     28x28                  32x32
# sizes              28, 14, 10, 5          24, 12, 8, 4           28, 14, 10, 5
# pooling            maximum                maximum                sum · weight + bias, trained
# activation         ReLU                   ReLU                   1.7159·tanh(2a/3)
# 2nd convolution    sees all 6 maps        sees all 6 maps        sees 3, 4 or 6 maps, by a table
# hidden layers      120, 84                120                    120, 84
# output             softmax of 10 scores   softmax of 10 scores   distance to ten drawn 7x12 images
# =================  =====================  =====================  ================================

c1, s2, s4 = 6 * (25 + 1), 6 * 2, 16 * 2
c3 = 6 * (3 * 25 + 1) + 9 * (4 * 25 + 1) + 1 * (6 * 25 + 1)  # six filters see 3 maps, nine 4, one 6
c5, f6 = 120 * (16 * 25 + 1), 84 * (120 + 1)
print(f"1998: C1 {c1} + S2 {s2} + C3 {c3} + S4 {s4} + C5 {c5} + F6 {f6} =",
      f"{c1 + s2 + c3 + s4 + c5 + f6:,} trained parameters")  # fmt: skip
for build in (models.lenet5, models.lenet5_lecture, models.lenet5_original):
    print(f"{build.__name__}: {build().parameter_count():,}")

# %%
# Training
# --------
# ``fit`` is the fifteen lines from lesson 2, plus batches, a progress line, and an evaluation on
# the validation set after every epoch. The optimizer is Adam. The learning rate falls from its
# initial value to zero along half a cosine.


def trained(model, transform, unchanged, epochs=8):
    """Train on the training images with this transform; return the model and its history.

    unchanged: the transform for validation, without shifts.
    """
    history = training.fit(
        model,
        datasets.DataLoader(train, batch_size=32, shuffle=True, transform=transform),
        training.classification_loss,
        optim.Adam(model.parameters(), lr=2e-3),
        epochs,
        schedule=optim.cosine(epochs),
        validate=lambda model: training.evaluate(
            model, datasets.DataLoader(validation, 256, transform=unchanged)
        ),
        device=device,
    )
    return model, history


manual_seed(0)
model, history = trained(models.lenet5(), prepare, prepare)
print("epoch  training loss  accuracy  validation loss  accuracy  seconds")
for record in history:
    print(f"{record['epoch']:>5} {record['train_loss']:>14.4f} {record['train_accuracy']:>9.1%}"
          f"{record['validation_loss']:>17.4f} {record['validation_accuracy']:>9.1%}"
          f"{record['seconds']:>9.1f}")  # fmt: skip

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3), layout="constrained")
for axes, quantity in ((left, "loss"), (right, "accuracy")):
    for part, colour, style in (("train", BLUE, "o-"), ("validation", VERMILION, "s--")):
        values = history[f"{part}_{quantity}"]
        axes.plot(history["epoch"], values, style, color=colour, markersize=5, label=part)
    axes.set(xlabel="epoch", title=quantity)
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
left.set_yscale("log")
right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
left.legend(frameon=False)

# %%
# At the beginning the validation curve is *better* than the training curve. There is nothing
# strange about that: the training values are averages over an epoch, and for most of the epoch the
# network was worse than at its end. Later, the training loss keeps falling although the validation
# loss has all but stopped. From then on the network learns the training images rather than digits.
#
# The test, once
# --------------
# Now, and only now, we use the test set. If we looked at the result, changed a setting, and looked
# again, we would be fitting the settings to these 360 images, and the accuracy would be too
# optimistic.

test_batches = datasets.DataLoader(test, 256, transform=prepare)
logits, labels = training.predict_logits(model, test_batches)
predictions = logits.argmax(axis=1)
correct = int((predictions == labels).sum())
error = np.sqrt(accuracy(logits, labels) * (1 - accuracy(logits, labels)) / len(labels))
print(f"test accuracy {accuracy(logits, labels):.2%}: {correct} of {len(labels)},",
      f"standard error {error:.2%}")  # fmt: skip

# %%
# The standard error says how much the accuracy would vary from one set of test images to another.
# If the accuracies of two networks differ by less than two or three standard errors, the test
# cannot tell them apart.

confusion = confusion_matrix(predictions, labels, 10)
worst = per_class_accuracy(confusion).argmin()
print(f"hardest class: {worst}, with {per_class_accuracy(confusion)[worst]:.1%} read correctly")

figure, axes = plt.subplots(figsize=(4.8, 4.6), layout="constrained")
errors = confusion - np.diag(confusion.diagonal())
axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(3, errors.max()) / 0.75)
for true, predicted in np.argwhere(confusion):
    colour = GREY if true == predicted else "black"
    count = confusion[true, predicted]
    axes.text(predicted, true, count, ha="center", va="center", color=colour)
axes.set_xticks(range(10))
axes.set_yticks(range(10))
axes.tick_params(length=0)
axes.set(xlabel="predicted class", ylabel="true class", title="Errors are off the diagonal")

# %%
# What does it look at?
# ---------------------
# The first convolution has six filters of 5x5 weights. A filter responds strongly where the image
# resembles it. Below each filter is its feature map for one test digit, after ReLU and pooling; the
# map is bright where the filter found its pattern. The last row shows seven of the sixteen maps
# after the second convolution and pooling. The deeper the layer, the more specific the pattern and
# the less precise its position.

filters = to_host(model.features[0].weight.data)[:, 0]
chosen = int(np.flatnonzero(labels == 4)[0])
x = Tensor(to_device(prepare(test[chosen][0])[None], device))
with no_grad():
    first = model.features[:3](x)
    second = model.features[3:](first)

figure, grid = plt.subplots(3, 7, figsize=(8.8, 3.9), layout="constrained")
for axes in grid.flat:
    axes.set_axis_off()
grid[0, 0].imshow(test[chosen][0], cmap="gray")
grid[0, 0].set_title("the digit", fontsize=9)
largest = abs(filters).max()
for i in range(6):
    picture = grid[0, i + 1].imshow(filters[i], cmap="PuOr", vmin=-largest, vmax=largest)
    grid[0, i + 1].set_title(f"filter {i + 1}", fontsize=9)
    grid[1, i + 1].imshow(first.numpy()[0, i], cmap="gray", vmin=0)
    grid[1, i + 1].set_title(f"1st, map {i + 1}", fontsize=9)
for i in range(7):
    grid[2, i].imshow(second.numpy()[0, i], cmap="gray", vmin=0)
    grid[2, i].set_title(f"2nd, map {i + 1}", fontsize=9)
figure.colorbar(picture, ax=grid, label="weight", shrink=0.3, anchor=(0, 0.95))

# %%
# When is it unsure?
# ------------------
# Softmax turns the ten scores into probabilities. We sort the test digits by the probability of the
# predicted class and look at the twelve digits about which the network is least certain. Would you
# have recognised them?

probabilities = F.softmax(logits).numpy()
confidence = probabilities.max(axis=1)
unsure = np.argsort(confidence, kind="stable")[:12]
figure, grid = plt.subplots(2, 6, figsize=(8.4, 3.4), layout="constrained")
for i, axes in zip(unsure, grid.flat, strict=True):
    right = predictions[i] == labels[i]
    axes.imshow(test[i][0], cmap="gray")
    title = f"{predictions[i]} ({confidence[i]:.0%})" + ("" if right else f", is {labels[i]}")
    axes.set_title(title, fontsize=10, color="black" if right else VERMILION)
    axes.set_axis_off()
figure.suptitle("The least certain predictions; wrong predictions in orange")
wrong = predictions != labels
print(f"of the {wrong.sum()} errors, {wrong[unsure].sum()} are among these twelve")

# %%
# So the probability is useful: a machine that sorts mail can pass the doubtful ones on to a
# human and avoid many of its errors. But see what happens with images unlike those that the network
# learned from.
#
# The same digit, changed
# -----------------------
# To you, a digit is still the same digit if it is dark on a bright background, or a few pixels to
# the side. The network has never seen such images.


def predict(model, images):
    """Probabilities for uint8 images (N, H, W, C)."""
    with no_grad():
        return F.softmax(model(Tensor(to_device(prepare(images), device)))).numpy()


digit = test[chosen][0]
views = {"as it is": digit, "inverted": 255 - digit}
views |= {f"{s} px right": transforms.Translate(s, 0)(digit) for s in (2, 4, 6)}
figure, grid = plt.subplots(1, len(views), figsize=(8.4, 2.2), layout="constrained")
for axes, (name, view), p in zip(
    grid, views.items(), predict(model, np.stack(list(views.values()))), strict=True
):
    axes.imshow(view, cmap="gray")
    axes.set_title(f"{name}\n{p.argmax()} ({p.max():.0%})", fontsize=10,
                   color="black" if p.argmax() == labels[chosen] else VERMILION)  # fmt: skip
    axes.set(xticks=[], yticks=[])
figure.suptitle("What does it read?")

inverted = predict(model, 255 - test.images)
print(f"accuracy on inverted test digits {accuracy(inverted, labels):.1%} (guessing: 10 %),",
      f"with a mean confidence of {inverted.max(axis=1).mean():.0%}")  # fmt: skip

# %%
# On inverted digits the network is nearly always wrong, and it does not know it. Its probabilities
# are meaningful only for digits that resemble the training images.
#
# Convolutions are said to make a network insensitive to the position of a pattern. To test this, we
# move all test digits left and right by up to six pixels. We also train a second network of the
# same kind on images that are shifted at random by up to two pixels, differently in every epoch.
# (We do not choose anything based on these curves, so we may use the test set again.)

shifting = transforms.Compose(
    [transforms.RandomTranslate(2), transforms.ToArray(), transforms.Normalize(mean, std)]
)
manual_seed(0)
with_shifts, _ = trained(models.lenet5(), shifting, prepare)

shifts = range(7)
curves = {"as they are": [], "shifted by up to 2 px": []}
ink = []
for s in shifts:
    moved = [
        np.stack([transforms.Translate(d, 0)(image) for image in test.images]) for d in (-s, s)
    ]
    ink.append(sum(m.sum(dtype=float) for m in moved) / (2 * test.images.sum(dtype=float)))
    for name, network in zip(curves, (model, with_shifts), strict=True):
        curves[name].append(np.mean([accuracy(predict(network, m), labels) for m in moved]))

print("shift (px)            " + "".join(f"{s:>8}" for s in shifts))
for name, values in {**curves, "ink still in the image": ink}.items():
    print(f"{name:<22}" + "".join(f"{value:>8.1%}" for value in values))

# %%
figure, axes = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
styles = ((VERMILION, "s--"), (BLUE, "o-"))
for (name, values), (colour, style) in zip(curves.items(), styles, strict=True):
    axes.plot(shifts, values, style, color=colour, label=f"trained on digits {name}")
axes.plot(shifts, ink, ":", color=GREY, label="share of the ink still in the image")
axes.axvspan(0, 2, color=PALE, alpha=0.6, zorder=0)
axes.text(1, 0.03, "shifts seen in\ntraining (blue)", ha="center", color=GREY, fontsize=9)
axes.set(xlabel="test digits moved left or right (pixels)", ylabel="test accuracy", ylim=(0, 1.02))
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.16), fontsize=9)
axes.spines[["top", "right"]].set_visible(False)

# %%
# The feature maps of the convolution and pooling layers do move with the digit. But the fully
# connected layer after them has a separate weight for every position in the last maps, and it has
# learned where digits usually are. So the first network fails after a few pixels. Training with
# shifts taught the second network more positions, and it holds out longer, even a little beyond the
# shifts that it saw. The dotted line is a control: hardly any ink has left the image, so you could
# still read the digits.
#
# Each of the two networks was trained once, with one seed, so this is a demonstration. The results
# pages report such comparisons over several seeds.
#
# The original network
# --------------------
# Now for the original network. Three of its ideas have gone out of use, but each is worth a look.
# First, the maps of its second convolution do not see all six previous maps, but only those listed
# in a *table*. This saves computation, and it forces different maps to find different things.
# Second, its sub-sampling layers have a trained weight and bias for every map. Third, the network
# does not output scores. Its last layer, F6, has 84 units because 84 = 7·12, and it learns to
# *draw* the digit in 7x12 pixels. The network predicts the digit whose ideal picture is nearest to
# this drawing. (The paper gives its ideal pictures only as a figure, so we drew our own.)
#
# We train it twice. The first time we use the loss from the paper, which is essentially the squared
# distance between F6 and the ideal picture of the right digit as long as that distance is large.
# The second time we use cross-entropy, for which the right picture only needs to be nearer than the
# others.

paper = transforms.Compose(
    [transforms.Pad((32, 32)), transforms.ToArray(), transforms.Normalize(0.1 / 1.275, 1 / 1.275)]
)  # pixels from -0.1 to 1.175
shown = [int(np.flatnonzero(labels == k)[0]) for k in range(10)]
x = Tensor(to_device(np.stack([paper(test[i][0]) for i in shown]), device))
drawings = {}
for name, loss in (("paper's loss", lenet_original.map_loss), ("cross-entropy", F.cross_entropy)):
    manual_seed(0)
    original = models.lenet5_original()
    original.loss = loss
    trained(original, paper, paper)
    logits_1998, _ = training.predict_logits(
        original, datasets.DataLoader(test, 256, transform=paper)
    )
    print(f"{name:<14} {original.parameter_count():,} parameters,",
          f"test accuracy {accuracy(logits_1998, labels):.2%}")  # fmt: skip
    with no_grad():
        f6 = original.classifier[:2](original.features(x).flatten())  # squashing included
    drawings[name] = f6.numpy().reshape(10, 12, 7)

figure, grid = plt.subplots(4, 10, figsize=(8.6, 5.8), layout="constrained",
                            height_ratios=(2, 3, 3, 3))  # fmt: skip
rows = {
    "shown": [test[i][0] for i in shown],
    "ideal": lenet_original.pictures().reshape(10, 12, 7),
    **drawings,
}
for row, (name, images) in zip(grid, rows.items(), strict=True):
    row[0].set_ylabel(name)
    for axes, image in zip(row, images, strict=True):
        axes.set(xticks=[], yticks=[])
        if name == "shown":
            axes.imshow(image, cmap="gray")
        else:
            axes.imshow(image, cmap="gray_r", vmin=-1.2, vmax=1.2)
figure.suptitle("What the 84 units of F6 make of ten test digits")

# %%
# With the loss from the paper, F6 does draw the digit, and when the network is sure, the drawing
# matches the ideal picture almost pixel by pixel. With cross-entropy, the network is right about as
# often, but F6 draws next to nothing: faint differences are enough. A network learns only what its
# loss rewards.

figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 2.6), layout="constrained")
left.imshow(original.features[4].connected.T, cmap="gray_r", vmax=1.6)
left.set(
    xlabel="map of the second convolution, C3", ylabel="map of S2", title="Which map sees which"
)
left.set_xticks(range(16))
distances = np.sqrt(
    ((lenet_original.pictures()[:, None] - lenet_original.pictures()) ** 2).sum(axis=2)
)
right.imshow(distances, cmap="Blues")
right.set(xticks=range(10), yticks=range(10), title="Distances between the ideal pictures")
near = np.sort(distances[np.triu_indices(10, 1)])
print(f"ideal pictures are {near[0]:.1f} to {near[-1]:.1f} apart")

# %%
# Similar digits have similar ideal pictures: the drawing of an ambiguous 3 lies somewhere between a
# 3 and an 8, and a program that reads whole words can use that. Softmax, which pushes one score up
# and all others down, ignores which digits look alike.
#
# What came next
# --------------
# LeNet-5 is the oldest of the three classic networks in this course. The other two have largely the
# same design, with more layers, more weights and more training images.
#
# .. code-block:: none
#
#    1998   LeNet-5             60 thousand weights   reads digits on cheques
#    2012   AlexNet, lesson 7    61 million weights   wins ILSVRC 2012: photographs in 1,000 classes
#    2014   VGG-16, lesson 9    138 million weights   second in ILSVRC 2014 (classification)
#
# The same on the command line
# ----------------------------
# .. code-block:: none
#
#    minivision train --model lenet5 --dataset digits --epochs 8 --shift 0
#    minivision evaluate runs/lenet5-digits-1
#    minivision predict runs/lenet5-digits-1 my_digit.png
#
# ``train`` creates a folder under ``runs/`` for the settings, a log with one line per epoch, the
# weights and the learning curves, and prints its name. ``predict`` first makes your picture look
# like the training images: it finds the ink, whether dark or bright, scales it, and moves it to the
# centre. By now you know why.
#
# Three things to try
# -------------------
# 1. Train ``models.lenet5_lecture()`` instead of ``models.lenet5()``. Expect a test accuracy within
#    two standard errors of the one above, with only a little more than half the parameters.
# 2. Replace ``transforms.RandomTranslate(2)`` with ``transforms.RandomTranslate(4)``. Expect the
#    blue curve to stay high up to about four pixels, and its left end to drop a little: the same
#    network has more to learn in the same eight epochs.
# 3. Train on inverted images as well: begin the pipeline with a transform that, with probability
#    one half, returns ``255 - image``:
#
#    .. code-block:: python
#
#       class MaybeInvert:
#           random, takes_batches = True, False
#
#           def __call__(self, image, rng):
#               return 255 - image if rng.random() < 0.5 else image
#
#    Expect the accuracy on inverted digits to rise nearly to that on the others. If you want a
#    network to ignore something, you have to show it examples.
#
# **Write it yourself:** ``minivision exercise start max_pool2d``, and then ``sgd``.
#
# **Next lesson:** 7 · AlexNet

plt.show()
