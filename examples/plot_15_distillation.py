"""
15 · Distillation
=================

**What does a large network know that a label does not say?**

*A label says: this is a 3. A large network says: a 3, perhaps an 8, never a 1. You train a small
network on such outputs, without a single label, and see how much more they tell it.*

**Prerequisites:** lessons 4 (softmax, cross-entropy) and 6 (training); 14 helps at the end.

**Minutes:** 25 to read, about 15 seconds to run.

**You will be able to**

* explain what a temperature does to probabilities, and why a high one reveals what a teacher knows,
* derive the gradient of the distillation loss, (q - p)/T, and explain the factor T²,
* train a small network on a large one's outputs: with labels, without labels, and on classes that
  the large one does not know.
"""

# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np

from minivision import Tensor, datasets, manual_seed, methods, models, optim, training, transforms
from minivision import functional as F
from minivision.nn import Linear, ReLU, Sequential

from lesson import BLUE, GREEN, GREY, PALE, VERMILION, YELLOW, device, recorded_rows

TEMPERATURES = (1, 2, 4, 8, 20)

# %%
# A teacher
# ---------
# Large networks are accurate but slow. On a phone we would rather run a small network that does the
# same job, and we can get one by training it to imitate a large one (Hinton, Vinyals & Dean 2015).
# So first we need a large network, the *teacher*. Here it is LeNet-5, trained on 657 of the bundled
# digits with their labels. The other 600 training images are kept for the small network, the
# *student*; the teacher does not see them during training.

train, validation, test = datasets.load_dataset("digits")
teachers_images, students_images = datasets.stratified_split(train, (657, 600), seed=0)
pixels = teachers_images.images / 255
numbers = transforms.Compose(
    [transforms.ToArray(), transforms.Normalize(pixels.mean(), pixels.std())]
)


def whole(data):
    """A loader of all images, in order."""
    return datasets.DataLoader(data, 200, transform=numbers)


manual_seed(0)
teacher = models.lenet5()
training.fit(
    teacher,
    datasets.DataLoader(teachers_images, 32, shuffle=True, transform=numbers),
    training.classification_loss,
    optim.Adam(teacher.parameters(), lr=2e-3),
    15,
    schedule=optim.cosine(15),
    device=device,
)
teacher.eval()
print(f"teacher: {teacher.parameter_count():,} parameters,",
      f"test accuracy {training.evaluate(teacher, whole(test))['accuracy']:.1%}")  # fmt: skip

# %%
# What it knows, and what we see of it
# ------------------------------------
# We show the teacher two test images: the one it is least sure of, and the one it is surest of.
# Softmax turns the teacher's logits v into probabilities; a **temperature** T divides the logits
# first:
#
# .. code-block:: none
#
#    p_k = exp(v_k / T) / Σ_j exp(v_j / T)
#
# With T = 1 this is the softmax of lesson 4. Read each row of the figure from left to right, as if
# you were moving a slider.


def softened(logits, temperature):
    """softmax(logits / T) of every row. The largest logit is subtracted first: exp may overflow."""
    above = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return above / above.sum(axis=1, keepdims=True)


logits = methods.record_responses(teacher, whole(test))  # (360, 10)
certainty = softened(logits, 1).max(axis=1)
chosen = {"least certain": int(certainty.argmin()), "most certain": int(certainty.argmax())}
figure, grid = plt.subplots(
    2, 6, figsize=(10, 4), layout="constrained", width_ratios=(1.1, 1, 1, 1, 1, 1)
)
for (words, i), (picture, *sliders) in zip(chosen.items(), grid, strict=True):
    picture.imshow(test.images[i, :, :, 0], cmap="gray")
    picture.set(xticks=[], yticks=[], xlabel=f"{words}\nlabel: {test.labels[i]}")
    for T, axes in zip(TEMPERATURES, sliders, strict=True):
        p = softened(logits[i : i + 1], T)[0]
        colours = [VERMILION if k == test.labels[i] else BLUE for k in range(10)]
        axes.bar(range(10), p, color=colours)
        axes.axhline(0.1, color=GREY, linestyle=":", linewidth=1)
        axes.set(ylim=(0, 1), xticks=range(0, 10, 3), yticks=[])
        axes.spines[["top", "right", "left"]].set_visible(False)
        if picture in grid[0]:
            axes.set_title(f"T = {T}")
    order = logits[i].argsort()[::-1]
    ranked = ", ".join(f"{k} ({softened(logits[i : i + 1], 4)[0, k]:.2f})" for k in order[:4])
    print(f"image {i}, label {test.labels[i]}: at T = 4 the teacher gives {ranked}, …")

# %%
# At T = 1 the lower row is no more than a label: the probabilities of the other nine classes are
# too small to see. As T rises, an order appears among the *wrong* classes. That order was in the
# logits all along. No label ever told the teacher which digits look alike; it found out during
# training, and Hinton calls this *dark knowledge*. As T rises further, all bars approach the dotted
# line at 1/10: the differences become small again, but the order stays the same. As T goes to 0,
# the output becomes a hard label: 1 for the most likely class and 0 for all others.
#
# The loss
# --------
# Let p be the teacher's softened probabilities, and q those of the student, computed from its
# logits z in the same way. The student should match the teacher, so we minimise the
# Kullback-Leibler divergence between p and q:
#
# .. code-block:: none
#
#    KL(p‖q) = Σ_k p_k (log p_k - log q_k)         ∂KL/∂z = (q - p) / T
#
# This is the gradient of softmax and cross-entropy from lesson 4, with the teacher's p in place of
# the label and a factor 1/T from the chain rule. Only z gets a gradient: **the teacher is not
# trained**. We check the formula against the gradient that the framework computes.
# ``distillation_loss`` returns T²·KL, so we divide by T².

z, v = np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 0.0]])
for T in (1, 2, 4):
    student_logits = Tensor(z, requires_grad=True)
    loss = F.distillation_loss(student_logits, v, T)
    loss.backward()
    by_hand = (softened(z, T) - softened(v, T)) / T
    print(f"T = {T}: KL {loss.item() / T**2:.5f}, its gradient by hand",
          f"{by_hand[0].round(8).tolist()}, largest difference from autograd",
          f"{np.abs(student_logits.grad / T**2 - by_hand).max():.0e}")  # fmt: skip

# %%
# The gradients shrink as T grows. If T is large compared with the logits, exp(v/T) is close to 1 +
# v/T, and for logits with mean 0
#
# .. code-block:: none
#
#    (q - p) / T  →  (z - v) / (K·T²)         K: the number of classes
#
# Two things follow. First, the student then learns to match the teacher's *logits*, including those
# of unlikely classes. Second, the gradient falls as 1/T². If nothing compensated for this, changing
# T would also change the effective learning rate, and the weight of this loss in a sum of losses.
# The factor **T²** compensates for it. We check both statements on real logits: those of the
# teacher and those of an untrained network.


def small(seed, hidden=24):
    """The student: one hidden layer."""
    manual_seed(seed)
    layers = Linear(28 * 28, hidden), ReLU(), Linear(hidden, 10)
    return models.Network(Sequential(), Sequential(*layers), (1, 28, 28))


fresh = small(0).to(device)
z = methods.record_responses(fresh, whole(test))
z, v = (x - x.mean(axis=1, keepdims=True) for x in (z, logits))


def gradient_at(T):
    """The mean length of ∂KL/∂z, and its length and direction relative to the limit."""
    gradient = (softened(z, T) - softened(v, T)) / T
    limit = (z - v) / (10 * T**2)
    length, expected = (np.linalg.norm(x, axis=1) for x in (gradient, limit))
    cosine_between = (gradient * limit).sum(axis=1) / (length * expected)
    return length.mean(), length.mean() / expected.mean(), cosine_between.mean()


many = np.geomspace(0.5, 200, 40)
lengths, ratios, cosines = np.array([gradient_at(T) for T in many]).T
figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.1), layout="constrained")
left.loglog(many, lengths, color=VERMILION, label="KL")
left.loglog(many, lengths * many**2, color=BLUE, linestyle="--", label="T²·KL")
left.set(title="length of the gradient of z", xlabel="T")
right.semilogx(many, ratios, color=BLUE, label="ratio of lengths")
right.semilogx(many, cosines, color=GREEN, linestyle="--", label="cosine of the angle")
right.axhline(1, color=GREY, linestyle=":", linewidth=1)
right.set(title="gradient relative to the limit (z - v)/(K·T²)", xlabel="T", ylim=(0, 1.7))
for axes in (left, right):
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
for T in (1, 4, 20, 200):
    _, ratio, cosine_between = gradient_at(T)
    print(f"T = {T:>3}: length / limit {ratio:.3f}, cosine {cosine_between:.3f}")

# %%
# In the left panel, the line for KL falls with slope -2 at high T, and the factor T² makes it level
# there. At low T the factor makes the lengths comparable but not equal: the approximation needs a T
# that is large compared with the logits, and real logits are large. At T = 4 the gradient does not
# yet point towards matching all logits.
#
# If labels are available, the loss is a sum of two terms. The term for the label y uses T = 1,
# because the student will be used at T = 1:
#
# .. code-block:: none
#
#    L = α·CE(y, softmax(z)) + (1 - α)·T²·KL(softmax(v/T) ‖ softmax(z/T))
#
# ``distillation`` keeps the factor T² even if α is 0 and no label is read, so the same learning
# rate suits training with and without labels. (Libraries differ in this, and in how they take the
# mean: PyTorch's ``kl_div`` divides by N·K unless it is given ``reduction="batchmean"``.)
#
# Without a label
# ---------------
# The student has one hidden layer of 24 units. To make sure that no label is read, we put its
# images into a dataset that has no labels:


class Unlabelled:
    """Images without labels: asking for the labels raises an error."""

    in_memory = True

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return self.images[indices], None

    @property
    def labels(self):
        raise PermissionError("these images have no labels")


hundred, _ = datasets.stratified_split(students_images, (100, 500), seed=1)
unlabelled = {"100": Unlabelled(hundred.images), "600": Unlabelled(students_images.images)}
try:
    print(unlabelled["100"].labels)
except PermissionError as error:
    print("asked for labels:", error)
outputs = {n: methods.record_responses(teacher, whole(images)) for n, images in unlabelled.items()}
decisions = outputs["100"].argmax(axis=1)
print(f"the teacher is right on {(decisions == hundred.labels).mean():.0%} of the 100 images")

# %%
# The students differ only in their training targets. Four of them are trained on the same 100
# images:
#
# * **labels**: the true class, given by a person. Every experiment of this kind needs this control.
# * **hard labels**: only the class that the teacher predicts. Such a label is called a
#   pseudo-label, the subject of lesson 17.
# * **outputs**: the teacher's ten logits, softened with T = 4.
# * **shuffled outputs**: the same outputs, each assigned to a random image. If this student learns
#   to read digits, there is a mistake in the experiment.
#
# The fifth student, **outputs, 600 images**, gets the teacher's outputs for more images, because
# images without labels are cheap. Each student is trained three times for 480 steps, with different
# initial weights and a different order of the images.

STEPS, BATCH_SIZE = 480, 20


def student(targets, seed):
    """A student's history, with its test accuracy and its agreement with the teacher."""
    n = "600" if "600" in targets else "100"
    epochs = STEPS * BATCH_SIZE // int(n)
    model, shuffled = small(seed), np.random.default_rng(seed).permutation(outputs[n])
    labels = {"labels": hundred.labels, "hard labels": decisions}.get(targets)

    def look(model):
        decides = methods.record_responses(model, whole(test)).argmax(axis=1)
        as_teacher = decides == logits.argmax(axis=1)
        return {"accuracy": (decides == test.labels).mean(), "agreement": as_teacher.mean()}

    if labels is None:
        images = unlabelled[n]
        loss = methods.distillation(
            shuffled if "shuffled" in targets else outputs[n], temperature=4, alpha=0
        )
    else:
        images = datasets.ArrayDataset(hundred.images, labels, train.classes)
        loss = training.classification_loss
    loader = datasets.DataLoader(images, BATCH_SIZE, shuffle=True, seed=seed, transform=numbers)
    if labels is None:
        loader = methods.hide_labels(loader)
    rule, schedule = optim.Adam(model.parameters(), lr=2e-3), optim.cosine(epochs)
    return training.fit(
        model, loader, loss, rule, epochs, schedule=schedule, validate=look, seed=seed,
        device=device,
    )  # fmt: skip


def in_percent(values):
    """Mean and standard deviation, in percent."""
    return f"{100 * values.mean():5.1f} ± {100 * values.std(ddof=1):.1f} %"


def compared(values, others):
    """The mean difference, paired by seed, in points, and whether it is clear."""
    pairs = zip(values, others, strict=False)  # an unfinished recording may lack the last seeds
    gains = np.array([value - other for value, other in pairs])
    error = gains.std(ddof=1) / len(gains) ** 0.5
    seen = "clear" if abs(gains.mean()) > 2 * error else "within two standard errors"
    return f"{100 * gains.mean():+.1f} points ± {100 * error:.1f}, {seen}"


print(f"student: {small(0).parameter_count():,} parameters")
styles = {
    "labels": (GREY, "-"),
    "hard labels": (YELLOW, "-."),
    "outputs": (BLUE, "-"),
    "outputs, 600 images": (GREEN, "--"),
    "shuffled outputs": (VERMILION, ":"),
}
last = {}
figure, panels = plt.subplots(1, 2, figsize=(9.2, 3.3), layout="constrained", sharey=True)
for name, (colour, style) in styles.items():
    histories = [student(name, seed) for seed in range(3)]
    for axes, number in zip(panels, ("accuracy", "agreement"), strict=True):
        curves = np.array([history[f"validation_{number}"] for history in histories])
        steps = np.linspace(0, STEPS, curves.shape[1] + 1)[1:]
        axes.plot(steps, curves.mean(axis=0), style, color=colour, label=name)
        last[name, number] = curves[:, -1]
    print(f"{name:<20} accuracy {in_percent(last[name, 'accuracy'])},",
          f"agreement with the teacher {in_percent(last[name, 'agreement'])}")  # fmt: skip
for name in ("labels", "hard labels"):
    difference = compared(last["outputs", "accuracy"], last[name, "accuracy"])
    print(f"accuracy with outputs minus accuracy with {name}: {difference}")
panels[0].set(title="test accuracy", xlabel="step")
panels[1].set(title="agreement with the teacher", xlabel="step")
panels[0].axhline(training.evaluate(teacher, whole(test))["accuracy"], color=GREY, linewidth=1)
panels[0].text(
    1, training.evaluate(teacher, whole(test))["accuracy"], "teacher", va="bottom", color=GREY
)
panels[1].legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.4))
for axes in panels:
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.spines[["top", "right"]].set_visible(False)

# %%
# The student has learned to read digits without a single label. Given the same outputs for the
# wrong images, it learns nothing. Compare *outputs* with *hard labels*: both come from the teacher,
# but only the outputs contain everything that it knows. One image of a 6 with the target "a 6,
# somewhat like an 8, hardly like a 1" can teach something about all ten classes. The last two
# printed lines show how much that is worth. Each gives the mean difference in percentage points,
# paired by seed, with its standard error; throughout this lesson a difference is called *clear* if
# it exceeds two standard errors. We chose 100 images after trying several numbers, because the
# difference is easiest to see with few images; the first thing to try, at the end of the lesson,
# uses all 600.
#
# Hinton's experiment, smaller
# ----------------------------
# ``examples/measure_distillation.py`` repeats the paper's experiment on MNIST. The teacher has two
# hidden layers of 1,200 units with dropout, and was trained on 55,000 labelled images. The students
# have two hidden layers of 100 units, and are trained on **1,800** of these images. Each student
# uses the learning rate that was best on the validation images; the temperature was not chosen, and
# all temperatures are shown. The ± after an accuracy is the standard deviation over the seeds. Each
# line but the first ends with the difference from the student that learned from labels alone. The
# difference is paired by seed, because students with the same seed share their training images; its
# ± is the standard error, which is only a rough estimate with three seeds. There is only one
# teacher, so the spread says nothing about how results vary from teacher to teacher. As in the
# paper, the teacher was trained on the students' images and their labels, among others.

rows = recorded_rows("distillation.json")
CHOOSING = 100


def of(part, **wanted):
    """The recorded rows of one part of the measurements that have these entries."""
    wanted = {"part": part, **wanted}
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def counted(part, variant):
    """The rows with a test accuracy, at the rate that was best on the validation images."""
    mine = of(part, variant=variant)
    tried = {row["lr"]: row["validation_accuracy"] for row in mine if row["seed"] == CHOOSING}
    best = max(sorted(tried), key=tried.get, default=None)
    return [row for row in mine if row["lr"] == best and "test_accuracy" in row]


def column(found, name="test_accuracy"):
    return np.array([row[name] for row in found])


teachers = of("teacher")
if teachers:
    print(f"teacher {teachers[0]['test_accuracy']:.2%}")
variants = list(dict.fromkeys(row["variant"] for row in of("temperature")))
measured = {name: counted("temperature", name) for name in variants}
measured = {name: column(found) for name, found in measured.items() if len(found) > 1}
for name, values in measured.items():
    agrees = column(counted("temperature", name), "test_agreement")
    against = f"  {compared(values, measured['labels'])}" if name != "labels" else ""
    print(f"{name.replace('answers', 'outputs'):<21} test {in_percent(values)},",
          f"agrees with the teacher {in_percent(agrees)}{against}")  # fmt: skip

at_temperature = {T: measured[f"T={T}"] for T in TEMPERATURES if f"T={T}" in measured}
by_alpha = {0: measured.get("T=8")} | {a: measured.get(f"T=8, alpha {a}") for a in (0.1, 0.5, 0.9)}
by_alpha = {a: v for a, v in (by_alpha | {1: measured.get("labels")}).items() if v is not None}
if len(at_temperature) > 1 and len(by_alpha) > 1 and "labels" in measured:
    figure, panels = plt.subplots(1, 2, figsize=(9.2, 3.2), layout="constrained", sharey=True)
    for axes, found in zip(panels, (at_temperature, by_alpha), strict=True):
        x = np.arange(len(found))
        for place, values in zip(x, found.values(), strict=True):
            axes.plot(np.full(len(values), place), values, "o", color=BLUE, alpha=0.5)
        axes.plot(x, [values.mean() for values in found.values()], color=BLUE)
        axes.axhline(teachers[0]["test_accuracy"], color=GREY, linewidth=1)
        axes.text(0, teachers[0]["test_accuracy"], "teacher", va="bottom", color=GREY)
        axes.set_xticks(x, [f"{key:g}" for key in found])
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=PALE, axis="y")
    panels[0].axhline(measured["labels"].mean(), color=VERMILION, linestyle="--", linewidth=1)
    panels[0].text(4, measured["labels"].mean(), "labels alone", va="bottom", ha="right",
                   color=VERMILION)  # fmt: skip
    panels[0].set(title="outputs alone: temperature", xlabel="T", ylabel="test accuracy")
    panels[1].set(title="T = 8: weight of the labels", xlabel="α (1: labels alone)")
    first, *_, last = at_temperature
    print(f"T = {last} minus T = {first}: {compared(at_temperature[last], at_temperature[first])}")
    print(f"T = 8: α = 0.1 minus α = 0: {compared(by_alpha[0.1], by_alpha[0])}"
          if 0.1 in by_alpha else "")  # fmt: skip
else:
    print("docs/results/distillation.json does not have two seeds yet")

# %%
# With α = 0, no label is used. The last printed line shows whether labels add anything to the
# outputs of a teacher that has already learned from those labels; the paper gives them "a
# considerably lower weight".
#
# More images, still no labels
# ----------------------------
# Labels cost a person's time; outputs cost only computing time. So we give the student more images,
# with the teacher's outputs alone (T = 4, and 6,000 steps whatever the number of images):

student_of_1800 = measured.get("labels")
for count in dict.fromkeys(row["variant"] for row in of("unlabelled")):
    found = counted("unlabelled", count)
    if len(found) > 1 and teachers and student_of_1800 is not None:
        values, top = column(found), teachers[0]["test_accuracy"]
        closed = (values.mean() - student_of_1800.mean()) / (top - student_of_1800.mean())
        print(f"{count:>6,} images: test {in_percent(values)}, agrees with the teacher",
              f"{in_percent(column(found, 'test_agreement'))};",
              f"{closed:.0%} of the way from 1,800 labels to the teacher")  # fmt: skip

# %%
# The baseline has *few* labels because the gap between student and teacher is then large. With
# 55,000 labels the student might come as close without any teacher; we have not measured that. (In
# the paper a student with all 60,000 images makes 146 errors without the teacher and 74 with it.
# The paper's teacher, which was also trained on shifted images, makes 67 errors; the accuracy of
# ours is printed above.)
#
# A digit that the student has never seen
# ---------------------------------------
# This is the paper's most surprising experiment. All images of a 3 are removed from the student's
# training set, so the student never sees one. But for many of the 8s and 5s, the teacher's outputs
# say how much they resemble a 3. The student (two hidden layers of 300 units) is then tested on
# images that include 3s. A second student is trained on 7s and 8s only.
#
# Such a student rarely predicts a class that was absent from its training set, largely because of
# the biases in its last layer. ``bias_for_share`` corrects a bias so that the class is predicted as
# often as it occurs: the first student then predicts 3 more often, and the second predicts 7 and 8
# less often. The frequencies of the classes must be known. The correction uses the student's
# predictions for the *validation* images, without their labels, and never looks at the test images;
# the paper chose its correction on the test images. The control is a student trained on labels and
# corrected in the same way. All students use the same learning rate, which was not tuned.

shown = {}
for which in dict.fromkeys(row["which"] for row in of("omitted")):
    for source in dict.fromkeys(row["source"] for row in of("omitted", which=which)):
        found = of("omitted", which=which, source=source)
        if len(found) > 1:
            for when in ("before", "corrected"):
                unseen, everything = (
                    in_percent(column(found, f"{when}_{name}_accuracy"))
                    for name in ("omitted", "test")
                )
                taught = source.replace("answers", "outputs")
                shown[f"{which}: {taught}, {when}"] = column(found, f"{when}_omitted_accuracy")
                print(f"{which:<12} {taught:<7} {when:<9} never seen {unseen},",
                      f"all digits {everything} ({len(found)} seeds)")  # fmt: skip
    pair = [of("omitted", which=which, source=source) for source in ("answers", "labels")]
    if min(map(len, pair)) > 1:
        answered, labelled = (column(found, "corrected_omitted_accuracy") for found in pair)
        print(f"{which}, digits never seen, corrected, outputs minus labels:",
              compared(answered, labelled))  # fmt: skip

if shown:
    figure, axes = plt.subplots(figsize=(7.6, 2.9), layout="constrained")
    for place, (name, values) in enumerate(shown.items()):
        colour = BLUE if "outputs" in name else GREY
        axes.plot(values, np.full(len(values), place), "o", color=colour, alpha=0.5)
        axes.plot(values.mean(), place, "|", color=colour, markersize=18, markeredgewidth=2)
    axes.set_yticks(range(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.set(title="test accuracy on digits never seen: each seed, and the mean", xlim=(-0.03, 1))
    axes.grid(color=PALE, axis="x")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.spines[["top", "right"]].set_visible(False)
else:
    print("docs/results/distillation.json has no rows for omitted digits yet")

# %%
# Other classes
# -------------
# Does the teacher have to know the student's classes? Here a LeNet-5 that was trained only on the
# digits 0 to 4 is shown images of 5 to 9. All of its predictions are wrong, and none could be
# right. A new LeNet-5 learns to imitate its outputs for these images, without labels. Then the new
# network's backbone is frozen and gets a new head (``with_new_head``, lesson 14), which learns 5 to
# 9 from a few labels per class.

backbones = list(dict.fromkeys(row["body"] for row in of("other classes")))
counts = sorted({row["labels"] for row in of("other classes")})
by_backbone = {backbone: {} for backbone in backbones}
for count in counts:
    for backbone in backbones:
        found = of("other classes", body=backbone, labels=count)
        if len(found) > 1:
            by_backbone[backbone][count] = values = column(found)
            rival = by_backbone["fresh"].get(count)
            against = f"  {compared(values, rival)}" if backbone != "fresh" else ""
            words = backbone.replace("answers", "outputs")
            print(f"{count:>3} labels per class, backbone: {words:<20} "
                  f"test {in_percent(values)}{against}")  # fmt: skip
    pair = [by_backbone[name].get(count) for name in ("imitates the teacher", "shuffled answers")
            if name in by_backbone]  # fmt: skip
    if len(pair) == 2 and all(values is not None for values in pair):
        print(f"{count:>3} labels per class, outputs minus shuffled outputs: {compared(*pair)}")
if backbones:
    figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
    looks = ((GREY, "o-"), (VERMILION, "s:"), (BLUE, "o-"), (GREEN, "^--"))
    for (backbone, found), (colour, style) in zip(by_backbone.items(), looks, strict=False):
        means = [values.mean() for values in found.values()]
        spread = [values.std(ddof=1) for values in found.values()]
        axes.errorbar(
            list(found),
            means,
            spread,
            fmt=style,
            color=colour,
            capsize=3,
            label=backbone.replace("answers", "outputs"),
        )
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count}" for count in counts])
    axes.minorticks_off()
    axes.set(title="a new head for 5 to 9 on a frozen backbone: test accuracy",
             xlabel="labels per class")  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
else:
    print("docs/results/distillation.json has no rows for other classes yet")

# %%
# Each line ends with the difference from *fresh*, a frozen backbone with random weights, which is a
# stronger baseline than it sounds. The backbone trained on *shuffled outputs* shows how much of the
# effect comes from training as such, and not from what the outputs say about the images.
#
# How much smaller?
# -----------------

sizes = {row["network"]: row for row in of("sizes")}
best = counted("unlabelled", max((row["variant"] for row in of("unlabelled")), default=0))
for name, row in sizes.items():
    right = teachers[0]["test_accuracy"] if name == "teacher" else column(best).mean()
    print(f"{name:<8} {row['parameters']:>9,} parameters,",
          f"{row['multiply_adds']:>9,} multiply-adds,",
          f"{row['milliseconds_an_image']:.3f} ms per image,",
          f"test accuracy {right:.1%}")  # fmt: skip
if len(sizes) == 2:
    ratio = {key: sizes["teacher"][key] / sizes["student"][key]
             for key in ("parameters", "multiply_adds", "milliseconds_an_image")}  # fmt: skip
    ratio = {k.replace("_an_", " per ").replace("_", " "): n for k, n in ratio.items()}
    print("the teacher has", ", ".join(f"{n:.0f} times the {name}" for name, n in ratio.items()))
else:
    print("docs/results/distillation.json has no rows for sizes yet")

# %%
# The numbers of parameters and multiply-adds are exact. The milliseconds were measured on one core
# of a busy machine, one image at a time, and are accurate only to within a factor of two. The
# accuracy shown for the student is the one it reached with the most unlabelled images.
#
# To distil a network on your own images, use the command line:
#
# .. code-block:: none
#
#    minivision distill --help
#
# Three things to try
# -------------------
# 1. Train all students on the 600 images, the first one with all 600 labels. Expect the students to
#    differ less than the seeds do: with that many labels there is little left for a teacher to add.
# 2. Remove the 3s from the 600 images (``students_images.images[students_images.labels != 3]``),
#    and count how many of the test set's 3s are recognised by the student that learns from outputs.
#    Then add ``bias_for_share(z, 3, 0.1)``, where z are its logits for the validation images, to
#    the bias of its last layer. Expect fewer than half of the 3s before the correction, and most of
#    them after it.
# 3. Imitate a loss without the factor T²: divide the learning rate by 16, at T = 4. Expect slower
#    learning. With plain SGD, leaving out T² has exactly this effect. Adam divides each gradient by
#    its usual size, so with α = 0 it would hardly notice a missing T².
#
# **Write it yourself:** ``minivision exercise start distillation_loss``.
#
# **Next lesson:** 16 · Learning without forgetting

plt.show()
