"""`minivision convert-weights`: what PyTorch saved becomes a file that a network loads by name."""

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


def refused(capsys, *argv):
    assert main(["convert-weights", *(str(word) for word in argv)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


@pytest.fixture
def drawn():
    manual_seed(0)
    return lenet5()


def saved(torch, path, model, **changes):
    """A .pth of the model's weights; a change of None leaves one out."""
    state = {name: torch.from_numpy(array) for name, array in model.state_dict().items()}
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path


# ── with PyTorch ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parity
def test_weights_of_pytorch_are_loaded_by_name(torch, drawn, tmp_path, capsys):
    source, target = tmp_path / "lenet5.pth", tmp_path / "lenet5.safetensors"
    saved(torch, source, drawn)
    assert main(["convert-weights", str(source), str(target), "--model", "lenet5"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"{target}: 10 arrays, 61,706 numbers",
        "10 of the 10 arrays of lenet5 are there in the right shape",
    ]
    arrays, metadata = load_weights(target)
    assert metadata == {"converted from": "lenet5.pth"}
    model = lenet5()
    model.load_state_dict(arrays)
    for name, array in drawn.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


@pytest.mark.parity
def test_without_a_model_anything_named_is_converted(torch, tmp_path, capsys):
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
def test_what_does_not_fit_is_named_and_the_file_is_written(torch, drawn, tmp_path, capsys):
    changes = {
        "classifier__4__weight": torch.zeros(7, 84), "features__0__bias": None,
        "fc__weight": torch.zeros(2),
    }  # fmt: skip
    source = saved(torch, tmp_path / "a.pth", drawn, **changes)
    target = tmp_path / "a.safetensors"
    assert main(["convert-weights", str(source), str(target), "--model", "lenet5"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "8 of the 10 arrays of lenet5 are there in the right shape",
        "  missing: features.0.bias",
        "  not in lenet5: fc.weight",
        "  of another shape: classifier.4.weight is (7, 84), expected (10, 84)",
    ]
    assert target.exists()


@pytest.mark.parity
def test_the_state_dict_of_a_checkpoint_is_found(torch, tmp_path, capsys):
    torch.save({"epoch": 3, "state_dict": {"w": torch.ones(2)}}, tmp_path / "a.pth")
    assert main(["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 0
    assert "a checkpoint with epoch, state_dict; took its state_dict" in capsys.readouterr().out
    assert list(load_weights(tmp_path / "a.safetensors")[0]) == ["w"]


class Harmful:
    """A pickle of it would call print."""

    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.mark.parity
@pytest.mark.parity
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_weights_are_found_in_a_checkpoint_of_data_parallel(torch, tmp_path, capsys, wrapper):
    weights = {f"module.{name}": torch.ones(2) for name in ("a.weight", "a.bias")}
    torch.save({"epoch": 3, wrapper: weights}, tmp_path / "w.pth")
    line = ["convert-weights", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert f"took its {wrapper}" in said
    assert "begins with 'module.'" in said
    assert sorted(load_weights(tmp_path / "w.safetensors")[0]) == ["a.bias", "a.weight"]


def test_a_file_that_would_run_code_is_not_read(torch, tmp_path, capsys):
    path, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    for content in (Harmful(), torch.nn.Linear(2, 3)):
        torch.save(content, path)
        error = refused(capsys, path, target)
        assert "holds more than weights" in error
        assert "torch.save(model.state_dict(), 'weights.pth')" in error
        assert "must not be printed" not in error + capsys.readouterr().out
    assert not target.exists()


@pytest.mark.parity
def test_other_files_are_told_apart(torch, drawn, tmp_path, capsys):
    path, target = tmp_path / "a.pth", tmp_path / "a.safetensors"
    for content in (b"", b"no weights at all", pickle.dumps([1, 2])):
        path.write_bytes(content)
        assert "a.pth" in refused(capsys, path, target)
    whole = saved(torch, path, drawn).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "a.pth is damaged or not a PyTorch file" in refused(capsys, path, target)
    for content, sentence in (
        ([torch.ones(2)], "expected a state_dict, names with tensors; 'the file' is a list"),
        ({"a": torch.ones(2), "epoch": 3}, "'epoch' is a int"),
        ({}, "it is empty"),
        ({"s": torch.eye(2).to_sparse()}, "s is not a plain array"),
    ):
        torch.save(content, path)
        assert sentence in refused(capsys, path, target)
    assert not target.exists()


# ── without it ───────────────────────────────────────────────────────────────────────────────


def test_without_pytorch_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without_torch(name, *arguments, **settings):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    (tmp_path / "vgg16.pth").write_bytes(b"weights")
    error = refused(capsys, tmp_path / "vgg16.pth", tmp_path / "vgg16.safetensors")
    assert "needs PyTorch, which is not installed here: pip install torch" in error
    assert "save_file(torch.load('vgg16.pth', weights_only=True), 'vgg16.safetensors')" in error


@pytest.mark.parity
def test_the_command_it_suggests_works(torch, drawn, tmp_path, monkeypatch, capsys):
    saved(torch, tmp_path / "vgg16.pth", drawn)
    real = builtins.__import__

    def without_torch(name, *arguments, **settings):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", without_torch)
        error = refused(capsys, tmp_path / "vgg16.pth", tmp_path / "vgg16.safetensors")
    program = error.split('python -c "')[1].rsplit('"', 1)[0]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    lenet5().load_state_dict(load_weights(tmp_path / "vgg16.safetensors")[0])


def test_wrong_names_of_files_are_told(tmp_path, capsys):
    missing = tmp_path / "none.pth"
    error = refused(capsys, missing, tmp_path / "a.safetensors")
    assert f"cannot read {missing}: No such file or directory" in error
    assert "must end in .safetensors" in refused(capsys, missing, tmp_path / "a.pth")
    with pytest.raises(SystemExit):
        main(["convert-weights", "a.pth", "b.safetensors", "--model", "lenet6"])
    assert "lenet6" in capsys.readouterr().err


def test_many_names_are_cut_short(capsys):
    arrays = {f"extra.{i}": np.zeros(1) for i in range(9)}
    assert report(arrays, lenet5(), "lenet5") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 of the 10 arrays of lenet5 are there in the right shape"
    assert lines[1].startswith("  missing: features.0.weight, features.0.bias, ")
    assert lines[1].endswith(", and 4 more")
    assert lines[2].endswith("extra.5, and 3 more")
