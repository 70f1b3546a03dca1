"""`minivision convert-weights`: a file saved by PyTorch becomes one that loads by name."""

import builtins
import pickle
import subprocess
import sys

import numpy as np
import pytest

from minivision import manual_seed
from minivision.cli import main
from minivision.cli.convert_weights import report
from minivision.models import lenet5
from minivision.nn.weights import load_weights
from tests.cli.command_lines import refuses


@pytest.fixture
def drawn():
    manual_seed(0)
    return lenet5()


def saved(torch, path, model, **changes):
    """A .pth of the model's weights; a change to None removes one."""
    state = {name: torch.from_numpy(array) for name, array in model.state_dict().items()}
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path


# ── with PyTorch ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parity
def test_convert_weights_writes_arrays_that_load_by_name(torch, drawn, tmp_path, capsys):
    source, target = tmp_path / "lenet5.pth", tmp_path / "lenet5.safetensors"
    saved(torch, source, drawn)
    assert main(["convert-weights", str(source), str(target), "--model", "lenet5"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"{target}: 10 arrays, 61,706 numbers",
        "10 of the 10 arrays of lenet5 have the right shape",
    ]
    arrays, metadata = load_weights(target)
    assert metadata == {"converted from": "lenet5.pth"}
    model = lenet5()
    model.load_state_dict(arrays)
    for name, array in drawn.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


@pytest.mark.parity
def test_convert_weights_without_a_model_converts_any_named_tensors(torch, tmp_path, capsys):
    """Also half precision, bfloat16 (which NumPy does not have), counters and transposed arrays."""
    target = tmp_path / "a.safetensors"
    numbers = torch.arange(6.0).reshape(2, 3)
    state = {
        "half": numbers.half(), "bfloat16": numbers.bfloat16(), "double": numbers.double(),
        "transposed": numbers.T, "counter": torch.tensor(7), "trained": torch.nn.Parameter(numbers),
    }  # fmt: skip
    torch.save(state, tmp_path / "a.pth")
    assert main(["convert-weights", str(tmp_path / "a.pth"), str(target)]) == 0
    arrays, _ = load_weights(target)
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "half": "float16", "bfloat16": "float32", "double": "float64", "transposed": "float32",
        "counter": "int64", "trained": "float32",
    }  # fmt: skip
    for name in ("half", "bfloat16", "double", "trained"):
        np.testing.assert_array_equal(arrays[name], numbers)
    np.testing.assert_array_equal(arrays["transposed"], numbers.T)
    assert arrays["counter"] == 7


@pytest.mark.parity
def test_convert_weights_names_what_does_not_fit_and_writes_the_file(
    torch, drawn, tmp_path, capsys
):
    changes = {
        "classifier__4__weight": torch.zeros(7, 84), "features__0__bias": None,
        "fc__weight": torch.zeros(2),
    }  # fmt: skip
    source = saved(torch, tmp_path / "a.pth", drawn, **changes)
    target = tmp_path / "a.safetensors"
    assert main(["convert-weights", str(source), str(target), "--model", "lenet5"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "8 of the 10 arrays of lenet5 have the right shape",
        "  missing: features.0.bias",
        "  not in lenet5: fc.weight",
        "  with a different shape: classifier.4.weight is (7, 84), expected (10, 84)",
    ]
    assert target.exists()


@pytest.mark.parity
def test_convert_weights_finds_the_state_dict_of_a_checkpoint(torch, tmp_path, capsys):
    torch.save({"epoch": 3, "state_dict": {"w": torch.ones(2)}}, tmp_path / "a.pth")
    assert main(["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 0
    assert "a checkpoint with epoch, state_dict; using its state_dict" in capsys.readouterr().out
    assert list(load_weights(tmp_path / "a.safetensors")[0]) == ["w"]


class Harmful:
    """A pickle of it would call print."""

    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.mark.parity
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_convert_weights_finds_weights_in_a_checkpoint_of_data_parallel(
    torch, tmp_path, capsys, wrapper
):
    weights = {f"module.{name}": torch.ones(2) for name in ("a.weight", "a.bias")}
    torch.save({"epoch": 3, wrapper: weights}, tmp_path / "w.pth")
    line = ["convert-weights", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert f"using its {wrapper}" in said
    assert "'module.'" in said
    assert sorted(load_weights(tmp_path / "w.safetensors")[0]) == ["a.bias", "a.weight"]


def test_convert_weights_does_not_load_a_file_that_would_run_code(torch, tmp_path, capsys):
    path, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    for content in (Harmful(), torch.nn.Linear(2, 3)):
        torch.save(content, path)
        fragments = path, "more than weights", "torch.save(model.state_dict(), 'weights.pth')"
        refuses(capsys, ["convert-weights", path, target], *fragments)
        assert "must not be printed" not in capsys.readouterr().out
    assert not target.exists()


@pytest.mark.parity
def test_convert_weights_names_what_is_wrong_with_other_files(torch, drawn, tmp_path, capsys):
    path, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    line = ["convert-weights", path, target]
    for content in (b"", b"no weights at all", pickle.dumps([1, 2])):
        path.write_bytes(content)
        refuses(capsys, line, "a.pth")
    whole = saved(torch, path, drawn).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuses(capsys, line, "a.pth", "damaged")
    for content, *fragments in (
        ([torch.ones(2)], "state_dict", "'the file'", "list"),
        ({"a": torch.ones(2), "epoch": 3}, "state_dict", "'epoch'", "int"),
        ({}, "state_dict", "empty"),
        ({"s": torch.eye(2).to_sparse()}, "s is not a plain array"),
    ):
        torch.save(content, path)
        refuses(capsys, line, "a.pth", *fragments)
    assert not target.exists()


# ── without it ───────────────────────────────────────────────────────────────────────────────


def test_convert_weights_without_pytorch_says_what_to_do(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without_torch(name, *arguments, **settings):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    (tmp_path / "vgg16.pth").write_bytes(b"weights")
    refuses(
        capsys, ["convert-weights", tmp_path / "vgg16.pth", tmp_path / "vgg16.safetensors"],
        "vgg16.pth", "PyTorch", "pip install torch",
        "save_file(torch.load('vgg16.pth', weights_only=True), 'vgg16.safetensors')",
    )  # fmt: skip


@pytest.mark.parity
def test_convert_weights_suggests_a_command_that_works(torch, drawn, tmp_path, monkeypatch, capsys):
    saved(torch, tmp_path / "vgg16.pth", drawn)
    real = builtins.__import__

    def without_torch(name, *arguments, **settings):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", without_torch)
        line = ["convert-weights", tmp_path / "vgg16.pth", tmp_path / "vgg16.safetensors"]
        error = refuses(capsys, line, "PyTorch")
    program = error.split('python -c "')[1].rsplit('"', 1)[0]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    lenet5().load_state_dict(load_weights(tmp_path / "vgg16.safetensors")[0])


def test_report_shortens_a_long_list_of_names(capsys):
    arrays = {f"extra.{i}": np.zeros(1) for i in range(9)}
    assert report(arrays, lenet5(), "lenet5") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 of the 10 arrays of lenet5 have the right shape"
    assert lines[1].startswith("  missing: features.0.weight, features.0.bias, ")
    assert lines[1].endswith(", and 4 more")
    assert lines[2].endswith("extra.5, and 3 more")
