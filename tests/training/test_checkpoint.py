"""Checkpoints under attack: damaged files, other models, a full disk."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minivision import manual_seed
from minivision.nn import Linear, Sequential
from minivision.nn.weights import save_weights
from minivision.optim import SGD, Adam, WeightAverage
from minivision.training.checkpoint import (
    Progress,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from tests.refusals import refused


def network(seed):
    manual_seed(seed)
    return Sequential(Linear(4, 3), Linear(3, 2))


def trained(seed=0):
    model = network(seed)
    optimizer = Adam(model.parameters(), 0.1)
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    return model, optimizer, WeightAverage(model, 0.5)


def test_checkpoint_restores_everything(tmp_path):
    model, optimizer, average = trained()
    save_checkpoint(tmp_path / "c.safetensors", model, optimizer, average, Progress(3, 17, 5))
    other = network(1)
    restored, restored_average = Adam(other.parameters(), 0.1), WeightAverage(other, 0.5)
    progress = load_checkpoint(tmp_path / "c.safetensors", other, restored, restored_average, 5)
    assert progress == Progress(epoch=3, step=17, seed=5)
    for part, other_part in ((model, other), (optimizer, restored), (average, restored_average)):
        ours, theirs = part.state_dict(), other_part.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(ours[k].tobytes() == theirs[k].tobytes() for k in ours)


def test_load_model_takes_the_average_if_there_is_one(tmp_path):
    model, optimizer, average = trained()
    average.average["0.weight"] = np.full((3, 4), 7, np.float32)
    save_checkpoint(tmp_path / "c.safetensors", model, optimizer, average, Progress(1, 1, 0))
    other = network(1)
    load_model(tmp_path / "c.safetensors", other)
    assert (other[0].weight.data == 7).all()


@pytest.mark.parametrize("keep", [0, 7, 100, -1], ids=lambda n: f"keep {n} bytes")
def test_load_checkpoint_refuses_a_truncated_file_and_changes_nothing(tmp_path, keep):
    path = tmp_path / "c.safetensors"
    model, optimizer, _ = trained()
    save_checkpoint(path, model, optimizer, None, Progress(1, 1, 0))
    path.write_bytes(path.read_bytes()[:keep])
    other = network(1)
    before = other.state_dict()
    with refused(ValueError, "c.safetensors", "truncated"):
        load_checkpoint(path, other, Adam(other.parameters(), 0.1), None, 0)
    after = other.state_dict()
    assert all((before[k] == after[k]).all() for k in before)


def test_load_model_refuses_a_checkpoint_with_a_flipped_bit(tmp_path):
    path = tmp_path / "c.safetensors"
    model, optimizer, _ = trained()
    save_checkpoint(path, model, optimizer, None, Progress(1, 1, 0))
    data = bytearray(path.read_bytes())
    data[-5] ^= 16
    path.write_bytes(data)
    with refused(ValueError, "c.safetensors", "corrupted"):
        load_model(path, network(1))


def test_load_checkpoint_refuses_an_optimizer_of_another_kind(tmp_path):
    path = tmp_path / "c.safetensors"
    model, optimizer, _ = trained()
    save_checkpoint(path, model, optimizer, None, Progress(1, 1, 0))
    other = network(1)
    with refused(ValueError, "c.safetensors", "different optimizer"):
        load_checkpoint(path, other, SGD(other.parameters(), 0.1, momentum=0.9), None, 0)


def test_load_model_refuses_weights_that_are_not_a_checkpoint(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, network(0).state_dict())
    with refused(ValueError, "w.safetensors", "'0.bias'"):
        load_model(path, network(1))


@pytest.mark.parametrize(
    "progress",
    [
        '{"epoch": 2.5, "step": 1, "seed": 0}',
        '{"epoch": -1, "step": 1, "seed": 0}',
        '{"epoch": 1, "step": "1", "seed": 0}',
        '{"epoch": 1, "step": true, "seed": 0}',
        '{"epoch": 1, "step": 1, "seed": 0.0}',
        '{"epoch": 1, "seed": 0}',
        "[1, 1, 0]",
        pytest.param("[" * 100_000, id="nested deeply"),
    ],
)
def test_load_checkpoint_refuses_progress_that_is_not_three_counts(tmp_path, progress):
    path = tmp_path / "c.safetensors"
    save_weights(path, {"model.0.weight": np.zeros((3, 4))}, {"progress": progress})
    model, optimizer, _ = trained()
    with refused(ValueError, "c.safetensors", "progress"):
        load_checkpoint(path, model, optimizer, None, 0)


def test_load_model_names_a_missing_file(tmp_path):
    with refused(FileNotFoundError, "none.safetensors"):
        load_model(tmp_path / "none.safetensors", network(0))


def test_save_checkpoint_on_a_full_disk_leaves_the_old_file(tmp_path):
    """The limit on the file size is below that of a checkpoint, as on a full disk."""
    path = tmp_path / "c.safetensors"
    model, optimizer, _ = trained()
    save_checkpoint(path, model, optimizer, None, Progress(1, 1, 0))
    old = path.read_bytes()
    program = f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        from minivision.nn import Linear, Sequential
        from minivision.optim import Adam
        from minivision.training.checkpoint import Progress, save_checkpoint
        model = Sequential(Linear(4, 3), Linear(3, 2))
        save_checkpoint({str(path)!r}, model, Adam(model.parameters()), None, Progress(9, 9, 0))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "OSError" in result.stderr
    assert "cannot write" in result.stderr
    assert str(path) in result.stderr
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]
    assert load_checkpoint(path, model, optimizer, None, 0) == Progress(1, 1, 0)


def test_load_checkpoint_refuses_another_seed_or_a_missing_average_and_changes_nothing(tmp_path):
    path = tmp_path / "c.safetensors"
    model, optimizer, average = trained()
    save_checkpoint(path, model, optimizer, average, Progress(1, 1, 0))
    other = network(1)
    before = other.state_dict()
    adam, other_average = Adam(other.parameters(), 0.1), WeightAverage(other, 0.5)
    with refused(ValueError, "seed is 7", "c.safetensors", "with 0"):
        load_checkpoint(path, other, adam, other_average, 7)
    with refused(ValueError, "c.safetensors", "running average", "none is given"):
        load_checkpoint(path, other, adam, None, 0)
    after = other.state_dict()
    assert all((before[k] == after[k]).all() for k in before)
    assert not any(adam.state.values())
