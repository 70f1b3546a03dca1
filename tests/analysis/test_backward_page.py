"""The page of the backward pass shows the numbers that the engine computes."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from minivision import Tensor
from minivision import functional as F
from minivision.analysis.backward_page import TEMPLATE, backward_page, slopes, story
from minivision.analysis.expression import Evaluation
from minivision.analysis.graph import graph_nodes

NETWORK = "cross_entropy(flatten(max_pool2d(relu(conv2d(x, k, b, padding=1)), 2)), [3, 0])"


def leaf(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Tensor(values, requires_grad=True)


def network():
    return {"x": leaf(2, 1, 4, 4), "k": leaf(2, 1, 3, 3, seed=1), "b": leaf(2, seed=2)}


def close(shown, array):
    np.testing.assert_allclose(shown, array.ravel(), rtol=1e-3, atol=1e-6)


def test_story_ends_with_the_gradients_of_the_leaves():
    given = network()
    shown = story(Evaluation(NETWORK, given))
    last = {arrival["to"]: arrival["after"] for s in shown["steps"] for arrival in s["arrivals"]}
    for i, node in enumerate(shown["nodes"]):
        if node["name"] in given:
            close(last[i], given[node["name"]].grad)


def test_story_shows_the_dy_that_each_backward_function_gets():
    x = Tensor([1.0, -2.0, 3.0], requires_grad=True)
    shown = story(Evaluation("h = x * x; g = h + x; (h * g + relu(h) - g).sum()", {"x": x}))
    arrived = {len(shown["nodes"]) - 1: [1.0]}
    for step in shown["steps"][1:]:
        assert step["dy"] == arrived.pop(step["node"])
        for arrival in step["arrivals"]:
            assert arrival["before"] == arrived.get(arrival["to"])
            arrived[arrival["to"]] = arrival["after"]
    close(arrived.popitem()[1], x.grad)
    adds = [arrival for step in shown["steps"] for arrival in step["arrivals"] if arrival["before"]]
    assert len(adds) == 5  # two more for h, two more for x, one more for g


def test_slopes_times_dy_sum_to_the_gradient_of_each_entry():
    shown = story(Evaluation(NETWORK, network()))
    for step in shown["steps"][1:]:
        for arrival in step["arrivals"]:
            fed = shown["nodes"][step["node"]]["slopes"][arrival["input"]]
            sums = [sum(slope * step["dy"][i] for i, slope in entries) for entries in fed]
            np.testing.assert_allclose(sums, arrival["gradient"], rtol=5e-3, atol=2e-4)


def test_slopes_of_a_convolution_are_one_for_a_corner_and_nine_for_the_middle():
    x, k = leaf(1, 1, 5, 5), leaf(1, 1, 3, 3, seed=1)
    of_image, of_kernel, _ = slopes(F.conv2d(x, k).node)
    fed = np.array([len(entries) for entries in of_image]).reshape(5, 5)
    assert fed[0, 0] == 1
    assert fed[2, 2] == 9
    assert fed[0].tolist() == [1, 2, 3, 2, 1]
    assert {len(entries) for entries in of_kernel} == {9}  # a weight is used at every position
    assert of_image[0] == [[0, float(f"{k.data.flat[0]:.4g}")]]


def test_story_counts_kept_bytes_that_fall_to_zero():
    steps = story(Evaluation(NETWORK, network()))["steps"]
    kept = [step["bytes"]["kept"] for step in steps]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 0 == kept[-1] == steps[-1]["bytes"]["waiting"]
    assert steps[-1]["bytes"]["leaves"] == 4 * (2 * 16 + 2 * 9 + 2)
    assert steps[0]["bytes"]["waiting"] == 4


def test_story_does_not_count_an_input_as_kept():
    steps = story(Evaluation("(x * x).sum()", {"x": leaf(3)}))["steps"]
    assert steps[0]["bytes"]["kept"] == 0
    steps = story(Evaluation("h = 2 * x; (h * h).sum()", {"x": leaf(3)}))["steps"]
    assert steps[0]["bytes"]["kept"] == 12


def test_backward_page_is_one_file_that_contains_its_story():
    page = backward_page("(x * 2).sum()  # </script>", {"x": leaf(2)})
    assert page.count("</script>") == TEMPLATE.read_text(encoding="utf-8").count("</script>")
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)
    data = re.search(r'type="application/json">(.*?)</script>', page, re.S)[1]
    assert json.loads(data)["expression"] == "(x * 2).sum()  # </script>"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here")
def test_backward_page_shows_its_numbers_in_a_browser(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        backward_page("h = 3 * x; (h * h).sum()", {"x": Tensor([7.0], requires_grad=True)})
    )
    command = ["chromium", "--headless", "--no-sandbox", "--dump-dom", f"{page.as_uri()}#2"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert "Step 2 of 3" in shown
    assert ">126<" not in shown  # the gradient of h is 42, the sum of two: 21 + 21
    assert shown.count(">42<") >= 1


def test_story_has_a_node_for_a_number_in_the_expression():
    shown = story(Evaluation("(3 * x).sum()", {"x": leaf(2)}))
    assert [node["value"] for node in shown["nodes"] if node["name"] == "3"] == [[3.0]]


def test_evaluation_knows_operators_methods_indices_and_assignments():
    x = leaf(2, 3)
    found = Evaluation("a = -x.T @ x[:, 0:2]; (a ** 2 / 4 - a[0, 1]).mean(axis=None)", {"x": x})
    a = -x.numpy().T @ x.numpy()[:, 0:2]
    assert found.value.item() == pytest.approx((a**2 / 4 - a[0, 1]).mean(), rel=1e-5)
    assert len(graph_nodes(found.value)) == 11
