"""What the tests on a GPU share: where they run, and how they compare arrays.

Without a GPU, the strict stand-in of tests/cupy_stand_in.py replaces CuPy. On a machine with one,
MINIVISION_TEST_BACKEND=cupy runs the same tests on CuPy itself.
"""

import os

import numpy as np
import pytest

from minivision.backend import device_of, to_device, to_host

ON_CUPY = os.environ.get("MINIVISION_TEST_BACKEND") == "cupy"
where_needed = [pytest.mark.gpu] if ON_CUPY else []
stand_in_only = pytest.mark.skipif(
    ON_CUPY, reason="asks the stand-in what the host waited for, or for a second card"
)


def gpu(array):
    """A host array, copied to the device."""
    return to_device(np.asarray(array), "gpu:0")


def assert_equal(ours, theirs, tolerance=1e-10):
    """An array on the device equals the host's, including dtype and shape."""
    assert device_of(ours) == "gpu:0"
    host = to_host(ours)
    assert (host.dtype, host.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_allclose(host, theirs, rtol=tolerance, atol=tolerance)
