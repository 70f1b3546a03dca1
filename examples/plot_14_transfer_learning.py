"""
14 · Transfer learning
======================

**With two labelled images per class, does a network trained on other classes help?**

*Most of what a network knows is not specific to its classes, so part of it can be used for others;
but it has to know enough.*

**Prerequisites:** lessons 6 (training), 8 (what layers see); 12 for how recorded runs are shown.

**Minutes:** 25 to read, about 15 seconds to run.

**You will be able to**

* cut a network into backbone and head, and put another head on the backbone,
* choose between a frozen backbone and fine-tuning, and give layers their own learning rates,
* say when transfer helps, how much, and where to cut.
"""

# sphinx_gallery_thumbnail_number = 4

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from minivision import datasets, manual_seed, methods, models, nn, optim, training, transforms
from minivision.methods.transfer import layers_with_weights

from lesson import BLUE, GREEN, GREY, PALE, PURPLE, VERMILION, device, recorded_rows

# %%
# An old network
# --------------
# It has learned the digits 0 to 4 from the bundled images. The digits 5 to 9 are the new task, and
# the network has seen none of them.

splits = datasets.load_dataset("digits")
old, new = ([datasets.OnlyClasses(part, names) for part in splits] for names in ("01234", "56789"))
pixels = old[0].images / 255
numbers = transforms.Compose(
    [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
)


def batches(data, size=32, seed=0, shuffle=True):
    """Shuffled batches for training; all images in order for measuring."""
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
    """A copy of the old network, as it was after its training."""
    with nn.skip_init():
        model = models.lenet5(5)
    model.load_state_dict(weights)
    return model.to(device)


# %%
# Backbone and head
# -----------------
# The last layer turns 84 numbers into the scores of 0 to 4. It is useless for other classes. The
# layers before it, the *backbone*, compute features; the rest, the *head*, decides. Where does the
# backbone end? `cut` removes as many fully connected layers as we choose, and copies nothing.

for layers in (1, 2, 3):
    backbone, head, features = models.cut(source, layers)
    print(f"layers removed: {layers}; the backbone has {backbone.parameter_count():>6,} parameters "
          f"and makes {features} features, the head has {head.parameter_count():>6,}")  # fmt: skip

# %%
# Do the features of 0 to 4 tell 5 to 9 apart? We send the new digits, which the network has never
# seen, through the backbone, and look at the two directions in which the features spread most
# (lesson 20): with the last layer removed; with all three removed; and, for comparison, a backbone
# with random weights.

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
# A good backbone puts images of one new class near each other without being trained to. But two
# directions out of hundreds prove little: the test is the head that we train on the features.
#
# Approach 1: freeze the backbone
# -------------------------------
# A frozen backbone does not change by a single bit: its weights get no gradient, and it runs in
# evaluation mode, so dropout is off and the running statistics of batch normalisation are fixed.
# Only the new head learns. Ten images per class:


def some(count, seed):
    """This many images of each new class."""
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
print(f"test accuracy {accuracy(model, new[2]):.1%}, the backbone is the same to the bit: {same}")

# %%
# A frozen backbone computes the same features of an image in every epoch. So it needs to see each
# image only once, and what is left is softmax regression on features. With augmentation that would
# be wrong: each epoch has different images.

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
      f"features recorded once were {in_every_epoch / once:.1f} times as fast")  # fmt: skip

# %%
# Approach 2: keep training everything
# ------------------------------------
# Or we train everything, the new head with the full learning rate, the old backbone with a tenth of
# it: fifty images should not undo what took thousands to learn. `rate_groups` makes the optimizer's
# groups, optionally with learning rates that fall from layer to layer towards the image.

manual_seed(1)
model = models.with_new_head(trained(), 5, layers=3)
groups = methods.rate_groups(model, 0.003, backbone_rate=0.1, layer_decay=0.5)
for group in groups:
    shapes = ", ".join(str(tuple(p.shape)) for p in group["params"])
    print(f"rate {group['lr']:.5f}: {shapes}")

RATES = {
    "one rate for all": {"backbone_rate": 1.0},
    "a tenth for the backbone": {"backbone_rate": 0.1},
    "a tenth, halved by layers": {"backbone_rate": 0.1, "layer_decay": 0.5},
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
# Now the comparison that matters, with 2, 5, 10 and 20 images per class, three seeds each.
# *Scratch* is the same network from random weights: the fair baseline. All make 60 updates.


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
axes.set(xlabel="labelled images of each new class", title="digits 5 to 9: test accuracy")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.grid(color=PALE)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)

# %%
# Is scratch level here, or even ahead? Then you have met the first rule of transfer: the old task
# has to be richer than the new one. These digits of 8x8 pixels are easy, and a few hundred of them
# taught the old network little that ten images per class would not. So the next comparison has
# 20,000 old images.
#
# Runs made beforehand
# --------------------
# The same with more images and more care, by ``examples/measure_transfer.py``: learning rates
# chosen for each approach on validation images with a seed that is not used again, test images used
# once. A difference counts as seen when it exceeds two standard errors, paired by seed.

rows = recorded_rows("transfer.json")
CHOOSING, RATES = 100, (0.001, 0.004)
WIDER = (*RATES, 0.016)  # for the comparison of two sources, which has all three


def fits(row, wanted):
    """True if a row has these entries."""
    return all(row.get(key) == value for key, value in wanted.items())


def recorded(part, approach, labels):
    """Test accuracies by seed, at the rate that was best with the choosing seed."""
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
    seen = "seen" if abs(gains.mean()) > 2 * error else "not seen"
    return f"{gains.mean():+.1f} points ± {error:.1f}, {seen}"


def in_words(approach):
    """A recorded name in the words of this lesson."""
    words = approach.replace("body", "backbone").replace("layers away", "layers removed")
    return words.replace("1 layers", "1 layer")


def report(part, approaches, counts, base):
    """One line per approach and number of labels; all against the base."""
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
    axes.set(xlabel="labelled images of each new class", title="MNIST 5 to 9: test accuracy")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
else:
    print("docs/results has no transfer.json yet; examples/measure_transfer.py makes it")

# %%
# Nearly every approach chose 0.004, the larger of the two rates, which is a warning: the list may
# be too short. So we started a third rate, 0.016. The choosing seed would have picked it here:

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
                f"{in_words(approach)}, {labels} per class: {np.mean(larger):.1%}, not {usual:.1%}"
            )

# %%
# With two images per class a single seed chooses a rate by luck, however many validation images
# there are. A better second round would choose among three rates with several seeds.
#
# The control is the frozen backbone with *random* weights: what it reaches is not due to the old
# network. The more labels there are, the less an old network can contribute.
#
# Where to cut
# ------------
# "Chop the last layer" is the usual recipe. With LeNet-5 and five old digits it is a poor one: its
# 84 last features were trained to tell 0 to 4 apart, and may have discarded what tells 5 to 9
# apart.

literal = "digits, LeNet-5 without its last layer"
report(literal, ("scratch", "frozen", "fine-tuned, body x0.1"), (2, 10, 50), "scratch")

# %%
# A thousand old classes need features of many kinds; five do not. That is why the recipe works for
# networks trained on ImageNet, and why we cut lower here.
#
# Oquab et al. replaced the last layer with two "adaptation layers", the first with a ReLU
# (``models.with_new_head(…, hidden=(128,))``). And do rates that fall from layer to layer help?

TRIED = {"adaptation layers": "linear", "fine-tuned, decay 0.5": "fine-tuned"}
for approach, base in TRIED.items():
    pair = [recorded("head", name, 10) for name in (approach, base)]
    print(f"{approach} against {base}: {gain(*pair)}")

# %%
# Photographs
# -----------
# Seven classes of CIFAR-10 are old, three are new. Then we compare two sources: the small AlexNet
# and the small VGG, trained with equal multiply-adds on the seven classes (5,000 images, 7 and 3
# epochs), and a linear head on their frozen features of the other three.

report("photos", APPROACHES, (10, 50), "scratch")
for name in ("AlexNet", "VGG"):
    own = {r["seed"]: r["test_accuracy"] for r in rows
           if (r["part"], r.get("approach")) == (f"features, {name}", "source")
           and "test_accuracy" in r}  # fmt: skip
    if len(own) > 1:
        v = np.array(list(own.values()))
        print(f"{name}: on its own seven classes {v.mean():.1%} ± {v.std(ddof=1):.1%}")
    report(f"features, {name}", [f"{a}, {n} layers away" for n in (1, 2) for a in
                                 ("frozen", "frozen, random body")], (50,), None)  # fmt: skip
for n in (1, 2):
    frozen = f"frozen, {n} layers away"
    pair = [recorded(f"features, {name}", frozen, 50) for name in ("VGG", "AlexNet")]
    print(f"VGG against AlexNet, layers removed {n}: {gain(*pair)}")

# %%
# Labels are not always right
# ---------------------------
# Labels cost work, and some are wrong. LeNet-5 learns 5,000 digits, some of which were given a
# random wrong label:

for share in sorted({r["wrong_labels"] for r in rows if r["part"] == "labels"}):
    v = np.array([r["test_accuracy"] for r in rows if r.get("wrong_labels") == share])
    if len(v) > 1:
        print(f"{share:.0%} wrong: test accuracy {v.mean():.1%} ± {v.std(ddof=1):.1%}")

# %%
# On your own images, the command line trains and compares all three:
#
# .. code-block:: none
#
#    minivision transfer runs/lenet5-mnist-1 --dataset my_letters --layers 3
#
# Three things to try
# -------------------
# 1. Change ``layers=3`` to ``layers=1`` in ``compared``. Expect the frozen backbone to lose more
#    than fine-tuning does.
# 2. Make 0 to 6 old and 7 to 9 new, and cut at ``layers=1``. Expect the last features to work
#    better: the more classes a backbone had to tell apart, the more it sees.
# 3. Use ``datasets.load_dataset("mnist")`` instead of the digits: then the old task has 28,000
#    images. Expect the curves to swap places for few labels.
#
# **Next lesson:** 15 · Distillation

plt.show()
