"""Write tests/cupy_surface.json: the names and parameters that the installed CuPy offers.

    python tests/make_cupy_surface.py

Importing CuPy needs no GPU, so this runs anywhere (`pip install "cupy-cuda12x==14.2.*"`). The
stand-in, cupy_stand_in.py, offers exactly what is in that file. For each namespace ("" is the
module itself) it lists every public name with its kind `k`; for functions the parameters `p`, as
pairs of a name and an `inspect` kind (0 positional, 1 either, 2 *args, 3 keyword only, 4 **kwargs);
and for ufuncs whether `at` works.
"""

import inspect
import json
import re
from pathlib import Path

FILE = Path(__file__).with_name("cupy_surface.json")


def described(value):
    """One name of the surface: its kind, and how it may be called."""
    import cupy  # not at the top: pytest also imports this file where CuPy is absent

    if isinstance(value, cupy.ufunc):
        return {"k": "ufunc", "at": value._scatter_op is not None}
    if isinstance(value, type):
        return {"k": "class"}
    if not callable(value):
        return {"k": "const"}
    parameters = parameters_of(value)
    return {"k": "func"} if parameters is None else {"k": "func", "p": parameters}


def parameters_of(function):
    """[[name, kind], …], or None if CuPy does not say."""
    try:
        found = inspect.signature(function).parameters.values()
        return [[parameter.name, int(parameter.kind)] for parameter in found]
    except (TypeError, ValueError):
        # Methods compiled by Cython have no signature, but their docstring begins with it:
        # "_ndarray_base.sum(self, axis=None, dtype=None, out=None, keepdims=False) -> …"
        written = re.match(r"\w+\.\w+\((.*?)\)(?: ->|$)", function.__doc__ or "", re.MULTILINE)
    if written is None:
        return None
    parameters, kind = [], int(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for part in written[1].split(", "):
        name = part.partition("=")[0].split()[-1]
        if name == "*" or name.startswith("*"):
            if name != "*":
                parameters.append([name[1:], int(inspect.Parameter.VAR_POSITIONAL)])
            kind = int(inspect.Parameter.KEYWORD_ONLY)
        else:
            parameters.append([name, kind])
    return parameters


def surface():
    import cupy

    namespaces = {
        "": cupy,
        "linalg": cupy.linalg,
        "lib.stride_tricks": cupy.lib.stride_tricks,
        "ndarray": cupy.ndarray,
        "random.Generator": cupy.random.Generator,
    }
    return {
        **{
            space: {
                name: described(getattr(owner, name))
                for name in sorted(dir(owner))
                if not name.startswith("_")
            }
            for space, owner in namespaces.items()
        },
        "version": cupy.__version__,
    }


def written(surface):
    """JSON with one line per name, so that a new version is a small diff."""
    spaces = [
        f"{json.dumps(space)}: {{\n"
        + ",\n".join(f" {json.dumps(name)}: {json.dumps(what)}" for name, what in names.items())
        + "\n}"
        if isinstance(names, dict)
        else f"{json.dumps(space)}: {json.dumps(names)}"
        for space, names in surface.items()
    ]
    return "{\n" + ",\n".join(spaces) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(surface()), "utf-8")
