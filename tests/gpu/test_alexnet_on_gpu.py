"""AlexNet in towers and under ten crops, on the device as on the host."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.models import alexnet_small, alexnet_two_tower
from tests.gpu.device import assert_equal, gpu, where_needed

pytestmark = where_needed


def towers(where):
    manual_seed(0)
    return alexnet_two_tower(5, width=1 / 32).to(dtype=np.float64).to(where)


def test_two_tower_trains_on_the_device_as_on_the_host():
    images = np.random.default_rng(1).normal(size=(2, 3, 227, 227))
    host, device = towers("cpu"), towers("gpu:0")
    for model, x in ((host, images), (device, gpu(images))):
        model.seed(0, 0)
        F.cross_entropy(model(Tensor(x)), [1, 4]).backward()
    assert device.crossed == host.crossed
    for ours, theirs in zip(device.parameters(), host.parameters(), strict=True):
        assert_equal(ours.grad, theirs.grad)
    state = host.state_dict()
    device.load_state_dict(state)
    for name, array in device.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_ten_crops_on_the_device_give_the_hosts_probabilities():
    """Images may be on either device; the result is on the host."""
    for library in ("cv2", "safetensors", "tqdm"):  # which their rooms import
        pytest.importorskip(library)
    from minivision.training.ten_crops import ten_crop_probabilities

    images = np.random.default_rng(2).normal(size=(2, 3, 36, 35))
    model = alexnet_small(width=0.25).to(dtype=np.float64)
    expected = ten_crop_probabilities(model, images, 32)
    for x in (images, gpu(images)):
        found = ten_crop_probabilities(model.to("gpu:0"), x, 32)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
