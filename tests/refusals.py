"""What a test of an error message looks at: who complains, about which argument, and what came.

    with refused(ValueError, "conv2d", "x has 4 channels", "expects 3"):
        F.conv2d(x, weight)

A message is for people and should be easy to improve, so no test pins its wording. Each room has
one table of errors, `test_errors.py`; a test that needs a file, a run or a process uses `refused`
directly.
"""

import contextlib

import pytest


@contextlib.contextmanager
def refused(error, *fragments):
    """Expect `error` (an exception class) whose message contains every fragment, a string each."""
    with pytest.raises(error) as caught:
        yield caught
    missing = [fragment for fragment in fragments if fragment not in str(caught.value)]
    assert not missing, f"the message does not name {missing}: {caught.value}"


def table_of_errors(*rows):
    """Parametrize a test over rows (call, error, fragment, …): see `refused`.

    @table_of_errors(
        (lambda: F.relu("cat"), TypeError, "relu: x", "str"),
    )
    def test_functional_errors_name_the_argument(call, error, fragments):
        with refused(error, *fragments):
            call()
    """
    for row in rows:
        assert len(row) >= 4, f"a row needs the function or argument and a value: {row[2:]}"
    cases = [(call, error, fragments) for call, error, *fragments in rows]
    ids = [" ".join(fragments)[:60] for _, _, fragments in cases]
    return pytest.mark.parametrize(("call", "error", "fragments"), cases, ids=ids)
