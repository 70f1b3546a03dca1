"""Methods that use an old model, on a GPU: the CPU's numbers, and no wait within a step."""

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
    JointBatches,
    RecordedBatches,
    distillation,
    joint_loss,
    lwf_loss,
    rate_groups,
    record_responses,
    with_new_task,
)
from minivision.optim import SGD  # noqa: E402
from minivision.training import classification_loss, fit  # noqa: E402
from tests.methods.old_network import network  # noqa: E402
from tests.methods.unlabelled import stripes  # noqa: E402

pytestmark = where_needed
DATA = stripes(22, 1)


def loader(batch):
    # Batch normalization over a last batch of two images would blow rounding up a thousandfold.
    return DataLoader(DATA, batch, shuffle=True, drop_last=True, with_indices=True)


def frozen(device, batch):
    model = network()
    model.backbone.freeze()
    rule = SGD(model.head.parameters(), lr=0.05)
    return model, fit(model, loader(batch), classification_loss, rule, 2, device=device)


def on_recorded_features(device, batch):
    model = network().to(device)
    features = RecordedBatches(record_responses(model.backbone, loader(batch)), loader(batch))
    rule = SGD(model.head.parameters(), lr=0.05)
    return model, fit(model.head, features, classification_loss, rule, 2, device=device)


def fine_tuned(device, batch):
    model = network()
    rule = SGD(rate_groups(model, 0.05), 0.05)
    return model, fit(model, loader(batch), classification_loss, rule, 2, device=device)


def distilled(recorded):
    def run(device, batch):
        student, teacher = network(), network(7).to(device)
        if recorded:
            teacher = record_responses(teacher, loader(batch))
        rule = SGD(student.parameters(), lr=0.05)
        return student, fit(student, loader(batch), distillation(teacher), rule, 2, device=device)

    return run


def without_forgetting(device, batch):
    manual_seed(5)
    model = with_new_task(network(classes=4), 3).to(device)
    loss = lwf_loss({"old": record_responses(model.task("old"), loader(batch))})
    model.freeze()
    model.heads["new"].unfreeze()
    rule = SGD(model.heads["new"].parameters(), lr=0.05)
    fit(model, loader(batch), loss, rule, 1, device=device)
    model.unfreeze()
    rule = SGD(model.parameters(), lr=0.05)
    return model, fit(model, loader(batch), loss, rule, 2, device=device)


def jointly(device, batch):
    manual_seed(5)
    model = with_new_task(network(), 3)
    batches = JointBatches([DataLoader(stripes(14, 2), batch), loader(batch)])
    return model, fit(
        model, batches, joint_loss, SGD(model.parameters(), lr=0.05), 2, device=device
    )


METHODS = {
    "a frozen backbone": frozen,
    "recorded features": on_recorded_features,
    "fine-tuning": fine_tuned,
    "distilled": distilled(recorded=False),
    "distilled from a record": distilled(recorded=True),
    "without forgetting": without_forgetting,
    "jointly": jointly,
}
methods = pytest.mark.parametrize("name", METHODS)


@methods
def test_methods_give_the_cpus_history_and_weights(name):
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
def test_methods_never_wait_in_a_step(name):
    """Epochs of 11 steps wait as often as epochs of 6."""
    waits = []
    for batch in (4, 2):
        LOG.clear()
        METHODS[name]("gpu", batch)
        waits.append([w for w in LOG.synchronisations if "to_host" not in w])
    assert len(waits[0]) == len(waits[1]) > 0


@stand_in_only
def test_record_is_copied_back_one_batch_at_a_time():
    model = network().to("gpu")
    LOG.clear()
    found = record_responses(model, loader(4))
    assert isinstance(found, np.ndarray)
    assert len(LOG.synchronisations) == -(-len(DATA) // 4)
