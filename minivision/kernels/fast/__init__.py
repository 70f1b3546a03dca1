"""The fast forms, for NumPy on a processor: the same sums, laid out for it, tile by tile.

    stacked_rows.py     the columns of im2col with KW copies instead of KH·KW
    convolution.py      tiles, one matrix product for every output row
    columns.py          few places: im2col in one copy, one matrix product
    weight_gradient.py  the same products with the other factor
    input_gradient.py   the way back to the image, in two forms
    pooling.py          running maxima, and a gradient that is peeled off
    blocks.py           elementwise formulas, block by block
    activation.py       ReLU
    normalization.py    local response normalisation, with s^-0.75 from square roots
    batch_normalization.py  a few channels at a time
    products.py         matrix products shared by the workers

Read next: kernels/fast/stacked_rows.py
"""

from minivision.kernels.choice import serves
from minivision.kernels.door import off
from minivision.kernels.fast import (
    activation,
    batch_normalization,
    convolution,
    normalization,
    pooling,
    products,
)
from minivision.kernels.fast.activation import relu
from minivision.kernels.fast.batch_normalization import batch_norm
from minivision.kernels.fast.normalization import local_response_norm

__all__ = [
    "serves",
    "off",
    "relu",
    "local_response_norm",
    "batch_norm",
    "activation",
    "batch_normalization",
    "convolution",
    "normalization",
    "pooling",
    "products",
]
