"""Arrays in, arrays out: the loops under the differentiable functions. No Tensor comes here.

The rooms above say *what* is computed; here stands how. These are the plain forms, a few lines
each, that run on NumPy and CuPy alike: windows are strided views, convolution is im2col and one
matrix product. Activations lie in memory with the batch innermost, (C, H, W, N), whatever their
logical shape (N, C, H, W): long contiguous runs, and the matrix product needs no copy.

    memory.py        arrays in a chosen memory order
    broadcasting.py  the adjoint of broadcasting
    windows.py       the pixels that each tap of a kernel meets
    im2col.py        windows as the columns of a matrix, and back
    convolution.py   convolution and its two gradients as matrix products
    pooling.py       maximum and average over windows, and their gradients

Read next: kernels/memory.py
"""
