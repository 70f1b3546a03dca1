"""
18 · Noisy student
==================

**How can a student become better than the teacher that labels its images?**

*A network labels images for its successor, which sees them shifted, rotated and darkened. You train
a chain of such networks, and measure when a student becomes better than its teacher and when it
does not.*

**Prerequisites:** lessons 13 (RandAugment), 15 (soft labels) and 17 (pseudo-labels, baselines).

**Minutes:** 20 to read, about 30 seconds to run.

**You will be able to**

* write down the steps of self-training with a noisy student,
* say what each kind of noise does, and what a student can still learn without noise,
* separate the effect of the unlabelled images from the effect of the noise.
"""

# sphinx_gallery_thumbnail_number = 1

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, methods, models, nn, optim, training, transforms
from minivision import functional as F
from minivision.methods.noisy_student import labelled_by

from lesson import BLUE, GREY, PALE, VERMILION, device, recorded_rows, show_claim

# %%
# Four steps or five
# ------------------
# The paper (Xie, Luong, Hovy & Le 2020, Algorithm 1) has four steps. In the lecture course that
# this project accompanies there are five, because making a bigger student is one of them:
#
# .. code-block:: none
#
#    the paper                                   the lecture
#    1 train a teacher on the labelled images,   1 train a teacher on the labelled images
#      with noise
#    2 label the unlabelled images with the      2 label the unlabelled images with the teacher
#      teacher, without noise
#    3 train an equal or larger student on       3 make a bigger student
#      both sets of images, with noise           4 train it on both sets of images, with noise
#    4 make the student the teacher; go to 2     5 make the student the teacher, and repeat
#
# Between steps 2 and 3, the paper also *filters and balances* (its section 2): it keeps the images
# whose labels the teacher is confident about, the same number for every class. The teacher sees an
# easy image, and the student has to predict the same for a hard version of it. That asymmetry is
# the core of the method. First we look at the hard images:

splits = datasets.load_dataset("digits")
labelled, rest = datasets.stratified_split(splits.train, (50, 1_207), seed=0)
pixels = labelled.images / 255
numbers = [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
clean = transforms.Compose(numbers)
changes = [transforms.RandomTranslate(2), transforms.RandAugment(2, 9)]
noise = transforms.Compose([*changes, *numbers])

rng = np.random.default_rng(3)
figure, panels = plt.subplots(3, 8, figsize=(8.4, 3.3), layout="constrained")
for column in range(8):
    image = rest[column][0]
    panels[0, column].imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    for row in (1, 2):
        noisy = transforms.Compose(changes)(image, rng)
        panels[row, column].imshow(noisy[..., 0], cmap="gray", vmin=0, vmax=255)
for axes in panels.ravel():
    axes.axis("off")
figure.suptitle("Top row: the images that the teacher labels; below: what the student sees")

# %%
# The other two kinds of noise act inside the network: dropout sets units to zero (lesson 7), and
# stochastic depth skips whole branches of a residual network. Both choose at random for every
# image. What remains is scaled up, so that the expected value stays the same:

x = np.ones((10, 1), dtype=np.float32)
for name, silenced, p in (("dropout", F.dropout, 0.5), ("stochastic depth", F.drop_path, 0.2)):
    y = silenced(Tensor(x), p, rng=np.random.default_rng(2)).data
    print(f"{name + ':':<18}", y.ravel().round(2))

# %%
# A student without noise
# -----------------------
# Suppose that the student has become equal to the teacher, and sees the same image as the teacher.
# With the teacher's probabilities p as soft labels and the student's probabilities q, the gradient
# of cross-entropy is q - p, and now q equals p. Such a student has nothing left to learn:

logits = np.array([[2.0, 0.5, -1.0]])
for name, seen in (("the same view", logits), ("a different view", np.array([[0.5, 1.3, -0.9]]))):
    z = Tensor(seen, requires_grad=True)
    F.cross_entropy(z, F.softmax(Tensor(logits)).detach()).backward()
    print(f"gradient for {name}:", z.grad.round(3))

# %%
# With noise, the student's output differs from the teacher's, and there is something to learn: a
# shifted, rotated or inverted 7 is still the 7 that the teacher saw undistorted.
#
# A chain of three networks
# -------------------------
# We have fifty labelled and 1,207 unlabelled images. The students have twice as many filters as the
# teacher. Each network is evaluated on the test images as they are, and on three altered versions
# of them. We train one chain with noise and one without: the latter sees unchanged images, and
# ``without_noise`` turns its dropout off.

CHANGES = {
    "as they are": [],
    "shifted by 3 pixels": [transforms.Translate(dx=3, dy=3)],
    "darkened to 40 %": [transforms.ColorJitter(brightness=(0.4, 0.4))],
    "rotated by 20°": [transforms.Rotate(20)],
}


def network(filters):
    """Two convolutions with pooling (28 -> 14 -> 7 pixels), dropout, one linear layer."""
    parts = []
    for channels, maps in ((1, filters), (filters, 2 * filters)):
        convolution = nn.Conv2d(channels, maps, 3, padding=1)
        parts += [convolution, nn.BatchNorm2d(maps), nn.ReLU(), nn.MaxPool2d(2)]
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(2 * filters * 7 * 7, 10))
    return models.Network(nn.Sequential(*parts), head, (1, 28, 28))


def measure(model):
    """The test accuracy on the unchanged images and on each altered version."""
    found = {}
    for name, change in CHANGES.items():
        batches = datasets.DataLoader(
            splits.test, 250, transform=transforms.Compose([*change, *numbers])
        )
        found[name] = training.evaluate(model, batches)["accuracy"]
    return found


def chain(noise, networks, few=labelled, batch_size=16, steps=35):
    """A teacher and its students: each network with its test accuracies."""
    shown = datasets.DataLoader(few, batch_size, shuffle=True, transform=noise)
    hidden = datasets.DataLoader(
        datasets.WithoutLabels(rest), 3 * batch_size, shuffle=True, transform=noise
    )
    found = []
    for generation in methods.self_train(networks, shown, hidden, clean, steps=steps):
        model = generation.model
        rule = optim.Adam(model.parameters(), 0.004)
        training.fit(
            model,
            generation.batches,
            generation.loss,
            rule,
            3,
            schedule=optim.cosine(3),
            device=device,
        )
        found.append((model, generation.report(rest.labels) | measure(model)))
    return found


WIDTHS = (8, 16, 16)
chains = {
    "with noise": chain(noise, [partial(network, width) for width in WIDTHS]),
    "without noise": chain(clean, [lambda w=w: methods.without_noise(network(w)) for w in WIDTHS]),
}
for name, generations in chains.items():
    for g, (_, record) in enumerate(generations):
        text = f"{name:<14} {'student ' + str(g) if g else 'teacher':<10}"
        if g:
            text += f" labels {record['pseudo_label_accuracy']:.1%} right,"
        print(f"{text} test accuracy {record['as they are']:.1%}")

figure, panels = plt.subplots(1, 4, figsize=(9.6, 3), layout="constrained", sharey=True)
for axes, change in zip(panels, CHANGES, strict=True):
    for (name, generations), colour in zip(chains.items(), (BLUE, VERMILION), strict=True):
        found = [record[change] for _, record in generations]
        axes.plot(range(3), found, "o-", color=colour, label=name)
    axes.set(title=change, xticks=range(3), xticklabels=("teacher", "student 1", "student 2"))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
panels[0].set_ylabel("test accuracy")

# %%
# Look closely at the first panel: on unchanged images, the teacher trained without noise is far
# better than the one trained with noise, and in this short training the students in the chain with
# noise do not make up for that. The next two panels show what noise is for: on shifted and darkened
# images, the students trained with noise become far better than their teacher, and than the
# students trained without noise. With noise, the teacher's labels are right more often than its
# predictions for the test images, because uncertain labels are left out. Without noise, the two
# fractions are similar.
#
# Which images are kept
# ---------------------
# Filtering uses the teacher's confidence. Images whose confidence is below a threshold, the
# *floor*, are left out, and the same number of images is kept for each class: if the teacher
# assigned few images to a class, some of them are used twice.

teacher = chains["with noise"][0][0]
p = labelled_by(teacher, datasets.DataLoader(datasets.WithoutLabels(rest), 250, transform=clean))
kept = methods.filter_and_balance(p, floor=0.3, classes=splits.train.classes)
copies = np.bincount(kept, minlength=len(rest))
right = p.argmax(axis=1) == rest.labels
figure, axes = plt.subplots(figsize=(7.2, 3), layout="constrained")
steps = np.linspace(0, 1, 21)
axes.hist([p.max(axis=1)[right], p.max(axis=1)[~right]], steps, stacked=True,
          color=[BLUE, VERMILION], label=["right", "wrong"])  # fmt: skip
axes.axvline(0.3, color=GREY, linestyle="--", label="floor")
axes.set(xlabel="the teacher's confidence", ylabel="unlabelled images")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
found = np.bincount(p.argmax(axis=1), minlength=10)
print("images that the teacher assigns to 0 to 9:", found)
print("images kept, including copies:            ", np.bincount(p[kept].argmax(axis=1)))
print(f"left out {np.mean(copies == 0):.0%}, used more than once {np.mean(copies > 1):.0%}")

# %%
# What would noise alone have done?
# ---------------------------------
# Training the last student took the updates of three networks. A fair baseline is therefore the
# student's network, trained on the fifty labelled images alone, with the same noise and as many
# updates as the whole chain. An upper bound is the same network trained on all images with their
# labels. Compare both with the last student of the chain with noise, printed above, and do not be
# surprised if the fifty labels alone do better: on such a small data set, a single run decides
# nothing.

wide, everything = partial(network, 16), np.concatenate([labelled.indices, rest.indices])
_, alone = chain(noise, [wide], steps=105)[0]
_, bound = chain(noise, [wide], few=datasets.Subset(splits.train, everything), batch_size=64)[0]
print(f"fifty labels alone, with noise, as many updates: {alone['as they are']:.1%}")
print(f"all labels, with noise:                          {bound['as they are']:.1%}")

# %%
# Recorded measurements
# ---------------------
# ``examples/measure_noisy_student.py`` has run the same experiment on MNIST with 100 labels and on
# photographs (CIFAR-10) with 2,000, using a small residual network with dropout and stochastic
# depth, and three seeds. Each chain uses the learning rate that was best on the validation images.
# Network 0 is the teacher, or the only network, and networks 1 and 2 are the students. *Hard
# labels* is the chain with noise whose students learn from the teacher's predicted classes instead
# of its probabilities. *Labels alone, same noise* is the baseline described above: the student's
# network, with as many updates as the whole chain.

rows = recorded_rows("noisy_student.json")
CHOOSING = 100


def recorded(data, chain):
    """{network: {seed: row}} of a chain, at the rate whose last network validates best."""
    mine = [r for r in rows if (r["data"], r["chain"]) == (data, chain)]
    last = max((r["generation"] for r in mine), default=0)
    tried = {r["lr"]: r["validation_accuracy"] for r in mine
             if (r["seed"], r["generation"]) == (CHOOSING, last)}  # fmt: skip
    best = max(sorted(tried), key=tried.get, default=None)
    measured = [r for r in mine if r["lr"] == best and r["seed"] != CHOOSING]
    return {g: {r["seed"]: r for r in measured if r["generation"] == g} for g in range(last + 1)}


MEASURES = ("test", "shifted", "dark", "turned")
for data in dict.fromkeys(r["data"] for r in rows):
    print(f"{data:<44}" + "".join(f"{m.replace('turned', 'rotated'):>14}" for m in MEASURES))
    for name in dict.fromkeys(r["chain"] for r in rows if r["data"] == data):
        for g, of_seeds in recorded(data, name).items():
            if len(of_seeds) < 3:
                continue
            text = name.replace("noise, labels alone as long", "labels alone, same noise")
            text = f"  {text}, network {g}"
            print(f"{text:<44}", end="")
            for measure in MEASURES:
                found = 100 * np.array([r[f"{measure}_accuracy"] for r in of_seeds.values()])
                print(f"{found.mean():>8.1f} ± {found.std(ddof=1):<3.1f}", end="")
            print()

# %%
# The page of claims compares these networks, seed by seed:

show_claim(54)
show_claim(55)

# %%
# In the paper, three rounds with ever larger networks, 300 million unlabelled photographs and the
# whole of ImageNet reach 88.4 % (top-1). The students also became more robust: on ImageNet-A,
# photographs that other networks get wrong, accuracy rose from 61.0 to 83.7 %, and on ImageNet-C,
# blurred, noisy and otherwise spoilt photographs, the mean corruption error fell from 45.7 to 28.3.
# Our altered test images measure robustness in the same spirit.
#
# The following command compares both chains on your own images:
#
# .. code-block:: none
#
#    minivision self-train --labelled my_few --unlabelled my_many
#
# Three things to try
# -------------------
# 1. Give the students the teacher's width. Expect little change here: a larger student helps only
#    if there is more to learn than the teacher has the capacity for.
# 2. Call ``filter_and_balance`` with ``floor=0.9``. Expect fewer wrong labels and more copies of
#    the rare digits, or an error message that names a digit with no images left.
# 3. Learn from hard labels: pass ``soft=False`` to ``methods.self_train`` in ``chain``. On MNIST,
#    hard labels do better than soft ones, because a student that imitates an uncertain teacher
#    learns to be uncertain. Expect a smaller difference here than between two seeds.
#
# **Next lesson:** 19 · Local and global features

plt.show()
