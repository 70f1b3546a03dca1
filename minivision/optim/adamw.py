"""AdamW: Adam with a weight decay that is equally strong for every weight.

You can skip this file on a first reading.
"""

from __future__ import annotations

from collections.abc import Iterable

from minivision.optim.adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, Algorithm 2).

        w ← w - lr·weight_decay·w, then Adam's step with the gradient of the loss alone

    In Adam the decay is divided by √v like the rest of the gradient, so weights with large
    gradients hardly decay; in AdamW all weights decay equally.
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay)
