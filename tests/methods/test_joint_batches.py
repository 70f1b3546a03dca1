"""Joint training: every step has images of every task, and each task's loss is its own head's."""

from functools import partial

import numpy as np
import pytest

from minivision import functional as F
from minivision import manual_seed
from minivision.datasets import ArrayDataset, DataLoader
from minivision.methods import JointBatches, joint_loss, with_new_task
from minivision.methods.joint_batches import joined
from minivision.optim import SGD
from minivision.tensor import Tensor
from minivision.training import fit
from minivision.training.loop import Batch
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods.old_network import network, weights
from tests.methods.unlabelled import stripes
from tests.refusals import refused

MOMENTUM = partial(SGD, momentum=0.9)
DRAWS = Compose([RandomTranslate(1), ToArray()])


def ramp_images(N, start, classes=3):
    """Images that can be told apart: every pixel of image i is `start + i`."""
    images = (
        np.full((N, 6, 5, 1), 0, np.uint8)
        + (start + np.arange(N, dtype=np.uint8))[:, None, None, None]
    )
    names = tuple(f"class {k}" for k in range(classes))
    return ArrayDataset(images, np.arange(N) % classes, names)


def numbers_of(images):
    """The indices of images from `ramp_images`."""
    return np.rint(images[:, 0, 0, 0] * 255).astype(int)


def two_loaders(first=22, second=9, transform=None):
    options = {"shuffle": True, "transform": transform}
    return {
        "old": DataLoader(stripes(first, 1), 4, seed=1, **options),
        "new": DataLoader(stripes(second, 2), 3, seed=2, **options),
    }


def two_tasks():
    manual_seed(11)
    return with_new_task(network(), 3)


def together(model, loaders, epochs=3, **options):
    batches, rule = JointBatches(list(loaders.values())), MOMENTUM(model.parameters(), 0.05)
    return fit(model, batches, joint_loss, rule, epochs, device="cpu", **options)


# ── batches ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sizes", [(5, 14), (14, 5), (8, 8), (3, 17)])
def test_joint_batches_have_images_and_labels_of_every_loader_in_every_step(sizes):
    data = [ramp_images(N, 100 * number) for number, N in enumerate(sizes)]
    loaders = [DataLoader(part, 4, shuffle=True, seed=7) for part in data]
    batches = JointBatches(loaders)
    assert len(batches) == len(loaders[-1])
    for epoch in (0, 3):
        steps = list(batches(epoch))
        assert len(steps) == len(loaders[-1])
        for parts in steps:
            for number, (images, labels) in enumerate(parts):
                assert images.dtype == np.float32
                which = numbers_of(images)
                assert np.array_equal(which // 100, np.full(len(images), number))
                assert np.array_equal((which % 100) % 3, labels)


def test_joint_batches_repeat_a_smaller_loader_in_a_new_order():
    small, large = ramp_images(5, 0), ramp_images(16, 100)
    loaders = [DataLoader(small, 2, shuffle=True), DataLoader(large, 2, shuffle=True, seed=1)]
    walks = []
    for epoch in (0, 1):
        parts = zip(*JointBatches(loaders)(epoch), strict=True)
        ours, theirs = (
            np.concatenate([numbers_of(images) for images, _ in part]) for part in parts
        )
        theirs = theirs - 100
        assert sorted(theirs) == list(range(16))
        expected = [i for images, _ in loaders[1](epoch) for i in numbers_of(images) - 100]
        assert theirs.tolist() == expected
        # 8 steps: two passes over the small loader's 3 batches, and two batches of a third
        walks += [tuple(ours[:5]), tuple(ours[5:10])]
        assert len(ours) == 14
    assert all(sorted(walk) == [0, 1, 2, 3, 4] for walk in walks)
    assert len(set(walks)) == 4


def test_joint_batches_of_one_loader_are_its_own_batches():
    loader = DataLoader(stripes(22, 1), 4, shuffle=True, transform=DRAWS)
    for epoch in (0, 2):
        for ((images, targets),), (same, labels) in zip(
            JointBatches([loader])(epoch), loader(epoch), strict=True
        ):
            assert np.array_equal(images, same)
            assert np.array_equal(targets, labels)


def test_joint_batches_have_as_many_steps_as_given():
    loaders = list(two_loaders().values())
    for steps in (1, 4, 11):
        batches = JointBatches(loaders, steps)
        assert len(batches) == len(list(batches(1))) == steps


def batch(images, targets=None):
    return Batch(Tensor(np.asarray(images, np.float32)), targets)


def test_joined_concatenates_the_images_and_returns_their_rows():
    parts = [batch(np.full((n, 1, 2, 2), n)) for n in (3, 1, 2)]
    images, rows = joined(parts)
    assert images.data[:, 0, 0, 0].tolist() == [3, 3, 3, 1, 2, 2]
    for part, place in zip(parts, rows, strict=True):
        assert np.array_equal(images.data[place], part.images.data)


# ── the loss ─────────────────────────────────────────────────────────────────────────────────


def test_joint_loss_is_the_sum_of_the_means_of_the_tasks():
    """3 images of one task and 2 of the other have equal weight; each goes to its own head."""
    model = two_tasks().eval()
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(5, 1, 6, 5)).astype("f"), np.array([2, 0, 1, 2, 2])
    answers = {name: logits.data.astype(float) for name, logits in model(Tensor(x)).items()}
    expected = 0.0
    for name, rows in (("old", [0, 1, 2]), ("new", [3, 4])):
        for row in rows:
            z = answers[name][row]
            expected -= (z[labels[row]] - np.log(np.exp(z).sum())) / len(rows)
    parts = batch(x[:3], labels[:3]), batch(x[3:], labels[3:])
    assert joint_loss(model, parts).item() == pytest.approx(expected, rel=1e-5)


def test_joint_loss_teaches_a_head_nothing_from_another_tasks_images():
    model = two_tasks().eval()
    x = np.random.default_rng(0).normal(size=(4, 1, 6, 5))
    # Only the second task's labels differ: they must not change the gradient of the old head,
    # as if its images were not there.
    gradients = []
    for second in ([1, 0], [2, 2]):
        model.zero_grad()
        parts = batch(x[:2], np.array([2, 0])), batch(x[2:], np.array(second))
        joint_loss(model, parts).backward()
        gradients.append([p.grad.copy() for p in model.heads["old"].parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert np.array_equal(ours, theirs)
        assert np.abs(ours).max() > 0


# ── training ─────────────────────────────────────────────────────────────────────────────────


def test_joint_loss_of_one_task_is_plain_training():
    model, plain = two_tasks(), two_tasks()
    for both in (model, plain):
        del both.heads["new"]
    found = together(model, {"old": two_loaders()["old"]})

    def cross_entropy(network, batch):
        return F.cross_entropy(network(batch.images)["old"], batch.targets)

    rule = MOMENTUM(plain.parameters(), lr=0.05)
    expected = fit(plain, two_loaders()["old"], cross_entropy, rule, 3, device="cpu")
    assert weights(model) == weights(plain)
    assert found["train_loss"] == expected["train_loss"]


def test_joint_loss_learns_both_tasks():
    model = two_tasks()
    before = weights(model)
    history = together(model, two_loaders(40, 40), epochs=10)
    assert [name for name, array in weights(model).items() if array == before[name]] == []
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]


def test_joint_loss_refuses_a_head_with_too_few_outputs_before_a_weight_changes():
    manual_seed(0)
    model = with_new_task(network(), 2)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    with refused(ValueError, "targets[", "2", "0 to 1"):
        together(model, two_loaders(second=22))
    for name, parameter in model.named_parameters():
        assert np.array_equal(parameter.data, before[name])
