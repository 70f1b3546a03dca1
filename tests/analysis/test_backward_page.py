"""The stepped backward pass tells what happened: its numbers are those of the engine."""

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


def close(told, array):
    np.testing.assert_allclose(told, array.ravel(), rtol=1e-3, atol=1e-6)


def test_the_last_gradients_told_are_those_of_the_leaves():
    given = network()
    told = story(Evaluation(NETWORK, given))
    last = {arrival["to"]: arrival["after"] for s in told["steps"] for arrival in s["arrivals"]}
    for i, node in enumerate(told["nodes"]):
        if node["name"] in given:
            close(last[i], given[node["name"]].grad)


def test_what_is_told_to_arrive_is_the_dy_that_the_rule_got():
    x = Tensor([1.0, -2.0, 3.0], requires_grad=True)
    told = story(Evaluation("h = x * x; g = h + x; (h * g + relu(h) - g).sum()", {"x": x}))
    arrived = {len(told["nodes"]) - 1: [1.0]}
    for step in told["steps"][1:]:
        assert step["dy"] == arrived.pop(step["node"])
        for arrival in step["arrivals"]:
            assert arrival["before"] == arrived.get(arrival["to"])
            arrived[arrival["to"]] = arrival["after"]
    close(arrived.popitem()[1], x.grad)
    adds = [arrival for step in told["steps"] for arrival in step["arrivals"] if arrival["before"]]
    assert len(adds) == 5  # h and x twice more than once each, g once


def test_a_gradient_is_the_sum_over_all_that_an_entry_feeds():
    told = story(Evaluation(NETWORK, network()))
    for step in told["steps"][1:]:
        for arrival in step["arrivals"]:
            fed = told["nodes"][step["node"]]["slopes"][arrival["input"]]
            sums = [sum(slope * step["dy"][i] for i, slope in entries) for entries in fed]
            np.testing.assert_allclose(sums, arrival["gradient"], rtol=5e-3, atol=2e-4)


def test_a_pixel_in_a_corner_feeds_one_output_and_one_in_the_middle_nine():
    x, k = leaf(1, 1, 5, 5), leaf(1, 1, 3, 3, seed=1)
    of_image, of_kernel, _ = slopes(F.conv2d(x, k).node)
    fed = np.array([len(entries) for entries in of_image]).reshape(5, 5)
    assert fed[0, 0] == 1
    assert fed[2, 2] == 9
    assert fed[0].tolist() == [1, 2, 3, 2, 1]
    assert {len(entries) for entries in of_kernel} == {9}  # a weight is used at every place
    assert of_image[0] == [[0, float(f"{k.data.flat[0]:.4g}")]]


def test_bytes_kept_by_rules_go_down_and_all_are_freed():
    steps = story(Evaluation(NETWORK, network()))["steps"]
    kept = [step["bytes"]["kept"] for step in steps]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 0 == kept[-1] == steps[-1]["bytes"]["waiting"]
    assert steps[-1]["bytes"]["leaves"] == 4 * (2 * 16 + 2 * 9 + 2)
    assert steps[0]["bytes"]["waiting"] == 4


def test_an_input_is_not_counted_as_kept():
    steps = story(Evaluation("(x * x).sum()", {"x": leaf(3)}))["steps"]
    assert steps[0]["bytes"]["kept"] == 0
    steps = story(Evaluation("h = 2 * x; (h * h).sum()", {"x": leaf(3)}))["steps"]
    assert steps[0]["bytes"]["kept"] == 12


def test_the_page_is_one_file_with_its_story_inside():
    page = backward_page("(x * 2).sum()  # </script>", {"x": leaf(2)})
    assert page.count("</script>") == TEMPLATE.read_text(encoding="utf-8").count("</script>")
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)
    data = re.search(r'type="application/json">(.*?)</script>', page, re.S)[1]
    assert json.loads(data)["expression"] == "(x * 2).sum()  # </script>"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here")
def test_a_browser_shows_the_numbers(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        backward_page("h = 3 * x; (h * h).sum()", {"x": Tensor([7.0], requires_grad=True)})
    )
    command = ["chromium", "--headless", "--no-sandbox", "--dump-dom", f"{page.as_uri()}#2"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert "Step 2 of 3" in shown
    assert ">126<" not in shown  # the gradient of h is 42, and comes twice: 21 + 21
    assert shown.count(">42<") >= 1


def test_a_number_in_the_text_has_a_place_and_a_value():
    told = story(Evaluation("(3 * x).sum()", {"x": leaf(2)}))
    assert [node["value"] for node in told["nodes"] if node["name"] == "3"] == [[3.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x * y", "y has no value; give one after the expression, as in y=2"),
        ("conv(x)", "no function is called 'conv'; did you mean conv2d?"),
        ("x.relu()", "a Tensor has no method 'relu'; it has exp"),
        ("x.data.fill(0)", "a Tensor has no method 'fill'|cannot be written here"),
        ("().__class__", "cannot be written here"),
        ("[y for y in x]", "cannot be written here"),
        ("__import__('os')", "no function is called '__import__'"),
        ("lambda: x", "cannot be written here"),
        ("import os", "expected an expression, or NAME = one"),
        ("x.sum(", r"is not an expression: '\(' was never closed"),
        ("relu", "relu is a function; write"),
        ("2 + 2", "computes nothing"),
        ("x[7]", "x\\[7\\]: index 7 is out of bounds"),
        ("relu(x, 3)", r"relu\(x, 3\): relu\(\) takes 1 positional argument"),
        ("x * x", r"the result has shape \(2,\), not one number; add .sum\(\) or .mean\(\)"),
        ("(0 * ones).sum()", "ones has no value"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(text, message):
    with pytest.raises(ValueError, match=message):
        story(Evaluation(text, {"x": leaf(2)}))


def test_too_much_to_look_at_is_refused():
    with pytest.raises(ValueError, match="201 numbers; every number is shown"):
        story(Evaluation("x.sum()", {"x": leaf(201)}))
    long = "; ".join(["x = x + x"] * 40) + "; x.sum()"
    with pytest.raises(ValueError, match="the graph has 42 nodes; a page shows at most 40"):
        story(Evaluation(long, {"x": leaf(1)}))
    with pytest.raises(ValueError, match="depends on no value that was given"):
        story(Evaluation("x.sum()", {"x": Tensor([1.0])}))


def test_all_of_the_small_language():
    x = leaf(2, 3)
    found = Evaluation("a = -x.T @ x[:, 0:2]; (a ** 2 / 4 - a[0, 1]).mean(axis=None)", {"x": x})
    a = -x.numpy().T @ x.numpy()[:, 0:2]
    assert found.value.item() == pytest.approx((a**2 / 4 - a[0, 1]).mean(), rel=1e-5)
    assert len(graph_nodes(found.value)) == 11
