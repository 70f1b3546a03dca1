"""`fit`: it learns, records, refuses, and resumes after a kill as if nothing had happened."""

import numpy as np
import pytest

from minivision import Tensor, manual_seed
from minivision import functional as F
from minivision.nn import BatchNorm1d, Dropout, Linear, ReLU, Sequential
from minivision.optim import SGD, Adam, DivideWhenStalled, WeightAverage, step_decay
from minivision.training import (
    Batch,
    Run,
    classification_loss,
    evaluate,
    fit,
    load_model,
    predict_logits,
    train_step,
)
from tests.refusals import refused


class Batches:
    """A tiny stand-in for a DataLoader: two separable classes, an order keyed by the epoch."""

    def __init__(self, n=40, batch_size=8, features=5):
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, 2, n)
        self.images = rng.normal(size=(n, features)).astype(np.float32)
        self.images[:, 0] += 3 * (2 * self.labels - 1)
        self.batch_size = batch_size

    def __call__(self, epoch):
        order = np.random.default_rng((7, epoch)).permutation(len(self.labels))
        parts = np.array_split(order, len(order) // self.batch_size)
        return [(self.images[p], self.labels[p]) for p in parts]


def network(p=0.5, seed=0):
    manual_seed(seed)
    return Sequential(Linear(5, 8), ReLU(), Dropout(p), Linear(8, 2))


def train(model, epochs, run=None, average=None, **options):
    optimizer = Adam(model.parameters(), 0.02)
    return fit(
        model,
        Batches(),
        classification_loss,
        optimizer,
        epochs,
        run=run,
        average=average,
        schedule=step_decay(every=1.5, factor=0.5),
        device="cpu",
        **options,
    )


def weights(model):
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def test_fit_learns_and_records_every_epoch():
    model = network(p=0.0)
    history = train(model, 6)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5, 6]
    assert history["train_loss"][-1] < history["train_loss"][0] / 2
    assert history["train_accuracy"][-1] > 0.9
    assert all(seconds >= 0 for seconds in history["seconds"])


def test_fit_is_a_loop_around_train_step():
    """The same batches given to `train_step` by hand lead to the same weights, to the bit."""
    expected, model, batches = network(p=0.0), network(p=0.0), Batches()
    fit(expected, Batches(), classification_loss, SGD(expected.parameters(), 0.1), 2, device="cpu")
    optimizer = SGD(model.parameters(), 0.1)
    for epoch in range(2):
        for images, labels in batches(epoch):
            batch = Batch(Tensor(images), labels)
            value, report = train_step(model, batch, classification_loss, optimizer)
    assert value.size == 1
    assert set(report) == {"train_accuracy"}
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_fit_scales_the_learning_rate_at_every_step():
    times = []

    def schedule(time):
        times.append(time)
        return 1.0

    model = network(p=0.0)
    optimizer = SGD(model.parameters(), 0.1)
    fit(model, Batches(), classification_loss, optimizer, 2, schedule=schedule, device="cpu")
    assert times == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8])  # five steps each


def test_fit_drops_other_units_at_every_step():
    """With a learning rate of 0, only the units that are dropped can change the loss of a batch."""
    model, batch = network(p=0.5), Batches()(0)[0]
    optimizer = SGD(model.parameters(), 0.0)
    history = fit(model, lambda epoch: [batch], classification_loss, optimizer, 3, device="cpu")
    assert len(set(history["train_loss"])) == 3


def test_fit_passes_indices_and_a_tuple_of_batches_of_several_loaders():
    seen = []

    def loss(model, batches):
        seen.append([batch.indices for batch in batches])
        assert batches[0].step == batches[1].step == len(seen) - 1
        return sum(F.cross_entropy(model(batch.images), batch.targets) for batch in batches)

    def pairs(epoch):
        return [
            ((images, labels, np.arange(len(labels))), (images, labels))
            for images, labels in Batches()(epoch)
        ]

    model = network(p=0.0)
    options = SGD(model.parameters(), lr=0.1), 1
    history = fit(model, pairs, loss, *options, device="cpu")
    assert history["train_loss"][0] > 0
    assert all(indices.tolist() == list(range(8)) and none is None for indices, none in seen)
    with refused(ValueError, "fit: batch_transform", "batches", "several"):
        fit(model, pairs, loss, *options, batch_transform=lambda *given: given, device="cpu")


def test_fit_records_means_that_weight_every_image_equally():
    """40 images in batches of 13, 13, 14: the epoch's mean is over images, not over batches."""
    batches = Batches(batch_size=13)
    model = network(p=0.0)
    expected = F.cross_entropy(model(Tensor(batches.images)), batches.labels).item()
    history = fit(
        model, batches, classification_loss, SGD(model.parameters(), lr=0.0), 1, device="cpu"
    )
    assert history[0]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_fit_averages_named_scalars_of_the_loss_into_the_record():
    model = network(p=0.0)

    def loss(model, batch):
        return F.cross_entropy(model(batch.images), batch.targets), {"step_seen": float(batch.step)}

    optimizer = SGD(model.parameters(), lr=0.1)
    history = fit(model, Batches(), loss, optimizer, 2, device="cpu")
    assert history["step_seen"] == [2.0, 7.0]  # the means of steps 0..4 and 5..9


def test_fit_takes_a_loss_that_returns_only_a_tensor():
    model = network(p=0.0)
    history = fit(
        model,
        Batches(),
        lambda model, batch: F.cross_entropy(model(batch.images), batch.targets),
        SGD(model.parameters(), lr=0.1),
        1,
        device="cpu",
    )
    assert set(history[0]) == {"epoch", "train_loss", "seconds"}


def test_fit_gives_the_same_bits_for_the_same_seed_only():
    a, b, c = network(), network(), network()
    train(a, 2, seed=3)
    train(b, 2, seed=3)
    train(c, 2, seed=4)  # other dropout masks
    assert weights(a) == weights(b) != weights(c)


def test_fit_resumes_to_the_bit_with_an_average_that_warms_up(tmp_path):
    def averaged(model, epochs, folder):
        average = WeightAverage(model, 0.999, warm_up=True)
        train(model, epochs, folder, average)
        return average

    whole = averaged(network(), 3, Run.create(tmp_path / "whole", {}))
    averaged(network(), 1, Run.create(tmp_path / "parts", {}))
    resumed = averaged(network(seed=9), 3, Run.open(tmp_path / "parts"))
    assert resumed.updates == whole.updates == 15
    for name, array in whole.average.items():
        assert resumed.average[name].tobytes() == array.tobytes()
    model = network()
    load_model(tmp_path / "parts" / "checkpoint.safetensors", model)
    assert model[0].weight.data.tobytes() == whole.average["0.weight"].tobytes()


def test_fit_resumes_to_the_bit(tmp_path):
    whole = network()
    average = WeightAverage(whole, 0.9)
    full = train(whole, 5, Run.create(tmp_path / "whole", {}), average)

    first = network()
    train(first, 2, Run.create(tmp_path / "parts", {}), WeightAverage(first, 0.9))
    second = network(seed=99)  # the checkpoint replaces these weights
    resumed_average = WeightAverage(second, 0.9)
    resumed = train(second, 5, Run.open(tmp_path / "parts"), resumed_average)

    assert weights(second) == weights(whole)
    assert resumed_average.average.keys() == average.average.keys()
    for name, array in average.average.items():
        assert resumed_average.average[name].tobytes() == array.tobytes()
    assert resumed["train_loss"] == full["train_loss"]
    assert [record["epoch"] for record in Run.open(tmp_path / "parts").history()] == [1, 2, 3, 4, 5]


def test_fit_repeats_an_epoch_that_was_logged_but_not_saved(tmp_path):
    run = Run.create(tmp_path / "run", {})
    model = network()
    train(model, 2, run)
    run.log({"epoch": 3, "train_loss": 123.0})  # killed before the checkpoint of epoch 3
    train(network(), 3, Run.open(run.path))
    records = run.history()
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert records[2]["train_loss"] != 123.0


def test_fit_refuses_to_resume_with_another_seed(tmp_path):
    train(network(), 1, Run.create(tmp_path / "run", {}), seed=1)
    with refused(ValueError, "seed is 2", "checkpoint.safetensors", "with 1"):
        train(network(), 2, Run.open(tmp_path / "run"), seed=2)


def test_fit_refuses_a_checkpoint_of_another_model_and_changes_nothing(tmp_path):
    run = Run.create(tmp_path / "run", {})
    train(network(), 1, run)
    manual_seed(0)
    other = Sequential(Linear(5, 3))
    before = weights(other)
    with refused(ValueError, str(run.checkpoint_path), "different model"):
        train(other, 2, Run.open(run.path))
    with refused(ValueError, "different model", "0.weight", "(8, 5)", "(3, 5)"):
        load_model(run.checkpoint_path, other)
    assert weights(other) == before


def test_fit_stops_at_a_nan_before_the_update_and_names_function_and_line():
    model = network(p=0.5)
    before = weights(model)

    def loss(model, batch):
        logits = model(batch.images)
        return F.log(logits - logits.max() - 1.0).mean()

    line = "test_loop.py:", "F.log(logits - logits.max() - 1.0)"
    with refused(FloatingPointError, "fit: the loss", "nan at step 0", "no weight", "log:", *line):
        fit(model, Batches(), loss, SGD(model.parameters(), lr=0.1), 1, device="cpu")
    assert weights(model) == before


@pytest.mark.parametrize(
    ("lr", "fragments"),
    [(1e30, ("huge", ".weight", "e+")), (1e39, ("0.weight", "infinite or NaN"))],
)
def test_fit_stops_an_exploding_run(lr, fragments):
    model = network(p=0.0)
    optimizer = SGD(model.parameters(), lr=lr)
    with refused(FloatingPointError, *fragments, "nothing", "lower learning rate"):
        fit(model, Batches(), classification_loss, optimizer, 3, device="cpu")


def spoilt_images(images, labels):
    images[1, 2] = np.nan
    return images, labels


def label_out_of_range(images, labels):
    labels[0] = 99
    return images, labels


class Spoilt:
    """The batches of `Batches`, with the third one spoilt."""

    def __init__(self, spoil):
        self.spoil = spoil

    def __call__(self, epoch):
        batches = [(images.copy(), labels.copy()) for images, labels in Batches()(epoch)]
        batches[2] = self.spoil(*batches[2])
        return batches


@pytest.mark.parametrize("spoil", [spoilt_images, label_out_of_range])
def test_fit_undoes_a_step_that_it_refuses(spoil):
    """Weights, optimizer, rate and running statistics are those after two steps, to the bit."""

    def trained(batches):
        manual_seed(0)
        first, norm = Linear(5, 4), BatchNorm1d(4)
        model = Sequential(first, norm, Linear(4, 3))
        optimizer = Adam(model.parameters(), lr=0.05)
        halving = lambda epochs: 0.5 ** (10 * epochs)  # noqa: E731
        error = None
        try:
            fit(model, batches, classification_loss, optimizer, 1, schedule=halving, device="cpu")
        except (FloatingPointError, ValueError) as caught:
            error = caught
        return model, optimizer, error

    model, optimizer, error = trained(Spoilt(spoil))
    assert error is not None
    whole = Batches()(0)
    as_many = len(whole)

    class Two:
        """Two batches, in an epoch whose length says that there are more."""

        def __call__(self, epoch):
            return self

        def __len__(self):
            return as_many

        def __iter__(self):
            return iter(whole[:2])

    expected, theirs, none = trained(Two())
    assert none is None
    for state, other in (
        (model.state_dict(), expected.state_dict()),
        (optimizer.state_dict(), theirs.state_dict()),
    ):
        assert state.keys() == other.keys()
        for name in state:
            assert state[name].tobytes() == other[name].tobytes(), name
    assert optimizer.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
    assert np.isfinite(model.state_dict()["1.running_mean"]).all()


def test_fit_validates_in_evaluation_mode_with_the_averaged_weights():
    model = network(p=0.5)
    average = WeightAverage(model, decay=0.5)
    seen = []

    def validate(model):
        seen.append(model[0].weight.data is average.average["0.weight"])
        return evaluate(model, Batches()(0))

    history = train(model, 2, average=average, validate=validate)
    assert seen == [True, True]
    assert model[0].weight.data is not average.average["0.weight"]
    assert set(history[0]) >= {"validation_loss", "validation_accuracy"}


def test_evaluate_needs_no_keys_keeps_no_tape_and_restores_the_mode():
    model = network(p=0.5)
    logits, labels = predict_logits(model, Batches()(0))
    assert logits.shape == (40, 2)
    assert model.training
    again, _ = predict_logits(model, Batches()(0))
    np.testing.assert_array_equal(logits, again)  # no dropout
    result = evaluate(model, Batches()(0))
    assert result["accuracy"] == (logits.argmax(1) == labels).mean()
    assert result["loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_fit_gives_batch_transform_a_generator_keyed_by_seed_and_step():
    draws = []

    def transform(images, targets, rng):
        draws.append(rng.random())
        soft = np.eye(2, dtype=np.float32)[targets]
        return images[::-1].copy(), soft[::-1].copy(), 0.5

    for _ in range(2):
        model = network(p=0.0)
        optimizer = SGD(model.parameters(), lr=0.1)
        history = fit(
            model,
            Batches(),
            classification_loss,
            optimizer,
            1,
            batch_transform=transform,
            device="cpu",
        )
        assert history[0]["train_accuracy"] > 0.3
    assert len(set(draws)) == 5
    assert draws[:5] == draws[5:]


def test_fit_does_not_log_an_epoch_twice_that_was_logged_before_the_first_checkpoint(tmp_path):
    run = Run.create(tmp_path / "run", {})
    run.log({"epoch": 1, "train_loss": 9.0})  # and then the power failed
    train(network(), 2, Run.open(run.path))
    assert [record["epoch"] for record in run.history()] == [1, 2]


def test_fit_averages_a_scalar_over_the_steps_that_report_it():
    def loss(model, batch):
        value = F.cross_entropy(model(batch.images), batch.targets)
        return (value, {"rare": 1.0}) if batch.step == 2 else value

    model = network(p=0.0)
    history = fit(model, Batches(), loss, SGD(model.parameters(), 0.1), 1, device="cpu")
    assert history["rare"] == [1.0]


def test_divide_when_stalled_starts_again_when_used_again():
    schedule = DivideWhenStalled("train_loss", patience=0)
    for _ in range(2):
        schedule.begin([{"train_loss": loss} for loss in (1.0, None, 2.0)], validated=False)
        assert schedule.now == pytest.approx(0.01)  # None (not finite) is never the best


def test_fit_refuses_a_schedule_that_watches_validation_if_there_is_none():
    model = network()
    before = weights(model)
    optimizer = SGD(model.parameters(), 0.1)
    with refused(ValueError, "DivideWhenStalled", "'validation_loss'", "validate is None"):
        fit(model, Batches(), classification_loss, optimizer, 1, schedule=DivideWhenStalled())
    assert weights(model) == before


def test_evaluate_restores_the_mode_after_an_error():
    model = network()
    with refused(ValueError, "linear: x", "3 features"):
        evaluate(model, [(np.zeros((2, 3), np.float32), np.zeros(2, np.int64))])
    assert model.training


def test_fit_restores_the_mode():
    model = network().eval()
    train(model, 1)
    assert not model.training


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
@pytest.mark.parametrize("where", ["loss", "validate", "batches"])
def test_fit_restores_the_mode_when_interrupted(error, where):
    def interrupted(*given):
        raise error

    given = {"loss": classification_loss, "batches": Batches(), "validate": None}
    given[where] = interrupted
    model = network().eval()
    with pytest.raises(error):
        fit(
            model, given["batches"], given["loss"], SGD(model.parameters(), 0.1), 1,
            validate=given["validate"], device="cpu",
        )  # fmt: skip
    assert not any(part.training for part in model.modules())


def test_fit_resumes_to_the_bit_with_a_schedule_that_follows_the_results(tmp_path):
    def run(model, epochs, folder):
        optimizer = SGD(model.parameters(), lr=0.5)
        schedule = DivideWhenStalled("train_loss", patience=0, factor=0.5)
        return fit(
            model,
            Batches(),
            classification_loss,
            optimizer,
            epochs,
            schedule=schedule,
            run=folder,
            device="cpu",
        ), schedule

    whole, parts = network(), network()
    _, schedule = run(whole, 8, Run.create(tmp_path / "whole", {}))
    assert schedule.now < 1  # it did stall; otherwise the test shows nothing
    run(parts, 5, Run.create(tmp_path / "parts", {}))
    resumed = network(seed=9)
    _, again = run(resumed, 8, Run.open(tmp_path / "parts"))
    assert weights(resumed) == weights(whole)
    assert (again.now, again.best, again.waited) == (schedule.now, schedule.best, schedule.waited)
