"""Which kernel runs: the three names, and where they come from."""

import subprocess
import sys

import numpy as np
import pytest

from minivision import Tensor, no_grad
from minivision import functional as F
from minivision.kernels import choice, fast, plain
from minivision.kernels.windows import Geometry
from tests.strategies import ODD_CONVOLUTIONS

SHOW = "from minivision.kernels import choice; print(choice._choice.kernels)"


def started_with(name, monkeypatch):
    if name is None:
        monkeypatch.delenv("MINIVISION_KERNELS", raising=False)
    else:
        monkeypatch.setenv("MINIVISION_KERNELS", name)
    return subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True)


@pytest.mark.parametrize(("name", "kernels"), [("plain", "plain"), (None, "fast")])
def test_the_environment_names_the_kernels_and_fast_is_the_default(name, kernels, monkeypatch):
    assert started_with(name, monkeypatch).stdout.strip() == kernels


def test_a_name_that_does_not_exist_is_said_at_the_start(monkeypatch):
    sentence = "MINIVISION_KERNELS is 'quick'; expected one of ('plain', 'direct', 'fast')"
    assert sentence in started_with("quick", monkeypatch).stderr


def test_a_name_that_does_not_exist_is_said_at_the_call():
    with (
        pytest.raises(ValueError, match=r"^kernels: name is 'quick'; expected one of"),
        choice.kernels("quick"),
    ):
        pass


def test_the_names_hold_inside_of_their_context_also_after_an_error():
    x = np.zeros(5)
    with choice.kernels("fast"):
        with choice.kernels("plain"):
            assert not choice.use_fast(x)
            with choice.kernels("direct"):
                assert choice.use_fast(x)
            assert not choice.use_fast(x)
        assert choice.use_fast(x)
        with pytest.raises(KeyError), choice.kernels("plain"):
            raise KeyError
        assert choice.use_fast(x)


def called(monkeypatch, name):
    """The rooms whose kernels a small network calls, forward and backward."""
    rooms = set()
    kernels = ("convolution.convolve", "convolution.gradients", "pooling.max_pool",
               "pooling.max_pool_gradient", "activation.relu", "activation.relu_gradient",
               "normalization.local_response", "normalization.local_response_gradient")  # fmt: skip
    with monkeypatch.context() as patch, choice.kernels(name):
        patch.setattr(choice, "LEAST", 1)
        for room in (plain, fast):
            for kernel in kernels:
                file, function = kernel.split(".")
                place = getattr(room, file)
                real = getattr(place, function)
                patch.setattr(
                    place,
                    function,
                    lambda *a, kernel=kernel, real=real, room=room: (
                        rooms.add((room.__name__.split(".")[-1], kernel)) or real(*a)
                    ),
                )
        x = Tensor(np.random.default_rng(0).normal(size=(2, 2, 6, 5)), requires_grad=True)
        y = F.conv2d(x, np.ones((3, 2, 2, 3)))
        F.local_response_norm(F.relu(F.max_pool2d(y, 2))).sum().backward()
    assert {kernel for _, kernel in rooms} == set(kernels)
    return {room for room, _ in rooms}


@pytest.mark.parametrize(
    ("name", "room"), [("plain", "plain"), ("direct", "fast"), ("fast", "fast")]
)
def test_every_kernel_of_a_network_comes_from_the_room_that_was_named(monkeypatch, name, room):
    assert called(monkeypatch, name) == {room}


def test_a_gradient_comes_from_the_room_of_its_value():
    """Whatever was named in between: the two may keep different things."""
    x = Tensor(np.random.default_rng(0).normal(size=(1, 1, 4, 4)), requires_grad=True)
    with choice.kernels("plain"):
        y = F.conv2d(x, np.ones((1, 1, 2, 2))).sum()
    with choice.kernels("fast"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast.convolution, "gradients", None)
        y.backward()
    assert x.grad.sum() == 36


def test_direct_and_fast_compute_the_same_bits_as_yet():
    case = ODD_CONVOLUTIONS["two groups"]
    with no_grad(), choice.kernels("direct"):
        direct = F.conv2d(*case.arrays(), **case.settings).data
    with no_grad(), choice.kernels("fast"):
        assert F.conv2d(*case.arrays(), **case.settings).data.tobytes() == direct.tobytes()


def test_arrays_of_other_libraries_empty_ones_and_vertical_dilation_get_the_plain_kernels():
    class Other:
        size = 10**6

    x = np.zeros(10**6)
    with choice.kernels("fast"):
        assert choice.use_fast(x)
        assert not choice.use_fast(Other())
        assert not choice.use_fast(x[:0])
        assert choice.use_blocks(x)
        assert not choice.use_blocks(x[:5])
        assert choice.use_stacked_rows(x, Geometry((3, 3), dilation=(1, 2)))
        assert not choice.use_stacked_rows(x, Geometry((3, 3), dilation=(2, 1)))


def test_small_work_stays_with_the_caller_and_large_work_is_shared(monkeypatch):
    monkeypatch.setattr(choice, "worker_count", lambda: 7)
    assert choice.workers(multiply_adds=10**5) == 1
    assert choice.workers(elements=10**4) == 1
    assert choice.workers(multiply_adds=10**9) == 7
    assert choice.workers(elements=10**8) == 7


def test_one_image_is_copied_to_columns_and_the_rows_of_a_batch_are_stacked():
    geometry = Geometry((5, 5))
    assert choice.use_columns(geometry, rows=24, places_in_a_row=24)
    assert not choice.use_columns(geometry, rows=24, places_in_a_row=24 * 64)
    assert choice.use_columns(geometry, rows=200, places_in_a_row=100)  # a large, single image
    assert not choice.use_columns(geometry._replace(padding=(0, -1)), 24, 24)
