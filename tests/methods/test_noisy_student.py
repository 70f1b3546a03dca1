"""Noisy student: the five steps, counted; resumed; and without the labels it must not read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import nn
from minivision.datasets import ArrayDataset, DataLoader
from minivision.methods import filter_and_balance, self_train
from minivision.methods.noisy_student import labelled_by, one_hot, self_training_loss
from minivision.optim import SGD
from minivision.training import Run, evaluate
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods.test_pseudo_label import Answers, assert_same_weights, batches_of, surprise
from tests.methods.unlabelled import CLASSES, H, W, WithoutLabels, stripes

CLEAN, NOISE = ToArray(), Compose([RandomTranslate(1), ToArray()])


def network(units=8, dropout=0.3):
    def make():
        layers = nn.Linear(H * W, units), nn.BatchNorm1d(units), nn.ReLU()
        return nn.Sequential(nn.Flatten(), *layers, nn.Dropout(dropout), nn.Linear(units, 3))

    return make


TWO = network(), network(12)


def chain(networks=TWO, **options):
    many = stripes(60, 2)
    options = {
        "clean": CLEAN, "noise": NOISE, "steps": 20, "epochs": 2, "batch_size": 6, "lr": 0.02,
        "floor": 0.0, "truth": many.labels,
    } | options  # fmt: skip
    return self_train(networks, stripes(9, 1), WithoutLabels(many), **options)


def distributions(M, K, seed):
    z = 2 * np.random.default_rng(seed).normal(size=(M, K))
    return F.softmax(z).data


@given(st.integers(5, 60), st.integers(2, 5), st.integers(1, 20), st.integers(0, 99))
def test_every_class_gets_exactly_as_many_and_its_surest_ones(M, K, per_class, seed):
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


def test_without_balance_every_image_above_the_floor_comes_once():
    p = distributions(40, 3, 0)
    chosen = filter_and_balance(p, 0.6, balance=False)
    assert chosen.tolist() == [i for i in range(40) if p[i].max() >= 0.6]


def test_by_default_a_class_gets_the_average():
    p = np.array([[0.9, 0.1]] * 7 + [[0.2, 0.8]] * 2 + [[0.5, 0.5]])
    assert len(filter_and_balance(p, 0.6)) == 2 * (9 // 2)


def test_when_all_are_rejected_the_highest_probability_is_named():
    with pytest.raises(
        ValueError, match=r"all 4 .* floor of 0\.9; the highest probability is 0\.6"
    ):
        filter_and_balance(np.array([[0.6, 0.4]] * 4), 0.9)


def test_a_class_without_pseudo_labels_is_named():
    p = np.array([[0.9, 0.1, 0.0], [0.1, 0.65, 0.25]])
    with pytest.raises(ValueError, match=r"taken for bottom; its highest probability is 0\.250"):
        filter_and_balance(p, 0.3, classes=CLASSES)


@pytest.mark.parametrize(("weighting", "divisor"), [("mean", 5), ("labelled", 2)])
def test_the_loss_by_hand_in_both_weightings(weighting, divisor):
    labelled = np.array([[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]]), np.array([2, 1])
    pseudo = np.array([[3.0, 0, 0], [0, 0, 1], [1, 1, 0.0]]), np.array([4, 0, 2])
    targets = distributions(6, 3, 1)
    total, _ = self_training_loss(targets, weighting)(Answers(), batches_of([labelled, pseudo]))
    expected = sum(surprise(z, k) for z, k in zip(*labelled, strict=True))
    for z, i in zip(*pseudo, strict=True):
        expected += sum(targets[i, k] * surprise(z, k) for k in range(3))
    assert total.item() == pytest.approx(expected / divisor)


def test_the_teacher_labels_clean_images_in_evaluation_mode():
    many = WithoutLabels(stripes(30, 2))
    teacher = network()()
    teacher.train()
    before = teacher.state_dict()
    p = labelled_by(teacher, DataLoader(many, 7, transform=CLEAN))
    teacher.eval()
    whole = F.softmax(teacher(nn.module.Tensor(np.stack([CLEAN(many[i][0]) for i in range(30)]))))
    assert np.allclose(p, whole.data, atol=1e-6)
    assert all(np.array_equal(a, before[name]) for name, a in teacher.state_dict().items())
    with pytest.raises(ValueError, match="transform draws"):
        labelled_by(teacher, DataLoader(many, 7, transform=NOISE))


def test_a_chain_learns_and_tells_how():
    test = DataLoader(stripes(60, 3), 60)
    generations = chain((network(), network(12), network(16)), measure=lambda m: evaluate(m, test))
    first, *students = [g.record for g in generations]
    assert "kept_fraction" not in first
    assert [r["generation"] for r in students] == [1, 2]
    assert first["parameters"] < students[0]["parameters"] < students[1]["parameters"]
    for student in students:
        assert 0.5 < student["kept_fraction"] <= 1
        assert student["pseudo_label_accuracy"] > 0.8
        assert student["accuracy"] > 0.8


def test_without_noise_nothing_is_drawn():
    drawn = []

    class Spy(nn.Dropout):
        def forward(self, x):
            drawn.append(self.training)
            return super().forward(x)

    def spied():
        return nn.Sequential(nn.Flatten(), Spy(0.5), nn.Linear(H * W, 3))

    chain((spied, spied), noise=None, steps=3, balance=False)
    assert drawn
    assert not any(drawn)
    chain((spied, spied), steps=3, balance=False)
    assert any(drawn)


def test_hard_labels_are_decisions_and_differ_from_soft_ones():
    p = distributions(5, 3, 0)
    assert np.array_equal(one_hot(p).argmax(axis=1), p.argmax(axis=1))
    assert np.array_equal(one_hot(p).sum(axis=1), np.ones(5))
    (_, soft), (_, hard) = chain(), chain(soft=False)
    assert not np.array_equal(*(next(iter(g.model.state_dict().values())) for g in (soft, hard)))


class StopError(Exception):
    pass


@pytest.mark.parametrize("stop_at", [0, 1, 2], ids=["in the teacher", "between", "in a student"])
def test_a_killed_chain_that_goes_on_ends_as_one_that_was_not(tmp_path, monkeypatch, stop_at):
    whole = chain((network(), network(12), network(12)))
    run = Run.create(tmp_path / "run", {})
    log, done = Run.log, []

    def stopping(self, record):
        if len(done) == 2 * stop_at + 1:  # after an epoch is logged, before it is saved
            raise StopError
        done.append(log(self, record))

    monkeypatch.setattr(Run, "log", stopping)
    with pytest.raises(StopError):
        chain((network(), network(12), network(12)), run=run)
    monkeypatch.setattr(Run, "log", log)
    resumed = chain((network(), network(12), network(12)), run=run)
    for ours, theirs in zip(resumed, whole, strict=True):
        assert_same_weights(ours.model, theirs.model)
        assert ours.record == theirs.record
    names = sorted(path.name for path in run.path.iterdir() if path.is_dir())
    assert names == ["0-teacher", "1-student", "2-student"]
    assert Run.open(run.path / "2-student").read_result() == whole[2].record


def test_what_was_measured_once_is_not_measured_again(tmp_path):
    run, times = Run.create(tmp_path / "run", {}), []

    def measure(model):
        times.append(1)
        return {"accuracy": len(times)}

    for _ in range(2):
        both = chain(run=run, measure=measure, steps=2, epochs=1, balance=False)
        assert [generation.record["accuracy"] for generation in both] == [1, 2]


def test_the_student_becomes_the_teacher_and_everyone_begins_anew(monkeypatch):
    teachers, begun = [], []

    def spying(teacher, loader):
        teachers.append(teacher)
        return labelled_by(teacher, loader)

    def begins():
        begun.append(network()().state_dict())
        return network()()

    monkeypatch.setattr("minivision.methods.noisy_student.labelled_by", spying)
    generations = chain((begins, begins, begins))
    assert [g.model for g in generations[:2]] == teachers
    first = [next(iter(state.values())) for state in begun]
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[1], first[2])


def test_a_step_has_ratio_times_as_many_pseudo_labelled_images_and_the_rate_ends_near_0():
    sizes, rates = [], []

    class Sizes(nn.Flatten):
        def forward(self, x):
            sizes.append((len(x), self.training))
            return super().forward(x)

    class Watched(SGD):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            super().step()

    def sized():
        return nn.Sequential(Sizes(), nn.Linear(H * W, 3))

    chain((sized, sized), steps=4, epochs=1, ratio=2, balance=False, optimizer=Watched, lr=0.1)
    trained = [size for size, training in sizes if training]
    assert trained == [6, 3, 6, 3, 6 + 12, 3 + 12, 6 + 12, 3 + 12]
    assert rates[:4] == rates[4:]
    assert rates[0] == 0.1
    assert rates[3] == pytest.approx(0.1 * (1 + np.cos(np.pi * 3 / 4)) / 2)


def test_one_image_more_or_less_in_a_batch_weighs_as_its_share():
    labelled = np.zeros((1, 3)), np.array([0])
    pseudo = np.zeros((4, 3)), np.arange(4)
    total, numbers = self_training_loss(one_hot(distributions(4, 3, 0)))(
        Answers(), batches_of([labelled, pseudo])
    )
    assert total.item() == pytest.approx(np.log(3))
    assert numbers["supervised_loss"].item() == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": 1.5}, r"floor is 1\.5"),
        ({"weighting": "sum"}, "weighting is 'sum'"),
        ({"networks": ()}, "networks is empty"),
        ({"floor": 0.9999, "steps": 1, "epochs": 1}, "the highest probability is"),
    ],
    ids=["floor", "weighting", "networks", "rejected"],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        chain(**change)


def test_when_all_are_rejected_nothing_is_lost(tmp_path):
    run = Run.create(tmp_path / "run", {})
    with pytest.raises(ValueError, match="below the floor"):
        chain(run=run, floor=1.0, steps=1, epochs=1)
    assert (run.path / "0-teacher" / "result.json").exists()
    assert (
        len(chain(run=run, steps=1, epochs=1, balance=False)) == 2
    )  # a lower floor goes on from there


def test_an_empty_unlabelled_set_is_refused():
    empty = ArrayDataset(np.zeros((0, H, W, 1), np.uint8), np.zeros(0, int), CLASSES)
    with pytest.raises(ValueError, match="unlabelled is empty"):
        self_train([network()], stripes(9, 1), empty, clean=CLEAN, noise=None, steps=1)
