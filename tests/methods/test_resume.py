"""Killed and resumed, every method ends with the same bits as a run that nothing stopped.

One matrix: each method is killed in a step, before an epoch is logged, and between its line in
metrics.jsonl and its checkpoint. Steps and epochs are counted through all stages of a method.
"""

import itertools
from functools import cache, partial

import pytest

from minivision.methods import hide_labels, pseudo_label_batches, ramp
from minivision.optim import WeightAverage, step_decay
from minivision.training import Run, loop
from minivision.transforms import Compose, RandomTranslate, ToArray
from tests.methods import test_distillation as distillation
from tests.methods import test_joint_batches as joint
from tests.methods import test_learning_without_forgetting as lwf
from tests.methods import test_noisy_student as noisy_student
from tests.methods import test_pseudo_label as pseudo_label
from tests.methods import test_transfer as transfer
from tests.methods.old_network import network, weights

HALVING = step_decay(1, 0.5)


def distilled(run, *, recorded, alpha):
    batches = distillation.with_labels() if alpha else hide_labels(distillation.loader())
    student = network()
    history = distillation.distilled(
        student, network(7), batches=batches, recorded=recorded, alpha=alpha, schedule=HALVING,
        run=run,
    )  # fmt: skip
    return [(student, history)]


def jointly_trained(run):
    model = joint.two_tasks()
    loaders = joint.two_loaders(transform=joint.DRAWS)
    return [(model, joint.together(model, loaders, run=run, schedule=HALVING))]


def learned_without_forgetting(run):
    model = lwf.two_tasks()
    return [(model, lwf.learned(model, run=run, **lwf.RESUMED))]


def pseudo_labelled(run):
    # A checkpoint replaces the weights that a resumed run starts with.
    resumed = run is not None and run.checkpoint_path.exists()
    model = pseudo_label.network(seed=5 if resumed else 0, dropout=0.2)
    few, many, _ = pseudo_label.loaders()
    batches = pseudo_label_batches(few, many, Compose([RandomTranslate(2), ToArray()]))
    average = WeightAverage(model, 0.9)
    history = pseudo_label.trained(
        model, batches, threshold=0.4, weight=ramp(2, 10), epochs=4, average=average, run=run
    )
    return [(model, history), (average, [])]


def self_trained(run):
    student = noisy_student.network(12)
    networks = noisy_student.network(), student, student
    return [(model, [record]) for model, record in noisy_student.chain(networks, run=run)]


def extracted(run, *, recorded):
    model = network()
    return [(model, transfer.extracted(model, recorded=recorded, run=run))]


def fine_tuned(run):
    model, batches = network(), transfer.loader(transfer.DRAWS)
    history = transfer.tuned(model, layer_decay=0.5, schedule=HALVING, batches=batches, run=run)
    return [(model, history)]


# A method by name: its training, and where it is killed (in this step, at this log or save).
EVERY_EPOCH = {"step": [8], "log": [1, 2, 3], "save": [1, 3]}
METHODS = {
    "distillation": (partial(distilled, recorded=False, alpha=0.1), EVERY_EPOCH),
    "distillation recorded": (partial(distilled, recorded=True, alpha=0.1), EVERY_EPOCH),
    "distillation unlabelled": (partial(distilled, recorded=False, alpha=0), EVERY_EPOCH),
    "distillation unlabelled recorded": (partial(distilled, recorded=True, alpha=0), EVERY_EPOCH),
    "joint training": (jointly_trained, EVERY_EPOCH),
    "learning without forgetting": (
        learned_without_forgetting, {"step": [8, 18], "log": [1, 2, 3, 4, 5], "save": [1, 2, 3, 5]},
    ),
    "pseudo-labels": (pseudo_labelled, EVERY_EPOCH),
    "noisy student": (self_trained, {"step": [70], "log": [2, 4, 6], "save": [3]}),
    "frozen backbone": (partial(extracted, recorded=False), EVERY_EPOCH),
    "frozen backbone recorded": (partial(extracted, recorded=True), EVERY_EPOCH),
    "fine-tuning": (fine_tuned, EVERY_EPOCH),
}  # fmt: skip
MATRIX = [
    (method, place, count)
    for method, (_, places) in METHODS.items()
    for place, counts in places.items()
    for count in counts
]
PLACES = {"step": (loop, "train_step"), "log": (Run, "log"), "save": (loop, "save_checkpoint")}


class Killed(Exception):  # noqa: N818 - the end of a run, not a mistake in it
    pass


def ending(train, run=None):
    """All weights that a method ends with, to the bit, and its records without times."""
    return [
        (weights(model), [{**record, "seconds": None} for record in history])
        for model, history in train(run)
    ]


@cache
def undisturbed(method):
    return ending(METHODS[method][0])


@pytest.mark.parametrize(("method", "place", "count"), MATRIX)
def test_methods_resume_to_the_same_bits(tmp_path, monkeypatch, method, place, count):
    train, _ = METHODS[method]
    run = Run.create(tmp_path / "run", {})
    owner, name = PLACES[place]
    original, calls = getattr(owner, name), itertools.count(1)

    def killed(*given, **options):
        if next(calls) == count:
            raise Killed
        return original(*given, **options)

    monkeypatch.setattr(owner, name, killed)
    with pytest.raises(Killed):
        train(run)
    monkeypatch.undo()
    assert ending(train, Run.open(run.path)) == undisturbed(method)
