"""The engine gets the stand-in for CuPy, or CuPy itself on a machine with a GPU."""

import importlib

import pytest

from minivision import backend
from tests.cupy_stand_in import CUPY, LOG
from tests.gpu.device import ON_CUPY


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    """CuPy or its stand-in, as if it were installed; with an empty log, and GPU 0 current."""
    if ON_CUPY:
        return importlib.import_module("cupy")  # raises if it is not installed
    # find_cupy caches its result, so it is replaced as a whole.
    monkeypatch.setattr(backend, "find_cupy", lambda: CUPY)
    CUPY.cuda.Device(0).use()
    LOG.clear()
    return CUPY
