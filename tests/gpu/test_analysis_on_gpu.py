"""Summaries and receptive fields of a network on the device equal those on the host."""

import numpy as np

from minivision import manual_seed
from minivision.analysis.effective_field import effective_field
from minivision.analysis.receptive_field import receptive_fields
from minivision.analysis.summary import summary
from minivision.models import lenet5
from tests.gpu.device import ON_CUPY, where_needed

pytestmark = where_needed


def model():
    manual_seed(0)
    return lenet5()


def test_summary_on_the_device_counts_the_same_as_on_the_host():
    host, device = summary(model()), summary(model().to("gpu:0"))
    assert [row[:5] for row in device.rows] == [row[:5] for row in host.rows]
    if ON_CUPY:  # the stand-in hides which arrays are views of one block
        assert device.kept_bytes == host.kept_bytes


def test_receptive_fields_on_the_device_equal_those_on_the_host():
    host, device = receptive_fields(model()), receptive_fields(model().to("gpu:0"))
    for name, field in host.items():
        assert (field.size, field.jump, field.start) == (
            device[name].size, device[name].jump, device[name].start,
        )  # fmt: skip


def test_effective_field_on_the_device_equals_that_on_the_host():
    images = np.random.default_rng(1).normal(size=(2, 1, 28, 28)).astype(np.float32)
    host, device = (
        effective_field(net, "features.3", 4, 5, images, rng=np.random.default_rng(2))
        for net in (model(), model().to("gpu:0"))
    )
    np.testing.assert_allclose(device, host, rtol=1e-3, atol=1e-7)
