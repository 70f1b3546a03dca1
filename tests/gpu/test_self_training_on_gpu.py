"""Pseudo-labels and noisy students on a GPU: the CPU's numbers, and no wait within a step."""

import numpy as np
import pytest

from tests.cupy_stand_in import LOG
from tests.gpu.device import stand_in_only, where_needed

for library in ("tqdm", "threadpoolctl", "safetensors", "cv2"):
    pytest.importorskip(library)

from minivision import manual_seed  # noqa: E402
from minivision.datasets import DataLoader  # noqa: E402
from minivision.methods import pseudo_label_batches, pseudo_label_loss, ramp  # noqa: E402
from minivision.optim import SGD, WeightAverage  # noqa: E402
from minivision.training import fit  # noqa: E402
from minivision.transforms import Compose, RandomTranslate, ToArray  # noqa: E402
from tests.methods.test_noisy_student import chain, network  # noqa: E402
from tests.methods.unlabelled import WithoutLabels, stripes  # noqa: E402

pytestmark = where_needed
NOISE = Compose([RandomTranslate(1), ToArray()])


def with_pseudo_labels(device, strong=None):
    with manual_seed(0):
        model, many = network()(), stripes(24, 2)
    labelled = DataLoader(stripes(9, 1), 3, shuffle=True)
    unlabelled = DataLoader(WithoutLabels(many), 4, shuffle=True)
    batches = pseudo_label_batches(labelled, unlabelled, strong)
    loss = pseudo_label_loss(ramp(1, 6), 0.4, many.labels)
    history = fit(
        model, batches, loss, SGD(model.parameters(), lr=0.1), 2,
        average=WeightAverage(model, 0.9), device=device,
    )  # fmt: skip
    return model, history


@pytest.mark.parametrize("strong", [None, NOISE], ids=["one view", "two views"])
def test_pseudo_labels_give_the_cpus_history_and_weights(strong):
    (here, expected), (there, history) = (
        with_pseudo_labels(device, strong) for device in ("cpu", "gpu")
    )
    for ours, theirs in zip(history, expected, strict=True):
        for name in set(ours) - {"seconds"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-5), name
    for name, array in there.state_dict().items():
        np.testing.assert_allclose(array, here.state_dict()[name], rtol=1e-3, atol=1e-4)


@stand_in_only
def test_pseudo_labels_never_wait_in_a_step():
    LOG.clear()
    with_pseudo_labels("gpu", NOISE)
    waits = [wait.split("(")[0] for wait in LOG.synchronisations]
    # The loss of the first and the last step of each epoch; the others are the means of epochs.
    assert waits.count("item") == 4
    assert len(waits) - 4 <= 2 * 2 * 8


def test_noisy_student_gives_the_cpus_records():
    records = []
    for device in ("cpu", "gpu"):
        generations = chain(
            [network(), network(12)], steps=10, epochs=1, balance=False, device=device
        )
        records.append([record for _, record in generations])
    assert records[1] == records[0]
