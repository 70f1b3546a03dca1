"""Ten-crop prediction: the mean of ten softmaxes, crop by crop."""

import numpy as np

from minivision import Tensor, manual_seed, no_grad
from minivision import functional as F
from minivision.models import alexnet_small
from minivision.nn import Dropout, Flatten, Linear, Sequential
from minivision.training.ten_crops import ten_crop_probabilities
from minivision.transforms import crop_offsets, ten_crops


def images(N=3, H=9, W=11, C=3, seed=0):
    return np.random.default_rng(seed).normal(size=(N, C, H, W)).astype(np.float32)


def linear(H=6, W=8, K=4):
    manual_seed(1)
    layer = Linear(3 * H * W, K)
    layer.weight.data = layer.weight.data * 4  # far from linear, so that logits and softmax differ
    return Sequential(Dropout(0.5), Flatten(), layer)


def test_ten_crop_probabilities_are_the_mean_of_softmaxes_not_the_softmax_of_a_mean():
    model, x = linear(), images()
    found = ten_crop_probabilities(model, x, (6, 8))
    weight, bias = (parameter.data for parameter in model.parameters())
    for n in range(len(x)):
        votes, logits = [], []
        for top, left in crop_offsets((9, 11), (6, 8)):
            crop = x[n, :, top : top + 6, left : left + 8]
            for seen in (crop, crop[:, :, ::-1]):
                z = weight @ seen.ravel() + bias
                logits.append(z)
                votes.append(np.exp(z) / np.exp(z).sum())
        np.testing.assert_allclose(found[n], np.mean(votes, axis=0), rtol=1e-4, atol=1e-6)
        mean = np.mean(logits, axis=0)
        assert abs(found[n] - np.exp(mean) / np.exp(mean).sum()).max() > 0.01
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_ten_crop_probabilities_cut_the_crops_of_the_transforms():
    """A uint8 image cut by `ten_crops` and the same image as an array give the same result."""
    picture = np.random.default_rng(2).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    model = linear().eval()
    crops = ten_crops(picture, (6, 8)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    with no_grad():
        expected = F.softmax(model(Tensor(np.ascontiguousarray(crops)))).data.mean(axis=0)
    x = (picture.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    np.testing.assert_allclose(ten_crop_probabilities(model, x, (6, 8))[0], expected, rtol=1e-4)


def test_ten_crop_probabilities_restore_the_mode_and_switch_dropout_off():
    model, x = linear(), images()
    assert model.training
    first = ten_crop_probabilities(model, x, (6, 8))
    assert model.training
    np.testing.assert_array_equal(ten_crop_probabilities(model.eval(), x, (6, 8)), first)
    assert not model.training


def test_ten_crop_probabilities_of_a_mirrored_image_are_the_same():
    """The ten crops of an image and of its mirror image are the same ten."""
    manual_seed(3)
    model, x = alexnet_small(width=0.25), images(2, 36, 40)
    one = ten_crop_probabilities(model, x, 32)
    other = ten_crop_probabilities(model, x[:, :, :, ::-1], 32)
    np.testing.assert_allclose(one, other, rtol=1e-4)
    assert abs(one - ten_crop_probabilities(model, x[:, :, ::-1], 32)).max() > 1e-4
