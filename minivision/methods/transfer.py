"""Transfer learning: use what a network learned from many images for a task that has few.

Keep the backbone of the trained network, attach a new head for the new classes, and train:

    model = with_new_head(old_network, classes)

    approach 1: freeze the backbone and train the head

        model.backbone.freeze()
        fit(model, loader, classification_loss, Adam(model.head.parameters(), lr), epochs)

    approach 2: fine-tune everything, the backbone with a lower learning rate than the head

        groups = rate_groups(model, lr, backbone_rate=0.1)
        fit(model, loader, classification_loss, Adam(groups, lr), epochs)

A frozen backbone computes the same features for an image in every epoch. Without augmentation, it
need run only once per image. Approach 1 is then softmax regression on its features, which is much
faster:

        features = RecordedBatches(record_responses(model.backbone, loader), loader)
        fit(model.head, features, classification_loss, Adam(model.head.parameters(), lr), epochs)

`with_new_head` is in models/heads.py; with hidden=(2048,) the new head has the adaptation layers
of Oquab, Bottou, Laptev & Sivic 2014. The baseline is the same network trained from scratch.
(Yosinski et al. 2014 compare the two approaches layer by layer.)
"""

from __future__ import annotations

from typing import Any

from minivision.models import BackboneAndHead
from minivision.nn import BatchNorm2d, Module, Parameter


def rate_groups(
    model: BackboneAndHead, lr: float, backbone_rate: float = 0.1, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameter groups: lr for the head, and for layer l of the backbone's L (1 is at the image)

        lr · backbone_rate · layer_decay^(L - l)

    A backbone_rate of a tenth is usual in fine-tuning; layer_decay=0.75 is timm's default. A layer
    is a module that owns weights; batch normalization counts as part of the layer before it. Every
    parameter is in one group, except that a layer whose learning rate is 0 is in no group and keeps
    its weights. (Its running statistics still follow the images; `freeze` keeps them fixed, too.)

    >>> from minivision.models import lenet5, with_new_head
    >>> model = with_new_head(lenet5(), 5)
    >>> [round(group["lr"], 6) for group in rate_groups(model, 0.01, 0.1, layer_decay=0.5)]
    [0.000125, 0.00025, 0.0005, 0.001, 0.01]
    """
    for name, value in (("lr", lr), ("backbone_rate", backbone_rate), ("layer_decay", layer_decay)):
        if not value >= 0:
            raise ValueError(f"rate_groups: {name} is {value}; expected at least 0")
    layers = layers_with_weights(model.backbone)
    groups: list[dict[str, Any]] = [
        {"params": layer, "lr": lr * backbone_rate * layer_decay ** (len(layers) - number)}
        for number, layer in enumerate(layers, start=1)
    ]
    groups = [group for group in groups if group["lr"] > 0]
    return [*groups, {"params": list(model.head.parameters()), "lr": lr}]


def layers_with_weights(backbone: Module) -> list[list[Parameter]]:
    """The parameters of each layer of a backbone, starting at the image."""
    layers: list[list[Parameter]] = []
    for module in backbone.modules():
        own = [part for part in vars(module).values() if isinstance(part, Parameter)]
        if own and layers and isinstance(module, BatchNorm2d):
            layers[-1] += own
        elif own:
            layers.append(own)
    return layers
