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
def test_every_pixel_is_the_images_own_or_in_the_box_its_partners(N, H, W, seed):
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
def test_the_mean_share_is_the_one_of_the_authors_code(size, mean):
    """Boxes are cut off at the border, so it is above 1/2; 0.679 for very many pixels."""
    rng, transform = np.random.default_rng(0), CutMix(K)
    shares = [transform.draw((2, 3, size, size), rng).lam for _ in range(20_000)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - mean) < 4 * error


def test_a_box_has_even_sides_unless_the_border_cuts_it_off():
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


def test_lambda_is_beta_distributed():
    """Beta(α, α) has the mean 1/2 and the variance 1 / (4·(2α + 1))."""
    rng = np.random.default_rng(0)
    for alpha in (0.2, 1.0, 4.0):
        shares = [Mixup(K, alpha).draw((1, 1, 1, 1), rng).lam for _ in range(20_000)]
        assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
        assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


both = pytest.mark.parametrize("kind", [Mixup, CutMix])


@both
@given(N=sizes, seed=seeds)
def test_the_gradient_of_mixed_targets_is_the_mixed_gradient(kind, N, seed):
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
def test_without_alpha_or_chance_nothing_is_mixed(kind, settings):
    images, labels = batch(0, 4)
    mixed = kind(K, **settings)(images, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.images, images)
    np.testing.assert_array_equal(mixed.targets, np.eye(K)[labels])
    assert (mixed.lam, mixed.box, mixed.permutation.tolist()) == (1, None, [0, 1, 2, 3])


@both
def test_as_many_batches_are_mixed_as_the_probability_says(kind):
    rng, transform = np.random.default_rng(0), kind(K, probability=0.3)
    mixed = [transform.draw((2, 3, 32, 32), rng).lam != 1 for _ in range(2_000)]
    assert np.mean(mixed) == pytest.approx(0.3, abs=0.04)


@both
def test_what_was_drawn_can_be_applied_again_and_mixes_soft_targets_too(kind):
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
def test_inputs_are_not_written_to_and_the_memory_order_stays(transform, order):
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


def test_away_from_the_border_the_square_has_its_full_size_and_its_place_is_uniform():
    boxes = Cutout(5).draw((4_000, 3, 20, 20), np.random.default_rng(0))
    inner = [box for box in boxes if box.top > 0 and box.bottom < 20]
    assert {box.bottom - box.top for box in inner} == {5}
    assert Box(0, 0, 3, 4).area == 12
    centres = np.array([box.top for box in boxes if box.top > 0])
    assert abs(np.bincount(centres, minlength=18)[1:] - 200).max() < 70  # 4,000 / 20, 5 sigma


# ── in training, and what does not fit ───────────────────────────────────────────────────────


@pytest.mark.parametrize("transform", [Mixup(K), CutMix(K), Cutout(2)])
def test_fit_takes_them(transform):
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


@pytest.mark.parametrize(
    ("targets", "error", "sentence"),
    [
        ([0, 1, 5], ValueError, r"targets has labels from 0 to 5; expected 0 to 4"),
        ([0, 1], ValueError, r"targets is int64 \(2,\); expected 3 whole numbers"),
        ([0.0, 1.0, 2.0], ValueError, r"targets is float64 \(3,\); expected 3 whole numbers"),
        (np.ones((3, 4)) / 4, ValueError, r"targets has shape \(3, 4\); expected \(3, 5\)"),
        (np.ones((3, K)), ValueError, r"targets\[0\] is .* which sums to 5"),
        (np.full((3, K), np.nan), ValueError, r"targets\[0\] is .* which sums to nan"),
        (np.array([[2.0, -1, 0, 0, 0]] * 3), ValueError, r"targets\[0\] is \[ 2. -1."),
        (np.eye(K, dtype=int)[:3], TypeError, r"targets is int64; expected probabilities"),
    ],
)
@both
def test_targets_that_do_not_fit_are_named(kind, targets, error, sentence):
    images, _ = batch(0, 3)
    with pytest.raises(error, match=rf"^{kind.__name__}: {sentence}"):
        kind(K)(images, targets, np.random.default_rng(0))


@pytest.mark.parametrize("transform", [Mixup(K), CutMix(K), Cutout(3)])
def test_images_that_are_no_float_batches_are_named(transform):
    name, rng = type(transform).__name__, np.random.default_rng(0)
    with pytest.raises(ValueError, match=rf"^{name}: images is uint8 \(2, 3, 4, 4\)"):
        transform(np.zeros((2, 3, 4, 4), np.uint8), np.zeros(2, int), rng)
    with pytest.raises(ValueError, match=rf"^{name}: image"):
        transform(np.zeros((3, 4, 4), np.float32), np.zeros(3, int), rng)
    with pytest.raises(ValueError, match=rf"^{name}: no rng came"):
        transform(np.zeros((2, 3, 4, 4), np.float32), np.zeros(2, int))
    with pytest.raises(ValueError, match=rf"^{name}: images is a list; expected floats"):
        transform([[1.0]], np.zeros(1, int), rng)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CutMix(0), r"CutMix: classes is 0"),
        (lambda: Mixup(K, alpha=-1), r"Mixup: alpha is -1; expected a number, 0 or more"),
        (lambda: CutMix(K, probability=2), r"CutMix: probability is 2; expected a number"),
        (lambda: Cutout(0), r"Cutout: size is 0; expected a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_named(make, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        make()


def test_a_box_without_pixels_mixes_nothing():
    images, labels = batch(0, 2)
    same = CutMix(K).apply(images, labels, Mixing(1.0, np.array([1, 0]), Box(2, 2, 2, 5)))
    np.testing.assert_array_equal(same.images, images)
