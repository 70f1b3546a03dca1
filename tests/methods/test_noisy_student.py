"""Noisy student: its five steps, one by one, without the labels that it must not read."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import nn
from minivision.datasets import DataLoader
from minivision.methods import filter_and_balance, self_train, without_noise
from minivision.methods.noisy_student import labelled_by, one_hot, self_training_loss
from minivision.optim import SGD, Adam
from minivision.training import Run, evaluate, fit
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods.test_pseudo_label import Answers, batches_of, surprise
from tests.methods.unlabelled import H, W, WithoutLabels, stripes
from tests.refusals import refused

CLEAN, NOISE = ToArray(), Compose([RandomTranslate(1), ToArray()])


def network(units=8, dropout=0.3):
    def make():
        layers = nn.Linear(H * W, units), nn.BatchNorm1d(units), nn.ReLU()
        return nn.Sequential(nn.Flatten(), *layers, nn.Dropout(dropout), nn.Linear(units, 3))

    return make


TWO = network(), network(12)


def chain(
    networks=TWO, *, noise=NOISE, lr=0.02, epochs=2, ratio=3, steps=20, run=None, optimizer=Adam,
    measure=lambda model: {}, device="cpu", floor=0.0, balance=True, **options,
):  # fmt: skip
    """The loop on the page: all generations, trained, with a report on each."""
    many = stripes(60, 2)
    labelled = DataLoader(stripes(9, 1), 6, shuffle=True, transform=noise)
    unlabelled = DataLoader(WithoutLabels(many), ratio * 6, shuffle=True, transform=noise)
    options = {"choose": partial(filter_and_balance, floor=floor, balance=balance)} | options
    found = []
    for generation in self_train(networks, labelled, unlabelled, CLEAN, steps=steps, **options):
        model = generation.model
        folder = run and run.stage(str(generation.number))
        rule = optimizer(model.parameters(), lr)
        fit(model, generation.batches, generation.loss, rule, epochs, run=folder, device=device)
        found.append((model, generation.report(many.labels) | dict(measure(model))))
    return found


def distributions(M, K, seed):
    z = 2 * np.random.default_rng(seed).normal(size=(M, K))
    return F.softmax(z).data


@given(st.integers(5, 60), st.integers(2, 5), st.integers(1, 20), st.integers(0, 99))
def test_filter_and_balance_takes_the_most_confident_images_equally_many_per_class(
    M, K, per_class, seed
):
    p = distributions(M, K, seed)
    p[:K] = 0.01 / (K - 1)
    p[np.arange(K), np.arange(K)] = 0.99  # so that every class has an image
    chosen = filter_and_balance(p, 0.4, per_class)
    assert len(chosen) == K * per_class
    for k in range(K):
        mine = chosen[k * per_class : (k + 1) * per_class]
        assert (p[mine].argmax(axis=1) == k).all()
        assert (p[mine].max(axis=1) >= 0.4).all()
        members = [i for i in range(M) if p[i].argmax() == k and p[i].max() >= 0.4]
        members.sort(key=lambda i: -p[i].max())
        assert mine.tolist() == [members[j % len(members)] for j in range(per_class)]


def test_filter_and_balance_without_balance_takes_every_image_above_the_floor_once():
    p = distributions(40, 3, 0)
    chosen = filter_and_balance(p, 0.6, balance=False)
    assert chosen.tolist() == [i for i in range(40) if p[i].max() >= 0.6]


def test_filter_and_balance_takes_the_average_per_class_by_default():
    p = np.array([[0.9, 0.1]] * 7 + [[0.2, 0.8]] * 2 + [[0.5, 0.5]])
    assert len(filter_and_balance(p, 0.6)) == 2 * (9 // 2)


@pytest.mark.parametrize(("weighting", "divisor"), [("mean", 5), ("labelled", 2)])
def test_self_training_loss_equals_values_by_hand_in_both_weightings(weighting, divisor):
    labelled = np.array([[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]]), np.array([2, 1])
    pseudo = np.array([[3.0, 0, 0], [0, 0, 1], [1, 1, 0.0]]), np.array([4, 0, 2])
    targets = distributions(6, 3, 1)
    total, _ = self_training_loss(targets, weighting)(Answers(), batches_of([labelled, pseudo]))
    expected = sum(surprise(z, k) for z, k in zip(*labelled, strict=True))
    for z, i in zip(*pseudo, strict=True):
        expected += sum(targets[i, k] * surprise(z, k) for k in range(3))
    assert total.item() == pytest.approx(expected / divisor)


def test_labelled_by_runs_the_teacher_on_clean_images_in_evaluation_mode():
    many = WithoutLabels(stripes(30, 2))
    teacher = network()()
    teacher.train()
    before = teacher.state_dict()
    p = labelled_by(teacher, DataLoader(many, 7, transform=CLEAN))
    teacher.eval()
    whole = F.softmax(teacher(nn.module.Tensor(np.stack([CLEAN(many[i][0]) for i in range(30)]))))
    assert np.allclose(p, whole.data, atol=1e-6)
    assert all(np.array_equal(a, before[name]) for name, a in teacher.state_dict().items())


def test_self_train_learns_and_reports():
    test = DataLoader(stripes(60, 3), 60)
    generations = chain((network(), network(12), network(16)), measure=lambda m: evaluate(m, test))
    first, *students = [record for _, record in generations]
    assert "kept_fraction" not in first
    assert [r["generation"] for r in students] == [1, 2]
    assert first["parameters"] < students[0]["parameters"] < students[1]["parameters"]
    for student in students:
        assert 0.5 < student["kept_fraction"] <= 1
        assert student["pseudo_label_accuracy"] > 0.8
        assert student["accuracy"] > 0.8


def test_without_noise_draws_nothing():
    drawn = []

    class Spy(nn.Dropout):
        def forward(self, x):
            drawn.append(self.training)
            return super().forward(x)

    def spied():
        return nn.Sequential(nn.Flatten(), Spy(0.5), nn.Linear(H * W, 3))

    chain([lambda: without_noise(spied())] * 2, noise=CLEAN, steps=3, balance=False)
    assert drawn
    assert not any(drawn)
    chain((spied, spied), steps=3, balance=False)
    assert any(drawn)


def test_self_train_gives_labelled_and_unlabelled_images_separate_noise():
    """The paper's ablation: a student that sees its unlabelled images as they are."""
    seen = []

    def marked(pixel):
        def transform(image, rng):
            return np.full((1, H, W), pixel, np.float32)

        transform.random = False
        return transform

    labelled = DataLoader(stripes(9, 1), 2, transform=marked(1.0))
    unlabelled = DataLoader(WithoutLabels(stripes(12, 2)), 3, transform=marked(2.0))
    generations = self_train(
        TWO, labelled, unlabelled, marked(3.0), choose=lambda p: np.arange(len(p))
    )
    next(generations)
    student = next(generations)
    for (few, _), (many, _, positions) in student.batches(0):
        seen.append((set(few.ravel()), set(many.ravel())))
        assert len(positions) == 3
    assert seen == [({1.0}, {2.0})] * 4


def test_one_hot_labels_are_decisions_and_train_another_network():
    p = distributions(5, 3, 0)
    assert np.array_equal(one_hot(p).argmax(axis=1), p.argmax(axis=1))
    assert np.array_equal(one_hot(p).sum(axis=1), np.ones(5))
    (_, (soft, _)), (_, (hard, _)) = chain(), chain(soft=False)
    assert not np.array_equal(*(next(iter(m.state_dict().values())) for m in (soft, hard)))


def test_self_train_makes_the_student_the_next_teacher_and_draws_new_weights(monkeypatch):
    teachers, begun = [], []

    def spying(teacher, loader):
        teachers.append(teacher)
        return labelled_by(teacher, loader)

    def begins():
        begun.append(network()().state_dict())
        return network()()

    monkeypatch.setattr("minivision.methods.noisy_student.labelled_by", spying)
    generations = chain((begins, begins, begins))
    assert [model for model, _ in generations[:2]] == teachers
    first = [next(iter(state.values())) for state in begun]
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[1], first[2])


def test_self_train_gives_every_network_the_same_steps_with_both_loaders():
    sizes = []

    class Sizes(nn.Flatten):
        def forward(self, x):
            sizes.append((len(x), self.training))
            return super().forward(x)

    def sized():
        return nn.Sequential(Sizes(), nn.Linear(H * W, 3))

    chain((sized, sized), steps=4, epochs=1, ratio=2, balance=False, optimizer=SGD, lr=0.1)
    trained = [size for size, training in sizes if training]
    assert trained == [6, 3, 6, 3, 6 + 12, 3 + 12, 6 + 12, 3 + 12]
    sizes.clear()
    chain((sized, sized), steps=None, epochs=1, balance=False, optimizer=SGD, lr=0.1)
    trained = [size for size, training in sizes if training]
    assert len(trained) == 2 * 4  # 60 unlabelled images, 18 in a step


def test_self_training_loss_weights_every_image_equally():
    labelled = np.zeros((1, 3)), np.array([0])
    pseudo = np.zeros((4, 3)), np.arange(4)
    total, numbers = self_training_loss(one_hot(distributions(4, 3, 0)))(
        Answers(), batches_of([labelled, pseudo])
    )
    assert total.item() == pytest.approx(np.log(3))
    assert numbers["supervised_loss"].item() == pytest.approx(np.log(3))


def test_filter_and_balance_can_allow_a_class_without_pseudo_labels():
    p = np.array([[0.9, 0.1, 0.0], [0.1, 0.65, 0.25]])
    chosen = filter_and_balance(p, 0.3, per_class=2, allow_missing=True)
    assert chosen.tolist() == [0, 0, 1, 1]


def test_self_train_keeps_the_teacher_if_all_pseudo_labels_are_rejected(tmp_path):
    run = Run.create(tmp_path / "run", {})
    with refused(ValueError, "filter_and_balance", "floor of 1.0"):
        chain(run=run, floor=1.0, steps=1, epochs=1)
    assert (run.path / "0" / "checkpoint.safetensors").exists()
    # With a lower floor the chain continues from there.
    assert len(chain(run=run, steps=1, epochs=1, balance=False)) == 2
