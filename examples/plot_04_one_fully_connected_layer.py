"""
4 · One fully connected layer
=============================

**What can a network know if it has only a single layer?**

*The smallest possible network has one weight for every pixel and class. Everything it knows fits
into ten pictures that you can look at. They explain why it reads most digits, and why it is enough
to move a digit by three pixels to confuse it.*

**Prerequisites:** lessons 1 (nearest neighbours) and 2 (gradients).

**Minutes:** 20 to read, about 10 seconds to run.

**You will be able to**

* show the weights of a layer as images and say what they measure,
* prove that choosing the nearest mean image is itself a fully connected layer,
* measure how a classifier copes with shifts and scaling, and say why one template per class is not
  enough.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, models, nn, no_grad, optim, training, transforms

from lesson import BLUE, GREY, PALE, VERMILION, device, recorded_rows, to_device

# %%
# Scores from pixels
# ------------------
# The nearest-neighbour classifier of lesson 1 keeps every image. Now we allow ourselves only ten
# pictures and ten numbers. Each class k gets a picture W_k of 28x28 weights and a number b_k. Its
# score for an image x is the sum of all pixels, each multiplied by the weight at its position, plus
# b_k:
#
# .. code-block:: none
#
#    score_k = Σ_ij W_k[i, j] · x[i, j] + b_k
#
# The class with the highest score is the prediction, and softmax turns the ten scores into
# probabilities. Such a layer is called *fully connected*. Used as a classifier on its own, it is
# called softmax regression. Each score is computed like a *perceptron*, the artificial neuron
# of the 1950s, which said yes if its weighted sum was positive and no otherwise. Several fully
# connected layers with a nonlinearity between them are still called a *multilayer perceptron*.

train, validation, test = datasets.load_dataset("digits")
mean, std = train.images.mean() / 255, train.images.std() / 255
prepare = transforms.Compose([transforms.ToArray(), transforms.Normalize(mean, std)])

with nn.skip_init():
    model = models.softmax_regression()
print(model)
print(f"10·28·28 + 10 = {10 * 28 * 28 + 10:,}, counted {model.parameter_count():,} parameters")

# %%
# The loss to minimise is the *cross-entropy*. Softmax turns the ten scores, also called logits,
# into probabilities q. The loss is the mean of -log q_y over the images, where q_y is the
# probability of the right class y: the more surprising the right class, the larger the loss. The
# gradient of the loss with respect to the logits is (q - p) / N for N images, where p is 1 for the
# right class and 0 for all others. For a single layer, this loss has only one valley, so the
# starting point does not matter: inside ``skip_init`` no weights are drawn, and all are 0. We use
# gradient descent as in lesson 2, but Adam chooses the steps.


def trained(transform, epochs):
    """Train a single layer on the training digits with the given transform."""
    with nn.skip_init():
        model = models.softmax_regression()
    training.fit(
        model,
        datasets.DataLoader(train, batch_size=32, shuffle=True, transform=transform),
        training.classification_loss,
        optim.Adam(model.parameters(), lr=1e-3),
        epochs,
        device=device,
    )
    return model


def accuracy(model, data, change=None):
    """The share of correct predictions, after applying `change` (if given) to every image."""
    steps = [*([change] if change else []), transforms.ToArray(), transforms.Normalize(mean, std)]
    return training.evaluate(
        model, datasets.DataLoader(data, 256, transform=transforms.Compose(steps))
    )["accuracy"]


model = trained(prepare, epochs=20)
print(f"validation accuracy {accuracy(model, validation):.1%}, test {accuracy(model, test):.1%}")

# %%
# All it knows
# ------------
# Here are the ten pictures. Where a weight is positive (orange), ink is evidence for the class;
# where it is negative (violet), ink is evidence against it. Such a picture is called a *template*.
# It is multiplied by the image pixel by pixel, and the products are summed, so the better the two
# agree, the higher the score.
#
# Above each template is the mean of all training images of its class, minus the mean over all
# classes. These mean images involve no training at all.

learned = models.templates(model)[:, 0]
images = prepare(train.images)[:, 0]
means = np.stack([images[train.labels == k].mean(axis=0) for k in range(10)])
differences = means - means.mean(axis=0)
correlations = [
    np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(differences, learned, strict=True)
]

figure, grid = plt.subplots(2, 10, figsize=(9.2, 2.6), layout="constrained")
for k in range(10):
    for axes, picture, stack in ((grid[0, k], differences[k], differences),
                                 (grid[1, k], learned[k], learned)):  # fmt: skip
        largest = abs(stack).max()
        axes.imshow(picture, cmap="PuOr_r", vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[])
    grid[0, k].set_title(str(k), fontsize=10)
    grid[1, k].set_xlabel(f"r = {correlations[k]:.2f}", fontsize=9)
grid[0, 0].set_ylabel("class mean", fontsize=9)
grid[1, 0].set_ylabel("learned", fontsize=9)
figure.suptitle("Mean images and learned templates, with their correlation r", fontsize=11)
print(
    "correlations",
    " ".join(f"{r:.2f}" for r in correlations),
    f"  mean {np.mean(correlations):.2f}",
)

# %%
# The two rows look much alike. How much of what the layer knows is in the mean images alone? There
# is no need to guess, because a classifier that picks the nearest mean image m_k *is* a fully
# connected layer. Multiply out the distance, as in lesson 1:
#
# .. code-block:: none
#
#    -|x - m_k|² = 2 m_k·x - |m_k|² - |x|²
#
# The last term is the same for all classes, so the nearest mean image is the one with the highest
# score ``2 m_k·x - |m_k|²``: the weights are ``2 m_k``, and the bias is ``-|m_k|²``. We put these
# into a layer, without any training:

by_means = models.softmax_regression()
layer = by_means.classifier[0]
layer.weight.data = np.float32(2 * means.reshape(10, -1))
layer.bias.data = np.float32(-(means**2).sum(axis=(1, 2)))

x = prepare(test.images)
with no_grad():
    predictions = by_means(Tensor(x)).numpy().argmax(axis=1)  # on the CPU, where it was made
nearest = np.stack([((x[:, 0] - m) ** 2).sum(axis=(1, 2)) for m in means], axis=1).argmin(axis=1)
print(
    f"the layer and the search for the nearest mean agree on {(predictions == nearest).mean():.0%}"
)
print(f"test accuracy: mean images {accuracy(by_means, test):.1%}, learned templates",
      f"{accuracy(model, test):.1%}")  # fmt: skip

# %%
# So the mean images alone do most of what the layer can do. Training adds the rest: it strengthens
# the weights at pixels where similar classes differ, and it ignores pixels where all classes look
# alike. That is also why the correlation r is not 1.
#
# A digit moves
# -------------
# A template expects its ink at certain pixels. What if the digit is somewhere else? We move one
# digit to the right, overlay it on the template of its own class, and look at the ten scores.

chosen = int(np.flatnonzero(test.labels == 3)[0])
digit, own = test[chosen][0], learned[3]
figure, grid = plt.subplots(2, 5, figsize=(8.8, 4.0), layout="constrained", height_ratios=(3, 2))
largest = abs(own).max()
for s, (above, below) in zip(range(0, 10, 2), grid.T, strict=True):
    moved = transforms.Translate(s, 0)(digit)
    with no_grad():
        scores = model(Tensor(to_device(prepare(moved)[None], device))).numpy()[0]
    above.imshow(own, cmap="PuOr_r", vmin=-largest, vmax=largest)
    above.contour(moved[..., 0], levels=[110], colors="black", linewidths=1.5)
    prediction = scores.argmax()
    above.set_title(f"{s} px: read as {prediction}", fontsize=10,
                    color="black" if prediction == 3 else VERMILION)  # fmt: skip
    above.set(xticks=[], yticks=[])
    colours = [BLUE if k == 3 else (VERMILION if k == prediction else GREY) for k in range(10)]
    below.bar(range(10), scores, color=colours)
    below.axhline(0, color=GREY, linewidth=0.8)
    below.set_xticks(range(10), [str(k) for k in range(10)], fontsize=7)
    below.spines[["top", "right"]].set_visible(False)
    below.set_xlabel("class", fontsize=8)
    below.tick_params(axis="y", labelsize=7)
for axes in grid[1]:
    axes.sharey(grid[1, 0])
grid[1, 0].set_ylabel("score", fontsize=8)
figure.suptitle("A 3 slides over the template of class 3 (blue: the score of class 3)", fontsize=11)

# %%
# As the digit moves, its strokes leave the orange regions and enter the violet ones. To the layer,
# a digit that has moved is not the same digit in a different position, but simply different pixels.
# Next we shift and scale all test digits:

shifts, scales = range(7), (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
print("shift (px)  " + "".join(f"{s:>8}" for s in shifts))
by_shift = [
    np.mean([accuracy(model, test, transforms.Translate(d, 0)) for d in (-s, s)]) for s in shifts
]
print("accuracy    " + "".join(f"{a:>8.1%}" for a in by_shift))
print("scale       " + "".join(f"{f:>8}" for f in scales))
print(
    "accuracy    " + "".join(f"{accuracy(model, test, transforms.Scale(f)):>8.1%}" for f in scales)
)

# %%
# Can it be taught?
# -----------------
# The obvious remedy is to show the layer shifted digits during training. We train it for the same
# number of epochs, with random shifts of up to three pixels:

taught = trained(
    transforms.Compose(
        [transforms.RandomTranslate(3), transforms.ToArray(), transforms.Normalize(mean, std)]
    ),
    epochs=20,
)
print("shift (px)     " + "".join(f"{s:>8}" for s in shifts))
for name, network in (("as they are", model), ("with shifts", taught)):
    values = [
        np.mean([accuracy(network, test, transforms.Translate(d, 0)) for d in (-s, s)])
        for s in shifts
    ]
    print(f"{name:<15}" + "".join(f"{a:>8.1%}" for a in values))

blurred = models.templates(taught)[:, 0]
figure, grid = plt.subplots(2, 10, figsize=(9.2, 2.4), layout="constrained")
for k in range(10):
    for axes, stack in ((grid[0, k], learned), (grid[1, k], blurred)):
        largest = abs(stack).max()
        axes.imshow(stack[k], cmap="PuOr_r", vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[])
    grid[0, k].set_title(str(k), fontsize=10)
grid[0, 0].set_ylabel("as they are", fontsize=9)
grid[1, 0].set_ylabel("with shifts", fontsize=9)
figure.suptitle(
    "Templates learned from digits as they are and from digits in 49 positions", fontsize=11
)

# %%
# The layer gets better on shifted digits and worse on unshifted ones. It has one picture per class,
# and a picture that has to match a digit in 49 positions matches it well in none.
#
# Compared with a convolutional network
# -------------------------------------
# Is the task too hard, then? To find out, we trained the single layer and LeNet-5, the network of
# lesson 6, on the same images in the same way. These runs were made beforehand on the 55,000
# training digits of MNIST, with three seeds and two epochs each
# (``examples/measure_shift_and_scale.py``).

rows = recorded_rows("shift_and_scale.json")


def recorded(name, augmentation, kind):
    """The shifts or scales, and the mean and standard deviation of the accuracy over seeds."""
    found = [
        row[f"test_accuracy_by_{kind}"]
        for row in rows
        if (row["model"], row["training_shift"]) == (name, augmentation)
    ]
    at = list(found[0])
    values = np.array([[one[key] for key in at] for one in found])
    return [float(key) for key in at], values.mean(axis=0), values.std(axis=0, ddof=1)


names = {"softmax_regression": "one layer", "lenet5": "LeNet-5"}
figure, panels = plt.subplots(1, 2, figsize=(9.2, 3.9), layout="constrained", sharey=True)
for axes, kind, label in zip(
    panels, ("shift", "scale"), ("shift of the test digits (pixels)", "scale of the test digits"),
    strict=True,
):  # fmt: skip
    for name, colour in (("softmax_regression", VERMILION), ("lenet5", BLUE)):
        for augmentation, style in ((0, "o-"), (3, "s--")):
            at, values, spread = recorded(name, augmentation, kind)
            words = "trained with shifts of ±3 px" if augmentation else "digits as they are"
            axes.errorbar(at, values, spread, fmt=style, color=colour, markersize=5, capsize=2,
                          label=f"{names[name]}, {words}")  # fmt: skip
            print(f"{names[name]:<10}{words:<30}{kind:<6}"
                  + "".join(f"{v:>7.1%}" for v in values))  # fmt: skip
    axes.set(xlabel=label, ylim=(0, 1.02))
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("test accuracy")
panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
panels[1].legend(frameon=False, fontsize=8, loc="lower center")
figure.suptitle("MNIST, shifted and scaled: mean and standard deviation over 3 seeds", fontsize=11)

# %%
# The figure shows three things. Without shifts in training, the accuracy of both networks falls as
# the digits move, but that of the single layer falls much sooner. With shifts in training, LeNet-5
# learns to read shifted digits at hardly any cost, whereas the single layer now misreads many of
# the digits that have not moved. Scaling is a separate matter. Neither network was trained on it,
# but LeNet-5 tolerates it far better. Training with shifts hardly changes how LeNet-5 copes with
# scaling, but it makes the single layer much worse at reading small digits.
#
# What does LeNet-5 have that the single layer lacks? It looks for small patterns, in the same way
# everywhere in the image, before it decides on a digit. The next lesson builds a layer that does
# this.
#
# Three things to try
# -------------------
# 1. Run ``minivision train --model softmax_regression --dataset digits``, which trains the same
#    network from the command line. By default it shifts the training digits by up to 2 pixels;
#    compare the result with ``--shift 0``. Expect a slightly higher accuracy without the shifts:
#    the test digits have not moved, and, as above, one picture per class cannot match a digit in
#    many positions.
# 2. In ``trained``, leave out ``with nn.skip_init()``, so that the layer starts with random
#    weights. Expect nearly the same accuracy, but noisy templates: pixels that are dark in all
#    images all get the same gradient, so the random differences between their weights remain.
# 3. Compute the means for ``by_means`` from *shifted* digits, ten for each image, and measure its
#    accuracy on unshifted ones. Expect about the accuracy of the layer trained with shifts, which
#    has lost its advantage over the mean images.
#
# **Write it yourself:** ``minivision exercise start softmax``, and then ``cross_entropy`` and
# ``matmul``.
#
# **Next lesson:** :doc:`5 · Convolution <plot_05_convolution>`

plt.show()
