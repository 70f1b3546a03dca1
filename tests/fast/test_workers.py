"""Workers run every part once, and results do not depend on how many there are."""

import multiprocessing
import os
import threading
import time
import weakref

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minivision import fast
from minivision.fast import choice, workers
from minivision.fast.workers import one_blas_thread, part, share, worker_count
from minivision.windows import Window
from tests.fast.cuts import Cuts, cut_into
from tests.refusals import refused

# ── every part, once ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [1, 2, 3, 5, 13])
def test_share_runs_every_part_once_before_it_returns(count):
    times = [0] * count

    def work(worker):
        time.sleep(0.002 * worker)  # the last ends long after the caller's own
        times[worker] += 1

    share(work, count)
    assert times == [1] * count


def test_share_runs_part_0_in_the_caller_and_each_other_part_in_its_own_thread():
    threads, all_there = [None] * 3, threading.Barrier(3, timeout=20)

    def work(worker):
        threads[worker] = threading.current_thread()
        all_there.wait()  # one thread with two parts would wait forever

    share(work, 3)
    assert threads[0] is threading.current_thread()
    assert len(set(threads)) == 3
    assert all(thread.daemon for thread in threads[1:])  # they do not keep the program alive


def test_share_uses_the_same_helpers_again():
    def helpers():
        threads = [None] * 3
        share(lambda worker: threads.__setitem__(worker, threading.get_ident()), 3)
        return threads

    assert helpers() == helpers()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 10])
def test_part_divides_items_into_consecutive_even_shares(n, count):
    items = list(range(n))
    parts = [part(items, worker, count) for worker in range(count)]
    assert [i for some in parts for i in some] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


# ── errors ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("faulty", [0, 1, 2])
def test_share_raises_the_error_of_a_part_after_all_have_ended(faulty):
    ended = []

    def work(worker):
        if worker == faulty:
            raise KeyError(f"part {worker}")
        time.sleep(0.02)
        ended.append(worker)

    with refused(KeyError, f"part {faulty}"):
        share(work, 3)
    assert sorted(ended) == [worker for worker in range(3) if worker != faulty]


def test_share_raises_the_first_of_several_errors():
    def work(worker):
        raise KeyError(f"part {worker}")

    for _ in range(3):
        with refused(KeyError, "part 0"):
            share(work, 3)


def test_share_works_again_after_an_error():
    with pytest.raises(ZeroDivisionError):
        share(lambda worker: 1 // (worker - 1), 3)
    test_share_runs_part_0_in_the_caller_and_each_other_part_in_its_own_thread()


def test_share_keeps_no_reference_to_an_operation_that_ended():
    """A helper that kept the operation would keep its arrays, whose memory would look used."""

    class Operation:
        def __call__(self, worker):
            pass

    operation = Operation()
    alive = threading.Event()
    weakref.finalize(operation, alive.set)
    share(operation, 3)
    del operation
    assert alive.is_set()


# ── nested and concurrent calls ──────────────────────────────────────────────────────────────


def sums(count=3, size=300, inside=lambda: None):
    """The sums of three thirds of 0 to 300, each computed by one worker."""
    result, numbers = np.zeros(count), np.arange(size)

    def work(worker):
        inside()
        result[worker] = sum(part(list(numbers), worker, count))

    share(work, count)
    return result.tolist()


def test_share_can_be_called_inside_a_part():
    inner = []
    expected = sums()
    assert sums(inside=lambda: inner.append(sums())) == expected
    assert inner == [expected] * 3


def test_share_in_many_threads_gives_the_numbers_of_one():
    expected, results = sums(), []

    def often():
        for _ in range(20):
            results.append(sums())

    threads = [threading.Thread(target=often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 60


def test_share_runs_all_parts_in_the_caller_while_the_helpers_are_busy():
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def work(worker):
        begun.set()
        assert go_on.wait(20)

    busy = threading.Thread(target=share, args=(work, 2))
    busy.start()
    try:
        assert begun.wait(20)
        share(lambda worker: seen.append((worker, threading.get_ident())), 3)
    finally:
        go_on.set()
        busy.join()
    assert seen == [(worker, threading.get_ident()) for worker in range(3)]


# ── forks ────────────────────────────────────────────────────────────────────────────────────

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Newer Pythons warn about every fork of a process with threads.
may_warn = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def exit_code_of_a_fork(function):
    process = multiprocessing.get_context("fork").Process(target=function)
    process.start()
    process.join(20)
    if process.is_alive():
        process.kill()
        process.join()
        return "still waiting after 20 seconds"
    return process.exitcode


def needs_helpers():
    test_share_runs_part_0_in_the_caller_and_each_other_part_in_its_own_thread()
    assert sums() == [4950, 14950, 24950]


@forks
@may_warn
def test_share_in_a_forked_process_starts_new_helpers():
    needs_helpers()
    assert exit_code_of_a_fork(needs_helpers) == 0
    needs_helpers()


@forks
@may_warn
def test_share_works_in_a_process_forked_inside_a_part():
    codes = []
    share(lambda worker: worker or codes.append(exit_code_of_a_fork(needs_helpers)), 2)
    assert codes == [0]


@forks
@may_warn
def test_share_test_notices_a_fork_in_which_nothing_works():
    assert exit_code_of_a_fork(lambda: os._exit(3)) == 3


# ── how many ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def count(monkeypatch):
    """worker_count without its cache and without the environment variable."""
    monkeypatch.delenv("MINIVISION_WORKERS", raising=False)
    worker_count.cache_clear()
    yield worker_count
    worker_count.cache_clear()


def test_worker_count_is_the_number_of_usable_cores_up_to_8(count, monkeypatch):
    for cores, expected in ((1, 1), (2, 2), (8, 8), (100, 8)):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False
        )
        count.cache_clear()
        assert count() == expected


def test_worker_count_counts_all_cores_if_the_usable_ones_are_unknown(count, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cores, expected in ((3, 3), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        count.cache_clear()
        assert count() == expected


def test_worker_count_is_set_by_the_environment(count, monkeypatch):
    monkeypatch.setenv("MINIVISION_WORKERS", "11")
    assert count() == 11


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", " ", "²", "100000"])
def test_worker_count_refuses_a_senseless_number(count, monkeypatch, wanted):
    monkeypatch.setenv("MINIVISION_WORKERS", wanted)
    with refused(ValueError, f"MINIVISION_WORKERS is '{wanted}'", "1 to 1024"):
        count()


def test_worker_count_is_1_if_no_thread_can_be_started(count, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("MINIVISION_WORKERS", "4")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert count() == 1
    assert choice.workers(multiply_adds=10**10) == 1
    seen = []
    share(seen.append, 1)
    assert seen == [0]


# ── BLAS's own threads ───────────────────────────────────────────────────────────────────────


def blas_threads():
    """The numbers of threads that threadpoolctl reports for NumPy's BLAS libraries."""
    held = {library.filepath for library in workers._blas_libraries()}
    return [library["num_threads"] for library in threadpool_info() if library["filepath"] in held]


@pytest.fixture
def two():
    """What blas_threads() returns if BLAS may use two threads."""
    with threadpool_limits(2, user_api="blas"):
        if not blas_threads() or set(blas_threads()) != {2}:
            pytest.skip("NumPy's BLAS library cannot be told to use two threads")
        yield blas_threads()


def test_one_blas_thread_restores_the_number_of_threads(two):
    with one_blas_thread():
        assert set(blas_threads()) == {1}
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == two


def test_one_blas_thread_restores_the_number_of_threads_after_an_error(two):
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == two


def test_share_limits_blas_to_one_thread(two):
    seen = []
    share(lambda worker: seen.extend(blas_threads()), 2)
    assert set(seen) == {1}
    assert blas_threads() == two
    with pytest.raises(ZeroDivisionError):
        share(lambda worker: 1 // 0, 2)
    assert blas_threads() == two


def test_one_blas_thread_can_decorate_a_recursive_function(two):
    @one_blas_thread()
    def depth(n):
        assert set(blas_threads()) == {1}
        return 1 + depth(n - 1) if n else 0

    assert depth(3) == 3
    assert blas_threads() == two


def test_one_blas_thread_works_outside_the_main_thread(two):
    seen = []

    def other():
        share(lambda worker: seen.extend(blas_threads()), 2)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert set(seen) == {1}
    assert blas_threads() == two


def test_one_blas_thread_ends_when_the_last_of_two_threads_leaves(two):
    """They overlap without being nested: enter A, enter B, leave A, leave B."""
    b_is_in, b_may_leave = threading.Event(), threading.Event()

    def b():
        with one_blas_thread():
            b_is_in.set()
            b_may_leave.wait(20)

    thread = threading.Thread(target=b)
    with one_blas_thread():
        thread.start()
        assert b_is_in.wait(20)
    assert set(blas_threads()) == {1}
    b_may_leave.set()
    thread.join()
    assert blas_threads() == two


# ── the same numbers for any number of workers ───────────────────────────────────────────────

FORMS = {
    "stride 1, by flipped kernels": (1, Cuts(3, 8, flip=True)),
    "stride 1, the way back": (1, Cuts(3, 8, by_kernel_rows=True)),
    "stride 2": (2, Cuts(3, 8)),
    "few places": (1, Cuts(3, columns=True, flip=True)),
}
BOUND = 1e-6  # of the largest entry


def results(count, form="stride 2"):
    """What every shared operation computes in float32, by name."""
    stride, cuts = FORMS[form]
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype("f4")

    x, dx, weight, bias = (
        normal(6, 6, 23, 21),
        normal(6, 6, 23, 21),
        normal(10, 6, 3, 3),
        normal(10),
    )
    a, b = normal(61, 137), normal(137, 47)
    geometry, windows = Window((3, 3), (stride, stride), (1, 1)), Window((3, 3), (2, 2))
    with cut_into(cuts._replace(workers=count)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "BLOCK", 1000)
        y = fast.convolution.convolve(x, weight, bias, geometry, 1)
        both = fast.convolution.gradients(normal(*y.shape), x, weight, geometry, 1, True, True)
        pooled = fast.pooling.max_pool(x, windows)
        dpooled = normal(*pooled.shape)
        normed, lrn_backward = fast.local_response_norm(x, 5, 1.0, 0.75, 2.0)
        rectified, relu_backward = fast.relu(x)
        return {
            "conv2d": y,
            "dx of conv2d": both[0],
            "dw of conv2d": both[1],
            "max_pool2d": pooled,
            "dx of max_pool2d": fast.pooling.max_pool_gradient(dpooled, x, pooled, windows),
            "lrn": normed,
            "dx of lrn": lrn_backward(dx)[0],
            "relu": rectified,
            "dx of relu": relu_backward(dx)[0],
            "a product by rows": fast.products.multiply(a, b),
            "a product by columns": fast.products.multiply(b.T, a.T),
        }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_fast_results_of_different_numbers_of_workers_agree_within_a_bound(form, count):
    """To the bit, except for sums split among the workers and products split for them."""
    bounded = {"dw of conv2d", "a product by rows", "a product by columns"}
    if form != "stride 1, by flipped kernels":
        bounded.add("dx of conv2d")
    if form == "few places":
        bounded.add("conv2d")
    shared = results(count, form)
    for name, alone in results(1, form).items():
        atol = BOUND * abs(alone).max() if name in bounded else 0
        np.testing.assert_allclose(shared[name], alone, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fast_results_of_the_same_number_of_workers_are_equal_to_the_bit(count):
    first = results(count)
    for _ in range(3):
        for name, again in results(count).items():
            assert again.tobytes() == first[name].tobytes(), name


def test_fast_results_are_equal_to_the_bit_with_busy_helpers():
    """Then the caller runs all parts itself: the same ones, added in the same order."""
    first = results(3)
    with workers._helpers.lock:
        again = results(3)
    for name, values in first.items():
        assert again[name].tobytes() == values.tobytes(), name


# ── how many helpers are started ─────────────────────────────────────────────────────────────


def test_share_starts_one_helper_fewer_than_workers(monkeypatch):
    fresh = workers._Helpers()
    monkeypatch.setattr(workers, "_helpers", fresh)
    before = {thread.name for thread in threading.enumerate()}
    share(lambda worker: None, 3)
    share(lambda worker: None, 2)
    assert len(fresh.inboxes) == 2
    started = {thread.name for thread in threading.enumerate()} | before
    assert {"minivision-1", "minivision-2"} <= started


@pytest.mark.parametrize("possible", [0, 1, 2])
def test_share_runs_parts_in_the_caller_if_no_helper_can_be_started(monkeypatch, possible):
    monkeypatch.setattr(workers, "_helpers", workers._Helpers())
    real, started = threading.Thread.start, []

    def start(thread):
        if len(started) == possible:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    done = []
    share(done.append, 4)
    assert sorted(done) == [0, 1, 2, 3]
