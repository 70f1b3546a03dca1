"""Settings for all tests: how many examples Hypothesis draws, and one thread per process.

Profiles: `dev` (the default), `ci` (where CI is set; the same examples in every run) and `nightly`.
Choose one with HYPOTHESIS_PROFILE=nightly.
"""

import json
import os
from pathlib import Path

# Set before NumPy is imported, and inherited by processes that tests start: with several threads in
# each of several processes, all wait for one another. tests/fast/test_workers.py uses more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MINIVISION_WORKERS", "1")

import pytest
from hypothesis import settings

settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=1000, deadline=None)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


@pytest.fixture(autouse=True)
def same_start():
    """Every test draws the same weights, whichever tests ran before it."""
    from minivision import manual_seed

    with manual_seed(0):
        yield


@pytest.fixture
def undrawn():
    """Build networks without drawing weights, for tests that only count those of large networks."""
    from minivision.nn import skip_init

    with skip_init():
        yield


@pytest.fixture
def open_door():
    """For tests of the fast forms only, even if MINIVISION_FAST=0."""
    from minivision.fast import door

    with door.on():
        yield


@pytest.fixture(scope="module", params=["page", "fast, stacked rows", "fast"])
def every_kernel(request):
    """All tests of the module run on the pages and on the fast forms, in this order.

    Images in tests are small, so the limits below which the fast forms are not used are lowered;
    once, rows are stacked for small outputs too.
    """
    from minivision.fast import choice, door  # after the environment is set

    with (
        door.off() if request.param == "page" else door.on(),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(choice, "LEAST", 1)
        if request.param == "fast, stacked rows":
            patch.setattr(choice, "FEW_PLACES", 0)
            patch.setattr(choice, "NARROW_PRODUCT", 0)
        yield request.param


def pytest_collection_modifyitems(items):
    """Under mutmut the quickest tests run first, so most mutants die at once."""
    stats = Path(__file__).parent.parent / "mutmut-stats.json"
    if stats.exists():
        seconds = json.loads(stats.read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))
