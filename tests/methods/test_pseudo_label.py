"""Pseudo-labels: the loss by hand, its limits to the bit, and labels that are not read."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision import manual_seed, nn
from minivision.datasets import ArrayDataset, DataLoader
from minivision.gradcheck import gradcheck
from minivision.methods import JointBatches, pseudo_label_batches, pseudo_label_loss, ramp
from minivision.methods.pseudo_label import OtherDraw
from minivision.optim import SGD
from minivision.tensor import Tensor
from minivision.training import classification_loss, fit
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods.unlabelled import H, W, WithoutLabels, stripes


def network(seed=0, dropout=0.0):
    manual_seed(seed)
    layers = nn.Linear(H * W, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout)
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(8, 3))


def loaders(unlabelled=24, batch=4):
    few, many = stripes(9, 1), stripes(unlabelled, 2)
    weak = Compose([RandomTranslate(1), ToArray()])
    return (
        DataLoader(few, 3, shuffle=True, transform=weak),
        DataLoader(WithoutLabels(many), batch, shuffle=True, transform=weak),
        many.labels,
    )


def trained(model, batches=None, epochs=3, lr=0.1, average=None, run=None, validate=None, **loss):
    """Training as on the page; by default on shifted images with everything accepted."""
    labelled, unlabelled, truth = loaders()
    batches = pseudo_label_batches(labelled, unlabelled) if batches is None else batches
    rule = SGD(model.parameters(), lr=lr, momentum=0.9)
    given = pseudo_label_loss(**{"truth": truth} | loss)
    return fit(
        model, batches, given, rule, epochs, average=average, run=run, validate=validate
    )  # fmt: skip


def assert_same_weights(model, other):
    for (name, ours), theirs in zip(
        model.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert np.array_equal(ours, theirs), name


class Answers(nn.Module):
    """A "network" whose logits are its input."""

    def forward(self, x):
        return x


def batches_of(parts):
    """A batch of each source: logits instead of images; labels, then indices."""
    (labelled, y), *others = parts
    unknown = [Batch(Tensor(z), np.zeros(len(z), int), positions) for z, positions in others]
    return Batch(Tensor(labelled), y), *unknown


LABELLED = np.array([[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]]), np.array([2, 1])
UNLABELLED = np.array([[3.0, 0, 0], [0.1, 0, 0], [0, 4.0, 0], [0, 0, 0.2]]), np.arange(4)


def surprise(logits, k):
    return -np.log(np.exp(logits[k]) / np.exp(logits).sum())


def test_pseudo_label_loss_equals_values_by_hand_as_a_mean_over_all_unlabelled_images():
    loss = pseudo_label_loss(0.5, 0.8, truth=np.array([0, 0, 2, 2]))
    total, numbers = loss(Answers(), batches_of([LABELLED, UNLABELLED]))
    supervised = np.mean([surprise(z, k) for z, k in zip(*LABELLED, strict=True)])
    # Only the first and third predictions are confident enough; the mean is over all four.
    sure = surprise(UNLABELLED[0][0], 0) + surprise(UNLABELLED[0][2], 1)
    assert total.item() == pytest.approx(supervised + 0.5 * sure / 4)
    assert numbers["mask_rate"] == 0.5
    assert numbers["pseudo_label_accuracy"] == (1, 2)
    assert numbers["unlabelled_loss"].item() == pytest.approx(sure / 4)


def test_pseudo_label_loss_takes_labels_from_one_view_and_trains_on_the_other():
    strong = np.array([[0.0, 1, 2], [1, 2, 0], [2, 0, 0.5], [0, 0, 0.0]]), np.arange(4)
    total, _ = pseudo_label_loss(1.0, 0.8)(Answers(), batches_of([LABELLED, strong, UNLABELLED]))
    supervised = np.mean([surprise(z, k) for z, k in zip(*LABELLED, strict=True)])
    learned = surprise(strong[0][0], 0) + surprise(strong[0][2], 1)
    assert total.item() == pytest.approx(supervised + learned / 4)


@given(
    alpha=st.floats(0.1, 3), threshold=st.floats(0, 0.9), seed=st.integers(0, 99),
    views=st.booleans(),
)  # fmt: skip
def test_pseudo_label_loss_passes_gradcheck(alpha, threshold, seed, views):
    # Pseudo-labels are constants: the steps of the check are too small to change one.
    rng = np.random.default_rng(seed)
    sizes = (3, 4, 4) if views else (3, 4)
    targets = [rng.integers(0, 3, 3), *(np.arange(4) for _ in sizes[1:])]
    loss = pseudo_label_loss(alpha, threshold)

    decided = [Tensor(3 * rng.normal(size=(n, 3))) for n in sizes[2:]]

    def of_logits(z):
        together = zip((z[:3], z[3:], *decided), targets, strict=True)
        return loss(Answers(), [Batch(logits, given, given) for logits, given in together])[0]

    gradcheck(of_logits, [3 * rng.normal(size=(7, 3))], rng=rng)


def test_pseudo_label_loss_passes_no_gradient_to_the_view_that_gives_the_labels():
    batches = batches_of([LABELLED, UNLABELLED, UNLABELLED])
    for batch in batches:
        batch.images.requires_grad = True
    pseudo_label_loss(1.0, 0.0)(Answers(), batches)[0].backward()
    x, trained, decided = (batch.images.grad for batch in batches)
    assert (x != 0).any(axis=1).all()
    assert (trained != 0).any(axis=1).all()
    assert decided is None


def test_cross_entropy_with_its_own_soft_labels_has_no_gradient():
    z = Tensor(UNLABELLED[0], requires_grad=True)
    F.cross_entropy(z, F.softmax(z).detach()).backward()
    assert np.abs(z.grad).max() < 1e-16
    F.cross_entropy(z, z.data.argmax(axis=1)).backward()
    assert np.abs(z.grad).max() > 0.01


def supervised(model, epochs=3, seed=0):
    """Training on the labelled images alone, written out."""
    labelled, unlabelled, _ = loaders()
    rule = SGD(model.parameters(), lr=0.1, momentum=0.9)

    class Twice:
        def __init__(self, epoch):
            self.epoch = epoch

        def __len__(self):
            return len(unlabelled)

        def __iter__(self):
            walks = [batch for walk in range(2) for batch in labelled(2 * self.epoch + walk)]
            return iter(walks)

    fit(model, Twice, classification_loss, rule, epochs, seed=seed)


def test_pseudo_label_loss_with_weight_0_is_supervised_training_to_the_bit():
    expected, model = network(), network()
    supervised(expected)
    trained(model, weight=0)
    assert_same_weights(model, expected)


def test_pseudo_label_loss_is_supervised_training_to_the_bit_until_the_ramp():
    expected = network()
    supervised(expected)
    for first, same in ((18, True), (17, False)):  # the steps are 0 to 17
        model = network()
        trained(model, weight=ramp(first - 1, first))
        if same:
            assert_same_weights(model, expected)
        else:
            assert any(
                not np.array_equal(a, b)
                for a, b in zip(
                    model.state_dict().values(), expected.state_dict().values(), strict=True
                )
            )


def test_pseudo_label_loss_is_supervised_if_nothing_reaches_the_threshold():
    history = trained(network(), threshold=1.0)
    assert (np.array(history["mask_rate"]) == 0).all()
    assert (np.array(history["unlabelled_loss"]) == 0).all()
    assert history["train_loss"] == history["supervised_loss"]


@pytest.mark.parametrize("strong", [None, "shifts"])
def test_pseudo_label_batches_never_read_the_labels_of_unlabelled_images(strong):
    labelled, unlabelled, _ = loaders()
    transform = strong and Compose([RandomTranslate(2), ToArray()])
    batches = pseudo_label_batches(labelled, unlabelled, transform)
    records = trained(network(), batches, epochs=2, truth=None)
    assert set(records[-1]) >= {"mask_rate", "confidence", "supervised_loss", "unlabelled_loss"}
    assert "pseudo_label_accuracy" not in records[-1]


def test_pseudo_label_loss_reports_nan_accuracy_and_the_confidence_if_nothing_is_accepted():
    (record,) = trained(network(), epochs=1, lr=1e-6, threshold=1.0)
    assert record["mask_rate"] == 0
    assert record["unlabelled_loss"] == 0
    assert np.isnan(record["pseudo_label_accuracy"])
    assert 1 / 3 < record["confidence"] < 1


def test_other_draw_is_independent_for_the_same_key():
    def drawn(image, rng):
        return rng.random(4)

    key = 2, 0, 0, 5
    first = drawn(None, np.random.default_rng(key))
    other = OtherDraw(drawn)(None, np.random.default_rng(key))
    assert not np.isin(other, first).any()
    assert np.array_equal(other, OtherDraw(drawn)(None, np.random.default_rng(key)))


class Spy(nn.Module):
    """Outputs the class that the first pixel encodes, and keeps its inputs."""

    def __init__(self):
        self.weight, self.shown = nn.Parameter(np.zeros((1, 3), np.float32)), []

    def forward(self, x):
        self.shown.append(x.data.copy())
        decided = np.rint(x.data[:, 0, 0, 0] * 2).astype(int)  # 0, 0.5 and 1 are the classes
        return Tensor(20 * np.eye(3, dtype=np.float32)[decided]) + self.weight


def marked(pixel):
    """A transform that writes a number into every pixel, and a random one into the last."""

    def transform(image, rng):
        result = np.full((1, H, W), pixel, np.float32)
        result[0, -1, -1] = rng.random()
        return result

    return transform


def test_pseudo_label_batches_have_a_strong_and_an_independent_weak_view():
    model, (labelled, unlabelled, _) = Spy(), loaders()
    unlabelled.transform = marked(0.5)
    batches = pseudo_label_batches(labelled, unlabelled, marked(1.0), steps=2)
    trained(model, batches, epochs=1, lr=0.0)
    learned, decided = model.shown[:2]
    assert (learned[3:, 0, 0, 0] == 1).all()
    assert (decided[:, 0, 0, 0] == 0.5).all()
    assert len(learned) == 3 + 4
    assert not np.isin(learned[3:, 0, -1, -1], decided[:, 0, -1, -1]).any()


def test_pseudo_label_loss_measures_accuracy_by_index():
    truth = np.random.default_rng(4).integers(0, 3, 24)
    images = np.zeros((24, H, W, 1), np.uint8)
    images[:, 0, 0, 0] = np.array([0, 128, 255])[truth]
    secret = WithoutLabels(ArrayDataset(images, truth, tuple("abc")))
    model, (labelled, *_) = Spy(), loaders()
    batches = pseudo_label_batches(labelled, DataLoader(secret, 5, shuffle=True))
    for known, accuracy in ((truth, 1), ((truth + 1) % 3, 0)):
        (record,) = trained(model, batches, epochs=1, lr=0.0, truth=known)
        assert record["pseudo_label_accuracy"] == accuracy


def test_ramp_rises_linearly_as_in_the_paper():
    alpha = ramp(100, 600)
    assert [alpha(t) for t in (0, 100, 350, 599, 600, 10_000)] == [0, 0, 1.5, 2.994, 3, 3]
    assert ramp(5, 5)(5) == 3


def test_joint_batches_repeat_a_small_loader_in_many_orders():
    few = ArrayDataset(np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1), np.arange(3), tuple("abc"))
    many = ArrayDataset(np.zeros((8, 1, 1, 1), np.uint8), np.zeros(8, int), ("x",))
    make = partial(DataLoader, shuffle=True)
    batches = JointBatches([make(few, 3), make(many, 1)])
    walks = [labels.tolist() for epoch in range(3) for (_, labels), _ in batches(epoch)]
    assert len(walks) == 24
    assert all(sorted(walk) == [0, 1, 2] for walk in walks)
    assert len({tuple(walk) for walk in walks}) > 3  # not always in the same order
