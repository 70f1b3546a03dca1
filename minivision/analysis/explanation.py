"""One page about one prediction: the image, the scores, and four views of what they are based on.

`explain` does the computing, `plot_explanation` the drawing. Any one of the pictures can mislead:
saliency is noisy, Grad-CAM is coarse, and an occluding patch is itself visible to the network.
Trust what they agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from minivision.analysis.activation_maps import (
    Evidence,
    grad_cam_evidence,
    last_maps,
    stretched,
)
from minivision.analysis.names import readable, shortened
from minivision.analysis.occlusion import Occlusion, occlusion
from minivision.analysis.passes import borrowed, images_like, watched
from minivision.analysis.plots import BLUE, GREY, VERMILION
from minivision.analysis.saliency import class_of_each, saliency
from minivision.backend import Array
from minivision.functional import softmax
from minivision.functional.inputs import sizes
from minivision.nn import Module
from minivision.tensor import Tensor

MAPS = 8  # number of feature maps drawn
STEPS = 14  # a patch takes about this many steps along a side, and is about four steps long


class Explanation(NamedTuple):
    """A network's prediction for one image, and the evidence for it; see `explain`."""

    x: np.ndarray
    probabilities: np.ndarray
    class_index: int
    saliency: np.ndarray
    evidence: Evidence | None
    occlusion: Occlusion

    def grad_cam(self) -> np.ndarray | None:
        """The map that `activation_maps.grad_cam` returns; None if there is no convolution."""
        if self.evidence is None:
            return None
        return stretched(np.maximum(self.evidence.total(), 0), self.x.shape[1:])[0]


def explain(
    model: Module, x: Array, class_index: int | None = None, layer: str | None = None
) -> Explanation:
    """Explain a network's prediction for one preprocessed image x (C, H, W), on the host.

    class_index: the class to explain, or None for the likeliest; layer: as in `grad_cam`. In the
    result, `evidence` is None if the network has no convolutions. The model is left unchanged.
    Raises the ValueErrors of the functions that it calls.
    """
    C, H, W = sizes("explain", "x", x, "C H W")
    images = np.asarray(x)[None]
    with borrowed(model, trainable=False):
        calls = watched(model, Tensor(images_like(model, images.shape, images), requires_grad=True))
    logits = calls[-1].result
    k = int(class_of_each("explain", logits, class_index)[0])
    layer = last_maps(calls) if layer is None else layer
    stride = max(1, H // STEPS), max(1, W // STEPS)
    patch = min(H, 4 * stride[0]), min(W, 4 * stride[1])
    return Explanation(
        x=np.asarray(x),
        probabilities=softmax(logits).numpy()[0],
        class_index=k,
        saliency=saliency(model, images, k)[0],
        evidence=grad_cam_evidence(model, images, layer, k) if layer is not None else None,
        occlusion=occlusion(model, x, patch, stride, k),
    )


def plot_explanation(
    explanation: Explanation, original: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Draw the page. original: the image file, uint8 (h, w, 1) or (h, w, 3); classes: K names."""
    e, picture = explanation, as_picture(explanation.x)
    cam = e.grad_cam()
    figure = Figure(figsize=(9.2, 5.6 if cam is None else 7.3), layout="constrained")
    # A file name may contain a $; titles that quote it are never parsed as mathematics.
    figure.suptitle(readable(title)[-60:], fontsize=12, parse_math=False)
    heights = (1, 1) if cam is None else (1, 1, 0.62)
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    file, fed, bars = parts[0].subplots(1, 3, width_ratios=(1, 1, 1.4))
    _picture(file, original if original.shape[2] == 3 else original[:, :, 0], "image file")
    _picture(fed, picture, "as the network sees it")
    _bars(bars, e, classes)

    name = readable(classes[e.class_index])
    panels = [(f"saliency: pixels that change\nthe score of {name!r}", e.saliency)]
    if cam is not None and e.evidence is not None:
        panels.append((f"Grad-CAM at {e.evidence.layer}:\nevidence for {name!r}", cam))
    patch = " x ".join(map(str, e.occlusion.patch))
    words = f"occlusion: covering {patch} pixels\nlowers (red) or raises (blue) p({name!r})"
    panels.append((words, e.occlusion.importance()))
    grid = parts[1].subplots(1, len(panels))
    for axes, (words, heat) in zip(grid, panels, strict=True):
        draw_heat(axes, picture, heat)
        axes.set_title(words, fontsize=9, parse_math=False)
    strongest = f"largest change in probability: {np.abs(e.occlusion.importance()).max():.0%}"
    grid[-1].set_xlabel(strongest, fontsize=8)
    if e.evidence is not None:
        _maps(parts[2], e.evidence, name)
    return figure


def draw_heat(axes: Axes, picture: np.ndarray, heat: np.ndarray) -> None:
    """Draw heat (H, W) over a faded picture: red for positive values, blue for negative ones.

    picture: uint8 (H, W) or (H, W, 3). The largest absolute value is opaque, and 0 is transparent.
    If all values are 0, no heat is drawn.
    """
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    axes.imshow(255 - (255 - grey) * 0.3, cmap="gray", vmin=0, vmax=255)
    colours = np.empty((*heat.shape, 4))
    colours[..., :3] = np.where(heat[..., None] < 0, to_rgb(BLUE), to_rgb(VERMILION))
    colours[..., 3] = np.abs(heat) / max(float(np.abs(heat).max()), np.finfo(np.float32).tiny)
    axes.imshow(colours, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def as_picture(x: np.ndarray) -> np.ndarray:
    """A network's input (C, H, W) as uint8, stretched from black to white: (H, W, 3) or (H, W)."""
    seen = np.moveaxis(x, 0, -1) if len(x) == 3 else x.mean(axis=0)
    span = max(float(np.ptp(seen)), np.finfo(np.float32).tiny)
    return np.round(255 * ((seen - seen.min()) / span)).astype(np.uint8)


def _picture(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(GREY)


def _bars(axes: Axes, e: Explanation, classes: Sequence[str]) -> None:
    """Draw the probabilities of the three likeliest classes, and of the one that is explained."""
    shown = list(np.argsort(-e.probabilities, kind="stable")[:3])
    shown += [] if e.class_index in shown else [e.class_index]
    for place, k in enumerate(shown):
        p = float(e.probabilities[k])
        axes.barh(place, p, height=0.6, color=VERMILION if k == e.class_index else "#9CC3DC")
        axes.text(p + 0.02, place, f"{100 * p:.1f} %", va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [shortened(classes[k], 20) for k in shown], parse_math=False)
    axes.set(xlim=(0, 1.25), ylim=(len(shown) - 0.3, -0.7), xticks=[])
    axes.set_title("predictions (red: the explained class)", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _maps(part: Figure, evidence: Evidence, name: str) -> None:
    """Draw the maps that contribute most for or against the class, with their contributions."""
    spoken = evidence.weights[0] * evidence.maps[0].sum(axis=(1, 2))
    loudest = np.argsort(-np.abs(spoken), kind="stable")[:MAPS]
    part.suptitle(
        f"maps of {evidence.layer} with the most evidence for {name!r} (red) or against it (blue): "
        "weight x sum", fontsize=9, parse_math=False,
    )  # fmt: skip
    grid = part.subplots(1, MAPS)
    for axes in grid:
        axes.set_axis_off()
    for axes, f in zip(grid, loudest, strict=False):
        axes.imshow(evidence.maps[0, f], cmap="gray", interpolation="nearest")
        colour = GREY if spoken[f] == 0 else VERMILION if spoken[f] > 0 else BLUE
        axes.set_title(f"map {f}\n{spoken[f]:+.2f}", fontsize=8, color=colour)
