"""One trial of a search: train a new network with a policy, and score it on validation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minivision.datasets import DataLoader
from minivision.nn import Module
from minivision.optim import Adam, cosine
from minivision.random import manual_seed
from minivision.training import classification_loss, evaluate, fit, in_order
from minivision.transforms import Compose


@dataclass(frozen=True)
class Trial:
    """Called as trial(policy, seed); returns the accuracy on the validation images, 0 to 1.

    The seed determines the initial weights, the order of the images and the policy's draws.

    network() -> a new network, whose weights are drawn from `manual_seed(seed)`.
    train, validation: datasets. They are sent to other processes, so keep them in memory.
    baseline: transforms applied to every training image before the policy: flips, crops, …
    numbers: transforms applied to all images, after the policy: resizing, conversion to arrays,
        standardisation.
    """

    network: Callable[..., Module]
    train: Any
    validation: Any
    baseline: Sequence[Any]
    numbers: Sequence[Any]
    epochs: int
    batch_size: int = 32
    lr: float = 2e-3
    device: str = "cpu"

    def __call__(self, policy: Any, seed: int) -> float:
        return self.score(self.trained(policy, seed), self.validation)

    def trained(self, policy: Any, seed: int) -> Module:
        """A new network, trained with the baseline followed by the policy."""
        with manual_seed(seed):
            model = self.network()
        augmented = Compose([*self.baseline, policy, *self.numbers])
        fit(
            model,
            DataLoader(self.train, self.batch_size, shuffle=True, seed=seed, transform=augmented),
            classification_loss,
            Adam(model.parameters(), self.lr),
            self.epochs,
            schedule=cosine(self.epochs),
            seed=seed,
            device=self.device,
        )
        return model

    def score(self, model: Module, dataset: Any) -> float:
        """The accuracy of a network on a dataset, without augmentation."""
        return evaluate(model, in_order(dataset, Compose(self.numbers)))["accuracy"]
