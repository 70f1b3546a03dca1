"""Early stopping: when it ends, which weights it keeps, and that a kill changes nothing."""

import numpy as np
import pytest

from minivision import manual_seed
from minivision.nn import Linear, Sequential
from minivision.optim import SGD, WeightAverage
from minivision.training import EarlyStopping, Run, classification_loss, fit, load_model
from tests.refusals import refused

LOSSES = [3.0, 1.0, 2.0, 1.0, 1.5, 0.5]  # of the validation: epoch 2 is the best of the first five


def batches(epoch):
    rng = np.random.default_rng(epoch)
    return [(rng.normal(size=(8, 3)).astype(np.float32), rng.integers(0, 2, 8)) for _ in range(2)]


def trained(epochs, stopping, run=None, seed=0, losses=LOSSES, averaged=False):
    """A model, the history, and the weights that each validation saw."""
    manual_seed(seed)
    model = Sequential(Linear(3, 2))
    done, seen = len(run.history()) if run is not None else 0, []

    def validate(model):
        seen.append(model.state_dict())
        return {"loss": losses[done + len(seen) - 1]}

    history = fit(
        model, batches, classification_loss, SGD(model.parameters(), 0.1, momentum=0.9), epochs,
        validate=validate, early_stopping=stopping, run=run, device="cpu",
        average=WeightAverage(model, 0.5) if averaged else None,
    )  # fmt: skip
    return model, history, seen


def same(ours, theirs):
    return {k: a.tobytes() for k, a in ours.items()} == {k: a.tobytes() for k, a in theirs.items()}


@pytest.mark.parametrize("averaged", [False, True], ids=["weights", "averaged weights"])
def test_fit_stops_after_patience_epochs_and_ends_with_the_best_weights(averaged):
    stopping = EarlyStopping(patience=3)
    model, history, seen = trained(20, stopping, averaged=averaged)
    assert len(history) == 5  # epoch 4 only equals the best
    assert stopping.best_epoch(history) == 2
    assert same(model.state_dict(), seen[1])
    assert not same(seen[1], seen[4])


def test_early_stopping_restarts_its_patience_after_a_better_epoch():
    stopping = EarlyStopping(patience=4)
    model, history, seen = trained(6, stopping)
    assert len(history) == stopping.best_epoch(history) == 6
    assert same(model.state_dict(), seen[5])


@pytest.mark.parametrize("killed_after", [1, 2, 4, 5])
def test_early_stopping_of_a_killed_run_ends_at_the_same_epoch_with_the_same_weights(
    tmp_path, killed_after
):
    whole, history, _ = trained(20, EarlyStopping(3), Run.create(tmp_path / "whole", {}))
    trained(killed_after, EarlyStopping(3), Run.create(tmp_path / "parts", {}))
    stopping = EarlyStopping(3)
    resumed, again, _ = trained(20, stopping, Run.open(tmp_path / "parts"), seed=9)
    assert same(resumed.state_dict(), whole.state_dict())
    assert again["validation_loss"] == history["validation_loss"]
    assert stopping.best_epoch(again) == 2
    files = [(tmp_path / n / "checkpoint.safetensors").read_bytes() for n in ("whole", "parts")]
    assert files[0] == files[1]


def test_early_stopping_uses_the_best_weights_and_resumes_from_the_last(tmp_path):
    run = Run.create(tmp_path / "run", {})
    model, _, seen = trained(4, EarlyStopping(5), run)
    used = Sequential(Linear(3, 2))
    load_model(run.checkpoint_path, used)
    assert same(used.state_dict(), seen[1])
    _, history, after = trained(6, EarlyStopping(5), run)
    straight = trained(6, EarlyStopping(5))
    assert same(after[-1], straight[2][-1])
    assert history["validation_loss"] == LOSSES


def test_early_stopping_ignores_numbers_that_are_not_finite():
    stopping = EarlyStopping(2)
    records = [{"validation_loss": loss} for loss in (float("nan"), 2.0, None, float("inf"))]
    assert stopping.best_epoch(records) == 2
    assert stopping.stops(records)


def test_fit_refuses_a_checkpoint_if_only_one_side_has_early_stopping(tmp_path):
    stopped, plain = (Run.create(tmp_path / name, {}) for name in ("stopped", "plain"))
    trained(1, EarlyStopping(3), stopped)
    trained(1, None, plain)
    with refused(ValueError, str(stopped.checkpoint_path), "weights of a best epoch", "no early"):
        trained(2, None, stopped)
    with refused(ValueError, str(plain.checkpoint_path), "no weights of a best epoch"):
        trained(2, EarlyStopping(3), plain)
