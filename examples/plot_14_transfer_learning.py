"""
14 · Transfer learning
======================

**If we have only two labelled images per class, does a network trained on other classes help?**

*Much of what a network learns is not specific to its classes, so part of the network can be reused
for other classes, provided that it has learned enough.*

**Prerequisites:** lessons 6 (training), 8 (what layers see) and 12 (comparing recorded runs).

**Minutes:** 25 to read, about 15 seconds to run.

**You will be able to**

* cut a network into a backbone and a head, and put a new head on the backbone,
* choose between a frozen backbone and fine-tuning, and give layers their own learning rates,
* say when transfer helps, by how much, and where to cut the network.
"""

# sphinx_gallery_thumbnail_number = 5

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from minivision import datasets, manual_seed, methods, models, nn, optim, training, transforms
from minivision.methods.transfer import layers_with_weights

from lesson import BLUE, GREEN, GREY, PALE, PURPLE, VERMILION, device, recorded_rows

# %%
# A trained network
# -----------------
# We start with a network that is trained on the bundled images of the digits 0 to 4, the *old
# task*. The *new task* is to recognise the digits 5 to 9, none of which the network has seen.

splits = datasets.load_dataset("digits")
old, new = ([datasets.OnlyClasses(part, names) for part in splits] for names in ("01234", "56789"))
pixels = old[0].images / 255
numbers = transforms.Compose(
    [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
)


def batches(data, size=32, seed=0, shuffle=True):
    """Shuffled batches for training; with shuffle=False, images in order for evaluation."""
    return datasets.DataLoader(data, size, shuffle=shuffle, seed=seed, transform=numbers)


def accuracy(model, data):
    return training.evaluate(model, batches(data, 250, shuffle=False))["accuracy"]


manual_seed(0)
source = models.lenet5(5)
rule = optim.Adam(source.parameters(), 0.002)
training.fit(
    source,
    batches(old[0]),
    training.classification_loss,
    rule,
    8,
    schedule=optim.cosine(8),
    device=device,
)
print(f"old task: {len(old[0])} images, test accuracy {accuracy(source, old[2]):.1%}")
weights = source.state_dict()


def trained():
    """A copy of the network as it was after training on the old task."""
    with nn.skip_init():
        model = models.lenet5(5)
    model.load_state_dict(weights)
    return model.to(device)


# %%
# Backbone and head
# -----------------
# The last layer turns 84 numbers into scores for the digits 0 to 4, so it is useless for other
# classes. The layers before it, the *backbone*, compute features; the rest, the *head*, decides on
# a class. A convolutional network is the backbone of many tasks besides classification, because
# different heads can use the same features:

TASKS = {
    "the digits 5 to 9": "a new linear layer (this lesson)",
    "old and new classes at once": "two heads (lesson 16)",
    "images that look alike": "nearest neighbours (lesson 19)",
    "where the object is": "a weighted sum of the maps (lesson 20)",
}
figure, axes = plt.subplots(figsize=(8.6, 3.0), layout="constrained")
axes.imshow(old[0].images[0].squeeze(), cmap="gray", extent=(0, 1.2, 0.9, 2.1))
for i, height in enumerate((2.2, 1.7, 1.2)):  # the maps shrink from layer to layer
    left, bottom = 1.9 + 0.7 * i, 1.5 - height / 2
    axes.add_patch(plt.Rectangle((left, bottom), 0.45, height, color=BLUE, alpha=0.5 + 0.2 * i))
axes.text(2.85, 2.85, "backbone", ha="center", color=BLUE, weight="bold")
axes.text(4.35, 1.5, "features", ha="center", va="center")
for y, (task, head) in zip((2.7, 1.9, 1.1, 0.3), TASKS.items(), strict=True):
    axes.annotate("", (5.6, y), (4.85, 1.5), arrowprops={"arrowstyle": "->", "color": GREY})
    axes.text(5.7, y + 0.13, task, va="center", color=VERMILION)
    axes.text(5.7, y - 0.2, head, va="center", color=GREY, fontsize=8)
for start, end in ((1.25, 1.85), (3.8, 3.95)):
    axes.annotate("", (end, 1.5), (start, 1.5), arrowprops={"arrowstyle": "->", "color": GREY})
axes.text(5.7, 3.2, "heads", color=VERMILION, weight="bold")
axes.set(xlim=(-0.1, 8.8), ylim=(-0.1, 3.4), aspect="equal")
axes.set_axis_off()

# %%
# Where does the backbone end? That is up to us: `cut` removes as many fully connected layers as we
# choose, and copies nothing.

for layers in (1, 2, 3):
    backbone, head, features = models.cut(source, layers)
    print(f"layers removed: {layers}; the backbone has {backbone.parameter_count():>6,} parameters "
          f"and {features} features, the head has {head.parameter_count():>6,}")  # fmt: skip

# %%
# Can features learned from 0 to 4 tell 5 to 9 apart? We send images of the new digits through three
# backbones: with the last layer removed, with all three fully connected layers removed, and, for
# comparison, a backbone with random weights. For each we plot the two directions in which the
# features vary most, using principal component analysis as in lesson 10.

figure, panels = plt.subplots(1, 3, figsize=(9.2, 3.2), layout="constrained")
manual_seed(9)
backbones = {
    "1 layer removed": models.cut(trained(), 1).backbone,
    "3 layers removed": models.cut(trained(), 3).backbone,
    "random backbone, 3 removed": models.cut(models.lenet5(5).to(device), 3).backbone,
}
few = datasets.Subset(new[0], np.arange(250))
for axes, (name, backbone) in zip(panels, backbones.items(), strict=True):
    points = PCA(2).fit_transform(methods.record_responses(backbone, batches(few)))
    for k, digit in enumerate(new[0].classes):
        mine = points[few.labels == k]
        axes.scatter(*mine.T, s=14, alpha=0.7, label=digit)
    axes.set(title=name, xticks=[], yticks=[])
panels[0].legend(frameon=False, ncols=5, fontsize=8, loc="lower center")

# %%
# A good backbone places images of the same new class near each other, although it was never trained
# to. But two directions out of so many prove little; the real test is a head that we train on the
# features.
#
# Approach 1: freeze the backbone
# -------------------------------
# A frozen backbone does not change at all: its weights get no gradient, and it runs in evaluation
# mode, so dropout is off and the running statistics of batch normalisation are fixed. Only the new
# head learns. We train it on ten images per class:


def some(count, seed):
    """Draw this many images from each new class."""
    rng = np.random.default_rng((seed, count))
    mine = [np.flatnonzero(new[0].labels == k) for k in range(5)]
    return datasets.Subset(
        new[0], np.concatenate([rng.choice(m, count, replace=False) for m in mine])
    )


images, epochs = some(10, 0), 30
manual_seed(1)
model = models.with_new_head(trained(), 5, layers=3)
before = model.backbone.state_dict()
model.backbone.freeze()
rule = optim.Adam(model.head.parameters(), 0.003)
begun = time.perf_counter()
training.fit(model, batches(images), training.classification_loss, rule, epochs, device=device)
in_every_epoch = time.perf_counter() - begun
same = all(np.array_equal(a, before[n]) for n, a in model.backbone.state_dict().items())
print(f"test accuracy {accuracy(model, new[2]):.1%}; the backbone is bit-identical: {same}")

# %%
# A frozen backbone computes the same features for an image in every epoch. So it needs to process
# each image only once, and the remaining work is softmax regression on the recorded features. (With
# augmentation this would be wrong, because every epoch has different images.)

manual_seed(1)
again = models.with_new_head(trained(), 5, layers=3)
rule = optim.Adam(again.head.parameters(), 0.003)
begun = time.perf_counter()
features = methods.RecordedBatches(
    methods.record_responses(again.backbone, batches(images)), batches(images)
)
training.fit(again.head, features, training.classification_loss, rule, epochs, device=device)
once = time.perf_counter() - begun
a, b = (network.head.state_dict()["0.weight"] for network in (model, again))
print(f"the two heads differ by at most {np.abs(a - b).max():.1e};",
      f"recording features made training {in_every_epoch / once:.1f} times as fast")  # fmt: skip

# %%
# Approach 2: fine-tune everything
# --------------------------------
# Alternatively, we train all layers: the new head at the full learning rate, and the backbone at a
# tenth of it, because fifty images should not undo what was learned from many more. `rate_groups`
# creates the parameter groups for the optimizer, optionally with learning rates that fall from
# layer to layer towards the image.

manual_seed(1)
model = models.with_new_head(trained(), 5, layers=3)
groups = methods.rate_groups(model, 0.003, backbone_rate=0.1, layer_decay=0.5)
for group in groups:
    shapes = ", ".join(str(tuple(p.shape)) for p in group["params"])
    print(f"rate {group['lr']:.5f}: {shapes}")

RATES = {
    "one rate for all": {"backbone_rate": 1.0},
    "a tenth for the backbone": {"backbone_rate": 0.1},
    "a tenth, halved per layer": {"backbone_rate": 0.1, "layer_decay": 0.5},
}
moved = {}
for name, rates in RATES.items():
    manual_seed(1)
    model = models.with_new_head(trained(), 5, layers=1)
    was = [layer[0].numpy().copy() for layer in layers_with_weights(model.backbone)]
    rule = optim.Adam(methods.rate_groups(model, 0.003, **rates))
    training.fit(model, batches(images), training.classification_loss, rule, epochs, device=device)
    now = [layer[0].numpy() for layer in layers_with_weights(model.backbone)]
    moved[name] = [
        float(((a - b) ** 2).sum() ** 0.5 / (b**2).sum() ** 0.5)
        for a, b in zip(now, was, strict=True)
    ]

figure, axes = plt.subplots(figsize=(7.4, 3.2), layout="constrained")
names = ["conv 1", "conv 2", "fully connected 1", "fully connected 2"]
for i, ((name, shares), colour) in enumerate(
    zip(moved.items(), (VERMILION, BLUE, GREEN), strict=True)
):
    axes.bar(np.arange(4) + 0.27 * (i - 1), shares, 0.25, color=colour, label=name)
axes.set_xticks(range(4), names)
axes.set(ylabel="|w - w before| / |w before|", title="how far fine-tuning moved each layer")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)

# %%
# How many labels?
# ----------------
# Now comes the comparison that matters, with 2, 5, 10 and 20 images per class and three seeds each.
# *Scratch* is the same network trained from random weights, the fair baseline. Every run makes 60
# updates.


def compared(approach, count, seed):
    """The test accuracy of one approach."""
    manual_seed(seed)
    network = models.lenet5(5) if approach == "scratch" else trained()
    manual_seed(seed, 1)
    model = models.with_new_head(network, 5, layers=3)
    loader = batches(some(count, seed), size=20, seed=seed)
    epochs = -(-60 // len(loader))
    options = {"schedule": optim.cosine(epochs), "seed": seed, "device": device}
    if approach == "frozen":
        features = methods.RecordedBatches(methods.record_responses(model.backbone, loader), loader)
        rule = optim.Adam(model.head.parameters(), 0.003)
        training.fit(model.head, features, training.classification_loss, rule, epochs, **options)
    else:
        rule = optim.Adam(
            methods.rate_groups(model, 0.003, 0.1 if approach == "fine-tuned" else 1.0)
        )
        training.fit(model, loader, training.classification_loss, rule, epochs, **options)
    return accuracy(model, new[2])


COUNTS, COLOURS = (2, 5, 10, 20), {"scratch": GREY, "frozen": BLUE, "fine-tuned": VERMILION}
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for approach, colour in COLOURS.items():
    values = np.array([[compared(approach, n, seed) for seed in range(3)] for n in COUNTS])
    axes.errorbar(COUNTS, values.mean(axis=1), values.std(axis=1, ddof=1), fmt="o-", capsize=3,
                  color=colour, label=approach)  # fmt: skip
    print(f"{approach:<11}" + "".join(f"  {n:>2}: {v.mean():.1%}" for n, v in
                                      zip(COUNTS, values, strict=True)))  # fmt: skip
axes.set_xscale("log")
axes.set_xticks(COUNTS, [str(n) for n in COUNTS])
axes.minorticks_off()
axes.set(xlabel="labelled images per new class", title="digits 5 to 9: test accuracy")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.grid(color=PALE)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)

# %%
# If scratch is level with the others here, or even ahead, you have met the first rule of transfer:
# the old task has to be richer than the new one. These digits, originally 8x8 pixels, are easy, and
# the few hundred used for the old task taught the network little that ten images per class could
# not. So the next comparison uses 20,000 images for the old task.
#
# Recorded runs
# -------------
# ``examples/measure_transfer.py`` makes the same comparison with more images and more care. The
# learning rate of each approach was chosen on validation images with a seed that is not used again,
# and each run used the test images once. As in lesson 12, a difference is *clear* if it exceeds two
# standard errors; here the differences are paired by seed.

rows = recorded_rows("transfer.json")
CHOOSING, RATES = 100, (0.001, 0.004)
WIDER = (*RATES, 0.016)  # all three were tried when comparing AlexNet and VGG


def fits(row, wanted):
    """True if a row has these entries."""
    return all(row.get(key) == value for key, value in wanted.items())


def recorded(part, approach, labels):
    """Test accuracy by seed, at the learning rate that was best with the choosing seed."""
    wanted = {"part": part, "approach": approach, "labels": labels}
    rates = WIDER if part.startswith("features") else RATES
    mine = [r for r in rows if r.get("lr") in rates and fits(r, wanted)]
    tried = {r["lr"]: r["validation_accuracy"] for r in mine if r["seed"] == CHOOSING}
    best = max(sorted(tried), key=tried.get, default=None)
    return {r["seed"]: r["test_accuracy"] for r in mine
            if r.get("lr") == best and "test_accuracy" in r}  # fmt: skip


def gain(values, others):
    """The gain in points, paired by seed, and whether it exceeds two standard errors."""
    seeds = sorted(set(values) & set(others))
    if len(seeds) < 2:
        return "not recorded yet"
    gains = 100 * np.array([values[s] - others[s] for s in seeds])
    error = gains.std(ddof=1) / len(seeds) ** 0.5
    seen = "clear" if abs(gains.mean()) > 2 * error else "within two standard errors"
    return f"{gains.mean():+.1f} points ± {error:.1f}, {seen}"


def in_words(approach):
    """Translate a recorded name into the terms of this lesson."""
    words = approach.replace("body", "backbone").replace("layers away", "layers removed")
    return words.replace("1 layers", "1 layer")


def report(part, approaches, counts, base):
    """Print one line per approach and number of labels, each compared with the base."""
    for labels in counts:
        for approach in approaches:
            values = recorded(part, approach, labels)
            if len(values) > 1:
                v = np.array(list(values.values()))
                text = f"{labels:>3} per class  {in_words(approach):<30}"
                text += f" {v.mean():.1%} ± {v.std(ddof=1):.1%}"
                if base not in (None, approach):
                    text += f"   {gain(values, recorded(part, base, labels))}"
                print(text)


APPROACHES = ("scratch", "frozen", "fine-tuned, body x0.1", "fine-tuned, one rate",
              "frozen, random body")  # fmt: skip
counts = sorted({r["labels"] for r in rows if r["part"] == "digits" and r.get("labels")})
print(
    "MNIST, 0 to 4 -> 5 to 9, a small network with batch normalisation, cut after its convolutions"
)
report("digits", APPROACHES, counts, "scratch")

# %%

if counts:
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    styles = zip(APPROACHES, (GREY, BLUE, VERMILION, GREEN, PURPLE), "os^Dv", strict=True)
    for approach, colour, marker in styles:
        known = [(n, list(recorded("digits", approach, n).values())) for n in counts]
        known = [(n, np.array(v)) for n, v in known if len(v) > 1]
        if known:
            axes.errorbar([n for n, _ in known], [v.mean() for _, v in known],
                          [v.std(ddof=1) for _, v in known], fmt=marker + "-", capsize=3,
                          color=colour, label=in_words(approach))  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.set(xlabel="labelled images per new class", title="MNIST 5 to 9: test accuracy")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
else:
    print("docs/results has no transfer.json yet; examples/measure_transfer.py writes it")

# %%
# For nearly every approach the best rate was 0.004, the larger of the two. This is a warning that
# an even larger rate might be better, so we tried a third one, 0.016. The choosing seed would have
# picked it in these cases:

for approach in APPROACHES:
    for labels in counts:
        wanted = {"part": "digits", "approach": approach, "labels": labels}
        mine = [r for r in rows if fits(r, wanted)]
        tried = {r["lr"]: r["validation_accuracy"] for r in mine if r["seed"] == CHOOSING}
        best = max(sorted(tried), key=tried.get, default=None)
        larger = [r["test_accuracy"] for r in mine if r["lr"] == best and "test_accuracy" in r]
        if best not in (None, *RATES) and len(larger) > 1:
            usual = np.mean(list(recorded("digits", approach, labels).values()))
            print(
                f"{in_words(approach)}, {labels} per class:",
                f"{np.mean(larger):.1%} instead of {usual:.1%}",
            )

# %%
# With two images per class, a single seed chooses a rate largely by luck, however many validation
# images there are. A better second round would choose among the three rates with several seeds.
#
# The control is the frozen backbone with *random* weights: any accuracy that it reaches owes
# nothing to the old task. The more labels there are, the less a trained network can contribute.
#
# Where to cut
# ------------
# "Chop off the last layer" is the usual recipe. For LeNet-5 and five old digits it is a poor one:
# the 84 features that are left were trained to tell 0 to 4 apart, and may have discarded what tells
# 5 to 9 apart. Here are the results with only the last layer removed:

literal = "digits, LeNet-5 without its last layer"
report(literal, ("scratch", "frozen", "fine-tuned, body x0.1"), (2, 10, 50), "scratch")

# %%
# A network needs many kinds of features to tell a thousand classes apart, but not to tell five
# apart. That is why the recipe works for networks trained on ImageNet, and why we remove more
# layers here.
#
# Oquab et al. (2014) replaced the last layer with two "adaptation layers", the first with a ReLU
# (``models.with_new_head(…, hidden=(128,))``). Does this help here? And do learning rates that fall
# from layer to layer help?

TRIED = {"adaptation layers": "linear", "fine-tuned, decay 0.5": "fine-tuned"}
for approach, base in TRIED.items():
    pair = [recorded("head", name, 10) for name in (approach, base)]
    print(f"{approach} against {base}: {gain(*pair)}")

# %%
# Photographs
# -----------
# We split the photographs of CIFAR-10 into seven old classes and three new ones, and first repeat
# the comparison above. Then we compare two backbones, from a small AlexNet and a small VGG. Both
# networks were trained on the seven old classes (5,000 images) with the same number of
# multiply-adds, which allows 7 epochs for AlexNet and 3 for VGG. Then a linear head was trained on
# the frozen features of each to recognise the three new classes.

report("photos", APPROACHES, (10, 50), "scratch")
for name in ("AlexNet", "VGG"):
    own = {r["seed"]: r["test_accuracy"] for r in rows
           if (r["part"], r.get("approach")) == (f"features, {name}", "source")
           and "test_accuracy" in r}  # fmt: skip
    if len(own) > 1:
        v = np.array(list(own.values()))
        print(f"{name}: accuracy on the seven old classes {v.mean():.1%} ± {v.std(ddof=1):.1%}")
    report(f"features, {name}", [f"{a}, {n} layers away" for n in (1, 2) for a in
                                 ("frozen", "frozen, random body")], (50,), None)  # fmt: skip
for n in (1, 2):
    frozen = f"frozen, {n} layers away"
    pair = [recorded(f"features, {name}", frozen, 50) for name in ("VGG", "AlexNet")]
    print(f"VGG against AlexNet (layers removed: {n}): {gain(*pair)}")

# %%
# Labels are not always right
# ---------------------------
# Labelling takes work, and some labels are wrong. Here LeNet-5 was trained on 5,000 digits, some of
# which had been given a random wrong label:

for share in sorted({r["wrong_labels"] for r in rows if r["part"] == "labels"}):
    v = np.array([r["test_accuracy"] for r in rows if r.get("wrong_labels") == share])
    if len(v) > 1:
        print(f"{share:.0%} wrong: test accuracy {v.mean():.1%} ± {v.std(ddof=1):.1%}")

# %%
# On the command line, you can train and compare all three approaches on your own images:
#
# .. code-block:: none
#
#    minivision transfer runs/lenet5-mnist-1 --dataset my_letters --layers 3
#
# Three things to try
# -------------------
# 1. Change ``layers=3`` to ``layers=1`` in ``compared``. Expect the frozen backbone to lose more
#    than fine-tuning does.
# 2. Use 0 to 6 as the old classes and 7 to 9 as the new ones, and cut with ``layers=1``. Expect the
#    last features to work better than above: the more classes a backbone has to tell apart, the
#    more kinds of features it learns.
# 3. Use ``datasets.load_dataset("mnist")`` instead of the digits, so that the old task has 28,000
#    images. Expect the curves to swap places when there are few labels.
#
# **Next lesson:** 15 · Distillation

plt.show()
