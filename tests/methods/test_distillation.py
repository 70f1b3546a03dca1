"""Distillation: the loss by hand and in its limits, a teacher that stays out, labels unread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import nn
from minivision.datasets import DataLoader
from minivision.gradcheck import gradcheck
from minivision.methods import (
    bias_for_share,
    distill,
    distillation,
    hide_labels,
    record_responses,
)
from minivision.methods.distillation import USUAL_ALPHA, teachers_logits
from minivision.optim import SGD, step_decay
from minivision.tensor import Tensor
from minivision.training import Run, evaluate, fit
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests import oracles
from tests.methods.old_network import Killed, dies_in, network, weights
from tests.methods.unlabelled import WithoutLabels, stripes
from tests.strategies import seeds

DRAWS = Compose([RandomTranslate(1), ToArray()])
DATA = stripes(22, 1)


def loader(transform=None, dataset=None):
    dataset = WithoutLabels(DATA) if dataset is None else dataset
    return DataLoader(dataset, 5, shuffle=True, seed=4, transform=transform)


def distilled(student, teacher, **options):
    """Three epochs, on a dataset that raises when its labels are looked at."""
    options = {"epochs": 3, "device": "cpu"} | options
    rule = SGD(student.parameters(), lr=0.05, momentum=0.9)
    batches = options.pop("loader", None) or loader()
    return distill(student, teacher, batches, optimizer=rule, **options)


def good_teacher():
    """A network that knows the stripes."""
    teacher = network(7)
    rule = SGD(teacher.parameters(), lr=0.1, momentum=0.9)

    def loss(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets)

    fit(teacher, DataLoader(stripes(60, 3), 10, shuffle=True), loss, rule, 8, device="cpu")
    teacher.zero_grad()
    return teacher


class Answers(nn.Module):
    """A "network" whose logits are what it is given."""

    def forward(self, x):
        return x


# ── the loss by hand ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("T", "value", "gradient"),
    [
        (1, 1.36400569, [-0.61535394, -0.01476799, 0.63012193]),
        (2, 1.75904390, [-0.18011283, -0.01215154, 0.19226437]),
        (4, 1.96195691, [-0.04748469, -0.00486459, 0.05234928]),
    ],
)
def test_one_answer_of_one_teacher_worked_out(T, value, gradient):
    """z = (1, 2, 3), v = (3, 2, 0): the value T²·KL, and T² times its gradient (q - p)/T."""
    z = Tensor(np.array([[1.0, 2.0, 3.0]]), requires_grad=True)
    loss, numbers = distillation(np.array([[3.0, 2.0, 0.0]]), temperature=T)(
        Answers(), Batch(z, None, np.array([0]))
    )
    loss.backward()
    assert loss.item() == pytest.approx(value, abs=5e-9)
    np.testing.assert_allclose(z.grad[0], T**2 * np.array(gradient), rtol=0, atol=T**2 * 5e-9)
    assert set(numbers) == {"soft_loss", "agreement"}


@given(
    N=st.integers(1, 4), K=st.integers(2, 5), T=st.floats(0.5, 20), alpha=st.floats(0, 1),
    seed=seeds,
)  # fmt: skip
def test_the_mixed_loss_and_its_gradient_equal_loops(N, K, T, alpha, seed):
    """dz = α(softmax(z) - 1_y)/N + (1 - α)·T·(q - p)/N."""
    rng = np.random.default_rng(seed)
    table, labels = 2 * rng.normal(size=(N + 3, K)), rng.integers(0, K, N + 3)
    rows = rng.permutation(N + 3)[:N]
    z = 2 * rng.normal(size=(N, K))
    expected, gradient = 0.0, np.zeros((N, K))
    for n, i in enumerate(rows):
        answer = oracles.softmax(z[n])
        p, q = oracles.softmax(table[i], T), oracles.softmax(z[n], T)
        kl = sum(p[k] * (np.log(p[k]) - np.log(q[k])) for k in range(K))
        expected += (-alpha * np.log(answer[labels[i]]) + (1 - alpha) * T**2 * kl) / N
        for k in range(K):
            hard = answer[k] - (k == labels[i])
            gradient[n, k] = (alpha * hard + (1 - alpha) * T * (q[k] - p[k])) / N
    x = Tensor(z, requires_grad=True)
    loss, numbers = distillation(table, labels, temperature=T, alpha=alpha)(
        Answers(), Batch(x, None, rows)
    )
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-8, abs=1e-10)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-7, atol=1e-10)
    if alpha < 1:
        decided = z.argmax(axis=1)
        assert numbers["agreement"] == np.mean(decided == table[rows].argmax(axis=1))
    if alpha > 0:
        assert numbers["train_accuracy"] == np.mean(z.argmax(axis=1) == labels[rows])


class Tiny:
    """A network of two layers whose weights are handed in."""

    def __init__(self, *given):
        self.given = given

    def __call__(self, x):
        first, shift, second = self.given
        return F.linear(F.tanh(F.linear(x, first, shift)), second)


@given(T=st.floats(0.5, 10), alpha=st.floats(0, 1), seed=seeds, labelled=st.booleans())
def test_its_gradient_through_a_network_is_the_numerical_one(T, alpha, seed, labelled):
    rng = np.random.default_rng(seed)
    x, rows = Tensor(rng.normal(size=(3, 4))), rng.permutation(6)[:3]
    teacher = 2 * rng.normal(size=(6, 3))
    labels = rng.integers(0, 3, 6) if labelled else None
    loss = distillation(teacher, labels, temperature=T, alpha=alpha if labelled else None)
    parts = [rng.normal(size=shape) for shape in ((5, 4), (5,), (3, 5))]
    gradcheck(lambda *given: loss(Tiny(*given), Batch(x, None, rows))[0], parts, rng=rng)


def test_at_a_high_temperature_it_matches_the_centred_logits():
    """Hinton et al. 2015, eq. 4: dz → (z - v)/(K·N), with the T² of the loss."""
    rng = np.random.default_rng(0)
    z, v = rng.normal(size=(2, 3, 5))
    x = Tensor(z, requires_grad=True)
    loss = distillation(v, temperature=1e5)
    loss(Answers(), Batch(x, None, np.arange(3)))[0].backward()
    expected = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
    np.testing.assert_allclose(x.grad, expected / 15, rtol=1e-3, atol=1e-5)


def test_without_labels_the_soft_loss_is_the_one_with_labels_t_squared_and_all():
    """torchdistill leaves out T² as soon as there are no labels; then the rate is another."""
    rng = np.random.default_rng(1)
    z, v = Tensor(rng.normal(size=(4, 3))), rng.normal(size=(4, 3))
    batch = Batch(z, None, np.arange(4))
    alone, _ = distillation(v)(Answers(), batch)
    with_labels, _ = distillation(v, np.zeros(4, int), alpha=0)(Answers(), batch)
    _, mixed = distillation(v, np.zeros(4, int), alpha=0.4)(Answers(), batch)
    assert alone.item() == with_labels.item() == mixed["soft_loss"].item()


def test_labels_weigh_a_tenth_unless_one_says_otherwise():
    rng = np.random.default_rng(1)
    z, v, y = Tensor(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)), np.array([0, 1, 2, 0])
    usual, numbers = distillation(v, y)(Answers(), Batch(z, None, np.arange(4)))
    hard, soft = numbers["hard_loss"].item(), numbers["soft_loss"].item()
    assert USUAL_ALPHA == 0.1
    assert hard == pytest.approx(F.cross_entropy(z, y).item())
    assert usual.item() == pytest.approx(0.1 * hard + 0.9 * soft)


# ── its limits ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transform", [None, DRAWS], ids=["plain", "augmented"])
def test_with_alpha_1_it_is_training_on_labels_to_the_bit_and_asks_no_teacher(transform):
    def never(x):
        raise AssertionError("the teacher was asked")

    student, plain, teacher = network(), network(), network(9)
    teacher.forward = never
    history = distilled(student, teacher, labels=DATA.labels, alpha=1, loader=loader(transform))

    def cross_entropy(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets)

    rule = SGD(plain.parameters(), lr=0.05, momentum=0.9)
    expected = fit(plain, loader(transform, DATA), cross_entropy, rule, 3, device="cpu")
    assert weights(student) == weights(plain)
    assert history["train_loss"] == expected["train_loss"]


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    teacher = network(dropout=0.0).eval()
    x = Tensor(np.random.default_rng(0).normal(size=(5, 1, 6, 5)).astype("f"))
    loss, numbers = distillation(teacher)(teacher, Batch(x, None, np.arange(5)))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert numbers["agreement"] == 1
    assert max(np.abs(p.grad).max() for p in teacher.parameters()) < 1e-6


def test_it_takes_its_classes_from_the_teacher_whatever_they_mean():
    """The digits' teacher has 4 answers, the images 3 classes, which nobody asks for."""
    teacher, student = network(3, classes=4), network(classes=4)
    assert np.isfinite(distilled(student, teacher)["soft_loss"]).all()


# ── the teacher ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cached", [False, True])
def test_the_teacher_is_asked_in_evaluation_mode_and_stays_what_it_is(cached):
    """It comes in training mode, with statistics that would move and dropout that would draw."""
    teacher = good_teacher().train()
    before = weights(teacher)
    modes, forward = [], teacher.body.forward

    def watched(x):
        features = forward(x)
        # Where a gradient could flow, all of the teacher's activations would be kept for it.
        modes.append((teacher.body[2].training, features.requires_grad))
        return features

    teacher.body.forward = watched
    distilled(network(), teacher, cached=cached)
    assert set(modes) == {(False, False)}
    assert len(modes) == (5 if cached else 15)  # 5 batches, once or in each of 3 epochs
    assert weights(teacher) == before
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_nothing_leads_from_the_loss_back_into_the_teacher():
    teacher, student = network(7), network().train()
    student.seed(0, 0)
    x = Tensor(np.random.default_rng(0).normal(size=(5, 1, 6, 5)).astype("f"))
    loss, _ = distillation(teacher)(student, Batch(x, None, np.arange(5)))
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())
    logits = teachers_logits(teacher, Batch(x, None), student(x))
    assert isinstance(logits, np.ndarray)


@pytest.mark.parametrize("how", ["cached", "its logits"])
def test_asking_the_teacher_once_gives_what_asking_it_always_gives(how):
    """In a shuffled order, in which a record by place in the walk would be another image's."""
    teacher, slow, fast = good_teacher(), network(), network()
    expected = distilled(slow, teacher)
    if how == "cached":
        found = distilled(fast, teacher, cached=True)
    else:
        found = distilled(fast, record_responses(teacher, loader()))
    for name, array in slow.state_dict().items():
        np.testing.assert_allclose(
            fast.state_dict()[name], array, rtol=1e-3, atol=1e-5, err_msg=name
        )
    for name in ("train_loss", "soft_loss", "agreement"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name


def test_a_teacher_that_is_not_cached_sees_what_the_student_sees():
    seen = []

    class Watcher(Answers):
        def __init__(self, name):
            self.name, self.inside = name, network()

        def forward(self, x):
            seen.append((self.name, x.data.copy()))
            return self.inside(x)

    distilled(Watcher("student"), Watcher("teacher"), loader=loader(DRAWS), epochs=1)
    assert [name for name, _ in seen] == ["student", "teacher"] * 5
    for (_, ours), (_, theirs) in zip(seen[::2], seen[1::2], strict=True):
        assert np.array_equal(ours, theirs)


# ── labels ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_without_labels_none_is_read(cached, workers):
    """Looking at `labels`, or using what comes beside an image, would raise."""
    batches = DataLoader(WithoutLabels(DATA), 5, shuffle=True, workers=workers)
    history = distilled(network(), network(7), loader=batches, cached=cached)
    assert set(history[0]) == {"epoch", "train_loss", "soft_loss", "agreement", "seconds"}
    if not cached:
        batches.transform = DRAWS
        distilled(network(), network(7), loader=batches)


def test_with_labels_of_ones_own_the_datasets_are_not_read_either():
    labels = DATA.labels[::-1].copy()
    history = distilled(network(), network(7), labels=labels)
    expected = {"hard_loss", "soft_loss", "agreement", "train_accuracy"}
    assert set(history[0]) == {"epoch", "train_loss", "seconds"} | expected


def test_a_student_without_labels_comes_to_agree_with_its_teacher_and_is_right():
    teacher, student = good_teacher(), network()
    many = WithoutLabels(stripes(80, 5))
    history = distilled(student, teacher, loader=DataLoader(many, 8, shuffle=True), epochs=10)
    assert history["agreement"][-1] > 0.9 > history["agreement"][0]
    assert evaluate(student, DataLoader(stripes(60, 6), 20))["accuracy"] > 0.9


# ── runs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("labels", [None, DATA.labels], ids=["without labels", "with labels"])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, cached, labels):
    options = {"cached": cached, "labels": labels, "schedule": step_decay(1, 0.5)}
    whole = network()
    expected = distilled(whole, network(7), validate=dies_in(99), **options)
    run = Run.create(tmp_path / "run", {})
    with pytest.raises(Killed):
        distilled(network(), network(7), run=run, validate=dies_in(2), **options)
    resumed = network()
    found = distilled(resumed, network(7), run=Run.open(run.path), **options)
    assert weights(resumed) == weights(whole)
    for name in set(expected[0]) - {"seconds", "validation_calls"}:
        assert found[name] == expected[name], name


# ── what they refuse ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 0}, "temperature is 0; expected a number above 0"),
        ({"temperature": -1.0}, "temperature is -1.0; expected a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan; expected a number above 0"),
        ({"temperature": float("inf")}, "temperature is inf; expected a number above 0"),
        ({"alpha": 0.5}, "alpha is 0.5, but labels is None; expected alpha=0"),
        ({"alpha": 1.5, "labels": DATA.labels}, "alpha is 1.5; expected a weight from 0 to 1"),
        ({"alpha": -0.1}, "alpha is -0.1; expected a weight from 0 to 1"),
        ({"alpha": float("nan"), "labels": DATA.labels}, "alpha is nan; expected a weight from"),
    ],
)
def test_settings_that_make_no_loss_are_refused(options, sentence, tmp_path):
    student, teacher = network(), network(7)
    before, run = weights(student), Run.create(tmp_path / "run", {})
    with pytest.raises(ValueError, match=f"^distillation: {sentence}"):
        distilled(student, teacher, run=run, **options)
    assert weights(student) == before
    assert [path.name for path in run.path.iterdir()] == ["settings.json"]


def test_a_record_or_labels_of_another_dataset_are_refused():
    with pytest.raises(
        ValueError, match=r"^distill: teacher has 21 rows, but the loader's dataset has 22 images$"
    ):
        distilled(network(), np.zeros((21, 3), np.float32))
    with pytest.raises(ValueError, match=r"^distill: labels has 23 rows, but the loader's dataset"):
        distilled(network(), network(7), labels=np.zeros(23, int))


@pytest.mark.parametrize("cached", [False, True])
def test_a_teacher_of_other_classes_is_refused_with_both_numbers(cached):
    student = network()
    before = {name: p.data.tobytes() for name, p in student.named_parameters()}
    with pytest.raises(
        ValueError,
        match=r"^distillation: the teacher answers for 4 classes and the student for 3; give the "
        r"student as many, and a new head afterwards \(with_new_head\)$",
    ):
        distilled(student, network(7, classes=4), cached=cached)
    assert {name: p.data.tobytes() for name, p in student.named_parameters()} == before


def test_a_teacher_cannot_be_cached_under_augmentation():
    with pytest.raises(ValueError, match=r"^record_responses: the loader's transform draws"):
        distilled(network(), network(7), cached=True, loader=loader(DRAWS))


def test_the_loss_can_be_given_to_fit_with_indexed_batches():
    ours, theirs = network(), network()
    distilled(ours, network(7), temperature=3)
    rule = SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    loss = distillation(network(7), temperature=3)
    fit(theirs, hide_labels(loader()), loss, rule, 3, device="cpu")
    assert weights(ours) == weights(theirs)


# ── the bias of a class that was never shown ─────────────────────────────────────────────────


@given(N=st.integers(2, 60), K=st.integers(2, 5), share=st.floats(0.05, 0.95), seed=seeds)
def test_with_the_bias_a_class_wins_for_its_share_of_the_images(N, K, share, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, K))
    k = int(rng.integers(K))
    bias = bias_for_share(logits, k, share)
    with_bias = logits.copy()
    with_bias[:, k] += bias
    won = np.mean(with_bias.argmax(axis=1) == k)
    assert abs(won - share) <= 1 / N + 1e-9


@pytest.mark.parametrize(
    ("k", "share", "sentence"),
    [
        (3, 0.5, "k is 3; expected a class from 0 to 2"),
        (-1, 0.5, "k is -1; expected a class from 0 to 2"),
        (0, 1.1, "share is 1.1; expected a number from 0 to 1"),
        (0, float("nan"), "share is nan; expected a number from 0 to 1"),
    ],
)
def test_the_bias_says_what_it_cannot_do(k, share, sentence):
    with pytest.raises(ValueError, match=f"^bias_for_share: {sentence}$"):
        bias_for_share(np.zeros((2, 3)), k, share)
