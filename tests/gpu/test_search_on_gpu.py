"""A search on a GPU: one trial after another, with the CPU's scores."""

import json

import pytest

from tests.gpu.device import where_needed

for library in ("tqdm", "threadpoolctl", "safetensors", "cv2", "joblib"):
    pytest.importorskip(library)

from minivision.backend import device_of  # noqa: E402
from minivision.cli import main  # noqa: E402
from minivision.methods import Trial  # noqa: E402

pytestmark = where_needed
QUICK = ["search-augmentation", "--limit", "100", "--epochs", "1", "--budget", "2"]


def scores(folder):
    lines = (folder / "candidates.jsonl").read_text().splitlines()
    return [json.loads(line)["score"] for line in lines]


def test_search_trains_on_the_device_and_finds_the_cpus_scores(tmp_path, monkeypatch):
    devices = []

    class Watched(Trial):
        def score(self, model, dataset):
            devices.append(device_of(next(iter(model.parameters())).data))
            return super().score(model, dataset)

    monkeypatch.setattr("minivision.cli.search_augmentation.Trial", Watched)
    assert main([*QUICK, "--device", "gpu", "--out", str(tmp_path / "gpu")]) == 0
    assert devices == ["gpu:0", "gpu:0"]
    assert main([*QUICK, "--processes", "1", "--out", str(tmp_path / "cpu")]) == 0
    assert scores(tmp_path / "gpu") == pytest.approx(scores(tmp_path / "cpu"), abs=0.02)


def test_search_started_on_a_cpu_does_not_continue_on_a_gpu(tmp_path, capsys):
    assert main([*QUICK, "--processes", "1", "--out", str(tmp_path / "cpu")]) == 0
    assert main([*QUICK, "--device", "gpu", "--out", str(tmp_path / "cpu")]) == 2
    assert "search: device is 'gpu', but" in capsys.readouterr().err
