"""fit and evaluate on a GPU: they give the CPU's numbers, and rarely wait for them.

They run on the stand-in or on CuPy (see device.py). training/ needs tqdm, threadpoolctl and
safetensors, which a bare machine may lack.
"""

import numpy as np
import pytest

from minivision import Tensor, manual_seed, nn, no_grad
from minivision.backend import device_of, to_device
from minivision.optim import SGD, WeightAverage, step_decay
from tests.cupy_stand_in import LOG
from tests.gpu.device import ON_CUPY, assert_equal, gpu, stand_in_only, where_needed
from tests.refusals import refused

for library in ("tqdm", "threadpoolctl", "safetensors", "cv2"):
    pytest.importorskip(library)

from minivision.training import Run, classification_loss, evaluate, fit  # noqa: E402
from minivision.transforms import CutMix, Cutout, Mixup  # noqa: E402

pytestmark = where_needed


class Steps:
    """120 small batches per epoch."""

    def __init__(self, steps=120):
        rng = np.random.default_rng(6)
        self.batches = [
            (rng.normal(size=(4, 5)).astype(np.float32), rng.integers(0, 3, 4))
            for _ in range(steps)
        ]

    def __call__(self, epoch):
        return self.batches


def classifier():
    manual_seed(7)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def fitted(device, epochs=2, **options):
    model = classifier()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = step_decay(every=1, factor=0.5)
    batches = options.pop("batches", Steps())
    history = fit(
        model, batches, classification_loss, optimizer, epochs,
        schedule=schedule, device=device, **options,
    )  # fmt: skip
    return model, history


def test_fit_gives_the_cpus_history_and_weights():
    (here, expected), (there, history) = fitted("cpu"), fitted("gpu")
    for ours, theirs in zip(history, expected, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
        assert ours["train_accuracy"] == pytest.approx(theirs["train_accuracy"], abs=0.01)
    for name, array in there.state_dict().items():
        np.testing.assert_allclose(array, here.state_dict()[name], rtol=1e-3, atol=1e-4)


@stand_in_only
def test_fit_reads_the_loss_every_50_steps_and_at_the_end_of_an_epoch():
    fitted("gpu", epochs=1)
    looks = [wait.split("(")[0] for wait in LOG.synchronisations]
    # Steps 0, 50, 100 and the last, then the epoch's two means.
    assert looks == ["item", "item", "item", "item", "float", "float"]


def test_fit_moves_a_run_started_on_the_cpu_to_the_device():
    """The optimizer's velocities and a running average follow the weights."""
    histories = []
    for device in ("cpu", "gpu"):
        model = classifier()
        optimizer, average = SGD(model.parameters(), 0.05, momentum=0.9), WeightAverage(model, 0.9)
        for where in ("cpu", device):
            history = fit(
                model, Steps(20), classification_loss, optimizer, 1, average=average, device=where
            )
        histories.append([*history["train_loss"], *average.state_dict().values()])
    for ours, theirs in zip(*histories, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_fit_names_the_step_and_the_function_of_a_loss_that_is_not_finite():
    batches = Steps(60)
    batches.batches[50][0][:] = np.inf
    with refused(FloatingPointError, "nan at step 50", "linear: x"):
        fitted("gpu", batches=batches)


def test_fit_names_the_step_since_which_the_weights_may_be_wrong():
    batches = Steps(60)
    batches.batches[20][0][:] = np.inf
    with refused(FloatingPointError, "nan at step 50", "since step 1"):
        fitted("gpu", batches=batches)


def test_fit_resumes_on_the_device_from_its_checkpoint(tmp_path):
    whole, _ = fitted("gpu", epochs=3, run=Run.create(tmp_path / "whole", {}))
    fitted("gpu", epochs=1, run=Run.create(tmp_path / "parts", {}))
    resumed, history = fitted("gpu", epochs=3, run=Run.open(tmp_path / "parts"))
    assert len(history) == 3
    for name, array in resumed.state_dict().items():
        np.testing.assert_allclose(array, whole.state_dict()[name], rtol=1e-6)


def test_batch_transforms_run_on_the_device():
    seen = []

    def soften(images, targets, rng):
        seen.append(device_of(images))
        return images * 0.5, np.eye(3, dtype=np.float32)[targets]

    _, history = fitted("gpu", epochs=1, batch_transform=soften, batches=Steps(3))
    assert seen == ["gpu:0"] * 3
    assert np.isfinite(history["train_loss"]).all()


def test_evaluate_brings_logits_back_and_gives_the_cpus_numbers():
    batches = Steps(5)(0)
    model = classifier()
    expected = evaluate(model, batches)
    model.to("gpu")
    LOG.clear()
    assert evaluate(model, batches) == pytest.approx(expected)
    if not ON_CUPY:
        assert len(LOG.synchronisations) == len(batches)
    with no_grad():
        assert model.eval()(Tensor(gpu(batches[0][0]))).device == "gpu:0"


@pytest.mark.parametrize("kind", [CutMix, Mixup])
def test_batches_are_mixed_on_the_device_as_on_the_cpu(kind):
    images = np.random.default_rng(0).normal(size=(5, 2, 6, 7)).astype(np.float32)
    labels = np.arange(5) % 3
    mixing = kind(3).draw(images.shape, np.random.default_rng(1))
    expected = kind(3).apply(images, labels, mixing)
    LOG.clear()
    there = kind(3).apply(to_device(images, "gpu:0"), labels, mixing)
    assert LOG.synchronisations == []
    assert_equal(there.images, expected.images, 1e-6)
    np.testing.assert_array_equal(there.targets, expected.targets)  # from labels: on the host
    soft = kind(3).apply(to_device(images, "gpu:0"), gpu(expected.targets), mixing)
    again = kind(3).apply(images, expected.targets, mixing)
    assert_equal(soft.targets, again.targets, 1e-6)


def test_squares_are_cut_out_on_the_device_as_on_the_cpu():
    images = np.random.default_rng(0).normal(size=(5, 2, 6, 7)).astype(np.float32)
    boxes = Cutout(3).draw(images.shape, np.random.default_rng(1))
    expected = Cutout(3).apply(images, None, boxes)
    assert_equal(Cutout(3).apply(to_device(images, "gpu:0"), None, boxes).images, expected.images)
