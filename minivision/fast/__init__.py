"""The machine room: the same functions, faster, for NumPy on a processor.

The pages of `functional/` are complete; this room computes the same sums tile by tile, and a first
reading may skip it. Its functions have the names of the pages, take arrays and return `(y,
backward)`. A page asks at the door, `fast.serves(...)`, and an open door means that **its own lines
below are not reached**: put a `print` or a `breakpoint()` there and run with `MINIVISION_FAST=0`,
or inside `with fast.off():`.

Activations are stored with the batch innermost, (C, H, W, N), whatever their logical shape
(N, C, H, W): long contiguous runs, and the matrix product needs no copy.

    door.py             whether the fast forms are used
    free_list.py        reused memory
    memory.py           arrays in a chosen memory order
    workers.py          threads that share one operation
    choice.py           what the room takes, and how work is cut: every rule
    stacked_rows.py     the columns of im2col with KW copies instead of KH·KW
    convolution.py      tiles, one matrix product for every output row
    columns.py          few places: im2col in one copy, one matrix product
    weight_gradient.py  the same products with the other factor
    input_gradient.py   the way back to the image, in two forms
    pooling.py          running maxima, and a gradient that is peeled off
    blocks.py           elementwise formulas, block by block
    activation.py       ReLU
    normalization.py    local response normalization, with s^-0.75 from square roots
    batch_normalization.py  a few channels at a time
    products.py         matrix products shared by the workers, and `linear`

Other rooms import from here and from no file inside; besides the functions they use `in_blocks`
(optimizers), `one_blas_thread` (training) and `worker_count`.
"""

from minivision.fast.activation import relu
from minivision.fast.batch_normalization import batch_norm
from minivision.fast.blocks import in_blocks
from minivision.fast.choice import serves
from minivision.fast.convolution import conv2d
from minivision.fast.door import off
from minivision.fast.normalization import local_response_norm
from minivision.fast.pooling import avg_pool2d, max_pool2d
from minivision.fast.products import linear
from minivision.fast.workers import one_blas_thread, worker_count

__all__ = [
    "serves",
    "off",
    "relu",
    "linear",
    "conv2d",
    "max_pool2d",
    "avg_pool2d",
    "local_response_norm",
    "batch_norm",
    "in_blocks",
    "one_blas_thread",
    "worker_count",
]
