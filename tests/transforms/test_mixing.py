"""CutMix, Mixup and Cutout: the laws of the papers, and the statistics of the authors' code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import functional as F
from minivision.datasets import ArrayDataset, DataLoader
from minivision.fast.memory import BATCH_INNERMOST, in_order, memory_order
from minivision.nn import Flatten, Linear, Sequential
from minivision.optim import SGD
from minivision.tensor import Tensor
from minivision.training import classification_loss, fit
from minivision.transforms import Box, CutMix, Cutout, Mixing, Mixup, ToArray
from tests.strategies import seeds

K = 5
sizes = st.integers(1, 9)


def batch(seed, N, H=6, W=7, C=3, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, C, H, W)).astype(dtype), rng.integers(0, K, N)


# ── CutMix ───────────────────────────────────────────────────────────────────────────────────


@given(N=sizes, H=sizes, W=sizes, seed=seeds)
def test_cut_mix_takes_the_box_from_the_partner_and_the_rest_from_the_image(N, H, W, seed):
    images, labels = batch(seed, N, H, W)
    mixed = CutMix(K)(images, labels, np.random.default_rng(seed))
    top, left, bottom, right = mixed.box
    for n in range(N):
        partner = mixed.permutation[n]
        own = 0
        for y in range(H):
            for x in range(W):
                inside = top <= y < bottom and left <= x < right
                own += not inside
                source = images[partner if inside else n]
                assert mixed.images[n, :, y, x].tolist() == source[:, y, x].tolist()
        assert mixed.lam == pytest.approx(own / (H * W), abs=1e-12)
        expected = np.zeros(K)
        expected[labels[n]] += mixed.lam
        expected[labels[partner]] += 1 - mixed.lam
        np.testing.assert_allclose(mixed.targets[n], expected, atol=1e-6)


@pytest.mark.parametrize(("size", "mean"), [(28, 0.7032), (32, 0.7010), (224, 0.6822)])
def test_cut_mix_has_the_mean_share_of_the_authors_code(size, mean):
    """Boxes are cut off at the border, so it is above 1/2; 0.679 for very many pixels."""
    rng, transform = np.random.default_rng(0), CutMix(K)
    shares = [transform.draw((2, 3, size, size), rng).lam for _ in range(20_000)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - mean) < 4 * error


def test_cut_mix_boxes_have_even_sides_unless_clipped():
    rng, transform = np.random.default_rng(0), CutMix(K)
    for _ in range(500):
        top, left, bottom, right = transform.draw((2, 3, 31, 29), rng).box
        assert 0 <= top <= bottom <= 31
        assert 0 <= left <= right <= 29
        if top > 0 and bottom < 31:
            assert (bottom - top) % 2 == 0
        if left > 0 and right < 29:
            assert (right - left) % 2 == 0


# ── Mixup, and what both have in common ──────────────────────────────────────────────────────


@given(N=sizes, seed=seeds)
def test_mixup_blends_pixels_and_labels_alike(N, seed):
    images, labels = batch(seed, N)
    mixed = Mixup(K)(images, labels, np.random.default_rng(seed))
    lam, one_hot = mixed.lam, np.eye(K)[labels]
    for n, partner in enumerate(mixed.permutation):
        np.testing.assert_allclose(
            mixed.images[n], lam * images[n] + (1 - lam) * images[partner], atol=1e-5
        )
        np.testing.assert_allclose(
            mixed.targets[n], lam * one_hot[n] + (1 - lam) * one_hot[partner], atol=1e-6
        )
    assert mixed.box is None


def test_mixup_draws_a_beta_distributed_lambda():
    """Beta(α, α) has the mean 1/2 and the variance 1 / (4·(2α + 1))."""
    rng = np.random.default_rng(0)
    for alpha in (0.2, 1.0, 4.0):
        shares = [Mixup(K, alpha).draw((1, 1, 1, 1), rng).lam for _ in range(20_000)]
        assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
        assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


both = pytest.mark.parametrize("kind", [Mixup, CutMix])


@both
@given(N=sizes, seed=seeds)
def test_mixing_targets_mixes_gradients(kind, N, seed):
    """Cross-entropy is linear in its target."""
    images, labels = batch(seed, N, dtype=np.float64)
    targets = np.eye(K)[labels]
    mixed = kind(K)(images, targets, np.random.default_rng(seed))
    logits = np.random.default_rng(seed + 1).normal(size=(N, K))

    def gradient(target):
        z = Tensor(logits, requires_grad=True)
        F.cross_entropy(z, target).backward()
        return z.grad

    own, partners = gradient(labels), gradient(labels[mixed.permutation])
    expected = mixed.lam * own + (1 - mixed.lam) * partners
    np.testing.assert_allclose(gradient(mixed.targets), expected, rtol=1e-12, atol=1e-15)


@both
@pytest.mark.parametrize("settings", [{"alpha": 0}, {"probability": 0}])
def test_mixing_with_alpha_or_probability_0_changes_nothing(kind, settings):
    images, labels = batch(0, 4)
    mixed = kind(K, **settings)(images, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.images, images)
    np.testing.assert_array_equal(mixed.targets, np.eye(K)[labels])
    assert (mixed.lam, mixed.box, mixed.permutation.tolist()) == (1, None, [0, 1, 2, 3])


@both
def test_mixing_happens_as_often_as_the_probability_says(kind):
    rng, transform = np.random.default_rng(0), kind(K, probability=0.3)
    mixed = [transform.draw((2, 3, 32, 32), rng).lam != 1 for _ in range(2_000)]
    assert np.mean(mixed) == pytest.approx(0.3, abs=0.04)


@both
def test_mixing_can_be_replayed_and_accepts_soft_targets(kind):
    images, labels = batch(0, 4)
    transform = kind(K)
    mixing = transform.draw(images.shape, np.random.default_rng(3))
    first = transform.apply(images, labels, mixing)
    again = transform.apply(images, np.eye(K, dtype=np.float32)[labels], mixing)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert (first.lam, first.box) == (mixing.lam, mixing.box)


@pytest.mark.parametrize("transform", [Mixup(K), CutMix(K), Cutout(3)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), BATCH_INNERMOST])
def test_mixing_keeps_its_inputs_and_their_memory_order(transform, order):
    images, labels = batch(0, 6)
    images = in_order(images, order)
    images.flags.writeable = labels.flags.writeable = False
    result = transform(images, labels, np.random.default_rng(0))
    assert not np.shares_memory(result.images, images)
    assert result.images.dtype == np.float32
    assert memory_order(result.images) == order


# ── Cutout ───────────────────────────────────────────────────────────────────────────────────


@given(N=sizes, H=sizes, W=sizes, size=st.integers(1, 12), seed=seeds)
def test_cutout_fills_a_square_of_every_image_and_nothing_else(N, H, W, size, seed):
    images, labels = batch(seed, N, H, W)
    erased = Cutout(size, fill=9.0)(images, labels, np.random.default_rng(seed))
    assert erased.targets is labels
    assert len(erased.boxes) == N
    for n, (top, left, bottom, right) in enumerate(erased.boxes):
        assert 0 <= top < bottom <= H
        assert 0 <= left < right <= W
        assert bottom - top <= size
        expected = images[n].copy()
        expected[:, top:bottom, left:right] = 9
        np.testing.assert_array_equal(erased.images[n], expected)


def test_cutout_squares_have_full_size_away_from_the_border_and_uniform_positions():
    boxes = Cutout(5).draw((4_000, 3, 20, 20), np.random.default_rng(0))
    inner = [box for box in boxes if box.top > 0 and box.bottom < 20]
    assert {box.bottom - box.top for box in inner} == {5}
    assert Box(0, 0, 3, 4).area == 12
    centres = np.array([box.top for box in boxes if box.top > 0])
    assert abs(np.bincount(centres, minlength=18)[1:] - 200).max() < 70  # 4,000 / 20, 5 sigma


# ── in training, and what does not fit ───────────────────────────────────────────────────────


@pytest.mark.parametrize("transform", [Mixup(K), CutMix(K), Cutout(2)])
def test_fit_accepts_batch_transforms(transform):
    rng = np.random.default_rng(0)
    data = ArrayDataset(
        rng.integers(0, 256, (20, 6, 6, 1), dtype=np.uint8), np.arange(20) % K, list("abcde")
    )
    loader = DataLoader(data, 8, transform=ToArray())
    model = Sequential(Flatten(), Linear(36, K))
    weight = next(iter(model.parameters()))
    before = weight.numpy().copy()
    history = fit(
        model, loader, classification_loss, SGD(model.parameters(), 0.1), 2,
        batch_transform=transform, seed=0,
    )  # fmt: skip
    assert np.isfinite(history["train_loss"]).all()
    assert (weight.numpy() != before).any()


def test_cut_mix_with_an_empty_box_changes_nothing():
    images, labels = batch(0, 2)
    same = CutMix(K).apply(images, labels, Mixing(1.0, np.array([1, 0]), Box(2, 2, 2, 5)))
    np.testing.assert_array_equal(same.images, images)
