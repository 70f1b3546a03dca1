"""A strict stand-in for CuPy: NumPy behind a wall, to test the engine's GPU side without a GPU.

`CUPY` takes the place of the module `cupy` in the engine. Its arrays are in host memory, but they
can only be reached through the interface of CuPy 14:

- The names, methods and parameters are those listed in cupy_surface.json.
- A device array is never converted to NumPy implicitly, and never mixed with a host array in an
  operator or function; Python numbers and NumPy scalars are allowed. (CuPy accepts `np.exp(x)` and
  returns a CuPy array; here that is an error, because it is usually a mistake.)
- Results are device arrays, even if they have no axes. Reading a number, a truth value or the
  number of True entries makes the host wait. `LOG` records each such wait, and each copy of a host
  array to the device, with the line that caused it.
- A result is a view or a new C-contiguous array, whatever the memory order of the operands.
- Indices in integer arrays wrap around silently, and invalid arithmetic gives no warnings.
- There are two GPUs. An array can be used only while its GPU is the current one.

Not modelled: streams, memory pools, custom kernels, speed, and the last digits of sums. Keywords
mean what they mean in NumPy. `make_cupy_surface.py` regenerates the surface.
"""

import json
import operator
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

SURFACE = json.loads(Path(__file__).with_name("cupy_surface.json").read_text("utf-8"))
CARDS = 2
SCALARS = (bool, int, float, complex, np.generic)

# These read a number from the device: the size of their result, or whether they succeeded.
WAITING = {
    "nonzero", "argwhere", "flatnonzero", "unique", "bincount", "extract", "compress", "place",
    "choose", "repeat", "average", "percentile", "quantile", "histogram", "isin", "in1d",
    "intersect1d", "setdiff1d", "trim_zeros", "sliding_window_view", "solve", "inv", "lstsq",
    "eigh", "svd", "qr", "cholesky", "det", "slogdet", "item", "tolist", "tobytes",
}  # fmt: skip
KEEPING_ORDER = {"copy", "astype", "empty_like", "zeros_like", "ones_like", "full_like"}
BOOLEANS_ON_THE_DEVICE = {"allclose", "array_equal", "array_equiv"}
KEYWORDS = {  # of functions that take **kwargs; others accept no keywords here
    "einsum": ["dtype", "optimize"],
    "meshgrid": ["indexing", "sparse", "copy"],
    "pad": ["array", "pad_width", "mode", "constant_values"],
}
ATOMIC = {"int32", "uint32", "uint64", "float16", "float32", "float64"}  # dtypes of ufunc.at


class Log:
    """What the host waited for, and what was copied to the device, each with its caller."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.synchronisations, self.transfers = [], []

    def synchronisation(self, what):
        self.synchronisations.append(f"{what} in {_caller()}")

    def transfer(self, what):
        self.transfers.append(f"{what} in {_caller()}")


LOG = Log()


def _caller():
    """The innermost line outside this file."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_name}, {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class Device:
    """A GPU, by its number. As a context manager it makes that GPU current, for new arrays too."""

    current = 0

    def __init__(self, device=None):
        self.id = Device.current if device is None else device
        if not 0 <= self.id < CARDS:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def use(self):
        Device.current = self.id

    def __enter__(self):
        self.before, Device.current = Device.current, self.id
        return self

    def __exit__(self, *exception):
        Device.current = self.before


# ── through the wall ─────────────────────────────────────────────────────────────────────────


def values_of(argument):
    """The NumPy values of an argument. Raises if it is a host array or on another GPU."""
    if isinstance(argument, ndarray):
        if argument.device.id != Device.current:
            raise ValueError(
                f"The device where the array resides ({argument.device.id}) is different from the "
                f"current device ({Device.current})"
            )
        return argument._values
    if isinstance(argument, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: a host array among arrays of the device")
    if isinstance(argument, list | tuple):
        return type(argument)([values_of(part) for part in argument])
    return argument


def on_device(result, sources=(), keep_order=False):
    """A NumPy result as an array of the device: one of the sources, a view of one, or new."""
    if isinstance(result, list | tuple):
        return tuple([on_device(part, sources, keep_order) for part in result])
    if not isinstance(result, np.ndarray | np.generic):
        return result  # a dtype, a number of axes
    for source in sources:
        if source._values is result:  # the array passed as out=
            return source
    if not any(np.may_share_memory(result, source._values) for source in sources):
        result = np.asarray(result, order="K" if keep_order else "C")
    array = object.__new__(ndarray)
    array._values, array.device = np.asarray(result), Device()
    return array


def compute(name, function, arguments, keywords=None):
    """Call a NumPy function on device arrays."""
    if name in WAITING:
        LOG.synchronisation(f"{name}()")
    keywords = keywords or {}
    with np.errstate(all="ignore"):
        result = function(*values_of(arguments), **{k: values_of(v) for k, v in keywords.items()})
    if name in BOOLEANS_ON_THE_DEVICE:
        result = np.asarray(result)
    given = [*arguments, *keywords.values()]
    parts = [part for one in given for part in (one if isinstance(one, list | tuple) else [one])]
    sources = [part for part in parts if isinstance(part, ndarray)]
    return on_device(result, sources, name in KEEPING_ORDER)


def offered(space, name, function):
    """A CuPy function or method that takes only the parameters listed in the surface."""
    parameters = SURFACE[space][name]["p"]
    kinds = [kind for _, kind in parameters]  # see make_cupy_surface.py
    named = KEYWORDS.get(name, [parameter for parameter, kind in parameters if kind in (1, 3)])

    def call(*arguments, **keywords):
        for key in keywords:
            if key not in named:
                raise TypeError(f"{name}() got an unexpected keyword argument {key!r}")
        if len(arguments) > kinds.count(0) + kinds.count(1) and 2 not in kinds:
            raise TypeError(
                f"{name}() got {len(arguments)} positional arguments; they are too many"
            )
        return compute(name, function, arguments, keywords)

    return call


class UFunc:
    """A universal function, with the three keywords that CuPy has, and `at` for a few."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *arguments, **keywords):
        for key in keywords:
            if key not in ("out", "dtype", "casting"):
                raise TypeError(f"{self.name}() got an unexpected keyword argument {key!r}")
        return compute(self.name, getattr(np, self.name), arguments, keywords)

    def at(self, a, indices, b=None):
        if not SURFACE[""][self.name]["at"]:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        if a.dtype.name not in ATOMIC:
            raise TypeError(f"scatter_{self.name} does not support {a.dtype}")
        getattr(np, self.name).at(values_of(a), host_index(a, indices), values_of(b))

    def reduce(self, *arguments, **keywords):
        raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")


def host_index(array, key):
    """An index for NumPy, with integer arrays wrapped around as in CuPy."""
    parts = list(key) if isinstance(key, tuple) else [key]
    for i, part in enumerate(parts):
        if isinstance(part, np.ndarray | list):  # CuPy takes these too, and copies them
            LOG.transfer("an index")
        parts[i] = np.asarray(part) if isinstance(part, np.ndarray | list) else values_of(part)
        if isinstance(parts[i], np.ndarray) and parts[i].dtype.kind == "b":
            LOG.synchronisation("a mask as index")  # how many entries are True?
    axes = [_axes_of(part) for part in parts]
    axis = 0
    for i, part in enumerate(parts):
        if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and array.shape[axis]:
            parts[i] = part % array.shape[axis]
        axis += array.ndim - sum(axes) if part is Ellipsis else axes[i]
    return tuple(parts)


def _axes_of(part):
    """How many axes of the array one part of an index uses."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


# ── arrays ───────────────────────────────────────────────────────────────────────────────────


class ndarray:  # noqa: N801, CuPy's name for it
    """A device array. Only this file looks at `_values`."""

    __slots__ = ("_values", "device", "__weakref__")
    __array_ufunc__ = None  # so that np.exp(x) and `host array + x` fail
    __hash__ = None

    def __init__(self, *arguments, **keywords):
        raise NotImplementedError("the stand-in makes arrays with asarray, empty, zeros, …")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`")

    def __array_function__(self, function, types, arguments, keywords):
        raise TypeError(f"np.{function.__name__} was called on an array of the device")

    def __getattr__(self, name):
        if name not in SURFACE["ndarray"] or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array of CuPy has no attribute {name!r}")
        if SURFACE["ndarray"][name]["k"] == "const":
            return on_device(getattr(self._values, name), [self])
        method = offered("ndarray", name, getattr(np.ndarray, name))
        return lambda *arguments, **keywords: method(self, *arguments, **keywords)

    def get(self, stream=None, order="C", out=None, blocking=True):
        LOG.synchronisation("get()")
        return np.array(self._values, order=order)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        return compute("getitem", lambda values: values[host_index(self, key)], [self])

    def __setitem__(self, key, value):
        if not isinstance(value, (ndarray, *SCALARS)):
            raise TypeError(f"Unsupported type {type(value)}: not an array of the device")
        values_of(self)[host_index(self, key)] = values_of(value)


def _reading(name, read):
    """A conversion that makes the host wait."""

    def convert(self, *arguments):
        LOG.synchronisation(f"{name}()")
        return read(self._values, *arguments)

    return convert


READINGS = {
    "bool": bool, "int": int, "float": float, "complex": complex, "index": operator.index,
    "repr": repr, "str": str, "format": format, "contains": operator.contains,
    "iter": lambda values: iter([on_device(part) for part in values]),
}  # fmt: skip
for name, read in READINGS.items():
    setattr(ndarray, f"__{name}__", _reading(name, read))


def _operator(name, reflected=False):
    """The method for -x, x + y or x += y; if reflected, for y + x."""
    function = getattr(operator, f"__{name}__")

    def operate(self, *other):
        for y in other:
            if getattr(y, "__array_ufunc__", ()) is None and not isinstance(y, ndarray):
                return NotImplemented  # a Tensor decides for itself
            if not isinstance(y, (ndarray, *SCALARS)):
                raise TypeError(f"Unsupported type {type(y)}")
        return compute(name, function, [*other, self] if reflected else [self, *other])

    return operate


for name in ("neg", "pos", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{name}__", _operator(name))
for name in (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor",
):  # fmt: skip
    setattr(ndarray, f"__{name}__", _operator(name))
    setattr(ndarray, f"__r{name}__", _operator(name, reflected=True))
    setattr(ndarray, f"__i{name}__", _operator(f"i{name}"))


# ── the module ───────────────────────────────────────────────────────────────────────────────


class Generator:
    """cupy.random.Generator: few distributions, and not the same numbers as NumPy."""

    def __init__(self, seed=None):
        self._rng = np.random.default_rng([seed or 0, 14])

    def __getattr__(self, name):
        if name not in SURFACE["random.Generator"]:
            raise AttributeError(f"'cupy.random.Generator' object has no attribute {name!r}")
        theirs = getattr(self._rng, name)
        draw = offered("random.Generator", name, lambda _, *a, **k: theirs(*a, **k))
        return lambda *arguments, **keywords: draw(None, *arguments, **keywords)


class Space:
    """A CuPy namespace: the names of the surface, implemented by NumPy."""

    def __init__(self, space, numpys):
        self._space, self._numpys = space, numpys

    def __getattr__(self, name):
        kind = SURFACE[self._space].get(name, {"k": None})["k"]
        theirs = getattr(self._numpys, name, AttributeError)
        if kind == "ufunc" and callable(theirs):
            return UFunc(name)
        if kind == "func" and theirs is not AttributeError:
            return offered(self._space, name, theirs)
        if kind is not None and isinstance(theirs, float | None | type(np.float32)):
            return theirs  # inf, newaxis, float32
        raise AttributeError(f"module 'cupy' has no attribute {name!r}, or only CuPy itself has it")


class StandIn(Space):
    """The module itself."""

    __name__ = "cupy"
    ndarray = ndarray
    cuda = SimpleNamespace(Device=Device, runtime=SimpleNamespace(getDeviceCount=lambda: CARDS))
    linalg = Space("linalg", np.linalg)
    lib = SimpleNamespace(stride_tricks=Space("lib.stride_tricks", np.lib.stride_tricks))
    random = SimpleNamespace(Generator=Generator, default_rng=Generator)

    def is_available(self):
        return True

    def asarray(self, a, dtype=None, order=None, *, copy=None, blocking=False):
        if not isinstance(a, ndarray):
            LOG.transfer("asarray()")
            return on_device(np.array(a, dtype=dtype))
        if a.device.id != Device.current:
            return on_device(a._values.astype(dtype or a.dtype))
        return a if dtype in (None, a.dtype) and not copy else a.astype(dtype or a.dtype)

    def array(self, obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
        return self.asarray(obj, dtype, copy=copy)

    def asnumpy(self, a, stream=None, order="C", out=None, *, blocking=True):
        return a.get(stream, order) if isinstance(a, ndarray) else np.asarray(a)

    def get_array_module(self, *arguments):
        return self if any(isinstance(a, ndarray) for a in arguments) else np

    def may_share_memory(self, a, b, max_work=None):
        if max_work is not None:
            raise NotImplementedError("Only supported for `max_work` is `None`")
        return np.may_share_memory(values_of(a), values_of(b))


CUPY = StandIn("", np)
