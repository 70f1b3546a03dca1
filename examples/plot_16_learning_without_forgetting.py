"""
16 · Learning without forgetting
================================

**How can a network learn new classes without forgetting the old ones?**

*A network can read the digits 0 to 4, and you teach it 5 to 9. Afterwards it reads the new digits
but has partly forgotten the old ones. You learn how to prevent that without a single old image.*

**Prerequisites:** lessons 14 (backbone and head) and 15 (temperature, soft labels).

**Minutes:** 20 to read, about 15 seconds to run.

**You will be able to**

* explain why a network forgets a task even if its head is left alone,
* write down Li and Hoiem's loss, and say where the temperature enters,
* judge a method on both tasks, compared with fine-tuning, feature extraction and joint training.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, methods, models, optim, training, transforms
from minivision import functional as F
from minivision.nn import skip_init

from lesson import BLUE, GREEN, GREY, PALE, PURPLE, VERMILION, device, recorded_rows

# %%
# What an old network says about new images
# -----------------------------------------

splits = datasets.load_dataset("digits")
old, new = ([datasets.OnlyClasses(part, names) for part in splits] for names in ("01234", "56789"))
pixels = old[0].images / 255
numbers = transforms.Compose(
    [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
)


def batches(data, shuffle=True):
    """Shuffled batches for training; all images in order for evaluation."""
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
# This network has never seen a 7. Yet its output for a 7 says how similar the image is to each of
# the digits that it knows. That output is knowledge about the old task, and we can record it
# without a single old image. Temperature 2 reveals more of this knowledge than temperature 1
# (lesson 15).

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
# The new task gets its own head next to the old one, and both heads share the same backbone. We
# train this network in four ways, each with the same number of updates:
#
# * *feature extraction*: only the new head is trained,
# * *fine-tuning*: the backbone and the new head are trained,
# * *learning without forgetting*: the backbone and both heads are trained, and the loss keeps the
#   old head's outputs close to the recorded ones,
# * *joint training*: everything is trained on the new and the old images. We have the old images
#   here; in practice they are usually not available.
#
# After every epoch we measure the accuracy on both tasks. We follow the four steps of the paper:
# step 1 records the old outputs, as we did above; step 2 adds the new head; step 3, the *warm-up*,
# trains the new head alone, with everything else frozen; and step 4 trains the whole network.

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
    """Train one part of the model, and record the validation accuracy on both tasks."""

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
# Fine-tuning does not train the old head. Has the head really stayed the same? And what has
# happened to the features that it receives as input?

tuned = trained["fine-tuning"]
head, was = tuned.heads["old"].state_dict(), source.classifier[-1].state_dict()
same = all(np.array_equal(a, b) for a, b in zip(head.values(), was.values(), strict=True))
features = [
    methods.record_responses(backbone, batches(old[2], shuffle=False))
    for backbone in (methods.with_new_task(old_network(), 5).backbone.to(device), tuned.backbone)
]
moved = np.linalg.norm(features[1] - features[0]) / np.linalg.norm(features[0])
print(f"the old head is unchanged, bit for bit: {same}")
print(f"relative change of the features of the old test images: {moved:.0%}")

# %%
# The head is unchanged, but the backbone now computes different features for the same image. The
# head still reads them as it learned to, although they no longer mean the same thing.
#
# The loss
# --------
# Before any weight changes, we record the old network's logits v for the *new* images. During
# training the old head has to keep producing these outputs, while the new head learns the labels:
#
# L = λ·L_old + L_new, with L_old = -1/N Σ_n Σ_k y'_nk log ŷ'_nk, y' = softmax(v/T),
# ŷ' = softmax(z/T) and T = 2 (Li & Hoiem 2018). Here z are the old head's current logits.
#
# This is distillation with the old network as the teacher. Only the factor T² of lesson 15 is
# missing, so the gradient for one image is (ŷ' - y')/T. Autograd agrees:

rng = np.random.default_rng(0)
v, z, T = rng.normal(size=(4, 5)), Tensor(rng.normal(size=(4, 5)), requires_grad=True), 2.0
wanted = F.softmax(v, temperature=T).data
F.cross_entropy(z / T, wanted).backward()
by_hand = (F.softmax(z.detach(), temperature=T).data - wanted) / (T * len(v))
print(f"largest difference from (ŷ' - y')/(T·N): {np.abs(z.grad - by_hand).max():.1e}")

# %%
# With λ = 0 the loss is exactly that of fine-tuning: the old head then gets no gradient, and the
# trained weights are bit-identical. So only one term of the loss separates the curves of
# fine-tuning and of learning without forgetting in the figure above.
#
# Recorded measurements
# ---------------------
# ``examples/measure_forgetting.py`` compares the methods on MNIST, with 25,000 old and 10,000
# new images, and on CIFAR-10 (JPEG), with five old and five new classes. On each data set all
# methods use the same learning rate: the one at which fine-tuning is best on the *new* validation
# images, because in practice there are no old ones. Each line ends with the differences from
# fine-tuning, paired by seed, with their standard errors. A difference is *clear* if it exceeds two
# standard errors.

rows = recorded_rows("forgetting.json")


CHOOSING = 100  # the seed of the runs that chose the rates


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
    """The mean difference in points, paired by seed, with its standard error."""
    one, other = (recorded(task, name, which, rate) for name in (method, base))
    gains = 100 * np.array([one[s] - other[s] for s in sorted(set(one) & set(other))])
    error = gains.std(ddof=1) / len(gains) ** 0.5
    seen = "clear" if abs(gains.mean()) > 2 * error else "not clear"
    return f"{which} {gains.mean():+5.1f} ± {error:.1f} points, {seen}"


def in_words(method):
    """A method's recorded name, translated into the terms of this lesson."""
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
            against = "  minus fine-tuning: " + "; ".join(
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
    print("docs/results/forgetting.json is missing; examples/measure_forgetting.py writes it")

# %%
# In the figure, up and to the right is better, and the dotted line is the old network before it
# learned the new task. The variants with other weights λ, other temperatures and shuffled outputs
# are only in the table. In the control with shuffled outputs, the target for each image is the old
# network's output for a *different* image. This control shows whether the method works because of
# what the outputs say, or merely because the old head has a target.
#
# Keep two things in mind when you read the paper. First, warm-up matters for fine-tuning, because
# an untrained head sends large gradients into the backbone. Second, everything here assumes that we
# know which task an image belongs to, so that each task can have its own head. One softmax over all
# ten digits is a much harder problem, and the method hardly helps there.
#
# The learning rate matters, too: with a small one, little is forgotten whichever method we use. The
# next lines compare learning without forgetting with fine-tuning on MNIST at every learning rate,
# both without warm-up:

for rate in sorted({r["lr"] for r in rows if r["task"] == "mnist" and "lr" in r}):
    pair = "LwF, no warm-up", "fine-tuning, no warm-up"
    if len(recorded("mnist", pair[0], "old", rate)) > 1:
        text = "; ".join(difference("mnist", *pair, which, rate) for which in ("old", "new"))
        print(f"rate {rate:<6g}{text}")

# %%
# We have not measured the effect of batch normalisation. Its running statistics follow the new
# images, whatever the loss is.
#
# To apply the method to your own images, use the command line:
#
# .. code-block:: none
#
#    minivision forget-less runs/lenet5-my_birds-1 --dataset my_beetles
#
# Three things to try
# -------------------
# 1. Set ``WARM_UP`` to 0. Expect fine-tuning to lose more of the old task than before.
# 2. Set ``old_weight``, the λ of ``methods.lwf_loss``, to 10. Expect the network to remember the
#    old task and to learn the new one more slowly; at the same learning rate the steps may even
#    become too large.
# 3. Teach the network a third task (``with_new_task`` again, with ``new="third"``), and measure the
#    first task again. Expect the first task to suffer most: the outputs recorded for it come from a
#    network that has already changed once.
#
# **Write it yourself:** ``minivision exercise start lwf_loss``.
#
# **Next lesson:** 17 · Pseudo-labels

plt.show()
