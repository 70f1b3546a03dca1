"""The stand-in for CuPy is strict: it refuses whatever CuPy lacks or refuses.

With MINIVISION_TEST_BACKEND=cupy, on a machine with a GPU, the same calls are made on CuPy itself,
to show that the stand-in describes it correctly.
"""

import numpy as np
import pytest

from tests.cupy_stand_in import CUPY, LOG, SURFACE
from tests.gpu.device import stand_in_only, where_needed
from tests.make_cupy_surface import FILE, surface, written
from tests.refusals import refused

pytestmark = where_needed
X = np.arange(6.0).reshape(2, 3)


# What neither of them does, with the error of both.
VIOLATIONS = {
    "np.asarray(x)": lambda cp, x: np.asarray(x),
    "np.array([x])": lambda cp, x: np.array([x[0], x[1]]),
    "host array + x": lambda cp, x: X + x,
    "x + host array": lambda cp, x: x + X,
    "x + host array without axes": lambda cp, x: x + np.array(1.0),
    "x * list": lambda cp, x: x * [1.0, 2.0, 3.0],
    "x < host array": lambda cp, x: x < X,
    "x @ host array": lambda cp, x: x @ X.T,
    "x += host array": lambda cp, x: x.__iadd__(X),
    "host array += x": lambda cp, x: X.copy().__iadd__(x),
    "x[0] = host array": lambda cp, x: x.__setitem__(0, X[0]),
    "x[0] = list": lambda cp, x: x.__setitem__(0, [1.0, 2.0, 3.0]),
    "maximum(x, host array)": lambda cp, x: cp.maximum(x, X),
    "maximum(x, out=host array)": lambda cp, x: cp.maximum(x, 0, out=X.copy()),
    "where(host array, x, x)": lambda cp, x: cp.where(X > 0, x, x),
    "concatenate with a host array": lambda cp, x: cp.concatenate([x, X]),
    "errstate": lambda cp, x: cp.errstate(all="ignore"),
    "block": lambda cp, x: cp.block([x, x]),
    "einsum_path": lambda cp, x: cp.einsum_path("ij->j", x),
    "insert": lambda cp, x: cp.insert(x, 0, 1.0),
    "fromregex": lambda cp, x: cp.fromregex,
    "x.ctypes": lambda cp, x: x.ctypes,
    "x.setflags": lambda cp, x: x.setflags(write=False),
    "add(where=)": lambda cp, x: cp.add(x, x, where=x > 0),
    "exp(order=)": lambda cp, x: cp.exp(x, order="K"),
    "sum(where=)": lambda cp, x: cp.sum(x, where=x > 0),
    "x.sum(where=)": lambda cp, x: x.sum(where=x > 0),
    "x.sum(initial=)": lambda cp, x: x.sum(initial=1.0),
    "x.max(initial=)": lambda cp, x: x.max(initial=0.0),
    "max(initial=)": lambda cp, x: cp.max(x, initial=0.0),
    "x.mean(where=)": lambda cp, x: x.mean(where=x > 0),
    "var(correction=)": lambda cp, x: cp.var(x, correction=1),
    "clip(min=)": lambda cp, x: cp.clip(x, min=0.0, max=1.0),
    "einsum(out=)": lambda cp, x: cp.einsum("ij->j", x, out=x[0]),
    "take(mode=)": lambda cp, x: cp.take(x, 0, mode="clip"),
    "empty(device=)": lambda cp, x: cp.empty(3, device="cpu"),
    "an unknown keyword": lambda cp, x: cp.sum(x, axes=0),
    "too many arguments": lambda cp, x: cp.zeros_like(x, np.float32, "C", True, (2,), 1),
    "maximum.reduce": lambda cp, x: cp.maximum.reduce(x),
    "multiply.at": lambda cp, x: cp.multiply.at(x, 0, 2.0),
    "add.at on int64": lambda cp, x: cp.add.at(cp.zeros(3, np.int64), cp.asarray([0]), 1),
    "Generator.normal": lambda cp, x: cp.random.default_rng(0).normal(size=3),
    "Generator.permutation": lambda cp, x: cp.random.default_rng(0).permutation(3),
    "hash(x)": lambda cp, x: hash(x),
    "a bad index": lambda cp, x: x[2],
    "a card that is not there": lambda cp, x: cp.cuda.Device(99).use(),
    "may_share_memory(max_work=)": lambda cp, x: cp.may_share_memory(x, x, max_work=1),
}
# What CuPy does in its own way, or by an implicit copy, and the stand-in refuses.
STRICTER = {
    "np.exp(x)": lambda cp, x: np.exp(x),
    "np.maximum(0, x)": lambda cp, x: np.maximum(0, x),
    "np.sum(x)": lambda cp, x: np.sum(x),
    "np.zeros_like(x)": lambda cp, x: np.zeros_like(x),
    "np.concatenate([x, x])": lambda cp, x: np.concatenate([x, x]),
    "np.ndim(x)": lambda cp, x: np.ndim(x),
    "broadcast_to(host array)": lambda cp, x: cp.broadcast_to(X, (4, 2, 3)),
    "add.reduce(x)": lambda cp, x: cp.add.reduce(x),
}
REFUSALS = (TypeError, ValueError, AttributeError, NotImplementedError, IndexError, RuntimeError)


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_cupy_stand_in_refuses_what_cupy_lacks_or_refuses(cupy, violation):
    x = cupy.asarray(X)
    with pytest.raises(REFUSALS):
        VIOLATIONS[violation](cupy, x)


@stand_in_only
@pytest.mark.parametrize("violation", STRICTER)
def test_cupy_stand_in_refuses_what_cupy_merely_tolerates(cupy, violation):
    x = cupy.asarray(X)
    with pytest.raises((TypeError, NotImplementedError)):
        STRICTER[violation](cupy, x)


@stand_in_only
@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
def test_cupy_stand_in_refuses_what_numpy_would_accept():
    """So the stand-in refuses them, not the NumPy behind it."""
    also_numpys = set()
    for name, violation in {**VIOLATIONS, **STRICTER}.items():
        try:
            violation(np, X.copy())
        except REFUSALS:
            also_numpys.add(name)
    assert also_numpys == {
        "an unknown keyword", "too many arguments", "hash(x)", "a bad index",
        "a card that is not there",
    }  # fmt: skip


def test_cupy_stand_in_mixes_numbers_with_its_arrays(cupy):
    x = cupy.asarray(X.astype(np.float32))
    for y in (
        2 * x,
        x * 2.0,
        x * np.float32(2),
        np.float32(2) * x,
        x * cupy.asarray(np.float32(2)),
    ):
        assert isinstance(y, cupy.ndarray)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(cupy.asnumpy(y), 2 * X)
    assert (np.float64(2) * x).dtype == np.float64  # NumPy scalars have a dtype


def test_tensor_operators_take_a_device_array_on_the_left(cupy):
    class Decides:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "decided"

    assert cupy.asarray(X) + Decides() == "decided"


def test_cupy_stand_in_keeps_reductions_on_the_device(cupy):
    x = cupy.asarray(X)
    for y in (x.sum(), x.max(), x[0, 0], cupy.sqrt(x.sum()), x.sum() / 2, (x > 0).all(), x @ x.T):
        assert isinstance(y, cupy.ndarray)
    for y in (cupy.allclose(x, x), cupy.array_equal(x, x)):
        assert (y.shape, y.dtype) == ((), np.bool_)
    assert x.sum().shape == ()


READS = {
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "bool": lambda x: bool(x.sum()),
    "index": lambda x: [0, 1][(x.sum() > 0).astype(np.int64)],
    "item": lambda x: x.sum().item(),
    "get": lambda x: x.get(),
    "asnumpy": lambda x: CUPY.asnumpy(x),
    "tolist": lambda x: x.tolist(),
    "iteration": lambda x: next(iter(x)),
    "unpacking": lambda x: (lambda a, b: a)(*x),
    "printing": lambda x: f"{x}",
    "repr": lambda x: repr(x),
    "in": lambda x: 3.0 in x,
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "math": lambda x: max(x[0, 0], x[0, 1]),
    "nonzero": lambda x: x.nonzero(),
    "a mask": lambda x: x[x > 2],
    "setting a mask": lambda x: x.__setitem__(x > 2, 0.0),
}


@stand_in_only
@pytest.mark.parametrize("name", READS)
def test_cupy_stand_in_counts_every_way_of_reading_a_number_once(cupy, name):
    x = cupy.asarray(X)
    LOG.clear()
    READS[name](x)
    (wait,) = LOG.synchronisations
    assert "test_stand_in.py:" in wait


@stand_in_only
def test_cupy_stand_in_logs_no_wait_and_no_copy_for_computing(cupy):
    x = cupy.asarray(X)
    assert len(LOG.transfers) == 1
    y = cupy.exp(-x).sum(axis=0) @ cupy.ones((3, 2)) + x.T.mean()
    x[:, 1:] += y
    x[...] = 0
    assert x.shape == (2, 3)
    assert len(x) == 2
    assert LOG.synchronisations == []
    assert len(LOG.transfers) == 1


@stand_in_only
def test_cupy_stand_in_logs_host_indices_as_copies_to_the_device(cupy):
    x = cupy.asarray(X)
    LOG.clear()
    assert x[np.array([0, 1])].shape == x[[1, 0]].shape == (2, 3)
    assert [transfer.split(" in ")[0] for transfer in LOG.transfers] == ["an index"] * 2


def test_cupy_stand_in_wraps_bad_indices_around(cupy):
    x = cupy.asarray(X)
    for index, expected in (
        (cupy.asarray([3, -4]), X[[1, 0]]),
        ((slice(None), cupy.asarray([4])), X[:, [1]]),
        ((..., None, cupy.asarray([5])), X[..., None, [2]]),
        ((cupy.asarray([2]), cupy.asarray([7])), X[[0], [1]]),
    ):
        np.testing.assert_array_equal(cupy.asnumpy(x[index]), expected)
    cupy.add.at(x, cupy.asarray([2, 2]), 1.0)
    np.testing.assert_array_equal(cupy.asnumpy(x), X + np.array([[2.0], [0.0]]))


def test_cupy_stand_in_returns_c_contiguous_results(cupy):
    x = cupy.asarray(X).T
    assert not x.flags.c_contiguous
    for y in (x + 1, cupy.exp(x), x.copy(), x[[0, 1]], x * x, cupy.concatenate([x, x])):
        assert y.flags.c_contiguous
    for y in (cupy.copy(x), cupy.empty_like(x), x.astype(np.float32)):
        assert y.flags.f_contiguous


def test_cupy_stand_in_views_share_memory_and_copies_do_not(cupy):
    x = cupy.asarray(X)
    x.T[0] = 7.0
    assert float(x[1, 0]) == 7.0
    assert cupy.may_share_memory(x, x.reshape(3, 2)[1:])
    assert not cupy.may_share_memory(x, x + 1)
    y = cupy.empty_like(x)
    assert cupy.exp(x, out=y) is y
    z = y
    z -= 1
    assert z is y


def test_cupy_stand_in_arithmetic_gives_no_warnings(cupy):
    zeros = cupy.zeros(3)
    assert cupy.asnumpy(cupy.isnan(zeros / zeros)).all()  # warnings are errors here
    assert float(cupy.log(zeros).max()) == -np.inf


@stand_in_only
def test_cupy_stand_in_computes_on_the_current_gpu_only(cupy):
    x = cupy.asarray(X)
    with cupy.cuda.Device(1):
        there = cupy.asarray(x)
        assert there.device.id == 1
        assert (there + 1).device.id == 1
        with refused(ValueError, "different from the current device"):
            there + x
    with refused(ValueError, "different from the current device"):
        there.sum()
    np.testing.assert_array_equal(cupy.asnumpy(there), X)


@stand_in_only
def test_cupy_stand_in_offers_nothing_that_cupy_lacks():
    assert {name for name in dir(CUPY) if not name.startswith("_")} <= set(SURFACE[""])
    array_names = {name for name in dir(CUPY.ndarray) if not name.startswith("_")}
    assert array_names <= set(SURFACE["ndarray"])


@stand_in_only
def test_surface_is_that_of_cupy_14_written_by_its_script():
    assert SURFACE["version"].startswith("14.")
    assert len(SURFACE[""]) > 400
    assert FILE.read_text("utf-8") == written(SURFACE)
    at = {name for name, what in SURFACE[""].items() if what.get("at")}
    assert {"add", "subtract", "maximum", "minimum"} < at
    assert "multiply" not in at


def test_surface_agrees_with_an_installed_cupy():
    """Without a GPU too, where CuPy is installed: regenerate the file for a new version."""
    cupy = pytest.importorskip("cupy")
    if cupy.__version__ != SURFACE["version"]:
        pytest.skip(f"the surface is that of CuPy {SURFACE['version']}, not {cupy.__version__}")
    assert surface() == SURFACE
