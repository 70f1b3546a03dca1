"""VGG and ResNet as the analysis sees them: their work, and the receptive fields of the papers."""

import pytest

from minivision.analysis.receptive_field import receptive_fields
from minivision.analysis.summary import summary
from minivision.models import MODELS, resnet20
from minivision.nn import Conv2d, Sequential


@pytest.mark.usefixtures("undrawn")
def test_summary_counts_vgg11s_work_on_a_real_image():
    table = summary(MODELS["vgg11"]())
    assert (table.parameters, table.multiply_adds) == (132_863_336, 7_609_090_048)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vgg11", 150), ("vgg11_lrn", 150), ("vgg13", 156), ("vgg16_c", 156), ("vgg16", 212),
        ("vgg19", 268), ("vgg19_bn", 268),
    ],
)  # fmt: skip
def test_the_last_pooling_sees_as_much_as_the_table_says(name, size):
    """1x1 convolutions add nothing: C sees no more than B."""
    fields = receptive_fields(MODELS[name]())
    last = [field for field in fields.values() if field.kind == "MaxPool2d"][-1]
    assert (last.size, last.jump, last.start) == ((size, size), (32, 32), (16, 16))
    assert last.units == (7, 7)


@pytest.mark.usefixtures("undrawn")
def test_vgg16s_receptive_fields_are_those_of_the_list():
    fields = receptive_fields(MODELS["vgg16"]())
    sizes = [field.size[0] for field in fields.values() if field.kind in ("Conv2d", "MaxPool2d")]
    assert sizes == [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]


def test_three_small_filters_have_fewer_weights_than_one_large_one():
    C = 64
    stack = [Conv2d(C, C, 3, padding=1, bias=False) for _ in range(3)]
    large = Conv2d(C, C, 7, padding=3, bias=False)
    assert sum(layer.parameter_count() for layer in stack) == 27 * C**2
    assert large.parameter_count() == 49 * C**2
    fields = [
        list(receptive_fields(network, (C, 9, 9)).values())[-1].size
        for network in (Sequential(*stack), large)
    ]
    assert fields == [(7, 7), (7, 7)]


def test_resnet20s_sizes_and_work_are_those_of_the_table():
    table = summary(resnet20())
    stages = {row.name: row.output for row in table.rows if row.kind == "Block"}
    assert list(stages.values()) == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
    by_hand = 1024 * (432 + 6 * 2304) + 256 * (4608 + 5 * 9216) + 64 * (18_432 + 5 * 36_864) + 640
    assert table.multiply_adds == by_hand


def test_a_unit_of_a_residual_network_sees_through_the_deepest_path():
    """A 3x3 convolution adds two places: 1 + 6 at stride 1, 1 + 5 at stride 2, 5 at stride 4."""
    fields = receptive_fields(resnet20(), 256)
    assert fields["conv1"].size == (3, 3)
    assert fields["layer1.2"].size == (3 + 6 * 2,) * 2
    assert fields["layer2.2"].size == (15 + 2 + 5 * 4,) * 2
    assert fields["layer3.2"].size == (37 + 4 + 5 * 8,) * 2
    assert fields["layer3.2"].jump == (4, 4)
