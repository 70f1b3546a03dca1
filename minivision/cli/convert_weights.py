"""Convert weights that PyTorch saved (.pth) to safetensors, the format that minivision reads.

  minivision convert-weights vgg16.pth vgg16.safetensors --model vgg16

A .pth file is a pickle, which can run code when it is opened. So PyTorch itself, which must be
installed for this command, opens the file and reads nothing but weights. With --model, their names
and shapes are compared with those of a network. The network can then load the weights by name:

  from minivision.models import vgg16
  from minivision.nn import skip_init
  from minivision.nn.weights import load_weights

  with skip_init():
      model = vgg16()
  model.load_state_dict(load_weights("vgg16.safetensors")[0])

Exit code 1 means that the file was written, but its weights do not fit the network.
"""

from __future__ import annotations

import argparse
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minivision.cli.setup import undrawn
from minivision.models import MODELS
from minivision.nn import Module
from minivision.nn.weights import save_weights

NAMED = 6  # the most names in one line
# Keys under which training scripts store the weights, and the prefix that DataParallel adds.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PARALLEL = "module."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="FILE.pth", help="a PyTorch state_dict")
    parser.add_argument("target", type=Path, metavar="OUT.safetensors", help="the file to write")
    parser.add_argument(
        "--model", choices=MODELS, metavar="NAME", help=f"compare with {', '.join(MODELS)}"
    )


def run(arguments: argparse.Namespace) -> int:
    source, target = arguments.source, arguments.target
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: the name must end in .safetensors")
    arrays = read_pth(source)
    save_weights(target, arrays, {"converted from": source.name})
    numbers = sum(array.size for array in arrays.values())
    print(f"{target}: {len(arrays)} arrays, {numbers:,} numbers")
    if arguments.model is None:
        return 0
    return report(arrays, undrawn(arguments.model), arguments.model)


def read_pth(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a state_dict that torch.save wrote; 8-bit floats and bfloat16 become float32.

    Raises OSError if the file cannot be read, and ValueError if PyTorch is missing or the file
    contains anything but named tensors.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise type(error)(f"cannot read {path}: {error.strerror}") from error
    try:
        import torch  # heavy, and not among minivision's dependencies
    except ModuleNotFoundError:
        raise ValueError(
            f"reading {path} needs PyTorch, which is not installed here: pip install torch, or on "
            'a machine that has it, python -c "import torch; from safetensors.torch import '
            f"save_file; save_file(torch.load('{path.name}', weights_only=True), "
            f"'{path.stem}.safetensors')\""
        ) from None
    try:
        # PyTorch warns about pickles that it did not write; they are rejected below.
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} contains more than weights, or is not a PyTorch file; it was not loaded, "
            "because that could run code. Save only the weights: "
            "torch.save(model.state_dict(), 'weights.pth')"
        ) from error
    except Exception as error:  # PyTorch's reader fails in many ways on other files
        raise ValueError(
            f"{path} is damaged or not a PyTorch file: {' '.join(str(error).split())}"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            print(f"{path}: a checkpoint with {', '.join(map(str, state))}; using its {wrapper}")
            state = state[wrapper]
    wrong = {} if isinstance(state, Mapping) else {"the file": state}
    wrong = wrong or {k: v for k, v in state.items() if not isinstance(v, torch.Tensor)}
    if wrong or not state:
        found = ", ".join(
            f"{k!r} is of type {type(v).__name__}" for k, v in list(wrong.items())[:NAMED]
        )
        raise ValueError(f"{path}: expected a state_dict (named tensors); {found or 'it is empty'}")
    if all(str(name).startswith(PARALLEL) for name in state):
        print(f"{path}: removed {PARALLEL!r}, which DataParallel puts before every name")
        state = {str(name).removeprefix(PARALLEL): tensor for name, tensor in state.items()}
    usual = (torch.float16, torch.float32, torch.float64)
    arrays = {}
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.dtype not in usual:
            tensor = tensor.float()
        try:
            arrays[str(name)] = tensor.detach().numpy()
        except (RuntimeError, TypeError) as error:  # sparse and quantised tensors
            raise ValueError(f"{path}: {name} is not a plain array: {error}") from error
    return arrays


def report(arrays: Mapping[str, np.ndarray], model: Module, name: str) -> int:
    """Print which arrays match the network's; returns 0 if all of them do, else 1."""
    expected = {key: array.shape for key, array in model.state_dict().items()}
    shared = [key for key in expected if key in arrays]
    fitting = [key for key in shared if arrays[key].shape == expected[key]]
    print(f"{len(fitting)} of the {len(expected)} arrays of {name} have the right shape")
    faults = {
        "missing": [key for key in expected if key not in arrays],
        f"not in {name}": [key for key in arrays if key not in expected],
        "with a different shape": [
            f"{key} is {arrays[key].shape}, expected {expected[key]}"
            for key in shared
            if key not in fitting
        ],
    }
    for what, names in faults.items():
        if names:
            more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
            print(f"  {what}: {', '.join(names[:NAMED])}{more}")
    return int(any(faults.values()))
