"""The engine finds the stand-in where it looks for CuPy; or CuPy, on a machine with a GPU."""

import importlib

import pytest

from minivision import backend
from tests.cupy_stand_in import CUPY, LOG
from tests.gpu.device import ON_CUPY


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    """CuPy or its stand-in, as if it were installed; its log is empty, and card 0 the current."""
    if ON_CUPY:
        return importlib.import_module("cupy")  # who asks for it and has none is told so
    # find_cupy remembers its answer; replaced as a whole, it cannot.
    monkeypatch.setattr(backend, "find_cupy", lambda: CUPY)
    CUPY.cuda.Device(0).use()
    LOG.clear()
    return CUPY
