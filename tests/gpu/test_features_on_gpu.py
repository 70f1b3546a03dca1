"""Deep features of a network on the device equal those on the host."""

import numpy as np
import pytest

from minivision import manual_seed
from minivision.backend import device_of
from minivision.methods import DeepFeatures
from minivision.models import lenet5, resnet20
from minivision.transforms import ToArray
from tests.gpu.device import where_needed

pytestmark = where_needed


@pytest.mark.parametrize(("make", "shape"), [(lenet5, (28, 28, 1)), (resnet20, (32, 32, 3))])
def test_deep_features_on_the_device_equal_those_on_the_host(make, shape):
    images = np.random.default_rng(1).integers(0, 256, (3, *shape), dtype=np.uint8)
    manual_seed(0)
    model = make()
    host = DeepFeatures(model, ToArray())
    expected, described = host(images), host.describe()
    device = DeepFeatures(model.to("gpu:0"), ToArray())
    found = device(images)
    assert device_of(next(iter(model.parameters())).data) == "gpu:0"
    for part, rows in expected.items():
        np.testing.assert_allclose(found[part], rows, rtol=1e-3, atol=1e-4)
    assert device.describe() == described  # an index made on one can be used on the other
