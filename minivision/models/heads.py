"""Backbones and heads: cut a trained network in two, and attach a new head to its backbone.

The backbone turns images into features, and the head turns features into the scores of the classes
of one task. The backbone holds what the network has learned about images in general. Nothing is
copied: the parts share their weights with the network they are cut from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from re import sub
from typing import Any, NamedTuple, cast

from minivision.backend import Array
from minivision.errors import refuses_rng, require_one_of
from minivision.functional import cross_entropy
from minivision.models.network import Network
from minivision.models.resnet import ResNet
from minivision.nn import Linear, Module, ReLU, Sequential
from minivision.tensor import Tensor


class Cut(NamedTuple):
    """A network in two parts: backbone(x) is (N, features), and head(backbone(x)) = model(x)."""

    backbone: Module
    head: Module
    features: int


def cut(model: Module, layers: int = 1) -> Cut:
    """Cut a network before the last `layers` of its fully connected layers.

    layers=1 removes the last layer, which scores the classes; in AlexNet, layers=3 leaves only the
    convolutions. Raises ValueError if the network has fewer layers, TypeError if it is not of a
    known kind.

    >>> from minivision.models import alexnet
    >>> from minivision.nn import skip_init
    >>> with skip_init():
    ...     model = alexnet()
    >>> [cut(model, layers).features for layers in (1, 2, 3)]
    [4096, 4096, 9216]
    """
    if isinstance(model, BackboneAndHead | ResNet):
        if layers != 1:
            raise ValueError(f"cut: layers is {layers}; expected 1 for a {type(model).__name__}")
        if isinstance(model, BackboneAndHead):
            return Cut(model.backbone, model.head, features_into(model.head))
        backbone: Any = copy(model)
        backbone.fc = Sequential()  # with no layers, it returns its input
        return Cut(backbone, Sequential(model.fc), model.fc.in_features)
    if not isinstance(model, Network):
        came = type(model).__name__
        raise TypeError(
            f"cut: model is a {came}; expected a Network, a ResNet or a BackboneAndHead"
        )
    parts = list(model.classifier)
    places = [i for i, part in enumerate(parts) if isinstance(part, Linear)]
    if not 1 <= layers <= len(places):
        raise ValueError(
            f"cut: layers is {layers}; expected 1 to {len(places)}, the model's linear layers"
        )
    place = places[-layers]
    backbone, last = copy(model), cast(Linear, parts[place])
    backbone.classifier = Sequential(*parts[:place])
    return Cut(backbone, Sequential(*parts[place:]), last.in_features)


@refuses_rng
def new_head(features: int, classes: int, hidden: Sequence[int] = ()) -> Sequential:
    """A new head: features (N, D) -> logits (N, K), with a ReLU layer for each size in hidden.

    With one hidden layer, the head consists of the adaptation layers FCa and FCb of Oquab et al.
    2014.
    """
    parts: list[Module] = []
    for units in hidden:
        parts += [Linear(features, units), ReLU()]
        features = units
    return Sequential(*parts, Linear(features, classes))


class OnBackbone(Module):
    """Base class of networks that add one or more new heads to the backbone of another network."""

    def __init__(self, backbone: Module):
        self.input_shape = getattr(backbone, "input_shape", None)
        self.pixel_range = getattr(backbone, "pixel_range", None)
        self.backbone = backbone
        self.training = backbone.training  # so that evaluation restores the backbone's mode

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """See `Module.load_state_dict`. Also takes the names of version 0.1, `body.…`."""
        super().load_state_dict({sub(r"^body\.", "backbone.", n): a for n, a in arrays.items()})


class BackboneAndHead(OnBackbone):
    """x (N, C, H, W) -> logits (N, K): the backbone of another network with a new head."""

    def __init__(self, backbone: Module, head: Module):
        super().__init__(backbone)
        self.head, self.loss = head, cross_entropy

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


class MultiHead(OnBackbone):
    """x (N, C, H, W) -> {task: logits (N, K)}: one backbone, and a head for each task.

    Every task has its own classes and its own head. `task` returns the network for one task, which
    shares its weights with this network.
    """

    def __init__(self, backbone: Module, heads: Mapping[str, Module]):
        super().__init__(backbone)
        self.heads = dict(heads)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        return {name: head(features) for name, head in self.heads.items()}

    def task(self, name: str) -> BackboneAndHead:
        """The network of one task."""
        require_one_of("MultiHead: task", name, self.heads)
        return BackboneAndHead(self.backbone, self.heads[name])


@refuses_rng
def with_new_head(
    model: Module,
    classes: int,
    *,
    layers: int = 1,
    hidden: Sequence[int] = (),
) -> BackboneAndHead:
    """The model's backbone (shared, not copied) with a new head for different classes.

    layers: how many fully connected layers are removed; hidden: see `new_head`.

    >>> from minivision.models import lenet5
    >>> with_new_head(lenet5(), 3).head
    Sequential(
      (0): Linear(84, 3)
    )
    """
    backbone, _, features = cut(model, layers)
    return BackboneAndHead(backbone, new_head(features, classes, hidden))


def features_into(head: Module) -> int:
    """How many features the first linear layer of a head expects."""
    return next(part.in_features for part in head.modules() if isinstance(part, Linear))
