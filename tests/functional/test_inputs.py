"""The checks that open every function: what they let through, and how they convert it."""

import numpy as np
import pytest

from minivision import Tensor, errors
from minivision import functional as F
from minivision.functional.checks import normalized_axes
from minivision.functional.inputs import operands, pair, sizes, tensors
from tests.refusals import refused


class Elsewhere(np.ndarray):
    """Stands in for an array on a GPU."""


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.setattr(
        errors, "device_of", lambda array: "gpu:0" if isinstance(array, Elsewhere) else "cpu"
    )
    return lambda array: array.view(Elsewhere)


def test_inputs_on_different_devices_are_refused(on_gpu):
    x, weight = np.ones((2, 3)), on_gpu(np.ones((4, 3)))
    with refused(ValueError, "linear: x", "cpu", "weight", "gpu:0", "minivision.backend.to_device"):
        F.linear(x, weight)
    with refused(ValueError, "conv2d: x", "cpu", "bias", "gpu:0"):
        F.conv2d(np.ones((1, 1, 2, 3)), np.ones((1, 1, 1, 1)), on_gpu(np.ones(1)))
    with refused(ValueError, "multiply: a", "gpu:0", "b", "cpu"):
        on_gpu(np.ones(3)) * Tensor(np.ones(3))


def test_inputs_may_be_memory_mapped_arrays(tmp_path):
    x = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=(2, 3))
    F.linear(x, np.ones((4, 3), np.float32))


def test_tensors_wraps_arrays_and_leaves_none_and_tensors_alone():
    t = Tensor(np.ones(2))
    x, y, z = tensors("f", ("z",), x=t, y=np.ones(2), z=None)
    assert x is t
    assert isinstance(y, Tensor)
    assert z is None


def test_operands_turn_numbers_into_the_others_dtype():
    a, b = operands("add", 2, Tensor(np.ones(3)))
    assert (a.shape, a.dtype, b.shape) == ((), np.float64, (3,))
    a, b = operands("add", np.ones(3, np.float32), np.float64(2))
    assert (a.dtype, b.dtype) == (np.float32, np.float32)
    a, b = operands("add", 2, 3.5)
    assert (a.dtype, b.dtype) == (np.float32, np.float32)


def test_sizes_unpacks_the_shape():
    assert sizes("f", "x", Tensor(np.ones((2, 3))), "N C") == (2, 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, (3, 3)), ((1, 2), (1, 2)), ([1, 2], (1, 2)), (np.int64(4), (4, 4))],
    ids=repr,
)
def test_pair_takes_a_number_or_two(value, expected):
    both = pair("f", "stride", value, least=1)
    assert both == expected
    assert all(type(n) is int for n in both)


def test_normalized_axes_counts_from_either_end():
    assert normalized_axes("sum", None, 3) == (0, 1, 2)
    assert normalized_axes("sum", -1, 3) == (2,)
    assert normalized_axes("sum", (0, -1), 3) == (0, 2)
    assert normalized_axes("sum", np.int64(1), 3) == (1,)
    assert normalized_axes("sum", (), 3) == ()
