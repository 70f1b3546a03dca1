"""The picture of the graph shows every node once and every arrow."""

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minivision import Tensor, manual_seed, record
from minivision import functional as F
from minivision.analysis.graph import graph_nodes, kept_arrays, plot_graph
from minivision.models import lenet5


def parts(figure, kind):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def test_plot_graph_draws_and_names_every_node_and_arrow_of_lenet():
    manual_seed(0)
    model = lenet5()
    loss = F.cross_entropy(model(Tensor(np.zeros((2, 1, 28, 28), np.float32))), [3, 7])
    nodes = graph_nodes(loss)
    figure = plot_graph(loss, dict(model.named_parameters()), {loss: "L = 2.3"})
    texts = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert len(parts(figure, FancyBboxPatch)) == len(nodes) == 11 + 12 + 1
    arrows = sum(parent is not None for node in nodes for parent in node.parents)
    assert len(parts(figure, FancyArrowPatch)) == arrows
    for word in ("features\n0.weight", "conv2d", "max_pool2d", "flatten", "input", "L = 2.3"):
        assert word in texts


def test_plot_graph_draws_no_overlapping_boxes():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x + x) * (3 * x)
    figure = plot_graph(y.sum())
    corners = [(box.get_x(), box.get_y()) for box in parts(figure, FancyBboxPatch)]
    assert len(set(corners)) == len(corners)


def test_kept_arrays_finds_all_arrays_that_a_backward_function_holds():
    x, held = Tensor([1.0], requires_grad=True), [np.zeros(n) for n in range(1, 6)]
    inner = lambda: held[0]  # noqa: E731

    def backward(dy):
        return (dy * 0 if (inner, pair, nested, number) else dy,)

    pair, nested, number = (held[1], "a word"), [[held[2]], (held[3], held[4])], 3
    found = kept_arrays(record(x.data, (x,), backward).node)
    assert {id(array) for array in held} == {id(array) for array in found}


def test_kept_arrays_of_leaves_and_freed_nodes_are_none():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    product = y.node.parents[0]
    assert len(kept_arrays(product)) == 2
    y.backward()
    assert kept_arrays(x.node) == kept_arrays(product) == []
