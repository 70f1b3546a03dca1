"""What a notebook shows of a network and of a Tensor."""

import re

import numpy as np

from minivision import Tensor
from minivision.models import lenet5


def test_module_shows_a_row_per_layer_and_the_total():
    html = lenet5()._repr_html_()
    assert html.count("<tr>") == 1 + 11 + 1
    numbers = [int(n.replace(",", "")) for n in re.findall(r"<td>([\d,]+)</td></tr>", html)]
    assert sum(numbers) == 61_706
    assert "<b>61,706</b>" in html
    assert "features.0" in html


def test_tensor_shows_its_shape_dtype_device_and_range():
    html = Tensor(np.float32([[-1, 3]]))._repr_html_()
    assert "Tensor (1, 2) float32 on cpu, from -1 to 3, mean 1" in html
    assert "<pre>Tensor([[-1.,  3.]], float32)</pre>" in html


def test_tensor_without_entries_shows_no_range():
    assert "from" not in Tensor(np.zeros((0, 3), np.float32))._repr_html_().split("</b>")[0]
