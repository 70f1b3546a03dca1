"""Distillation: the loss by hand and in its limits, no gradient to the teacher, labels unread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import nn
from minivision.datasets import DataLoader
from minivision.gradcheck import gradcheck
from minivision.methods import bias_for_share, distillation, hide_labels, record_responses
from minivision.methods.distillation import teachers_logits
from minivision.optim import SGD
from minivision.tensor import Tensor
from minivision.training import evaluate, fit
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests import oracles
from tests.methods.old_network import network, weights
from tests.methods.unlabelled import WithoutLabels, stripes
from tests.refusals import refused
from tests.strategies import seeds

DRAWS = Compose([RandomTranslate(1), ToArray()])
DATA = stripes(22, 1)


def loader(transform=None, dataset=None):
    """Batches of a dataset that raises if its labels are read."""
    dataset = WithoutLabels(DATA) if dataset is None else dataset
    return DataLoader(dataset, 5, shuffle=True, seed=4, transform=transform)


def with_labels(transform=None):
    batches = loader(transform, DATA)
    batches.with_indices = True
    return batches


def distilled(student, teacher, *, batches=None, recorded=False, **options):
    """Three epochs as on the page; without labels, unless batches has some."""
    options = {"epochs": 3, "device": "cpu"} | options
    names = ("temperature", "alpha")
    settings = {name: options.pop(name) for name in names if name in options}
    batches = hide_labels(loader()) if batches is None else batches
    if recorded:
        teacher = record_responses(teacher, batches)
    loss = distillation(teacher, **{"alpha": 0.0} | settings)
    rule = SGD(student.parameters(), lr=0.05, momentum=0.9)
    return fit(student, batches, loss, rule, **options)


def good_teacher():
    """A network that has learned the stripes."""
    teacher = network(7)
    rule = SGD(teacher.parameters(), lr=0.1, momentum=0.9)

    def loss(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets)

    fit(teacher, DataLoader(stripes(60, 3), 10, shuffle=True), loss, rule, 8, device="cpu")
    teacher.zero_grad()
    return teacher


class Answers(nn.Module):
    """A "network" whose logits are its input."""

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
def test_distillation_of_one_image_equals_values_by_hand(T, value, gradient):
    """z = (1, 2, 3), v = (3, 2, 0): the value T²·KL, and T² times its gradient (q - p)/T."""
    z = Tensor(np.array([[1.0, 2.0, 3.0]]), requires_grad=True)
    loss, numbers = distillation(np.array([[3.0, 2.0, 0.0]]), T, alpha=0)(
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
def test_distillation_loss_and_its_gradient_equal_loops(N, K, T, alpha, seed):
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
    loss, numbers = distillation(table, T, alpha)(Answers(), Batch(x, labels[rows], rows))
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-8, abs=1e-10)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-7, atol=1e-10)
    if alpha < 1:
        decided = z.argmax(axis=1)
        assert numbers["agreement"] == np.mean(decided == table[rows].argmax(axis=1))
    if alpha > 0:
        assert numbers["train_accuracy"] == np.mean(z.argmax(axis=1) == labels[rows])


class Tiny:
    """A network of two layers with the given weights."""

    def __init__(self, *given):
        self.given = given

    def __call__(self, x):
        first, shift, second = self.given
        return F.linear(F.tanh(F.linear(x, first, shift)), second)


@given(T=st.floats(0.5, 10), alpha=st.just(0) | st.floats(0, 1), seed=seeds)
def test_distillation_through_a_network_passes_gradcheck(T, alpha, seed):
    rng = np.random.default_rng(seed)
    x, rows = Tensor(rng.normal(size=(3, 4))), rng.permutation(6)[:3]
    teacher = 2 * rng.normal(size=(6, 3))
    labels = rng.integers(0, 3, 3)
    loss = distillation(teacher, T, alpha)
    parts = [rng.normal(size=shape) for shape in ((5, 4), (5,), (3, 5))]
    gradcheck(lambda *given: loss(Tiny(*given), Batch(x, labels, rows))[0], parts, rng=rng)


def test_distillation_at_a_high_temperature_matches_centred_logits():
    """Hinton et al. 2015, eq. 4: dz → (z - v)/(K·N), with the T² of the loss."""
    rng = np.random.default_rng(0)
    z, v = 0.01 * rng.normal(size=(2, 3, 5))  # small logits, so that z/T is as at T = 10⁵
    x = Tensor(z, requires_grad=True)
    loss = distillation(v, temperature=1000, alpha=0)
    loss(Answers(), Batch(x, None, np.arange(3)))[0].backward()
    expected = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
    np.testing.assert_allclose(x.grad, expected / 15, rtol=1e-3, atol=1e-7)


def test_distillation_without_labels_keeps_the_soft_loss_with_its_factor_t_squared():
    """torchdistill omits T² without labels, which changes the effective learning rate."""
    rng = np.random.default_rng(1)
    z, v = Tensor(rng.normal(size=(4, 3))), rng.normal(size=(4, 3))
    alone, _ = distillation(v, alpha=0)(Answers(), Batch(z, None, np.arange(4)))
    labelled = Batch(z, np.zeros(4, int), np.arange(4))
    _, mixed = distillation(v, alpha=0.4)(Answers(), labelled)
    assert alone.item() == mixed["soft_loss"].item()


def test_distillation_gives_labels_a_weight_of_a_tenth_by_default():
    rng = np.random.default_rng(1)
    z, v, y = Tensor(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)), np.array([0, 1, 2, 0])
    usual, numbers = distillation(v)(Answers(), Batch(z, y, np.arange(4)))
    hard, soft = numbers["hard_loss"].item(), numbers["soft_loss"].item()
    assert hard == pytest.approx(F.cross_entropy(z, y).item())
    assert usual.item() == pytest.approx(0.1 * hard + 0.9 * soft)


# ── its limits ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transform", [None, DRAWS], ids=["plain", "augmented"])
def test_distillation_with_alpha_1_is_training_on_labels_to_the_bit_without_a_teacher(transform):
    def never(x):
        raise AssertionError("the teacher was run")

    student, plain, teacher = network(), network(), network(9)
    teacher.forward = never
    history = distilled(student, teacher, alpha=1, batches=with_labels(transform))

    def cross_entropy(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets)

    rule = SGD(plain.parameters(), lr=0.05, momentum=0.9)
    expected = fit(plain, loader(transform, DATA), cross_entropy, rule, 3, device="cpu")
    assert weights(student) == weights(plain)
    assert history["train_loss"] == expected["train_loss"]


def test_distillation_of_a_network_into_itself_has_no_gradient():
    teacher = network(dropout=0.0).eval()
    x = Tensor(np.random.default_rng(0).normal(size=(5, 1, 6, 5)).astype("f"))
    loss, numbers = distillation(teacher, alpha=0)(teacher, Batch(x, None))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert numbers["agreement"] == 1
    assert max(np.abs(p.grad).max() for p in teacher.parameters()) < 1e-6


def test_distillation_uses_the_classes_of_the_teacher_not_of_the_labels():
    """The teacher has 4 outputs; the images have 3 classes, which are not used."""
    teacher, student = network(3, classes=4), network(classes=4)
    assert np.isfinite(distilled(student, teacher)["soft_loss"]).all()


# ── the teacher ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("recorded", [False, True])
def test_distillation_runs_the_teacher_in_evaluation_mode_and_does_not_change_it(recorded):
    """It is passed in training mode, with running statistics and dropout."""
    teacher = good_teacher().train()
    before = weights(teacher)
    modes, forward = [], teacher.backbone.forward

    def watched(x):
        features = forward(x)
        # If a gradient could flow, all of the teacher's activations would be kept for it.
        modes.append((teacher.backbone[2].training, features.requires_grad))
        return features

    teacher.backbone.forward = watched
    distilled(network(), teacher, recorded=recorded)
    assert set(modes) == {(False, False)}
    assert len(modes) == (5 if recorded else 15)  # 5 batches, once or in each of 3 epochs
    assert weights(teacher) == before
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_distillation_passes_no_gradient_to_the_teacher():
    teacher, student = network(7), network().train()
    student.seed(0, 0)
    x = Tensor(np.random.default_rng(0).normal(size=(5, 1, 6, 5)).astype("f"))
    loss, _ = distillation(teacher, alpha=0)(student, Batch(x, None))
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())
    logits = teachers_logits(teacher, Batch(x, None), student(x))
    assert isinstance(logits, np.ndarray)


def test_distillation_from_recorded_outputs_equals_running_the_teacher_in_every_step():
    """In shuffled order: a position in the epoch is not the index of an image."""
    teacher, slow, fast = good_teacher(), network(), network()
    expected = distilled(slow, teacher)
    found = distilled(fast, teacher, recorded=True)
    for name, array in slow.state_dict().items():
        np.testing.assert_allclose(
            fast.state_dict()[name], array, rtol=1e-3, atol=1e-5, err_msg=name
        )
    for name in ("train_loss", "soft_loss", "agreement"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name


def test_distillation_without_a_record_shows_the_teacher_the_students_batches():
    seen = []

    class Watcher(Answers):
        def __init__(self, name):
            self.name, self.inside = name, network()

        def forward(self, x):
            seen.append((self.name, x.data.copy()))
            return self.inside(x)

    distilled(Watcher("student"), Watcher("teacher"), batches=hide_labels(loader(DRAWS)), epochs=1)
    assert [name for name, _ in seen] == ["student", "teacher"] * 5
    for (_, ours), (_, theirs) in zip(seen[::2], seen[1::2], strict=True):
        assert np.array_equal(ours, theirs)


# ── labels ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_distillation_without_labels_reads_none(recorded, workers):
    """Reading `labels`, or using the label that comes with an image, would raise."""
    batches = hide_labels(DataLoader(WithoutLabels(DATA), 5, shuffle=True, workers=workers))
    history = distilled(network(), network(7), batches=batches, recorded=recorded)
    assert set(history[0]) == {"epoch", "train_loss", "soft_loss", "agreement", "seconds"}
    if not recorded:
        batches.transform = DRAWS
        distilled(network(), network(7), batches=batches)


def test_distillation_with_labels_reports_both_losses():
    history = distilled(network(), network(7), batches=with_labels(), alpha=0.1)
    expected = {"hard_loss", "soft_loss", "agreement", "train_accuracy"}
    assert set(history[0]) == {"epoch", "train_loss", "seconds"} | expected


def test_hide_labels_makes_learning_them_an_error():
    """With alpha above 0 the labels would be used, and -1 is not a class."""
    student = network()
    before = [parameter.data.copy() for parameter in student.parameters()]
    with refused(ValueError, "targets[0]", "-1"):
        distilled(student, network(7), alpha=0.1)
    for parameter, data in zip(student.parameters(), before, strict=True):
        assert np.array_equal(parameter.data, data)


def test_distillation_without_labels_teaches_the_student_the_right_classes():
    teacher, student = good_teacher(), network()
    many = WithoutLabels(stripes(80, 5))
    batches = hide_labels(DataLoader(many, 8, shuffle=True))
    history = distilled(student, teacher, batches=batches, epochs=10)
    assert history["agreement"][-1] > 0.9 > history["agreement"][0]
    assert evaluate(student, DataLoader(stripes(60, 6), 20))["accuracy"] > 0.9


@pytest.mark.parametrize("recorded", [False, True])
def test_distillation_refuses_a_teacher_with_another_number_of_classes(recorded):
    student = network()
    before = {name: p.data.tobytes() for name, p in student.named_parameters()}
    with refused(ValueError, "distillation: the teacher", "4", "student has 3", "with_new_head"):
        distilled(student, network(7, classes=4), recorded=recorded)
    assert {name: p.data.tobytes() for name, p in student.named_parameters()} == before


# ── the bias of a class that was never shown ─────────────────────────────────────────────────


@given(N=st.integers(2, 60), K=st.integers(2, 5), share=st.floats(0.05, 0.95), seed=seeds)
def test_bias_for_share_makes_a_class_win_for_its_share_of_the_images(N, K, share, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, K))
    k = int(rng.integers(K))
    bias = bias_for_share(logits, k, share)
    with_bias = logits.copy()
    with_bias[:, k] += bias
    won = np.mean(with_bias.argmax(axis=1) == k)
    assert abs(won - share) <= 1 / N + 1e-9
