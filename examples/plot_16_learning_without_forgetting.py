"""
16 · Learning without forgetting
================================

**How can a network learn new classes without forgetting the old ones?**

*A network knows the digits 0 to 4, and you teach it 5 to 9. Afterwards it knows the new digits, but
has forgotten some of the old. You keep it from forgetting without a single old image.*

**Prerequisites:** lessons 14 (backbone and head) and 15 (temperature, soft targets).

**Minutes:** 20 to read, about 15 seconds to run.

**You will be able to**

* explain why a network forgets a task even if its head is left alone,
* write down the loss of Li and Hoiem, and say where the temperature enters,
* judge a method by both tasks, against fine-tuning, feature extraction and joint training.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, methods, models, optim, training, transforms
from minivision import functional as F
from minivision.nn import skip_init

from lesson import BLUE, GREEN, GREY, PALE, PURPLE, VERMILION, device, recorded_rows

# %%
# An old network and its opinion of new images
# --------------------------------------------

splits = datasets.load_dataset("digits")
old, new = ([datasets.OnlyClasses(part, names) for part in splits] for names in ("01234", "56789"))
pixels = old[0].images / 255
numbers = transforms.Compose(
    [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
)


def batches(data, shuffle=True):
    """Shuffled batches for training; all images in order for measuring."""
    return datasets.DataLoader(
        data, 32 if shuffle else 250, shuffle=shuffle, transform=numbers, with_indices=True
    )


def accuracy(model, data):
    return training.evaluate(model, batches(data, shuffle=False))["accuracy"]


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
weights = source.state_dict()
print(f"0 to 4, before: test accuracy {accuracy(source, old[2]):.1%}")

# %%
# It has never seen a 7. Yet it has an opinion of every 7: how similar it is to each of the digits
# it knows. This opinion is knowledge about the old task, and needs no old image. Temperature 2
# shows more of it than 1 (lesson 15).

responses = methods.record_responses(source, batches(new[0], shuffle=False))
figure, panels = plt.subplots(2, 4, figsize=(8.4, 3.8), layout="constrained")
for column, i in enumerate(np.flatnonzero(new[0].labels == 2)[[0, 4, 8, 15]]):
    panels[0, column].imshow(new[0][i][0][..., 0], cmap="gray")
    panels[0, column].axis("off")
    axes = panels[1, column]
    for T, colour, shift in ((1, GREY, -0.2), (2, BLUE, 0.2)):
        p = F.softmax(responses[i], temperature=T).data
        axes.bar(np.arange(5) + shift, p, 0.38, color=colour, label=f"T = {T}")
    axes.set(ylim=(0, 1), xticks=range(5), yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
panels[1, 0].legend(frameon=False, fontsize=8)
figure.suptitle("The old network's outputs for images of a 7")

# %%
# Forgetting
# ----------
# The new task gets its own head next to the old one; both share the same backbone. There are four
# ways to train it, each with the same number of updates:
#
# * *feature extraction*: only the new head is trained,
# * *fine-tuning*: backbone and new head,
# * *learning without forgetting*: backbone and both heads, with the old head's outputs held fixed,
# * *joint training*: with the old images, which we have here but usually do not.
#
# After every epoch we measure both tasks. The steps are those of the paper: 1, the old outputs,
# were recorded above; 2 is the new head; 3 trains it alone, with everything else frozen; 4 trains
# all of the network.

WARM_UP, EPOCHS, RATE = 2, 8, 0.01
COLOURS = {
    "feature extraction": GREY, "fine-tuning": VERMILION,
    "learning without forgetting": BLUE, "joint training": GREEN,
}  # fmt: skip
curves = {name: [] for name in COLOURS}


def old_network():
    with skip_init():
        network = models.lenet5(5)
    network.load_state_dict(weights)
    return network


def train(name, loader, loss, part, epochs):
    """Train this part of the model, and record the validation accuracy on both tasks."""

    def both(_):
        accuracies = accuracy(model.task("old"), old[1]), accuracy(model.task("new"), new[1])
        curves[name].append(accuracies)
        return {}

    rule = optim.SGD(part.parameters(), RATE, momentum=0.9)
    training.fit(model, loader, loss, rule, epochs, validate=both, device=device)


losses = {
    "feature extraction": methods.lwf_loss({}), "fine-tuning": methods.lwf_loss({}),
    "learning without forgetting": methods.lwf_loss({"old": responses}),
}  # fmt: skip
trained = {}
for name, loss in losses.items():
    epochs = 0 if name == "feature extraction" else EPOCHS
    manual_seed(1)
    model = trained[name] = methods.with_new_task(old_network(), 5)  # step 2
    model.freeze()  # step 3
    model.heads["new"].unfreeze()
    train(name, batches(new[0]), loss, model.heads["new"], WARM_UP + EPOCHS - epochs)
    model.unfreeze()  # step 4
    train(name, batches(new[0]), loss, model, epochs)

manual_seed(1)
model = trained["joint training"] = methods.with_new_task(old_network(), 5)
together = methods.JointBatches([batches(old[0]), batches(new[0])])
train("joint training", together, methods.joint_loss, model, WARM_UP + EPOCHS)

figure, panels = plt.subplots(1, 2, figsize=(8.8, 3.4), layout="constrained", sharey=True)
before = accuracy(source, old[1])
for k, (axes, task) in enumerate(zip(panels, ("0 to 4, the old task", "5 to 9, the new task"),
                                     strict=True)):  # fmt: skip
    for name, colour in COLOURS.items():
        values = [pair[k] for pair in curves[name]]
        axes.plot(range(1, len(values) + 1), values, "o-", markersize=4, color=colour, label=name)
    axes.set(title=task, xlabel="epoch")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=PALE)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].axhline(before, color=GREY, linestyle=":", linewidth=1)
panels[0].set_ylabel("validation accuracy")
panels[1].legend(frameon=False, fontsize=9)
for name, model in trained.items():
    pair = [accuracy(model.task(task), part[2]) for task, part in (("old", old), ("new", new))]
    print(f"{name:<28} test accuracy: old {pair[0]:.1%}, new {pair[1]:.1%}")

# %%
# Nobody touched the old head
# ---------------------------
# Fine-tuning leaves the old head alone. Is it still the same? And what has happened to its input
# features?

tuned = trained["fine-tuning"]
head, was = tuned.heads["old"].state_dict(), source.classifier[-1].state_dict()
same = all(np.array_equal(a, b) for a, b in zip(head.values(), was.values(), strict=True))
features = [
    methods.record_responses(backbone, batches(old[2], shuffle=False))
    for backbone in (methods.with_new_task(old_network(), 5).backbone.to(device), tuned.backbone)
]
moved = np.linalg.norm(features[1] - features[0]) / np.linalg.norm(features[0])
print(f"the old head is the same to the bit: {same}")
print(f"the features of the old test images have moved by {moved:.0%} of their length")

# %%
# The head is unchanged, but the backbone now computes different features of the same image. It is
# as if the head got the right question in a language that has changed.
#
# The loss
# --------
# Before anything changes, we record the old network's outputs v for the *new* images. Then the old
# head has to keep producing them, while the new head learns the labels:
#
# L = λ·L_old + L_new, with L_old = -1/N Σ_n Σ_k y'_nk log ŷ'_nk, y' = softmax(v/T),
# ŷ' = softmax(z/T), T = 2. (Li & Hoiem 2018.)
#
# It is distillation, with the old network as teacher; only the factor T² of lesson 15 is missing
# here, so the gradient is (ŷ' - y')/T. The engine agrees:

rng = np.random.default_rng(0)
v, z, T = rng.normal(size=(4, 5)), Tensor(rng.normal(size=(4, 5)), requires_grad=True), 2.0
wanted = F.softmax(v, temperature=T).data
F.cross_entropy(z / T, wanted).backward()
by_hand = (F.softmax(z.detach(), temperature=T).data - wanted) / (T * len(v))
print(f"largest difference to (ŷ' - y')/T, divided by N: {np.abs(z.grad - by_hand).max():.1e}")

# %%
# With λ = 0 this is exactly fine-tuning: the weights agree to the bit, because the old head then
# gets no gradient. So the two curves above differ by only one term of the loss.
#
# Runs made beforehand
# --------------------
# MNIST, 25,000 old and 10,000 new images, and CIFAR-10 (JPEG), five classes and five
# (``examples/measure_forgetting.py``). All methods of a task use one learning rate, the best for
# fine-tuning on the *new* validation images: in practice there are no old ones.

rows = recorded_rows("forgetting.json")


CHOOSING = 100  # the seed whose runs chose the rates


def chosen_rate(task):
    """The rate at which fine-tuning was best on the new task's validation images."""
    tried = {r["lr"]: r["new_validation_accuracy"] for r in rows
             if (r["task"], r["method"], r["seed"]) == (task, "fine-tuning", CHOOSING)}  # fmt: skip
    return max(sorted(tried), key=tried.get, default=None)


def recorded(task, method, which, rate=None):
    """Test accuracies on one of the tasks, by seed; at the chosen rate if none is given."""
    name, rate = f"{which}_test_accuracy", rate or chosen_rate(task)
    return {r["seed"]: r[name] for r in rows if (r["task"], r["method"]) == (task, method)
            and r.get("lr", rate) == rate and name in r}  # fmt: skip


def difference(task, method, base, which, rate=None):
    """In points, paired by seed, with its standard error, and whether it exceeds two of them."""
    one, other = (recorded(task, name, which, rate) for name in (method, base))
    gains = 100 * np.array([one[s] - other[s] for s in sorted(set(one) & set(other))])
    error = gains.std(ddof=1) / len(gains) ** 0.5
    seen = "seen" if abs(gains.mean()) > 2 * error else "not seen"
    return f"{which} {gains.mean():+5.1f} ± {error:.1f} points, {seen}"


def in_words(method):
    """A recorded name in the words of this lesson."""
    return method.replace("body", "backbone").replace("answers", "outputs")


tasks = list(dict.fromkeys(r["task"] for r in rows))
for task in tasks:
    names = list(dict.fromkeys(r["method"] for r in rows if r["task"] == task))
    for method in names:
        pair = [np.array(list(recorded(task, method, w).values())) for w in ("old", "new")]
        text = [f"{w} {v.mean():.1%} ± {v.std(ddof=1):.1%}"
                for w, v in zip(("old", "new"), pair, strict=True) if len(v) > 1]  # fmt: skip
        against = ""
        if method not in ("fine-tuning", "before") and len(pair[1]) > 1:
            against = "  against fine-tuning: " + "; ".join(
                difference(task, method, "fine-tuning", w) for w in ("old", "new"))  # fmt: skip
        if text:
            print(f"{task:<18}{in_words(method):<28}{', '.join(text)}{against}")

# %%

STYLES = {
    "feature extraction": (GREY, "o"), "fine-tuning": (VERMILION, "s"),
    "fine-tuning, no warm-up": (VERMILION, "v"), "fine-tuning, body x0.1": (PURPLE, "P"),
    "learning without forgetting": (BLUE, "^"), "LwF, no warm-up": (BLUE, "<"),
    "joint training": (GREEN, "D"),
}  # fmt: skip
drawn = [task for task in tasks if len(recorded(task, "fine-tuning", "old")) > 1]
if drawn:
    figure, panels = plt.subplots(1, len(drawn), figsize=(4.4 * len(drawn), 4.2), squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes, task in zip(panels[0], drawn, strict=True):
        for method, (colour, marker) in STYLES.items():
            y, x = (np.array(list(recorded(task, method, w).values())) for w in ("old", "new"))
            if len(x) > 1:
                axes.errorbar(x.mean(), y.mean(), y.std(ddof=1), x.std(ddof=1), fmt=marker,
                              capsize=2, color=colour, markersize=7,
                              label=in_words(method))  # fmt: skip
        line = np.mean(list(recorded(task, "before", "old").values()))
        axes.axhline(line, color=GREY, linestyle=":", linewidth=1)
        axes.set(title=task, xlabel="new task", ylabel="old task")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.locator_params(nbins=5)
        axes.grid(color=PALE)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False, fontsize=8)  # fmt: skip
else:
    print("docs/results has no forgetting.json yet; examples/measure_forgetting.py makes it")

# %%
# Up and to the right is better; the dotted line is the old network before. Weights, temperatures
# and shuffled outputs are only in the table. The control with shuffled outputs records for each
# image the old network's output for *another* one. It shows whether the method works because of
# what the outputs say, or because the old head gets any target at all.
#
# Two things to know when you read the paper. Warm-up, in which only the new head learns at first,
# matters for fine-tuning: a fresh head sends large gradients into the backbone. And all this is for
# tasks that are known to be separate, each with its own head. One softmax over all ten digits is a
# much harder problem, and the method hardly helps there.
#
# And the learning rate? With a small one little is forgotten, whatever we do. Here are all rates on
# MNIST, each with learning without forgetting against fine-tuning, both without warm-up:

for rate in sorted({r["lr"] for r in rows if r["task"] == "mnist" and "lr" in r}):
    pair = "LwF, no warm-up", "fine-tuning, no warm-up"
    if len(recorded("mnist", pair[0], "old", rate)) > 1:
        text = "; ".join(difference("mnist", *pair, which, rate) for which in ("old", "new"))
        print(f"rate {rate:<6g}{text}")

# %%
# What batch normalisation adds is not measured here. Its running statistics follow the new images,
# whatever the loss says.
#
# On your own images:
#
# .. code-block:: none
#
#    minivision forget-less runs/lenet5-my_birds-1 --dataset my_beetles
#
# Three things to try
# -------------------
# 1. Set ``WARM_UP`` to 0. Expect fine-tuning to lose more of the old task than before.
# 2. Set ``old_weight`` to 10. Expect the old task to be kept, and the new one to be learned more
#    slowly; at the same rate the steps may even become too large.
# 3. Teach the network a third task (``with_new_task`` again, with ``new="third"``), and look at the
#    first. Expect it to suffer most: its outputs are recorded from a network that has already
#    changed once.
#
# **Next lesson:** 17 · Pseudo-labels

plt.show()
