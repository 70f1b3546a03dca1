"""Old models on a GPU: the CPU's numbers, and a step waits for nothing."""

import numpy as np
import pytest

from minivision import manual_seed
from minivision.backend import device_of
from tests.cupy_stand_in import LOG
from tests.gpu.device import stand_in_only, where_needed

for library in ("tqdm", "threadpoolctl", "safetensors", "cv2"):
    pytest.importorskip(library)

from minivision.datasets import DataLoader  # noqa: E402
from minivision.methods import (  # noqa: E402
    distill,
    extract_features,
    fine_tune,
    learn_without_forgetting,
    record_responses,
    train_jointly,
    with_new_task,
)
from minivision.optim import SGD  # noqa: E402
from tests.methods.old_network import network  # noqa: E402
from tests.methods.unlabelled import stripes  # noqa: E402

pytestmark = where_needed
DATA = stripes(22, 1)


def loader(batch):
    return DataLoader(DATA, batch, shuffle=True)


def transferred(method, **options):
    def run(device, batch):
        model = network()
        history = method(model, loader(batch), 2, lr=0.05, optimizer=SGD, device=device, **options)
        return model, history

    return run


def distilled(cached):
    def run(device, batch):
        student, teacher = network(), network(7)
        rule = SGD(student.parameters(), lr=0.05)
        history = distill(
            student, teacher, loader(batch), 2, rule, labels=DATA.labels, cached=cached,
            device=device,
        )  # fmt: skip
        return student, history

    return run


def without_forgetting(device, batch):
    manual_seed(5)
    model = with_new_task(network(classes=4), 3)
    return model, learn_without_forgetting(model, loader(batch), 2, lr=0.05, device=device)


def jointly(device, batch):
    manual_seed(5)
    model = with_new_task(network(), 3)
    loaders = {"old": DataLoader(stripes(14, 2), batch), "new": loader(batch)}
    return model, train_jointly(model, loaders, 2, lr=0.05, optimizer=SGD, device=device)


METHODS = {
    "a frozen body": transferred(extract_features),
    "recorded features": transferred(extract_features, cached=True),
    "fine-tuning": transferred(fine_tune),
    "distilled": distilled(cached=False),
    "distilled from a record": distilled(cached=True),
    "without forgetting": without_forgetting,
    "jointly": jointly,
}
methods = pytest.mark.parametrize("name", METHODS)


@methods
def test_every_method_gives_the_cpus_history_and_weights(name):
    (here, expected), (there, history) = (METHODS[name](device, 4) for device in ("cpu", "gpu"))
    assert {device_of(p.data) for p in there.parameters()} == {"gpu:0"}
    for ours, theirs in zip(history, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for scalar in set(ours) - {"seconds"}:
            assert ours[scalar] == pytest.approx(theirs[scalar], rel=1e-4, abs=1e-5), scalar
    for key, array in there.state_dict().items():
        np.testing.assert_allclose(array, here.state_dict()[key], rtol=1e-3, atol=1e-4)


@stand_in_only
@methods
def test_a_step_waits_for_nothing(name):
    """Epochs of 11 steps wait as often as epochs of 6; what was recorded before them is a copy."""
    waits = []
    for batch in (4, 2):
        LOG.clear()
        METHODS[name]("gpu", batch)
        waits.append([w for w in LOG.synchronisations if "to_host" not in w])
    assert len(waits[0]) == len(waits[1]) > 0


@stand_in_only
def test_a_record_is_brought_back_a_batch_at_a_time_and_nothing_else_is():
    model = network().to("gpu")
    LOG.clear()
    found = record_responses(model, loader(4))
    assert isinstance(found, np.ndarray)
    assert len(LOG.synchronisations) == len(loader(4))
