"""The tests of fast/ switch the fast forms on, whatever MINIVISION_FAST says."""

import pytest

from minivision.fast import door


@pytest.fixture(autouse=True)
def open_door():
    with door.on():
        yield
