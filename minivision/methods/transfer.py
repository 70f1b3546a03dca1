"""Transfer learning: what a network learned from many images serves a task that has few.

    approach 1   chop the head, freeze the body, train a new head       extract_features
    approach 2   train everything on, the body slowly, the head fast    fine_tune

Both begin with `with_new_head(source, classes)`, which models/heads.py has. With hidden=(2048,)
the new head has the adaptation layers of Oquab, Bottou, Laptev & Sivic 2014. The baseline is the
same network from fresh weights, `fine_tune` with body_rate=1 on it. (Yosinski et al. 2014 compare
the two approaches layer by layer.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minivision.datasets import DataLoader
from minivision.methods.checks import check_classes
from minivision.methods.responses import RecordedBatches, record_responses
from minivision.models import BodyAndHead
from minivision.nn import BatchNorm2d, Module, Parameter
from minivision.optim import Adam, Optimizer
from minivision.optim.schedules import Schedule
from minivision.training import Run, classification_loss, fit
from minivision.training.loop import History

MakeOptimizer = Callable[..., Optimizer]  # called with parameters or groups, and lr
Validate = Callable[[Module], Mapping[str, float]]


def extract_features(
    model: BodyAndHead,
    loader: DataLoader,
    epochs: int,
    *,
    lr: float = 1e-3,
    optimizer: MakeOptimizer = Adam,
    cached: bool = False,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Approach 1: train the head alone; the body stays as it is, to the bit.

    optimizer(parameters, lr) -> an Optimizer, such as Adam or partial(SGD, momentum=0.9).
    cached: let the body look at each image once, and train the head on what it recorded: softmax
        regression on features, many times faster, with the same results but for rounding. It
        needs a loader without augmentation (ValueError). It validates with whole images.

    The body is frozen while the head is trained and thawed afterwards.
    """
    check_classes("extract_features", model.head, loader.dataset)
    model.body.freeze()
    try:
        if not cached:
            return fit(
                model, loader, classification_loss, optimizer(model.head.parameters(), lr), epochs,
                schedule=schedule, validate=validate, seed=seed, run=run, device=device,
            )  # fmt: skip
        model.to(device)
        return fit(
            model.head,
            RecordedBatches(record_responses(model.body, loader), loader),
            classification_loss,
            optimizer(model.head.parameters(), lr),
            epochs,
            schedule=schedule,
            validate=None if validate is None else lambda head: validate(model),
            seed=seed,
            run=run,
            device=device,
        )
    finally:
        model.body.thaw()


def fine_tune(
    model: BodyAndHead,
    loader: DataLoader,
    epochs: int,
    *,
    lr: float = 1e-3,
    body_rate: float = 0.1,
    layer_decay: float = 1.0,
    optimizer: MakeOptimizer = Adam,
    schedule: Schedule | None = None,
    validate: Validate | None = None,
    seed: int = 0,
    run: Run | None = None,
    device: str = "auto",
) -> History:
    """Approach 2: train everything, the head with the rate lr, the body with lr·body_rate.

    layer_decay: below 1 the body's layers learn the more slowly, the nearer they are to the
        image; see `rate_groups`. optimizer(groups, lr) -> an Optimizer.
    """
    check_classes("fine_tune", model.head, loader.dataset)
    return fit(
        model,
        loader,
        classification_loss,
        optimizer(rate_groups(model, lr, body_rate, layer_decay), lr),
        epochs,
        schedule=schedule,
        validate=validate,
        seed=seed,
        run=run,
        device=device,
    )


def rate_groups(
    model: BodyAndHead, lr: float, body_rate: float = 0.1, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameter groups: lr for the head, and for layer l of the body's L (1 is at the image)

        lr · body_rate · layer_decay^(L - l)

    A tenth for the body is the habit of fine-tuning recipes; layer_decay=0.75 is timm's. A layer
    is whatever owns weights, and a normalisation belongs to the layer before it. Every parameter
    is in one group; a layer whose rate is 0 has none and keeps its weights. (Its running
    statistics still follow the images; `freeze` keeps them too.)

    >>> from minivision.models import lenet5, with_new_head
    >>> model = with_new_head(lenet5(), 5)
    >>> [round(group["lr"], 6) for group in rate_groups(model, 0.01, 0.1, layer_decay=0.5)]
    [0.000125, 0.00025, 0.0005, 0.001, 0.01]
    """
    for name, value in (("lr", lr), ("body_rate", body_rate), ("layer_decay", layer_decay)):
        if not value >= 0:
            raise ValueError(f"rate_groups: {name} is {value}; expected a number of 0 or more")
    layers = layers_with_weights(model.body)
    groups: list[dict[str, Any]] = [
        {"params": layer, "lr": lr * body_rate * layer_decay ** (len(layers) - number)}
        for number, layer in enumerate(layers, start=1)
    ]
    groups = [group for group in groups if group["lr"] > 0]
    return [*groups, {"params": list(model.head.parameters()), "lr": lr}]


def layers_with_weights(body: Module) -> list[list[Parameter]]:
    """The parameters of each layer of a body, from the image on."""
    layers: list[list[Parameter]] = []
    for module in body.modules():
        own = [part for part in vars(module).values() if isinstance(part, Parameter)]
        if own and layers and isinstance(module, BatchNorm2d):
            layers[-1] += own
        elif own:
            layers.append(own)
    return layers
