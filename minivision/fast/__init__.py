"""The machine room: faster implementations of the functions, for NumPy arrays on a CPU.

You can skip this package on a first reading. The *pages*, the source files in `functional/`, are
complete without it. Here the same sums are computed tile by tile, in *fast forms*: functions with
the same names that take arrays and return `(y, backward)`. A function on a page first calls
`fast.serves(...)`; if that returns True, **the code that follows is not reached**. To use a `print`
or a `breakpoint()` there, run with `MINIVISION_FAST=0` or inside `with fast.off():`.

Activations are stored with the batch innermost, as (C, H, W, N), although their logical shape is
(N, C, H, W). This gives long contiguous runs, and the matrix product needs no copy.

    door.py             whether the fast forms are used
    free_list.py        reused memory
    memory.py           arrays in a chosen memory order
    workers.py          threads that share one operation
    choice.py           the rules: when fast forms run, and how work is split
    stacked_rows.py     the columns of im2col with KW copies instead of KH·KW
    convolution.py      tiles, one matrix product per output row
    columns.py          small outputs: im2col in one copy, one matrix product
    weight_gradient.py  the gradient of the weights: windows times the upstream gradient
    input_gradient.py   the gradient of the image, computed in one of two ways
    pooling.py          running maxima, and a gradient distributed tap by tap
    blocks.py           elementwise formulas, block by block
    activation.py       ReLU
    normalization.py    local response normalization, with s^-0.75 from square roots
    batch_normalization.py  a few channels at a time
    products.py         matrix products shared by the workers, and `linear`

Other packages import from here, not from the files inside. Besides the functions, they use
`in_blocks` (optimizers), `one_blas_thread` (training) and `worker_count`.
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
