"""The plain forms of what is not yet on its page: convolution and pooling, in strided views.

    im2col.py       windows as the columns of a matrix, and back
    convolution.py  convolution and its two gradients as matrix products
    pooling.py      maximum and average over windows, and their gradients

Read next: kernels/plain/im2col.py
"""

from minivision.kernels.plain import convolution, pooling

__all__ = ["convolution", "pooling"]
