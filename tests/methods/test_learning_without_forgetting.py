"""Learning without forgetting: the loss by hand, what each stage trains, and the baselines.

With `old_weight=0`, or without step 4, the method becomes one of the paper's baselines, so these
cases are compared bit for bit.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import manual_seed, nn
from minivision.datasets import DataLoader
from minivision.gradcheck import gradcheck
from minivision.methods import lwf_loss, record_responses, with_new_task
from minivision.models import MultiHead, lenet5
from minivision.optim import SGD, Adam, step_decay
from minivision.tensor import Tensor
from minivision.training import Run, fit
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests import oracles
from tests.methods.old_network import network, weights
from tests.methods.unlabelled import stripes
from tests.refusals import refused
from tests.strategies import seeds

MOMENTUM = partial(SGD, momentum=0.9, weight_decay=5e-4)
DRAWS = Compose([RandomTranslate(1), ToArray()])


def two_tasks(seed=0, dropout=0.25):
    """An old network for 4 classes, with a fresh head for 3 kinds of stripes."""
    manual_seed(11)
    return with_new_task(network(seed, 4, dropout), 3)


def loader(transform=None):
    return DataLoader(
        stripes(22, 1), 5, shuffle=True, seed=4, transform=transform, with_indices=True
    )


def learned(
    model, *, epochs=2, warm_up=1, optimizer=MOMENTUM, old_outputs=None, batches=None, run=None,
    schedule=None, validate=None, **settings,
):  # fmt: skip
    """Take steps 1, 3 and 4 as in the method's file; returns the records of the last stage."""
    batches = loader() if batches is None else batches
    *old, new = model.heads
    if old_outputs is None:
        old_outputs = {name: record_responses(model.task(name), loader()) for name in old}
    loss = lwf_loss(old_outputs, **settings)
    shared = {"validate": validate, "device": "cpu"}
    if warm_up:
        model.freeze()
        model.heads[new].unfreeze()
        rule = optimizer(model.heads[new].parameters(), 0.05)
        folder = run and run.stage("warm-up")
        history = fit(model, batches, loss, rule, warm_up, run=folder, **shared)
        model.unfreeze()
    if epochs:
        rule, folder = optimizer(model.parameters(), 0.05), run and run.stage("training")
        history = fit(model, batches, loss, rule, epochs, schedule=schedule, run=folder, **shared)
    return history


def parts(model):
    """The bytes of the weights in the backbone, in the old head and in the new one."""
    return weights(model.backbone), weights(model.heads["old"]), weights(model.heads["new"])


class TwoAnswers(nn.Module):
    """A "network" whose input already consists of the logits for both tasks, side by side."""

    def forward(self, x):
        return {"old": x[:, :4], "new": x[:, 4:]}


# ── the loss ─────────────────────────────────────────────────────────────────────────────────


def test_lwf_loss_of_one_image_equals_values_by_hand():
    """z = (1, 2, 3), v = (3, 2, 0) at T = 2: the cross-entropy, and (ŷ' - y')/T without T²."""
    z = Tensor(np.array([[1.0, 2.0, 3.0, 0.0, 0.0]]), requires_grad=True)

    class Parts(nn.Module):
        def forward(self, x):
            return {"old": x[:, :3], "new": x[:, 3:]}

    loss = lwf_loss({"old": np.array([[3.0, 2.0, 0.0]])})
    total, numbers = loss(Parts(), Batch(z, np.array([1]), np.array([0])))
    total.backward()
    assert numbers["old_loss"].item() == pytest.approx(1.39256854, abs=5e-9)
    assert numbers["new_loss"].item() == pytest.approx(np.log(2))
    assert total.item() == pytest.approx(1.39256854 + np.log(2), abs=5e-9)
    expected = [-0.18011283, -0.01215154, 0.19226437, 0.5, -0.5]
    np.testing.assert_allclose(z.grad[0], expected, rtol=0, atol=5e-9)


@given(
    N=st.integers(1, 4), T=st.floats(0.5, 8), old_weight=st.floats(0, 5), seed=seeds
)  # fmt: skip
def test_lwf_loss_equals_the_papers_formula_without_a_factor_t_squared(N, T, old_weight, seed):
    """y' = y^(1/T) / Σ y^(1/T), from probabilities y as in the paper; dz = λ(ŷ' - y')/(T·N)."""
    rng = np.random.default_rng(seed)
    z, table = 2 * rng.normal(size=(N, 7)), 2 * rng.normal(size=(N + 3, 4))
    labels, rows = rng.integers(0, 3, N + 3), rng.permutation(N + 3)[:N]
    expected, gradient = 0.0, np.zeros((N, 7))
    for n, i in enumerate(rows):
        y, y_hat = np.array(oracles.softmax(table[i])), np.array(oracles.softmax(z[n, :4]))
        y, y_hat = ((p ** (1 / T)) / (p ** (1 / T)).sum() for p in (y, y_hat))
        answer = np.array(oracles.softmax(z[n, 4:]))
        expected -= (old_weight * (y * np.log(y_hat)).sum() + np.log(answer[labels[i]])) / N
        gradient[n, :4] = old_weight * (y_hat - y) / (T * N)
        gradient[n, 4:] = (answer - (np.arange(3) == labels[i])) / N
    x = Tensor(z, requires_grad=True)
    total, _ = lwf_loss({"old": table}, T, old_weight)(TwoAnswers(), Batch(x, labels[rows], rows))
    total.backward()
    assert total.item() == pytest.approx(expected, rel=1e-8, abs=1e-10)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-7, atol=1e-10)


@given(v=st.lists(st.floats(-8, 8), min_size=2, max_size=6), T=st.floats(0.5, 10))
def test_softmax_at_a_temperature_is_the_renormalised_root_of_the_probabilities(v, T):
    v = np.array(v)
    y = np.array(oracles.softmax(v)) ** (1 / T)
    expected = F.softmax(v[None], temperature=T).data[0]
    np.testing.assert_allclose(y / y.sum(), expected, rtol=1e-9)


class Tiny:
    """A backbone and two heads with the given weights."""

    def __init__(self, *given):
        self.given = given

    def __call__(self, x):
        backbone, old, new = self.given
        features = F.tanh(F.linear(x, backbone))
        return {"old": F.linear(features, old), "new": F.linear(features, new)}


@given(T=st.floats(0.5, 8), old_weight=st.floats(0.1, 5), seed=seeds)
def test_lwf_loss_through_a_network_passes_gradcheck(T, old_weight, seed):
    rng = np.random.default_rng(seed)
    x, rows = Tensor(rng.normal(size=(3, 4))), rng.permutation(6)[:3]
    batch = Batch(x, rng.integers(0, 3, 3), rows)
    loss = lwf_loss({"old": 2 * rng.normal(size=(6, 4))}, T, old_weight)
    given = [rng.normal(size=shape) for shape in ((5, 4), (4, 5), (3, 5))]
    gradcheck(lambda *w: loss(Tiny(*w), batch)[0], given, rng=rng)


def test_lwf_loss_adds_the_losses_of_several_old_tasks():
    rng = np.random.default_rng(0)
    z, labels = Tensor(rng.normal(size=(5, 7))), rng.integers(0, 3, 5)
    tables = {"a": rng.normal(size=(5, 2)), "b": rng.normal(size=(5, 2))}

    class Three(nn.Module):
        def forward(self, x):
            return {"a": x[:, :2], "b": x[:, 2:4], "new": x[:, 4:]}

    total, numbers = lwf_loss(tables, old_weight=3)(Three(), Batch(z, labels, np.arange(5)))
    parts = [numbers[f"{name}_loss"].item() for name in ("a", "b", "new")]
    assert total.item() == pytest.approx(3 * (parts[0] + parts[1]) + parts[2])
    assert parts[0] != pytest.approx(parts[1])


# ── the stages ───────────────────────────────────────────────────────────────────────────────


def test_learning_without_forgetting_warm_up_trains_only_the_new_head():
    model = two_tasks()
    backbone, old, new = parts(model)
    history = learned(model, epochs=0, warm_up=3)
    after = parts(model)
    assert after[:2] == (backbone, old)  # weights and running statistics, bit for bit
    assert all(array != new[name] for name, array in after[2].items())
    assert [record["epoch"] for record in history] == [1, 2, 3]


def test_learning_without_forgetting_warm_up_keeps_the_outputs_of_the_old_head():
    """A head with several layers may have dropout and running statistics; both stay off."""
    manual_seed(0)
    old = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4), nn.BatchNorm1d(4))
    model = MultiHead(two_tasks().backbone, {"old": old, "new": two_tasks().heads["new"]})
    before = weights(old)
    history = learned(model, epochs=0, warm_up=2)
    assert weights(old) == before
    # The old task's loss is at its minimum in every epoch: nothing changes, and nothing is random.
    assert history["old_loss"][0] == pytest.approx(history["old_loss"][1], rel=1e-6)
    least = F.entropy(record_responses(model.task("old"), loader()) / np.float32(2)).item()
    assert history["old_loss"][0] == pytest.approx(least, rel=1e-5)


def test_learning_without_forgetting_trains_every_weight_after_the_warm_up():
    model = two_tasks()
    before = weights(model)
    learned(model, epochs=1, warm_up=0)
    assert [name for name, array in weights(model).items() if array == before[name]] == []


def test_learning_without_forgetting_equals_training_with_the_papers_loss():
    model, ours = two_tasks(), two_tasks()
    found = learned(model, warm_up=0, old_weight=1.5, temperature=3)
    recorded = record_responses(ours.task("old"), loader())

    def loss(network, batch):
        answers = network(batch.images)
        target = F.softmax(recorded[batch.indices] / np.float32(3)).data
        kept = F.cross_entropy(answers["old"] * (1 / 3), target)
        return F.cross_entropy(answers["new"], batch.targets) + 1.5 * kept

    expected = fit(ours, loader(), loss, MOMENTUM(ours.parameters(), 0.05), 2, device="cpu")
    for name, array in ours.state_dict().items():
        np.testing.assert_allclose(
            model.state_dict()[name], array, rtol=1e-3, atol=1e-5, err_msg=name
        )
    assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)


def test_learning_without_forgetting_keeps_the_old_outputs_better_than_fine_tuning():
    """The old outputs change far less than in fine-tuning, which only lacks the old task's loss."""
    moved = []
    for old_weight in (0, 3):
        model = two_tasks(dropout=0.0)
        before = record_responses(model.task("old"), loader())
        learned(model, epochs=8, old_weight=old_weight, optimizer=partial(SGD, momentum=0.9))
        after = record_responses(model.task("old"), loader())
        moved.append(np.abs(F.softmax(after).data - F.softmax(before).data).mean())
    assert moved[1] < 0.7 * moved[0]


# ── its baselines ────────────────────────────────────────────────────────────────────────────


def fine_tuned_by_hand(model, transform=None):
    """Warm-up and training with only the new task's cross-entropy, without the old head."""

    def cross_entropy(network, batch):
        return F.cross_entropy(network(batch.images)["new"], batch.targets)

    for part in (model.backbone, model.heads["old"]):
        part.freeze()
    rule = MOMENTUM(model.heads["new"].parameters(), 0.05)
    fit(model, loader(transform), cross_entropy, rule, 1, device="cpu")
    model.unfreeze()
    rest = [*model.backbone.parameters(), *model.heads["new"].parameters()]
    return fit(model, loader(transform), cross_entropy, MOMENTUM(rest, 0.05), 2, device="cpu")


@pytest.mark.parametrize("transform", [None, DRAWS], ids=["plain", "augmented"])
def test_learning_without_forgetting_with_weight_0_is_fine_tuning_to_the_bit(transform):
    model, plain = two_tasks(), two_tasks()
    found = learned(model, old_weight=0, batches=loader(transform))
    expected = fine_tuned_by_hand(plain, transform)
    assert weights(model) == weights(plain)
    assert found["train_loss"] == expected["train_loss"]


@pytest.mark.parametrize("rule", [MOMENTUM, partial(Adam, weight_decay=0.1)])
def test_learning_without_forgetting_with_weight_0_keeps_the_old_head_to_the_bit(rule):
    """Not even weight decay or momentum changes the old head."""
    model = two_tasks()
    _, old, _ = parts(model)
    learned(model, old_weight=0, optimizer=rule)
    assert parts(model)[1] == old


def test_learning_without_forgetting_without_epochs_is_feature_extraction():
    model = two_tasks()
    backbone, old, new = parts(model)
    learned(model, epochs=0, warm_up=4)
    assert parts(model)[:2] == (backbone, old)
    assert parts(model)[2] != new


def test_learning_without_forgetting_warm_up_does_not_depend_on_the_old_loss():
    models = [two_tasks(), two_tasks()]
    for model, old_weight in zip(models, (0, 5), strict=True):
        learned(model, epochs=0, warm_up=3, old_weight=old_weight)
    assert weights(models[0]) == weights(models[1])


# ── the record of the old outputs ────────────────────────────────────────────────────────────


def test_learning_without_forgetting_records_outputs_for_images_without_augmentation():
    with refused(ValueError, "record_responses: the loader's transform", "random"):
        record_responses(two_tasks().task("old"), loader(DRAWS))
    assert len(learned(two_tasks(), batches=loader(DRAWS))) == 2


@pytest.mark.parametrize(
    ("old_outputs", "fragments"),
    [
        ({"older": np.zeros((22, 4), "f")}, ("lwf_loss: old_outputs", "older", "model: old")),
        ({"old": np.zeros((5, 4), "f")}, ("looked_up: responses", "5")),
    ],
    ids=["another task's", "of fewer images"],
)
def test_lwf_loss_refuses_a_record_of_another_task_or_of_fewer_images(old_outputs, fragments):
    model = two_tasks()
    before = weights(model)
    with refused(ValueError, *fragments):
        learned(model, warm_up=0, old_outputs=old_outputs)
    assert weights(model) == before


# ── runs ─────────────────────────────────────────────────────────────────────────────────────

RESUMED = {"warm_up": 2, "epochs": 3, "schedule": step_decay(1, 0.5)}


def test_learning_without_forgetting_of_a_finished_run_trains_nothing(tmp_path):
    run = Run.create(tmp_path / "run", {})
    model, again = two_tasks(), two_tasks()
    expected = learned(model, run=run, **RESUMED)

    def never(model):
        raise AssertionError("an epoch was trained")

    found = learned(again, run=run, validate=never, **RESUMED)
    assert found == expected
    assert weights(again) == weights(model)
    stages = sorted(path.name for path in run.path.iterdir() if path.is_dir())
    assert stages == ["training", "warm-up"]


# ── a model for two tasks ────────────────────────────────────────────────────────────────────


def test_with_new_task_shares_the_backbone_and_leaves_the_old_network_alone():
    manual_seed(0)
    old = lenet5().eval()
    x = Tensor(np.random.default_rng(1).normal(size=(2, 1, 28, 28)).astype("f"))
    for layers in (1, 2, 3):
        manual_seed(2)
        model = with_new_task(old, 5, layers=layers)
        assert list(model.heads) == ["old", "new"]
        answers = model(x)
        assert np.array_equal(answers["old"].data, old(x).data)
        assert answers["new"].shape == (2, 5)
        fully_connected = [part for part in model.heads["old"] if isinstance(part, nn.Linear)]
        assert len(fully_connected) == layers


def test_with_new_task_adds_a_third_task():
    model = two_tasks()
    manual_seed(3)
    three = with_new_task(model, 5, new="third")
    assert list(three.heads) == ["old", "new", "third"]
    assert list(model.heads) == ["old", "new"]
    assert three.backbone is model.backbone
    assert three.heads["old"] is model.heads["old"]
    manual_seed(3)
    three = with_new_task(model, 3, new="third")
    history = learned(three, epochs=1)
    assert {"old_loss", "new_loss"} < set(history[0])
