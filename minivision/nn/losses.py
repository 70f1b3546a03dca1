"""Losses as modules, for those who prefer objects; each calls a function of `functional`."""

from __future__ import annotations

from typing import Any

from minivision import functional as F
from minivision.backend import Array
from minivision.nn.module import Module
from minivision.tensor import Tensor


class CrossEntropyLoss(Module):
    """`functional.cross_entropy` with its settings: loss(logits (N, K), targets) -> a scalar."""

    def __init__(
        self,
        weight: Array | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, logits: Tensor, targets: Any) -> Tensor:
        return F.cross_entropy(
            logits,
            targets,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(Module):
    """`functional.mse_loss`: loss(predictions, targets) -> a scalar."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(predictions, targets, reduction=self.reduction)


class DistillationLoss(Module):
    """T²·KL(teacher‖student): loss(student_logits, teacher_logits), both (N, K) -> a scalar."""

    def __init__(self, temperature: float = 4.0):
        self.temperature = temperature

    def forward(self, student_logits: Tensor, teacher_logits: Any) -> Tensor:
        return F.distillation_loss(student_logits, teacher_logits, self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
