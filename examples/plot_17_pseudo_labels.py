"""
17 · Pseudo-labels
==================

**Can a network learn from labels that it has given itself?**

*You have fifty labelled images and a thousand unlabelled ones. The network labels the thousand
itself and learns from its own labels. When does that help, and when does the network only reinforce
its errors?*

**Prerequisites:** lessons 4 (cross-entropy), 13 (RandAugment) and 15 (soft and hard labels).

**Minutes:** 20 to read, about 20 seconds to run.

**You will be able to**

* write down the losses of Lee's pseudo-labels and of FixMatch, and say what they have in common,
* explain why a network cannot learn from its own soft labels,
* recognise confirmation bias, and name the baseline that a method has to beat.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, methods, models, optim, training, transforms
from minivision import functional as F
from minivision.nn import Flatten, Linear, Sequential, Tanh

from lesson import (
    BLUE,
    GREEN,
    GREY,
    PALE,
    PURPLE,
    VERMILION,
    chosen_rows,
    device,
    recorded_rows,
    show_claim,
)

# %%
# Where to draw the boundary
# --------------------------
# We start with two clusters of points, and only one labelled point in each. The labelled points are
# not at the centres of their clusters, so a decision boundary half-way between them is a poor one.
# But the unlabelled points show where the gap between the clusters is, and a boundary in the gap
# would cut neither cluster in two.
#
# At every update the network predicts a class for every unlabelled point, and the predicted class
# serves as the point's label, its *pseudo-label*, for this update: L = CE with the labels + α(t) ·
# CE with the pseudo-labels (Lee 2013). With α = 0 the network learns from the two labels alone.


def two_clusters(seed):
    """150 points around (-1, 0) and 150 around (1, 0), their classes, and the two labelled ones."""
    rng = np.random.default_rng(seed)
    truth = np.arange(300) % 2
    x, y = np.where(truth, 1, -1) + 0.35 * rng.normal(size=300), 0.8 * rng.normal(size=300)
    few = np.array([np.where(truth == k, x, 9).argmin() for k in (0, 1)])  # the leftmost of each
    return np.stack([x, y], 1).astype(np.float32).reshape(-1, 1, 1, 2), truth, few


def trained(clusters, weight):
    """A small network after 600 updates, each on all points."""
    points, truth, few = clusters
    manual_seed(2)
    model = Sequential(Flatten(), Linear(2, 30), Tanh(), Linear(30, 2))
    unknown = np.zeros(300, int)  # placeholders for labels; the loss does not use them
    batches = [((points[few], truth[few]), (points, unknown))] * 600
    rule = optim.Adam(model.parameters(), 0.001)
    training.fit(
        model, lambda epoch: batches, methods.pseudo_label_loss(weight), rule, 1, device=device
    )
    return model.to("cpu")


figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.3), layout="constrained", sharey=True)
x, y = np.meshgrid(np.linspace(-2.6, 2.4, 120), np.linspace(-2.4, 2.4, 90))
grid = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32).reshape(-1, 1, 1, 2)
CASES = (("labels alone", 2, 0.0), ("with pseudo-labels", 2, methods.ramp(30, 300, 1.0)),
         ("the same, new points", 0, methods.ramp(30, 300, 1.0)))  # fmt: skip
for axes, (title, seed, weight) in zip(panels, CASES, strict=True):
    points, truth, few = clusters = two_clusters(seed)
    model = trained(clusters, weight)
    p = F.softmax(model(Tensor(grid))).numpy()[:, 1].reshape(x.shape)
    axes.contourf(x, y, p, levels=[0, 0.5, 1], colors=["#DDEBF5", "#FBE5D6"])
    axes.scatter(*points.reshape(-1, 2).T, s=8, color=GREY, alpha=0.6)
    for k, colour in ((0, BLUE), (1, VERMILION)):
        axes.scatter(*points[few[k]].ravel(), s=90, color=colour, edgecolor="black", zorder=3)
    right = (model(Tensor(points)).numpy().argmax(axis=1) == truth).mean()
    axes.set(title=f"{title}: {right:.0%} right", xticks=[], yticks=[], ylim=(-2.4, 2.4))
    print(f"{title:<24} {right:.1%} of the points are classified correctly")

# %%
# From the left panel to the middle one, the boundary moves into the gap, where there are few
# points. The right panel repeats the experiment with newly drawn points: at first too many of them
# are on the wrong side, and the network becomes confident about them. Pseudo-labels can help or
# harm, and two labels are too few to tell which has happened.
#
# Why hard labels rather than soft ones?
# --------------------------------------
# Could the network learn from its own probabilities, used as soft labels? For soft labels p and
# predicted probabilities q, the gradient of cross-entropy is q - p, and here q equals p:

z = Tensor(np.array([[2.0, 0.5, -1.0]]), requires_grad=True)
F.cross_entropy(z, F.softmax(z).detach()).backward()
print("gradient with its own soft labels:", z.grad.round(6))
z.grad = None
F.cross_entropy(z, z.data.argmax(axis=1)).backward()
print("gradient with its own hard label: ", z.grad.round(3))

# %%
# A network's own soft labels teach it nothing. A hard label does change it: it raises the score of
# the most likely class, so the network becomes more confident. On its own, a hard label can do no
# more than that, and a network that is wrong becomes more confident in its error. This is called
# *confirmation bias*. There are two remedies:
#
# * trust the pseudo-labels later: α(t) is 0 at first and then grows (Lee),
# * trust only confident predictions, and learn them for a *different* view of the image: predict a
#   class for a weakly augmented image, and, if max p ≥ 0.95, use it as the label of the same image
#   under strong augmentation (FixMatch, Sohn et al. 2020).

alpha = methods.ramp(100, 600)
print("α at updates 0, 100, 350, 600, 1000:", [alpha(t) for t in (0, 100, 350, 600, 1000)])

# %%
# Fifty labels
# ------------
# Now we turn to digits: 50 with labels and 1,207 without. The baselines make the same number of
# updates with the same augmentation, but use no unlabelled images. Without these baselines we might
# credit the unlabelled images with an effect of the augmentation.

splits = datasets.load_dataset("digits")
labelled, rest = datasets.stratified_split(splits.train, (50, 1_207), seed=0)
pixels = labelled.images / 255
numbers = [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
plain = transforms.Compose(numbers)
weak = transforms.Compose([transforms.RandomTranslate(2), *numbers])
strong = transforms.Compose([transforms.RandomTranslate(2), transforms.RandAugment(2, 9), *numbers])
EPOCHS, STEPS = 6, 25
lee = methods.pseudo_label_loss(methods.ramp(30, 150), truth=rest.labels)
fixmatch = methods.pseudo_label_loss(threshold=0.95, truth=rest.labels)
WAYS = {
    "labels, plain": (plain, None, methods.pseudo_label_loss(0)),
    "labels, weak": (weak, None, methods.pseudo_label_loss(0)),
    "labels, strong": (strong, None, methods.pseudo_label_loss(0)),
    "pseudo-labels, weak": (weak, None, lee),
    "FixMatch": (weak, strong, fixmatch),
}
colours = (GREY, BLUE, GREEN, PURPLE, VERMILION)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
test = datasets.DataLoader(splits.test, 250, transform=plain)
held_out = datasets.DataLoader(splits.validation, 250, transform=plain)
for (name, (transform, second, loss)), colour in zip(WAYS.items(), colours, strict=True):
    batches = methods.pseudo_label_batches(
        datasets.DataLoader(labelled, 16, shuffle=True, transform=transform),
        datasets.DataLoader(datasets.WithoutLabels(rest), 48, shuffle=True, transform=transform),
        second,
        STEPS,
    )
    manual_seed(1)
    model = models.lenet5()
    rule = optim.Adam(model.parameters(), 0.003)
    records = training.fit(
        model, batches, loss, rule, EPOCHS,
        schedule=optim.cosine(EPOCHS), device=device,
        validate=lambda model: training.evaluate(model, held_out),
    )  # fmt: skip
    epochs = range(1, EPOCHS + 1)
    left.plot(epochs, records["validation_accuracy"], color=colour, label=name)
    text = f"{name:<20} test accuracy {training.evaluate(model, test)['accuracy']:.1%}"
    if "mask_rate" in records[-1]:
        text += (f", accepted {records['mask_rate'][-1]:.0%},"
                 f" {records['pseudo_label_accuracy'][-1]:.1%} of them right")  # fmt: skip
        known = [(e, r["mask_rate"], r["pseudo_label_accuracy"])
                 for e, r in zip(epochs, records, strict=True) if "mask_rate" in r]  # fmt: skip
        right.plot([k[0] for k in known], [k[1] for k in known], color=colour,
                   label=f"{name}: accepted")  # fmt: skip
        right.plot([k[0] for k in known], [k[2] for k in known], "--", color=colour,
                   label=f"{name}: right")  # fmt: skip
    print(text)
left.set(title="validation accuracy", xlabel="epoch")
right.set(title="the network's own labels", xlabel="epoch", ylim=(0, 1.05))
for axes in (left, right):
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)

# %%
# A single seed proves nothing. But the right panel is worth a look in any experiment: the fraction
# of accepted labels that are right decides whether a network teaches itself the truth or its own
# errors. It is normal that no labels are accepted in the first epochs, because the network is not
# confident yet.
#
# Recorded measurements
# ---------------------
# ``examples/measure_pseudo_labels.py`` compares both methods with training on the labelled images
# alone, on MNIST with 20,000 unlabelled images. With Lee's method, one hidden layer is trained for
# 4,000 updates; with FixMatch, LeNet-5 is trained for 600. The baseline always has the same network
# and as many updates. FixMatch's baseline also sees *strong* augmentation, because the gain over
# training without augmentation might come from the augmentation itself.

show_claim(53)

# %%
# What decides whether Lee's pseudo-labels help? For each seed, we print how many of them are right
# at the end of training, and what they gained.

rows = recorded_rows("pseudo_labels.json")
for labels in (100, 600, 3_000):
    alone, taught = (
        {row["seed"]: row for row in chosen_rows(rows, part="lee", way=way, labels=labels)}
        for way in ("labels alone", "pseudo-labels")
    )
    for seed in sorted(alone.keys() & taught.keys()):
        gain = taught[seed]["test_accuracy"] - alone[seed]["test_accuracy"]
        right = taught[seed]["pseudo_label_accuracy"][-1]
        print(f"{labels:>5} labels, seed {seed}: {right:.1%} right, gain {100 * gain:+.1f} points")

# %%
# A network whose guesses are mostly right teaches itself to be right more often; if it confuses two
# digits, it learns the confusion, too, and becomes sure of it. The fewer labels there are, the more
# depends on which digits they are. With many labels nearly all pseudo-labels are right, but then
# the labelled images alone already teach most of what there is to learn, and little is left to
# gain.
#
# The following command compares all methods on your own images:
#
# .. code-block:: none
#
#    minivision pseudo-label --labelled my_few --unlabelled my_many
#
# Three things to try
# -------------------
# 1. Increase the spread of the clusters in x from 0.35 to 0.7. Expect the pseudo-labels to help
#    less: there is no longer a gap between the classes that the boundary could move into.
# 2. Set FixMatch's threshold to 0. Expect FixMatch to accept every pseudo-label from the first
#    update on, and more of them to be wrong.
# 3. Use 10 labels instead of 50. Expect pseudo-labels to suffer most: a network that is mostly
#    wrong teaches itself its own errors.
#
# **Write it yourself:** ``minivision exercise start pseudo_label_loss``.
#
# **Next lesson:** 18 · Noisy student

plt.show()
