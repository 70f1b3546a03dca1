"""The plain forms: windows are strided views, convolution is im2col and one matrix product.

A few lines each, for NumPy and CuPy alike. They explain the fast forms and test them.

    im2col.py       windows as the columns of a matrix, and back
    convolution.py  convolution and its two gradients as matrix products
    pooling.py      maximum and average over windows, and their gradients
    activation.py   ReLU
    normalization.py  local response normalisation
    batch_normalization.py  batch normalisation

Read next: kernels/plain/im2col.py
"""

from minivision.kernels.plain import (
    activation,
    batch_normalization,
    convolution,
    normalization,
    pooling,
)

__all__ = ["activation", "batch_normalization", "convolution", "normalization", "pooling"]
