"""Train a network with a learner's function, next to the same network with the engine's own.

While a network learns with the learner's function, the fast forms are switched off, so that the
engine runs the code that the learner has replaced. `plans.py` says for each exercise where the
engine uses what the learner has written.

You can skip this file on a first reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from minivision import fast, manual_seed
from minivision import functional as F
from minivision.datasets import DataLoader, load_dataset
from minivision.exercises.exercise import Function
from minivision.functional import convolution
from minivision.models import lenet5
from minivision.nn import MaxPool2d, Module
from minivision.optim import SGD
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, ToArray

EPOCHS, BATCH_SIZE, RATE = 4, 32, 0.02
# where the engine looks up a function, if not in `functional`
HOMES: dict[str, tuple[Any, str]] = {
    "im2col": (convolution, "im2col"), "max_pool2d": (MaxPool2d, "pool"),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a network is trained with.

    functions: replace those of the engine with these names. engines: what differs when the same
    network is trained without the learner's function.
    """

    functions: dict[str, Function] = field(default_factory=dict)
    network: Callable[[], Module] = lenet5
    loss: Callable[..., Any] = classification_loss
    optimizer: type[SGD] = SGD
    transform: Function | None = None  # of single images
    batch_transform: Function | None = None
    engines: dict[str, Any] = field(default_factory=dict)

    def without_it(self) -> Plan:
        return Plan(network=self.network, **self.engines)


@contextmanager
def replaced(functions: dict[str, Function]) -> Iterator[None]:
    """Let the engine use these functions, with its fast forms switched off, until the block ends.

    functions: by their names in the engine.
    """
    homes = {name: HOMES.get(name, (F, name)) for name in functions}
    before = {name: getattr(*home) for name, home in homes.items()}
    try:
        for name, function in functions.items():
            put(*homes[name], function)
        with fast.off() if functions else nullcontext():
            yield
    finally:
        for name, function in before.items():
            put(*homes[name], function)


def put(home: Any, name: str, function: Function) -> None:
    """Make a function an attribute of a module or a class."""
    setattr(home, name, staticmethod(function) if isinstance(home, type) else function)


def result_of(plan: Plan) -> str:
    """Train a network on the digits; its accuracy on the test images, as a text."""
    splits, prepare = digits()
    with manual_seed(0):
        model = plan.network()
    augmented = prepare if plan.transform is None else Compose([plan.transform, prepare])
    loader = DataLoader(splits.train, BATCH_SIZE, shuffle=True, transform=augmented)
    optimizer = plan.optimizer(model.parameters(), RATE, momentum=0.9)
    with replaced(plan.functions):
        fit(model, loader, plan.loss, optimizer, EPOCHS, batch_transform=plan.batch_transform)
    return f"test accuracy {accuracy_on(model, splits.test):6.1%}"


def digits() -> tuple[Any, Compose]:
    splits = load_dataset("digits")
    pixels = splits.train.images / 255
    return splits, Compose([ToArray(), Normalize(pixels.mean(), pixels.std())])


def accuracy_on(model: Module, images: Any) -> float:
    return evaluate(model, DataLoader(images, 250, transform=digits()[1]))["accuracy"]


def compared_with_the_engine(name: str, plan: Plan) -> None:
    """Train with the learner's function and with the engine's, and print accuracy and time."""
    compared(
        f"a network learns to read digits, for {EPOCHS} epochs, with {name}",
        lambda: result_of(plan), lambda: result_of(plan.without_it()),
    )  # fmt: skip


def compared(what: str, yours: Function, engines: Function) -> None:
    """Run the same experiment with both functions, and print what they return, and their times."""
    print(what)
    for whose, run in (("yours", yours), ("the engine's", engines)):
        print(f"  {whose}", flush=True)
        begun = time.perf_counter()
        print(f"    {run()}   {time.perf_counter() - begun:5.1f} s", flush=True)
    print("(Rounding, and other random draws, change the accuracy a little.)")


def learn(model: Module, batches: Any, loss: Callable[..., Any]) -> Module:
    fit(model, batches, loss, SGD(model.parameters(), RATE, momentum=0.9), EPOCHS)
    return model
