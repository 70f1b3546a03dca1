"""The effective receptive field: how strongly each pixel that a unit can see affects the unit.

A unit sees a box, but not every pixel of it equally: a pixel in the middle reaches the unit along
many paths, a pixel at the edge along few. The gradient of the unit with respect to the image
measures this. (Luo, Li, Urtasun & Zemel 2016, "Understanding the effective receptive field in deep
convolutional neural networks", find that the effective field is bell-shaped and smaller than the
box.)
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minivision.analysis.passes import borrowed, images_like, watched
from minivision.analysis.plots import BLUE, GREY, PALE, VERMILION
from minivision.analysis.receptive_field import Box, ReceptiveField, receptive_fields
from minivision.backend import Array, to_device, to_host
from minivision.nn import Module
from minivision.tensor import Tensor


def layer_field(fields: dict[str, ReceptiveField], layer: str) -> ReceptiveField:
    """The field of the layer with this name; if there is none, the error lists the layers."""
    if layer not in fields:
        raise ValueError(f"no layer is called {layer!r}; expected one of {', '.join(fields)}")
    return fields[layer]


def effective_field(
    model: Module, layer: str, row: int, column: int, images: Array, *, rng: np.random.Generator
) -> np.ndarray:
    """The share of each pixel in the gradient of a layer's units at one position.

    images (N, C, H, W) -> (H, W), which sums to 1

        share[i, j] = Σ_n Σ_c |∂u_n/∂x[n, c, i, j]|, divided by its sum over all pixels
        u_n = Σ_f ±y[n, f, row, column]

    New signs are drawn for each image, so that the same filters do not cancel each other in
    all of them. The result depends on the images and on the weights, so average over several
    images. The model runs in evaluation mode and is left unchanged.

    Raises ValueError if the layer or unit is unknown, or if no pixel affects the unit.
    """
    shape = images.shape
    layer_field(receptive_fields(model, shape[1:]), layer).box(
        row, column
    )  # raise an error if there is none
    x = Tensor(images_like(model, shape, images), requires_grad=True)
    with borrowed(model, trainable=False):
        y = next(call.result for call in watched(model, x) if call.name == layer)
    dy = np.zeros(y.shape, y.dtype)
    at = (slice(None), slice(None), row, column) if y.ndim == 4 else slice(None)
    dy[at] = rng.choice([-1.0, 1.0], dy[at].shape)
    y.backward(to_device(dy, y.device))
    moved = np.abs(to_host(x.grad)).astype(np.float64).sum(axis=(0, 1))
    if not moved.any():
        raise ValueError(
            f"effective_field: no pixel changes unit ({row}, {column}) of {layer}; its weights "
            "may be zero, or its ReLU inactive on these images"
        )
    return moved / moved.sum()


def effective_size(shares: np.ndarray, share: float = 0.9) -> float:
    """How many of the largest shares add up to `share`, as the side of a square of that area.

    >>> effective_size(np.full((4, 4), 1 / 16), share=1.0)
    4.0
    """
    collected = np.cumsum(np.sort(shares, axis=None)[::-1])
    return float(np.sqrt(1 + np.searchsorted(collected, share * collected[-1] - 1e-12)))


def plot_receptive_field(
    image: np.ndarray,
    field: ReceptiveField,
    row: int,
    column: int,
    shares: np.ndarray | None = None,
) -> Figure:
    """Draw the box that a unit sees on an image, and how strongly each pixel affects the unit.

    image: (H, W), (H, W, 1) or (H, W, 3), uint8, the size of the network's input; shares (H, W)
    from `effective_field`, or None. Anything in the box that lies outside the image is padding.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    H, W = image.shape[:2]
    box = field.box(row, column)
    panels = 1 if shares is None else 2
    figure = Figure(figsize=(4.6 * panels, 4.8), layout="constrained")
    left, right = [*figure.subplots(1, panels, squeeze=False)[0], None][:2]
    left.imshow(image, cmap="gray", vmin=0, vmax=255)
    size = " x ".join(str(side) for side in field.size)
    left.set_title(f"receptive field: {size} pixels", fontsize=10)
    _frame(left, box, H, W)
    if shares is not None:
        grey = image if image.ndim == 2 else image.mean(axis=2)
        right.imshow(255 - (255 - grey) * 0.35, cmap="gray", vmin=0, vmax=255)
        # The strongest pixel is opaque; the square root makes the faint ones visible.
        heat = np.zeros((H, W, 4))
        heat[..., :3] = to_rgb(VERMILION)
        heat[..., 3] = np.sqrt(shares / shares.max())
        right.imshow(heat)
        side = effective_size(shares)
        words = f"90 % of the gradient: {side**2:.0f} pixels, about {side:.0f} x {side:.0f}"
        right.set_title(words, fontsize=10)
        _frame(right, box, H, W)
    figure.suptitle(f"Unit ({row}, {column}) of {field.name} ({field.kind})", fontsize=11)
    return figure


def _frame(axes: Axes, box: Box, H: int, W: int) -> None:
    """Draw the box, a grey background where it extends beyond the image, and the image's edge."""
    top, left, bottom, right = box
    height, width = bottom + 1 - top, right + 1 - left
    corner = (left - 0.5, top - 0.5)
    axes.set_facecolor(PALE)
    axes.add_patch(Rectangle((-0.5, -0.5), W, H, fill=False, edgecolor=GREY, linewidth=0.8))
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=BLUE, linewidth=2))
    margin = 0.03 * max(H, W)
    axes.set_xlim(min(0, left) - 0.5 - margin, max(W, right + 1) - 0.5 + margin)
    axes.set_ylim(max(H, bottom + 1) - 0.5 + margin, min(0, top) - 0.5 - margin)
    outside = box.padding(H, W)
    if outside:
        words = ", ".join(f"{count} {side}" for side, count in outside.items())
        axes.set_xlabel(f"padding, in pixels: {words}", fontsize=9, color=VERMILION)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
