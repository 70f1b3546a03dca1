"""NumPy or CuPy: which library an array belongs to, which device holds it, and how to move it.

Every function of the engine is written once and runs on both libraries: it uses the methods and
operators of its arrays, and calls `array_module(x)` when it needs a function such as `xp.exp`.
Nothing moves between host and GPU unless `to_device` or `to_host` is called. This file also counts
the CPU cores that the process may use.

You can skip this file on a first reading.
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

# A NumPy or CuPy array; duck typing keeps CuPy optional.
Array: TypeAlias = Any


@cache
def find_cupy() -> ModuleType | None:
    """CuPy, or None if it is not installed. Only this function imports it."""
    try:
        import cupy  # optional, and slow to import (seconds)
    except ImportError:
        return None
    return cupy


def array_module(*arrays: Array) -> Any:
    """The library the arrays belong to: `numpy` or `cupy`.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    for array in arrays:
        # Not isinstance(array, cupy.ndarray), which would import CuPy for every NumPy user.
        if not isinstance(array, np.ndarray | np.generic) and hasattr(array, "device"):
            cupy = find_cupy()
            if cupy is not None and isinstance(array, cupy.ndarray):
                return cupy
    return np


def is_array(value: Any) -> bool:
    """True for a NumPy or CuPy array; False for numbers, lists and everything else."""
    return isinstance(value, np.ndarray) or array_module(value) is not np


def device_of(array: Array) -> str:
    """ "cpu", or "gpu:0", "gpu:1", … for the GPU that holds the array."""
    return "cpu" if array_module(array) is np else f"gpu:{array.device.id}"


def resolve_device(device: str = "auto") -> str:
    """The full name of the device "cpu", "gpu", "gpu:N" or "auto" (a GPU if there is one).

    Raises ValueError if the name is unknown or there is no usable GPU.

    >>> resolve_device("cpu")
    'cpu'
    """
    if device == "cpu":
        return device
    if device not in ("auto", "gpu") and not (device.startswith("gpu:") and device[4:].isdigit()):
        raise ValueError(f'device is {device!r}; expected "cpu", "gpu", "gpu:N" or "auto"')
    cupy: Any = find_cupy()
    usable = cupy is not None and cupy.is_available()
    if device == "auto":
        return "gpu:0" if usable else "cpu"
    if not usable:
        reason = "CuPy is not installed" if cupy is None else "CuPy finds no CUDA device"
        raise ValueError(f'device is {device!r}, but {reason}; use "cpu" or "auto"')
    number, cards = int(device[4:] or 0), cupy.cuda.runtime.getDeviceCount()
    if number >= cards:
        raise ValueError(f"device is {device!r}, but the last GPU is gpu:{cards - 1}")
    return f"gpu:{number}"


def to_device(array: Array, device: str) -> Array:
    """Move the array to the named device (see `resolve_device`), unless it is already there.

    CuPy works on one GPU at a time, the current one; this call makes the target GPU current.
    """
    device = resolve_device(device)
    if device == "cpu":
        return to_host(array)
    cupy: Any = find_cupy()
    cupy.cuda.Device(int(device[4:])).use()
    return array if device_of(array) == device else cupy.asarray(array)


def to_host(array: Array) -> np.ndarray:
    """The array as a NumPy array (no copy if it is one). On a GPU, this waits for the result."""
    xp = array_module(array)
    return array if xp is np else xp.asnumpy(array)


def usable_cores() -> int:
    """How many of the host's cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux; a container may get fewer than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
