"""Whether the fast forms are switched on, and the choices they make by size."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minivision import Tensor, fast
from minivision import functional as F
from minivision.fast import choice, door
from minivision.fast.blocks import in_blocks
from minivision.fast.memory import empty
from minivision.windows import Window

SHOW = "from minivision.fast import door; print(door.is_open())"


def started_with(monkeypatch, **environment):
    for name in ("MINIVISION_FAST", "MINIVISION_KERNELS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True)


@pytest.mark.parametrize(("mode", "is_open"), [("0", "False"), ("1", "True"), ("exact", "True")])
def test_door_is_opened_and_closed_by_the_environment(mode, is_open, monkeypatch):
    assert started_with(monkeypatch, MINIVISION_FAST=mode).stdout.strip() == is_open


def test_door_is_open_by_default(monkeypatch):
    assert started_with(monkeypatch).stdout.strip() == "True"


def test_door_refuses_an_unknown_mode_at_the_start(monkeypatch):
    said = started_with(monkeypatch, MINIVISION_FAST="quick").stderr
    assert "MINIVISION_FAST is 'quick'" in said
    assert "0, 1, exact" in said


def test_door_refuses_the_old_variable_and_gives_the_new_name(monkeypatch):
    said = started_with(monkeypatch, MINIVISION_KERNELS="plain").stderr
    assert "ValueError: MINIVISION_KERNELS" in said
    assert "MINIVISION_FAST" in said


def test_door_is_closed_inside_off_and_open_again_after_an_error():
    x = np.zeros(5)
    with door.on():
        with fast.off():
            assert not choice.use_fast(x)
            with door.on():
                assert choice.use_fast(x)
            assert not choice.use_fast(x)
        assert choice.use_fast(x)
        with pytest.raises(KeyError), fast.off():
            raise KeyError
        assert choice.use_fast(x)


def test_door_is_closed_for_one_thread_only():
    with door.on(), fast.off(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(door.is_open).result() == (door.MODE != "0")


FORMS = {"relu", "linear", "conv2d", "max_pool2d", "avg_pool2d", "local_response_norm",
         "batch_norm"}  # fmt: skip


def through_the_door(monkeypatch, door_of):
    """The fast forms that a small network calls."""
    found = set()
    with monkeypatch.context() as patch, door_of():
        patch.setattr(choice, "LEAST", 1)
        for name in FORMS:
            real = getattr(fast, name)
            patch.setattr(fast, name, lambda *a, name=name, real=real: found.add(name) or real(*a))
        x = Tensor(np.random.default_rng(0).normal(size=(2, 2, 9, 8)), requires_grad=True)
        y = F.conv2d(x, np.ones((3, 2, 2, 3)))
        y = F.avg_pool2d(F.batch_norm(F.relu(F.max_pool2d(y, 2))), 2)
        y = F.flatten(F.local_response_norm(y))
        F.linear(y, np.ones((4, y.shape[1]))).sum().backward()
    return found


def test_door_when_open_lets_every_fast_form_run(monkeypatch):
    assert through_the_door(monkeypatch, door.on) == FORMS


def test_door_when_closed_lets_no_fast_form_run(monkeypatch):
    assert through_the_door(monkeypatch, fast.off) == set()


def test_fast_has_no_other_forms():
    rules = {"serves", "off", "in_blocks", "one_blas_thread", "worker_count"}
    assert set(fast.__all__) == FORMS | rules


def test_fast_or_page_computes_both_a_value_and_its_gradient():
    """Even if the door is opened in between, because the two keep different arrays."""
    x = Tensor(np.random.default_rng(0).normal(size=(1, 1, 4, 4)), requires_grad=True)
    with fast.off():
        y = F.conv2d(x, np.ones((1, 1, 2, 2))).sum()
    with door.on(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast.convolution, "gradients", None)
        y.backward()
    assert x.grad.sum() == 36


def test_door_when_closed_uses_neither_workers_nor_the_free_list(monkeypatch):
    monkeypatch.setattr(choice, "worker_count", lambda: 7)
    with fast.off():
        assert choice.workers(multiply_adds=10**9) == choice.workers(elements=10**8) == 1
        assert empty((10**6,), np.zeros(1)).base is None
        cut = []
        in_blocks(lambda x: cut.append(x.size), np.zeros(10 * choice.BLOCK))
        assert cut == [10 * choice.BLOCK]


def test_serves_neither_other_libraries_nor_empty_arrays_nor_vertical_dilation():
    class Other:
        size = 10**6

    x = np.zeros((10, 10, 100, 100))
    with door.on():
        for operation in FORMS - {"batch_norm"}:
            assert fast.serves(operation, x)
            assert not fast.serves(operation, Other())
            assert not fast.serves(operation, x[:0])
        assert fast.serves("relu", x[0, :, :, :]) is (x[0].size >= choice.LEAST)
        assert fast.serves("max_pool2d", x[:1, :1, :2, :2])
        assert fast.serves("conv2d", x, Window((3, 3), dilation=(1, 2)))
        assert not fast.serves("conv2d", x, Window((3, 3), dilation=(2, 1)))
        assert not fast.serves("batch_norm", x)  # each channel must be one row
        assert fast.serves("batch_norm", x.transpose(3, 0, 1, 2))
    with fast.off():
        assert not any(fast.serves(operation, x) for operation in FORMS)


def test_workers_share_large_work_and_leave_small_work_to_the_caller(monkeypatch):
    monkeypatch.setattr(choice, "worker_count", lambda: 7)
    assert choice.workers(multiply_adds=10**5) == 1
    assert choice.workers(elements=10**4) == 1
    assert choice.workers(multiply_adds=10**9) == 7
    assert choice.workers(elements=10**8) == 7


def test_use_columns_holds_for_one_image_and_not_for_a_batch():
    geometry = Window((5, 5))
    assert choice.use_columns(geometry, rows=24, places_in_a_row=24)
    assert not choice.use_columns(geometry, rows=24, places_in_a_row=24 * 64)
    assert choice.use_columns(geometry, rows=200, places_in_a_row=100)  # a large, single image
    assert not choice.use_columns(geometry._replace(padding=(0, -1)), 24, 24)


# ── the thresholds: they change only the time, so no other test would notice ──────────────────


@pytest.mark.parametrize(
    ("stride", "channels", "flipped"),
    [((1, 1), 16, True), ((1, 1), 15, False), ((2, 1), 64, False), ((1, 2), 64, False)],
)
def test_flip_kernels_needs_16_channels_and_stride_1(stride, channels, flipped):
    assert choice.flip_kernels(Window((3, 3), stride), channels) is flipped


def test_sum_by_kernel_rows_needs_64_columns_of_taps():
    assert choice.sum_by_kernel_rows(64)
    assert not choice.sum_by_kernel_rows(63)


@pytest.mark.parametrize(("bytes_per_row", "rows"), [(1, 4000), (1000, 4), (1001, 3), (9000, 1)])
def test_adjoint_rows_and_column_rows_fill_the_given_bytes(monkeypatch, bytes_per_row, rows):
    monkeypatch.setattr(choice, "ADJOINT_BYTES", 4000)
    monkeypatch.setattr(choice, "TILE_BYTES", 4000)
    assert choice.adjoint_rows(bytes_per_row) == choice.column_rows(bytes_per_row) == rows


# A 3x5 kernel with vertical stride 2: R output rows need 2·(R - 1) + 3 image rows.
LYING = Window((3, 5), (2, 1))


@pytest.mark.parametrize(("lines", "rows"), [(3, 1), (4, 1), (5, 2), (9, 4), (10, 4), (2, 1)])
def test_tile_has_the_output_rows_of_its_image_rows(monkeypatch, lines, rows):
    # Each image row of each of 7 channels has 5 taps · 4 columns · 2 images · 8 bytes.
    monkeypatch.setattr(choice, "TILE_BYTES", lines * 7 * 5 * 4 * 2 * 8)
    assert choice.tile((1, 6, 3 * 7 * 5), LYING, OW=4, N=2, itemsize=8) == (rows, 4)


@pytest.mark.parametrize(("N", "width"), [(1, 50), (102, 40), (103, 39), (5000, 1)])
def test_tile_is_as_wide_as_a_product_may_be(N, width):
    height, found = choice.tile((1, 6, 105), LYING, OW=50, N=N, itemsize=4)
    assert (found, type(found)) == (width, int)


def test_gradient_rows_are_limited_by_the_stack_and_by_the_sums(monkeypatch):
    monkeypatch.setattr(choice, "GRADIENT_BYTES", 9000)
    assert (
        choice.gradient_rows(1000, 1, LYING) == 4
    )  # nine image rows are enough for four output rows
    assert choice.gradient_rows(1000, 4500, LYING) == 3  # 2 fit, and one is the sum itself
    assert choice.gradient_rows(1000, 10_000, LYING) == 1


@pytest.mark.parametrize(
    ("lines", "tile"),
    [(11, (1, 5)), (22, (2, 5)), (21, (1, 5)), (10, (1, 4)), (3, (1, 1)), (1, (1, 1))],
)
def test_pooling_tile_holds_whole_small_maps_or_rows_of_large_ones(monkeypatch, lines, tile):
    """Five output rows need 2·(5 - 1) + 3 = 11 image rows of 100 bytes."""
    monkeypatch.setattr(choice, "POOLING_BYTES", 100 * lines)
    assert choice.pooling_tile(LYING, OH=5, bytes_per_line=100) == tile


def test_use_columns_holds_up_to_2048_positions_or_below_128_per_row():
    geometry = Window((3, 3))
    assert choice.use_columns(geometry, 8, 256)
    assert not choice.use_columns(geometry, 9, 256)
    assert choice.use_columns(geometry, 100, 127)
    assert not choice.use_columns(geometry, 100, 128)


def test_workers_share_from_32_million_multiply_adds_or_2_million_numbers_on(monkeypatch):
    monkeypatch.setattr(choice, "worker_count", lambda: 3)
    assert choice.workers(multiply_adds=32_000_000) == choice.workers(elements=2 * 2**20) == 3
    assert choice.workers(multiply_adds=31_999_999, elements=2 * 2**20 - 1) == 1


def test_serves_relu_from_8192_numbers_on():
    with door.on():
        assert fast.serves("relu", np.zeros(8 * 1024, np.float32))
        assert not fast.serves("relu", np.zeros(8 * 1024 - 1, np.float32))
